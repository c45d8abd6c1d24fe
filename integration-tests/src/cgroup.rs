//! Cgroups of the tests' own in the v2 tree, named as service managers and container engines name theirs.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where cgroup v2 is mounted.
pub fn cgroup_mount() -> PathBuf {
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts");
    let mut mounts = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = mounts.find(|words| words.get(2) == Some(&"cgroup2"));
    mount.expect("a cgroup v2 tree")[1].into()
}

/// A cgroup, removed on drop: what is in it has to be gone by then.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes it at the root of the tree.
    pub fn new(name: &str) -> Self {
        let folder = cgroup_mount().join(name);
        std::fs::create_dir(&folder).expect("a cgroup");
        Self(folder)
    }
    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
    /// A program that joins it first; arguments follow as usual.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("sh");
        let join = format!(
            "echo $$ > '{}/cgroup.procs' && exec \"$@\"",
            self.0.display()
        );
        command.args(["-c", &join, "sh"]).arg(program);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process that was killed leaves it a moment after its end.
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
