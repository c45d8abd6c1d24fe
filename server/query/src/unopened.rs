//! Why a store cannot be read, in words with a cure.
//!
//! Owns: the mapping from SQLite's codes to what a person can do. No text of SQLite's gets through.

use std::io::ErrorKind;
use std::path::Path;

use crate::open::beside;
use crate::{QueryError, StoreState};

/// A store that was not opened.
#[derive(Debug)]
pub(crate) enum Unopened {
    /// Not a store, or a broken one.
    Damaged,
    /// Something else; for the log.
    Failed(rusqlite::Error),
    /// The file system's.
    Unreachable(std::io::Error),
    /// No file, or one that is just being made.
    Missing,
    /// Written by a newer program.
    Newer { found: i64, known: i64 },
    /// This user may not read it.
    NotReadable,
    /// Written by a program too old for these queries.
    TooOld { found: i64, known: i64 },
}

impl Unopened {
    /// A missing table means that the database is somebody else's.
    pub(crate) fn if_not_ours(error: rusqlite::Error) -> Self {
        if primary_code(&error) == Some(ERROR) {
            Self::Damaged
        } else {
            error.into()
        }
    }

    /// With "cannot open" told apart: a missing permission is the usual reason.
    pub(crate) fn narrowed(self, path: &Path) -> Self {
        let Self::Failed(error) = &self else {
            return self;
        };
        if !matches!(primary_code(error), Some(CANTOPEN | READONLY | PERM | AUTH)) {
            return self;
        }
        let denied = ["", "-wal", "-shm"].iter().any(|suffix| {
            std::fs::File::open(beside(path, suffix))
                .is_err_and(|error| error.kind() == ErrorKind::PermissionDenied)
        });
        if denied { Self::NotReadable } else { self }
    }

    /// The state, as `status` shows it.
    pub(crate) fn state(&self) -> StoreState {
        match self {
            Self::Damaged => StoreState::Damaged,
            Self::Failed(_) | Self::Unreachable(_) | Self::NotReadable => StoreState::NotReadable,
            Self::Missing => StoreState::Missing,
            Self::Newer { .. } => StoreState::Newer,
            Self::TooOld { .. } => StoreState::Older,
        }
    }

    /// What is the matter.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Damaged => {
                "The file at this path is not a store of Headwater, or it is damaged.".to_owned()
            }
            Self::Failed(_) | Self::Unreachable(_) => {
                "The store's files are there, and SQLite cannot open them.".to_owned()
            }
            Self::Missing => {
                "There is no store yet: nothing was ever recorded at this path.".to_owned()
            }
            Self::Newer { found, known } => {
                format!(
                    "The store was written by a newer Headwater (schema {found}; this program knows {known})."
                )
            }
            Self::NotReadable => "The store is there, and this user may not read it.".to_owned(),
            Self::TooOld { found, known } => {
                format!(
                    "The store was written by an older Headwater (schema {found}; this program needs {known})."
                )
            }
        }
    }

    /// What to do.
    pub(crate) fn cure(&self) -> String {
        match self {
            Self::Damaged => "Check --db and HEADWATER_DB; if the path is right, move the file away and start the \
                              recorder again (sudo headwater record).",
            Self::Failed(_) | Self::Unreachable(_) => "Start the recorder once (sudo headwater record): it mends what a crash left behind. \
                                The server's log has SQLite's reason.",
            Self::Missing => "Start recording with `sudo headwater record` (or `sudo headwater up`), or name another \
                              store with --db or HEADWATER_DB.",
            Self::Newer { .. } => "Update and restart this program (headwater mcp, headwater serve or the command \
                                   line): the recorder is the newer one.",
            Self::NotReadable => "Join the group that owns it (`ls -l` beside the store names it), for example with \
                                  `sudo usermod -aG headwater $USER`, and log in again.",
            Self::TooOld { .. } => "Update and restart the recorder (headwater record or up): it migrates the store \
                                    when it starts.",
        }
        .to_owned()
    }
}

impl From<rusqlite::Error> for Unopened {
    fn from(error: rusqlite::Error) -> Self {
        match primary_code(&error) {
            Some(CORRUPT | NOTADB) => Self::Damaged,
            _ => Self::Failed(error),
        }
    }
}

impl From<Unopened> for QueryError {
    fn from(problem: Unopened) -> Self {
        match &problem {
            Unopened::Failed(error) => tracing::warn!(%error, "the store cannot be opened"),
            Unopened::Unreachable(error) => tracing::warn!(%error, "the store cannot be opened"),
            _ => {}
        }
        Self::Store {
            why: problem.why(),
            cure: problem.cure(),
            state: match problem {
                Unopened::Failed(_) | Unopened::Unreachable(_) => None,
                known => Some(known.state()),
            },
        }
    }
}

/// SQLite's primary result code (<https://www.sqlite.org/rescode.html>), when the error is SQLite's.
pub(crate) fn primary_code(error: &rusqlite::Error) -> Option<i32> {
    let code = match error {
        rusqlite::Error::SqliteFailure(error, _) | rusqlite::Error::SqlInputError { error, .. } => {
            error.extended_code
        }
        _ => return None,
    };
    Some(code & 0xff)
}

const ERROR: i32 = 1;
const PERM: i32 = 3;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const CANTOPEN: i32 = 14;
const AUTH: i32 = 23;
const NOTADB: i32 = 26;
