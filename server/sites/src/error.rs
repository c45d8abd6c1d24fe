//! Why a file could not be looked into.

use std::io;

/// Why a file could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error("the file could not be read: {0}")]
    Read(#[from] io::Error),
    /// The file says that it is ELF, and what it says about itself cannot be true.
    #[error("the ELF file is damaged: {0}")]
    Damaged(&'static str),
}
