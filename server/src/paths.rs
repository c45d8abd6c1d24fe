//! Where the store is: the option, the environment, the system's store, the user's.
//!
//! Owns: the order of these (the same for whoever writes and whoever reads; XDG Base Directory Specification, FHS 3.0), and that what comes out is absolute: a path is
//! handed to processes that run elsewhere, and to people who paste it. Does not create anything.

use std::path::{Path, PathBuf};

/// The system's store (FHS 3.0 section 5.8: state of programs).
const SYSTEM: &str = "/var/lib/headwater/headwater.db";
/// Its name in a user's data folder.
const NAME: &str = "headwater/headwater.db";

/// The store, whether it is to be written or read: as named, else the system's where it exists or for root, else the
/// user's. One rule for all, so that what was recorded or replayed is what is asked.
pub(crate) fn store_of(named: Option<&Path>) -> PathBuf {
    named
        .filter(|path| !path.as_os_str().is_empty())
        .map_or_else(
            || {
                // A folder that may not be looked into is the system's store too: to say so helps more than to look elsewhere.
                let exists = Path::new(SYSTEM).parent().is_some_and(Path::exists);
                unnamed(exists, nix::unistd::geteuid().is_root(), users)
            },
            absolute,
        )
}

fn unnamed(system_exists: bool, is_root: bool, users: impl FnOnce() -> PathBuf) -> PathBuf {
    if system_exists || is_root {
        SYSTEM.into()
    } else {
        users()
    }
}

/// What to do where this user may not write the store that was meant.
pub(crate) fn advice_on_writing(store: &Path) -> Option<String> {
    let folder = store
        .ancestors()
        .skip(1)
        .find(|folder| folder.symlink_metadata().is_ok())?;
    nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK)
        .is_err()
        .then(|| {
            format!(
                "this user may not write to {}: name a store of your own, here and where it is asked, with --db PATH or \
                 HEADWATER_DB (for example {}), or use sudo",
                folder.display(),
                users().display()
            )
        })
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
            assert_eq!(store_of(Some(Path::new(named))), expected);
        }
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let users = || PathBuf::from("/home/me/headwater.db");
        for (system_exists, is_root, expected) in [
            (false, false, "/home/me/headwater.db"),
            (false, true, SYSTEM),
            (true, false, SYSTEM),
            (true, true, SYSTEM),
        ] {
            let store = unnamed(system_exists, is_root, users);
            assert_eq!(store, PathBuf::from(expected));
        }
    }

    #[test]
    fn a_store_out_of_reach_comes_with_advice() {
        let own = std::env::temp_dir().join("headwater-advice/not/there.db");
        assert_eq!(advice_on_writing(&own), None);
        let words = advice_on_writing(Path::new("/proc/self/there/headwater.db"));
        assert!(words.is_some_and(|words| words.contains("--db PATH")));
    }
}
