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

use rusqlite::{Connection, OpenFlags};

use crate::db::{query_as, query_scalar};
use crate::pool::Pool;
use crate::unopened::{Unopened, primary_code};

/// An open store.
pub(crate) struct Opened {
    pub(crate) pool: Pool,
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
pub(crate) fn open(path: &Path) -> Result<Opened, Unopened> {
    open_knowing(path, KNOWN)
}

/// The same for a program whose newest migration is `known`.
fn open_knowing(path: &Path, known: i64) -> Result<Opened, Unopened> {
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
        match read_facts(path, *still, stamp, known) {
            Ok(opened) => return Ok(opened),
            Err(error) => problem = error,
        }
        if !matches!(&problem, Unopened::Failed(error) if primary_code(error) == Some(CANTOPEN)) {
            break;
        }
    }
    Err(problem.narrowed(path))
}

fn read_facts(path: &Path, still: bool, stamp: Stamp, known: i64) -> Result<Opened, Unopened> {
    let connection = connect(path, still)?;
    let tables: i64 = query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(&connection)?;
    if tables == 0 {
        return Err(Unopened::Missing);
    }
    let version = query_scalar::<Option<i64>>("SELECT MAX(version) FROM _sqlx_migrations")
        .fetch_one(&connection)
        .map_err(Unopened::if_not_ours)?;
    match version {
        None => return Err(Unopened::Missing),
        Some(found) if found > known => return Err(Unopened::Newer { found, known }),
        Some(found) if found < OLDEST_READABLE => return Err(Unopened::TooOld { found, known }),
        Some(_) => {}
    }
    let rows: Vec<(String, String)> = query_as("SELECT key, value FROM meta")
        .fetch_all(&connection)
        .map_err(Unopened::if_not_ours)?;
    let (mut tag, mut key_fingerprint) = (None, None);
    for (key, value) in rows {
        match key.as_str() {
            "store_tag" => tag = Some(value),
            "key_fingerprint" => key_fingerprint = Some(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    let tag = tag.ok_or(Unopened::Damaged)?;
    Ok(Opened {
        pool: Pool::new(path, still, connection),
        still,
        stamp,
        tag,
        key_fingerprint,
        older: version < Some(known),
    })
}

/// A connection that reads.
///
/// # Errors
/// SQLite's.
pub(crate) fn connect(path: &Path, still: bool) -> Result<Connection, rusqlite::Error> {
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
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    // A store has some dozen segments, and each its own statements.
    connection.set_prepared_statement_cache_capacity(256);
    headwater_pack::register(&connection)?;
    connection.execute_batch(
        "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;",
    )?;
    Ok(connection)
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
        Err(error) => Err(Unopened::Unreachable(error)),
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
/// The newest migration.
const KNOWN: i64 = 4;
/// Since this version every migration only added tables and columns that these queries do not need.
const OLDEST_READABLE: i64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_migration_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/migrations");
        let names = std::fs::read_dir(folder).unwrap();
        let number = |name: String| name.split_once('_')?.0.parse::<i64>().ok();
        let numbers =
            names.filter_map(|entry| number(entry.unwrap().file_name().into_string().unwrap()));
        assert_eq!(numbers.max(), Some(KNOWN));
    }

    /// A store whose recorder knows migrations up to `version`.
    fn store(folder: &Path, version: i64) -> PathBuf {
        let path = folder.join(format!("{version}.db"));
        let database = Connection::open(&path).unwrap();
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
    #[test]
    fn an_older_store_is_read_and_a_newer_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = store(folder.path(), 4);
        for (known, expected) in [(4, Some(false)), (5, Some(true)), (3, None)] {
            let opened = open_knowing(&path, known);
            let older = opened.as_ref().map(|opened| opened.older);
            assert_eq!(older.ok(), expected, "{known}");
            if let Err(problem) = opened {
                assert!(matches!(problem, Unopened::Newer { found: 4, known: 3 }));
                assert!(
                    problem.why().contains("newer Headwater (schema 4"),
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
