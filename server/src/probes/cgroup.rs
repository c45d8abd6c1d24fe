//! The cgroup v2 tree: where it is mounted, and which folder has which id.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Folders deeper than this are not looked into.
const MAX_DEPTH: u32 = 12;
/// Folders beyond this many are not looked into.
const MAX_FOLDERS: usize = 20_000;

/// The mount point of cgroup v2: `/sys/fs/cgroup` on most machines, `/sys/fs/cgroup/unified` on hybrid ones. The shortest
/// path wins, since a container's view may be mounted below.
pub(crate) fn cgroup_mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts
        .lines()
        .filter_map(mount_of)
        .min_by_key(|path| path.as_os_str().len())
}

/// `… ROOT MOUNTPOINT … - cgroup2 …` (proc(5), mountinfo).
fn mount_of(line: &str) -> Option<PathBuf> {
    let (front, back) = line.split_once(" - ")?;
    if back.split(' ').next() != Some("cgroup2") {
        return None;
    }
    front.split(' ').nth(4).map(PathBuf::from)
}

/// Cgroup id (the inode of its folder) to path below the mount.
pub(crate) fn cgroup_paths(mount: &Path) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    walk(mount, "/", 0, &mut found);
    found
}

fn walk(folder: &Path, name: &str, depth: u32, found: &mut HashMap<u64, String>) {
    let Ok(metadata) = fs::metadata(folder) else {
        return;
    };
    if depth > MAX_DEPTH || found.len() >= MAX_FOLDERS {
        return;
    }
    found.insert(metadata.ino(), name.to_owned());
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let child = format!(
                "{}/{}",
                name.trim_end_matches('/'),
                entry.file_name().to_string_lossy()
            );
            walk(&entry.path(), &child, depth + 1, found);
        }
    }
}
