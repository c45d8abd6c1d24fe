//! The store's folder and files: modes, group, and the lock that keeps a second writer out.
//!
//! Owns: folder `0750`, files `0640` (that of marks, which readers write, `0660`), never readable by the world. SQLite gives `-wal` and `-shm` the mode and owner of
//! the database. Invariant: the database itself is opened by SQLite alone, since closing any other descriptor of it would
//! drop SQLite's locks; so the lock of the writer is on a file of its own, held by the kernel until the process ends.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{
    DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown,
};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::{OpenError, foreign};

/// Held while a writer lives.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Who writes the store: the owner of a file that only writers make.
    fn owner(&self) -> std::io::Result<u32> {
        Ok(self.file.metadata()?.uid())
    }
}

impl Drop for Lock {
    /// Closing alone is not enough: a child that this process has just forked holds a copy of the descriptor until its
    /// exec, and the lock with it.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "the store's lock goes when its descriptor does");
        }
    }
}

/// Makes the folder, when there is none, and takes the lock.
pub(crate) fn claim(path: &Path, group: Option<u32>) -> Result<Lock, OpenError> {
    foreign::refuse(path)?;
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        make_folder(folder, group)?;
    }
    let lock = lock(path)?;
    if let Some(folder) = path.parent() {
        open_to_group(folder, &lock, group)?;
    }
    give(&beside(path, "-lock"), group)?;
    Ok(lock)
}

/// Makes the folder of the store at `path`, when there is none, as the store would: for what stands beside it.
///
/// # Errors
/// `OpenError::Files`; `OpenError::NotAStore` when something else is there.
pub fn prepare_folder(path: &Path, group: Option<u32>) -> Result<(), OpenError> {
    foreign::refuse(path)?;
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => make_folder(folder, group),
        None => Ok(()),
    }
}

/// Gives a file that stands beside a store the mode and group of the store's own.
///
/// # Errors
/// `OpenError::Files`.
pub fn give_to_group(file: &Path, group: Option<u32>) -> Result<(), OpenError> {
    give(file, group)
}

/// Makes the database file, empty, when there is none. Gives it, and what stands beside it, mode and group.
pub(crate) fn make_database(path: &Path, group: Option<u32>) -> Result<(), OpenError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    match made {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(failed(path, "making the file", source)),
    }
    give(path, group)?;
    for suffix in ["-wal", "-shm"] {
        give(&beside(path, suffix), group)?;
    }
    Ok(())
}

/// Makes the file of marks, empty, when there is none: the one file that readers may write, so that whoever may read the
/// store may add to it. Read by readers alone.
///
/// Invariant: its name may be somebody else's to choose (a store in `/tmp`): no link is followed, and what this user does not
/// own is left alone.
pub(crate) fn make_marks(path: &Path, group: Option<u32>) -> Result<(), OpenError> {
    let name = beside(path, "-marks");
    let opened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(&name);
    let looked_at = |error| failed(&name, "opening the marks", error);
    let (file, metadata) = match opened.and_then(|file| Ok((file.metadata()?, file))) {
        Ok((metadata, file)) => (file, metadata),
        // Another user's, or no file: whoever owns it has to see to it, and nothing is lost for it.
        Err(error) => {
            tracing::warn!(file = %name.display(), %error, "marks cannot be kept here");
            return Ok(());
        }
    };
    let is_mine = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_file() || !is_mine || metadata.nlink() != 1 {
        tracing::warn!(file = %name.display(), "the file of marks is not the recorder's, and stays as it is");
        return Ok(());
    }
    if let Some(group) = group.filter(|group| *group != metadata.gid()) {
        fchown(&file, None, Some(group)).map_err(looked_at)?;
    }
    if metadata.mode() & 0o7777 != MARKS_MODE {
        file.set_permissions(Permissions::from_mode(MARKS_MODE))
            .map_err(looked_at)?;
    }
    Ok(())
}

/// A file of the store's beside the database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn make_folder(folder: &Path, group: Option<u32>) -> Result<(), OpenError> {
    if folder.is_dir() {
        // Somebody's choice, or a system folder: its mode is not ours to change.
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        std::fs::create_dir_all(above)
            .map_err(|error| failed(above, "making the folder", error))?;
    }
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(failed(folder, "making the folder", error));
        }
        _ => {}
    }
    if let Some(group) = group {
        chown(folder, None, Some(group))
            .map_err(|error| failed(folder, "changing the group", error))?;
    }
    // After the group: chown may clear bits, and the umask may have.
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER_MODE))
        .map_err(|error| failed(folder, "changing the mode", error))
}

