//! The per-install key: 32 random bytes in a file of their own beside the store.
//!
//! The file is 64 hexadecimal digits and a newline, mode 0640: whoever may read the store may compare a value with it.
//! Refuses to overwrite a file, and to use one that is not exactly a key: a key lost in silence would make the hashes
//! of two halves of one store disagree.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

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
        match Self::load(path) {
            Err(KeyError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            found => return found,
        }
        match create(path) {
            // Another process was first: its key is the key.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(path),
            Err(source) => Err(KeyError::Io {
                path: path.display().to_string(),
                source,
            }),
            Ok(key) => Ok(key),
        }
    }
    /// Reads the key.
    ///
    /// # Errors
    /// `Io` and `Malformed`, as described there.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let mut content = Vec::new();
        // One byte more than a key: enough to see that a file is too long, whatever its size.
        let read =
            File::open(path).and_then(|file| file.take(FILE_BYTES + 1).read_to_end(&mut content));
        read.map_err(|source| KeyError::Io {
            path: path.display().to_string(),
            source,
        })?;
        parse(&content).ok_or_else(|| KeyError::Malformed {
            path: path.display().to_string(),
            found: content.len(),
        })
    }
    /// A key that is kept nowhere.
    ///
    /// # Errors
    /// `Io`, when the kernel gives no random numbers.
    pub fn random() -> Result<Self, KeyError> {
        random_bytes().map(Self).map_err(|source| KeyError::Io {
            path: RANDOM.to_owned(),
            source,
        })
    }
    /// A key from bytes that the caller has: those of a test, or of a store whose key is kept elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// Eight bytes that name the key without giving it away: stored beside the data.
    pub fn fingerprint(&self) -> [u8; 8] {
        let whole = Sha256::new()
            .chain_update(b"headwater key fingerprint")
            .chain_update(self.0)
            .finalize();
        let mut short = [0; 8];
        short
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = from);
        short
    }
}

/// Never shows the key.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// The kernel's random numbers.
const RANDOM: &str = "/dev/urandom";

fn random_bytes() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    File::open(RANDOM)?.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn create(path: &Path) -> std::io::Result<Key> {
    let key = random_bytes()?;
    // Written under another name and linked, so that no reader ever sees half a key and a crash leaves none.
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    // One left by a crash under this process id is nobody's.
    let _ = std::fs::remove_file(&draft);
    let made = write_draft(&draft, &key).and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    made.and(removed)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(Key(key))
}

fn write_draft(draft: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(draft)?;
    // The umask may have taken bits away.
    file.set_permissions(Permissions::from_mode(MODE))?;
    let mut text = Vec::with_capacity(65);
    crate::hash::write_hex(key, &mut text);
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()
}

fn parse(content: &[u8]) -> Option<Key> {
    let digits = content.strip_suffix(b"\n")?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != 32 || !rest.is_empty() {
        return None;
    }
    let mut key = [0; 32];
    for (byte, [high, low]) in key.iter_mut().zip(pairs) {
        *byte = crate::plain::hex_digit(*high)? << 4 | crate::plain::hex_digit(*low)?;
    }
    Some(Key(key))
}

const FILE_BYTES: u64 = 65;
const MODE: u32 = 0o640;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let folder =
            std::env::temp_dir().join(format!("headwater-redact-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn created_once_then_read() {
        let folder = folder("created");
        let path = folder.join("key");
        let _ = std::fs::remove_file(&path);
        assert!(matches!(Key::load(&path), Err(KeyError::Io { .. })));
        let key = Key::load_or_create(&path).unwrap();
        assert_ne!(key.0, [0; 32]);
        assert_eq!(Key::load_or_create(&path).unwrap().0, key.0);
        assert_eq!(Key::load(&path).unwrap().fingerprint(), key.fingerprint());
        let data = std::fs::metadata(&path).unwrap();
        assert_eq!((data.len(), data.permissions().mode() & 0o777), (65, 0o640));
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "no draft is left"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_kept() {
        let folder = folder("refused");
        let path = folder.join("key");
        for (content, found) in [
            ("", 0),
            ("abc\n", 4),
            (&*"0".repeat(64), 64),
            (&*"g".repeat(64), 64),
            (&*"0".repeat(900), 66),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = Key::load_or_create(&path).unwrap_err();
            assert!(
                matches!(&error, KeyError::Malformed { found: seen, .. } if *seen == found),
                "{error}"
            );
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        std::fs::write(&path, format!("{}\n", "aF".repeat(32))).unwrap();
        assert_eq!(Key::load(&path).unwrap().0, [0xaf; 32]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn debug_output_hides_the_key() {
        assert_eq!(format!("{:?}", Key([7; 32])), "Key(…)");
    }
}
