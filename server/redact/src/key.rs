//! The per-install key: 32 random bytes in a file of their own beside the store.

use std::path::Path;

/// What can go wrong with the key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read, created or given its mode.
    #[error("key file {path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is there and is not a key.
    #[error("key file {path}: expected 64 hexadecimal digits and a newline, found {found} bytes")]
    Malformed {
        /// Which file.
        path: String,
        /// Its length.
        found: usize,
    },
}

/// The key of all hashes of one store.
#[derive(Clone)]
pub struct Key(pub(crate) [u8; 32]);

impl Key {
    /// Reads the key, or makes one (from the kernel's random numbers, mode 0640, never overwriting).
    ///
    /// # Errors
    /// `Io` and `Malformed`, as described there.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let _ = path;
        todo!()
    }
    /// Reads the key.
    ///
    /// # Errors
    /// `Io` and `Malformed`, as described there.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let _ = path;
        todo!()
    }
    /// Eight bytes that name the key without giving it away: stored beside the data.
    pub fn fingerprint(&self) -> [u8; 8] {
        todo!()
    }
}
