//! Making the schema, and bringing an older one up to date.
//!
//! Owns: the one use of sqlx here, on a connection that is closed before the writer's own is opened. It has a thread of
//! its own, so that a recorder may open its store from anywhere, an asynchronous runtime included.

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, Connection};

use crate::OpenError;

/// The migrations of this program.
pub(crate) fn known() -> Migrator {
    sqlx::migrate!("../../schema/migrations")
}

/// Brings the schema of the database at `path` to the last of these migrations.
pub(crate) fn migrate(path: &Path, page_bytes: u32, migrator: &Migrator) -> Result<(), OpenError> {
    let work = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map_err(|error| sqlite(path, error))?
            .block_on(migrate_here(path, page_bytes, migrator))
    };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|_| {
        Err(sqlite(
            path,
            std::io::Error::other("the migration panicked"),
        ))
    })
}

async fn migrate_here(path: &Path, page_bytes: u32, migrator: &Migrator) -> Result<(), OpenError> {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .page_size(page_bytes)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| sqlite(path, error))?;
    let result = bring_up(&mut connection, migrator, path).await;
    let closed = connection.close().await;
    result?;
    closed.map_err(|error| sqlite(path, error))
}

async fn bring_up(
    connection: &mut SqliteConnection,
    migrator: &Migrator,
    path: &Path,
) -> Result<(), OpenError> {
    let tables: Vec<String> =
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| sqlite(path, error))?;
    if tables.iter().any(|name| name == "_sqlx_migrations") {
        let found: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| sqlite(path, error))?;
        let known = migrator.iter().map(|one| one.version).max().unwrap_or(0);
        if let Some(found) = found.filter(|found| *found > known) {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known,
            });
        }
    } else if !tables.is_empty() {
        return Err(OpenError::NotAStore {
            path: path.to_owned(),
        });
    }
    let result = migrator.run(connection).await;
    result.map_err(|source| OpenError::Migration {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

fn sqlite(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> OpenError {
    OpenError::Sqlite {
        path: path.to_owned(),
        source: source.into(),
    }
}
