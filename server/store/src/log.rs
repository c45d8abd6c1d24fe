//! The write-ahead log: how the writer's connection is set up, and when the log is moved into the file.
//!
//! Owns: the bound on the log, and that its files stay after a clean stop, so that readers who may not write in the folder
//! can still open the store. `LogMover` moves the log when it reaches `LOG_BYTES`, SQLite by itself when it is four times
//! as long, `tidy` at quiet moments.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, ffi};

use crate::WriteError;
use crate::files::beside;
use crate::integer::signed;

/// Opens the writer's connection.
pub(crate) fn connect(path: &Path, cache_bytes: u64) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.set_prepared_statement_cache_capacity(64);
    let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        tracing::warn!(
            mode,
            "the store's file system does not take a write-ahead log"
        );
    }
    // Longer than what `LogMover` moves at, so that the writer does it where there is none or it does not keep up.
    let pages = signed(LOG_BYTES * 4) / page_bytes.max(1);
    for (pragma, value) in [
        ("synchronous", 1),
        ("cache_size", -(signed(cache_bytes) / 1024)),
        ("temp_store", 2),
        ("foreign_keys", 0),
        ("trusted_schema", 0),
        ("wal_autocheckpoint", pages),
        ("journal_size_limit", signed(LOG_BYTES * 2)),
        ("mmap_size", 0),
    ] {
        // Some of these answer with a row and some do not.
        connection.pragma(None, pragma, value, |_| Ok(()))?;
    }
    keep_log_files(&connection)?;
    Ok(connection)
}

/// Moves the log into the file from a thread of its own, so that the writer waits for no disk: SQLite's writers and one
/// that moves the log do not exclude each other.
#[derive(Debug)]
pub struct LogMover {
    connection: Connection,
    path: PathBuf,
}

impl LogMover {
    /// For the store that a writer has open.
    ///
    /// # Errors
    /// When it cannot be opened a second time.
    pub fn open(path: &Path) -> Result<Self, WriteError> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        // One that waited for readers would hold up nobody but itself, but here is nothing to wait for.
        connection.busy_timeout(Duration::ZERO)?;
        keep_log_files(&connection)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// Moves the log when it is long. To be called right after a commit: what is moved before the next one lets the log
    /// begin anew.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn move_if_long(&self) -> Result<(), WriteError> {
        let length = std::fs::metadata(beside(&self.path, "-wal")).map_or(0, |log| log.len());
        if length > LOG_BYTES {
            checkpoint(&self.connection, "PASSIVE")?;
        }
        Ok(())
    }
}

/// Moves the log into the file as far as readers allow. At a quiet moment, or because the log has grown.
pub(crate) fn tidy(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let length = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    // Only readers that never end keep the log growing past its bound: then it is worth to wait for them a little.
    let mode = if length > LOG_BYTES * 4 {
        "RESTART"
    } else {
        "PASSIVE"
    };
    checkpoint(connection, mode)
}

/// Moves the whole log into the file and empties it, when no reader is in the way.
pub(crate) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    checkpoint(connection, "TRUNCATE")
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()))
}

#[expect(
    unsafe_code,
    reason = "rusqlite has no safe call for SQLITE_FCNTL_PERSIST_WAL"
)]
fn keep_log_files(connection: &Connection) -> rusqlite::Result<()> {
    let mut keep: std::ffi::c_int = 1;
    // SAFETY: the handle is that of a connection open for as long as the borrow; the name is NUL-terminated; this opcode
    // reads and writes one C int through the pointer, which outlives the call.
    let code = unsafe {
        ffi::sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut keep).cast(),
        )
    };
    if code == ffi::SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }
}

/// The log is moved into the file when it is so long.
const LOG_BYTES: u64 = 8 << 20;
