//! Opening the store's file: in which mode, and what is the matter when it cannot be.
//!
//! Owns: the two ways to read. `Shared` takes part in SQLite's locking through the `-shm` file, while a recorder runs or
//! after it was killed. `Still` reads an immutable file: after a clean stop the `-wal` and `-shm` files are gone and a
//! reader without write access could not make them again. A still file that moves is opened anew (`Opened::is_current`).
//!
//! Invariant: the file is never opened but through SQLite while connections are open, since closing any descriptor drops
//! all POSIX locks of the process on it. Surprising: the reader's own `readonly_shm` is not used, because SQLite shares
//! that state with a writer in the same process.

use std::fmt::Write;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use crate::unopened::{Unopened, primary_code};

/// An open store.
pub(crate) struct Opened {
    pub(crate) pool: SqlitePool,
    /// Whether it is read as an immutable file.
    pub(crate) still: bool,
    stamp: Stamp,
    /// Four characters that name the store in printable ids.
    pub(crate) tag: String,
    /// Of the key that its hashes were made with: 16 hex digits.
    pub(crate) key_fingerprint: Option<String>,
    /// Whether an older program wrote it.
    pub(crate) older: bool,
}

impl Opened {
    /// Whether the path still leads to what was opened, and may still be read in the same way.
    pub(crate) fn is_current(&self, path: &Path) -> bool {
        let Ok(now) = Stamp::of(path) else {
            return false;
        };
        if self.still {
            now == self.stamp
        } else {
            now.file == self.stamp.file
        }
    }
}

/// Opens the store at `path`.
pub(crate) async fn open(path: &Path) -> Result<Opened, Unopened> {
    open_knowing(path, known_version()).await
}

/// The same for a program whose newest migration is `known`.
async fn open_knowing(path: &Path, known: i64) -> Result<Opened, Unopened> {
    let stamp = Stamp::of(path)?;
    if stamp.length == 0 {
        return Err(Unopened::Missing);
    }
    let attempts: &[bool] = match stamp.log_length {
        None => &[true],
        Some(0) => &[false, true],
        Some(_) => &[false],
    };
    let mut problem = Unopened::Missing;
    for still in attempts {
        match read_facts(path, *still, stamp, known).await {
            Ok(opened) => return Ok(opened),
            Err(error) => problem = error,
        }
        if !matches!(&problem, Unopened::Failed(error) if primary_code(error) == Some(CANTOPEN)) {
            break;
        }
    }
    Err(problem.narrowed(path))
}

async fn read_facts(
    path: &Path,
    still: bool,
    stamp: Stamp,
    known: i64,
) -> Result<Opened, Unopened> {
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .idle_timeout(Some(Duration::from_mins(1)))
        .acquire_timeout(Duration::from_secs(10))
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(know_packs(connection)))
        .connect_lazy_with(options(path, still));
    let mut connection = pool.acquire().await?;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await?;
    if tables == 0 {
        return Err(Unopened::Missing);
    }
    let version: Option<i64> = sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(&mut *connection)
        .await
        .map_err(Unopened::if_not_ours)?;
    match version {
        None => return Err(Unopened::Missing),
        Some(found) if found > known => return Err(Unopened::Newer { found, known }),
        Some(found) if found < OLDEST_READABLE => return Err(Unopened::TooOld { found, known }),
        Some(_) => {}
    }
    let rows = sqlx::query("SELECT key, value FROM meta")
        .fetch_all(&mut *connection)
        .await
        .map_err(Unopened::if_not_ours)?;
    let (mut tag, mut key_fingerprint) = (None, None);
    for row in rows {
        let value: String = row.try_get(1)?;
        match row.try_get::<&str, _>(0)? {
            "store_tag" => tag = Some(value),
            "key_fingerprint" => key_fingerprint = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    drop(connection);
    let tag = tag.ok_or(Unopened::Damaged)?;
    Ok(Opened {
        pool,
        still,
        stamp,
        tag,
        key_fingerprint,
        older: version < Some(known),
    })
}

/// Makes `exchange_rows` and `dns_rows` known on a new connection.
#[expect(unsafe_code, reason = "sqlx has no safe call for modules")]
async fn know_packs(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut handle = connection.lock_handle().await?;
    // SAFETY: the handle is that of an open connection, locked until the end of the call, and sqlx and the callee are
    // built with one libsqlite3-sys.
    unsafe { headwater_pack::register_on(handle.as_raw_handle().as_ptr()) }
        .map_err(|error| sqlx::Error::Configuration(Box::new(error)))
}

fn options(path: &Path, still: bool) -> SqliteConnectOptions {
    // Written as a URI, so that no path is taken for one, and percent-encoded byte by byte.
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/.-_".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri.push_str(if still {
        "?mode=ro&immutable=1"
    } else {
        "?mode=ro"
    });
    SqliteConnectOptions::new()
        .filename(uri)
        .read_only(true)
        .busy_timeout(Duration::from_secs(5))
        // A store has some dozen segments, and each its own statements.
        .statement_cache_capacity(256)
        // Rows come from a thread of sqlx's own: the more of them may wait, the less often the two wait for each other.
        .row_buffer_size(1024)
        .pragma("query_only", "ON")
        .pragma("trusted_schema", "OFF")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", "-8192")
        .disable_statement_logging()
}

