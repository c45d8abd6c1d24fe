//! Exit codes (sysexits.h where it has one).

use std::process::{ExitCode, Termination};

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All went well.
    Done,
    /// It failed.
    Failed,
    /// Wrong usage or configuration (EX_USAGE).
    Usage,
    /// What is there is not what was expected: a file that is no store, an id of nothing in it (EX_DATAERR).
    Data,
    /// An input is not there or not readable (EX_NOINPUT).
    NoInput,
    /// Something needed is not there (EX_UNAVAILABLE).
    Unavailable,
    /// The store cannot be made or written (EX_CANTCREAT).
    Store,
    /// No permission (EX_NOPERM).
    Permission,
    /// The code of the command that was run.
    Command(u8),
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Store => 73,
            Self::Permission => 77,
            Self::Command(code) => code,
        })
    }
}
