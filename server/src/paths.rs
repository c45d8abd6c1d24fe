//! Where the store is: the option, the environment, the system's store, the user's.
//!
//! Owns: the order of these (XDG Base Directory Specification, FHS 3.0), and that what comes out is absolute: a path is
//! handed to processes that run elsewhere, and to people who paste it. Does not create anything.

use std::path::{Path, PathBuf};

/// The system's store (FHS 3.0 section 5.8: state of programs).
const SYSTEM: &str = "/var/lib/headwater/headwater.db";
/// Its name in a user's data folder.
const NAME: &str = "headwater/headwater.db";

/// The store to read: as named, else the system's when there is one, else the user's.
pub(crate) fn store_to_read(named: Option<&Path>) -> PathBuf {
    named.map_or_else(
        || {
            // A folder that may not be looked into is the system's store too: to say so helps more than to look elsewhere.
            let system = Path::new(SYSTEM);
            if system.parent().is_some_and(Path::exists) {
                system.to_owned()
            } else {
                users()
            }
        },
        absolute,
    )
}

/// The store to write: as named, else the system's for root, else the user's.
pub(crate) fn store_to_write(named: Option<&Path>) -> PathBuf {
    named.map_or_else(
        || {
            if nix::unistd::geteuid().is_root() {
                SYSTEM.into()
            } else {
                users()
            }
        },
        absolute,
    )
}

/// A path as it is from anywhere. Not resolved: a link stays the link that was named.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The file of the store's key.
pub(crate) fn key_of(store: &Path) -> PathBuf {
    store.with_extension("key")
}

fn users() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let data = data
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    absolute(&data.unwrap_or_else(|| PathBuf::from("/tmp")).join(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_store_is_absolute() {
        let here = std::env::current_dir().unwrap();
        for (named, expected) in [
            ("x.db", here.join("x.db")),
            ("./x.db", here.join("x.db")),
            ("a/../x.db", here.join("a/../x.db")),
            ("/var/x.db", PathBuf::from("/var/x.db")),
        ] {
            for store in [store_to_read, store_to_write] {
                assert_eq!(store(Some(Path::new(named))), expected);
            }
        }
    }
}