/// The newest migration that this program was built with.
pub(crate) fn known_version() -> i64 {
    sqlx::migrate!("../../schema/migrations")
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0)
}

/// What tells one state of the files from another, without opening them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// Length of the write-ahead log, `None` when there is none.
    log_length: Option<u64>,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, Unopened> {
        let file = stat(path)?.ok_or(Unopened::Missing)?;
        if !file.is_file() {
            return Err(Unopened::Damaged);
        }
        let log_length = stat(&beside(path, "-wal"))?.map(|log| log.len());
        Ok(Self {
            file: (file.dev(), file.ino()),
            length: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            log_length,
        })
    }
}

fn stat(path: &Path) -> Result<Option<Metadata>, Unopened> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(Unopened::NotReadable),
        Err(error) => Err(Unopened::Failed(sqlx::Error::Io(error))),
    }
}

/// A file of SQLite's beside the store.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `SQLITE_CANTOPEN`.
const CANTOPEN: i32 = 14;
const CONNECTIONS: u32 = 4;
/// Since this version every migration only added tables and columns that these queries do not need.
const OLDEST_READABLE: i64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// A store whose recorder knows migrations up to `version`.
    fn store(folder: &Path, version: i64) -> PathBuf {
        let path = folder.join(format!("{version}.db"));
        let database = rusqlite::Connection::open(&path).unwrap();
        let schema = include_str!("../../../schema/migrations/0001_store.sql");
        database.execute_batch(schema).unwrap();
        database
            .execute_batch(
                "INSERT INTO meta VALUES ('store_tag', 'k7q2'); CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY)",
            )
            .unwrap();
        for version in 1..=version {
            database
                .execute("INSERT INTO _sqlx_migrations VALUES (?)", [version])
                .unwrap();
        }
        path
    }

    /// Between an update and the recorder's restart the readers are the newer ones.
    #[tokio::test]
    async fn an_older_store_is_read_and_a_newer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path(), 2);
        for (known, expected) in [(2, Some(false)), (3, Some(true)), (1, None)] {
            let opened = open_knowing(&path, known).await;
            let older = opened.as_ref().map(|opened| opened.older);
            assert_eq!(older.ok(), expected, "{known}");
            if let Err(problem) = opened {
                assert!(matches!(problem, Unopened::Newer { found: 2, known: 1 }));
                assert!(
                    problem.why().contains("newer Headwater (schema 2"),
                    "{}",
                    problem.why()
                );
                assert!(
                    problem.cure().contains("restart this program"),
                    "{}",
                    problem.cure()
                );
            }
        }
    }
}