/// Lets the group into a folder that was there before. One that is as this module makes it, and this user's, is the
/// store's; any other is somebody's choice and stays as it is, which is said when the group is locked out by it.
fn open_to_group(folder: &Path, lock: &Lock, group: Option<u32>) -> Result<(), OpenError> {
    let looked_at = |error| failed(folder, "looking at it", error);
    let Ok(metadata) = std::fs::metadata(folder) else {
        // An empty name: the folder this process is in.
        return Ok(());
    };
    let Some(group) = group.filter(|group| *group != metadata.gid()) else {
        return Ok(());
    };
    let mine = lock.owner().map_err(looked_at)?;
    match standing(metadata.mode(), metadata.uid() == mine) {
        Standing::Stores => chown(folder, None, Some(group))
            .map_err(|error| failed(folder, "changing the group", error)),
        Standing::Closed => {
            tracing::warn!(
                folder = %folder.display(),
                group,
                "the group may not enter the store's folder, which is left as it is: chgrp and chmod g+rx would let it"
            );
            Ok(())
        }
        Standing::Open => Ok(()),
    }
}

/// What a folder of another group is to this store.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// Not the store's alone, and closed to others.
    Closed,
    /// Anybody may enter.
    Open,
    /// Made for the store.
    Stores,
}

fn standing(mode: u32, is_mine: bool) -> Standing {
    match mode & 0o7777 {
        FOLDER_MODE if is_mine => Standing::Stores,
        mode if mode & 0o001 != 0 => Standing::Open,
        _ => Standing::Closed,
    }
}

fn give(path: &Path, group: Option<u32>) -> Result<(), OpenError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "looking at it", error)),
    };
    if let Some(group) = group.filter(|group| *group != metadata.gid()) {
        chown(path, None, Some(group))
            .map_err(|error| failed(path, "changing the group", error))?;
    }
    if metadata.mode() & 0o7777 != FILE_MODE {
        std::fs::set_permissions(path, Permissions::from_mode(FILE_MODE))
            .map_err(|error| failed(path, "changing the mode", error))?;
    }
    Ok(())
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let name = beside(path, "-lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&name)
        .map_err(|error| failed(&name, "opening the lock", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is a help, not a condition.
            let read = file.read_to_string(&mut text);
            return Err(OpenError::Locked {
                path: path.to_owned(),
                pid: read.ok().and_then(|_| text.trim().parse().ok()),
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&name, "locking", error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| failed(&name, "writing the lock", error))?;
    Ok(Lock { file })
}

fn failed(path: &Path, action: &'static str, source: std::io::Error) -> OpenError {
    OpenError::Files {
        path: path.to_owned(),
        action,
        source,
    }
}

const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const MARKS_MODE: u32 = 0o660;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_made_for_the_store_changes_its_group() {
        for (mode, is_mine, expected) in [
            (0o40750, true, Standing::Stores),
            (0o40750, false, Standing::Closed),
            (0o40700, true, Standing::Closed),
            (0o42750, true, Standing::Closed),
            (0o40755, true, Standing::Open),
            (0o41777, false, Standing::Open),
        ] {
            assert_eq!(standing(mode, is_mine), expected, "{mode:o} {is_mine}");
        }
    }

    #[test]
    fn marks_are_for_the_group_and_no_link_is_followed() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("headwater.db");
        let marks = beside(&path, "-marks");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        make_marks(&path, None).unwrap();
        assert_eq!(mode(&marks), MARKS_MODE);
        std::fs::write(&marks, "1 kept\n").unwrap();
        make_marks(&path, None).unwrap();
        assert_eq!(std::fs::read(&marks).unwrap(), b"1 kept\n");
        // Another name for somebody's file, of either kind.
        let other = scratch.path().join("other");
        std::fs::write(&other, "").unwrap();
        std::fs::set_permissions(&other, Permissions::from_mode(0o600)).unwrap();
        std::fs::remove_file(&marks).unwrap();
        std::os::unix::fs::symlink(&other, &marks).unwrap();
        make_marks(&path, None).unwrap();
        assert_eq!(mode(&other), 0o600);
        std::fs::remove_file(&marks).unwrap();
        std::fs::hard_link(&other, &marks).unwrap();
        make_marks(&path, None).unwrap();
        assert_eq!(mode(&other), 0o600);
    }

    #[test]
    fn a_lock_given_up_is_free_though_a_forked_child_has_a_copy_of_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("headwater.db");
        let held = lock(&path).unwrap();
        // What a fork duplicates: another descriptor of the same open file.
        let _child = held.file.try_clone().unwrap();
        assert!(matches!(lock(&path), Err(OpenError::Locked { .. })));
        drop(held);
        lock(&path).unwrap();
    }

    #[test]
    fn a_folder_that_stands_keeps_its_mode() {
        let scratch = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(scratch.path()).unwrap().gid();
        for mode in [0o750, 0o755, 0o700] {
            let folder = scratch.path().join(format!("{mode:o}"));
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            claim(&folder.join("headwater.db"), Some(own)).unwrap();
            let found = std::fs::metadata(&folder).unwrap();
            assert_eq!((found.mode() & 0o7777, found.gid()), (mode, own));
        }
    }
}
