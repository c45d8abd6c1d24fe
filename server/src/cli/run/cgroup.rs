//! A cgroup of the command's own, where one can be made: below this process's own in the v2 tree.

use std::path::{Path, PathBuf};

use crate::probes::cgroup_mount;

/// The cgroup; removed when dropped, if nothing is left in it.
pub(super) struct Own {
    folder: PathBuf,
    name: String,
}

impl Own {
    /// Makes it; `None` where this user may not, or there is no v2 tree.
    pub(super) fn make() -> Option<Self> {
        let mount = cgroup_mount()?;
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::"))?
            .trim_end_matches('/')
            .to_owned();
        let name = format!("{own}/headwater-run-{}", std::process::id());
        let folder = mount.join(name.trim_start_matches('/'));
        std::fs::create_dir(&folder).ok()?;
        Some(Self { folder, name })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// Its path in the tree.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Children that outlive the command keep it; it costs nothing.
        let _ = std::fs::remove_dir(&self.folder);
    }
}
