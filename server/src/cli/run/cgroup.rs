//! A cgroup of the command's own, where one can be made: below this process's own in the v2 tree.

use std::path::{Path, PathBuf};

use crate::{clock::now_ns, probes::cgroup_mount};

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
        let name = name_for(std::process::id(), now_ns());
        let folder = mount.join(own.trim_start_matches('/')).join(&name);
        std::fs::create_dir(&folder).ok()?;
        Some(Self { folder, name })
    }

    /// Its folder.
    pub(super) fn path(&self) -> &Path {
        &self.folder
    }

    /// The name of its folder, by which the store's processes are told: of the path, which is redacted before it is
    /// stored, this part comes out as it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// A name that no other run on this machine has, in whatever container, and in which nothing looks like a secret.
fn name_for(pid: u32, now_ns: u64) -> String {
    format!("headwater-run-{pid}-{}", now_ns / 1_000_000 % 1_000_000)
}

impl Drop for Own {
    fn drop(&mut self) {
        // Children that outlive the command keep it; it costs nothing.
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use headwater_redact::{Key, Policy, Redactor};

    use super::*;

    #[test]
    fn the_name_is_stored_as_it_is_below_whatever_path() {
        let mut redactor = Redactor::new(&Key::from_bytes([3; 32]), &Policy::default());
        for pid in [1, 7_815, 99_999, 4_194_304] {
            for now_ns in [0, 1_700_000_000_000_000_000, 1_700_000_000_999_999_999] {
                let name = name_for(pid, now_ns);
                let path = format!("/user.slice/q7Zk0xYbT2mN9vLsR4cWd8/{name}/below");
                let stored = redactor.file_path(path.as_bytes());
                assert!(stored.as_str().contains("{h:"), "{}", stored.as_str());
                assert!(
                    stored.as_str().ends_with(&format!("}}/{name}/below")),
                    "{}",
                    stored.as_str()
                );
            }
        }
    }
}
