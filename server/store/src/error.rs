//! What can go wrong, in words that say what to do.

use std::path::PathBuf;

/// Why a store was not opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file or folder could not be made, or not be given its group or mode.
    #[error("{path}: {action} failed")]
    Files {
        /// Which one.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Somebody writes to it already.
    #[error("another recorder{} writes to {path}; stop it first, or name another store with --db", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked {
        /// Which store.
        path: PathBuf,
        /// Who, when known.
        pid: Option<u32>,
    },
    /// The schema could not be made or brought up to date.
    #[error("{path}: the schema could not be brought up to date")]
    Migration {
        /// Which store.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// A newer program made it.
    #[error(
        "{path} was written by a newer Headwater (schema {found}, this recorder knows {known}): \
         update this program and restart the recorder (headwater record, or headwater up)"
    )]
    Newer {
        /// Which store.
        path: PathBuf,
        /// The newest migration in it.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// What is there is something else.
    #[error("{path} is there, and is no store of Headwater: name another file with --db")]
    NotAStore {
        /// Which file.
        path: PathBuf,
    },
    /// Its hashes were made with another key.
    #[error(
        "{path} was written with another key (fingerprint {found}, the key file's is {given}): put the old key file \
         back, or move the store away and begin a new one"
    )]
    OtherKey {
        /// Which store.
        path: PathBuf,
        /// Fingerprint of the store's key.
        found: String,
        /// Fingerprint of the key at hand.
        given: String,
    },
    /// SQLite refused.
    #[error("{path} cannot be opened for writing")]
    Sqlite {
        /// Which store.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The store is damaged, or cannot be written for a reason that waiting does not mend. A full disk is not one.
#[derive(Debug, thiserror::Error)]
#[error("the store cannot be written any more")]
pub struct WriteError(#[from] rusqlite::Error);

/// Whether a batch that failed so is lost, and the next may well succeed: no room, no memory, or somebody else's lock.
pub(crate) fn is_passing(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    matches!(
        error.sqlite_error_code(),
        Some(
            Code::CannotOpen
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::DiskFull
                | Code::OperationInterrupted
                | Code::OutOfMemory
                | Code::SystemIoFailure
        )
    )
}
