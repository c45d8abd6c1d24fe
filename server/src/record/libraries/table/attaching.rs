//! Attaching to the files of the table, for all processes or for some.

use std::{
    ffi::CString,
    io,
    os::fd::AsRawFd,
    path::Path,
    time::{Duration, Instant},
};

use headwater_sites::Found;

use super::{
    Table,
    open::{self, Opened},
};
use crate::probes::Attached;

/// How long after a refusal an attachment is tried again.
const REFUSED: Duration = Duration::from_mins(1);
/// Descriptors of attachments: one for each sort of place in a file or, on older kernels, for each place.
const MOST_LINKS: usize = 8_192;

impl Table<'_> {
    pub(super) fn attach_for_all(&mut self, opened: &Opened, path: &Path, pid: Option<u32>) {
        let Some(file) = self.files.get(&opened.id) else {
            return;
        };
        let is_refused = file.refused.is_some_and(|at| at.elapsed() < REFUSED);
        if self.is_ending || file.found.is_empty() || file.is_attached() || is_refused {
            return;
        }
        let attached = self.attach(opened, path, pid, None);
        if let Some(file) = self.files.get_mut(&opened.id) {
            file.refused = attached.is_empty().then(Instant::now);
            file.for_all = attached;
        }
    }

    /// Attaches for one process, which is one that is asked for.
    pub(super) fn attach_for(&mut self, pid: u32, opened: &Opened, path: &Path) {
        let Some(file) = self.files.get(&opened.id) else {
            return;
        };
        // The sites are those of what was looked into.
        if self.is_ending || file.stamp != opened.stamp || file.for_each.contains_key(&pid) {
            return;
        }
        let attached = self.attach(opened, path, Some(pid), Some(pid));
        if let Some(file) = self.files.get_mut(&opened.id)
            && !attached.is_empty()
        {
            file.for_each.insert(pid, attached);
        }
    }

    /// Attaches each library of a file by itself, and tells of what is refused. `by`: who runs it; `only`: for whom.
    fn attach(
        &mut self,
        opened: &Opened,
        path: &Path,
        by: Option<u32>,
        only: Option<u32>,
    ) -> Vec<Attached> {
        let Some(file) = self.files.get(&opened.id) else {
            return Vec::new();
        };
        let (found, build_id) = (file.found.clone(), file.build_id.clone());
        let is_watched = file.watch.is_some();
        let mut attached = Vec::new();
        for one in found {
            let result = if is_watched {
                self.attach_one(opened, &one, only)
            } else {
                Err(io::Error::other(
                    "nothing would tell when it is written to (inotify)",
                ))
            };
            match result {
                Ok(link) => attached.push(link),
                Err(error) => {
                    let why = format!("no probes can be put into it: {error}");
                    let library = one.library.name();
                    self.cannot(opened.id, path, by, build_id.as_deref(), library, &why);
                }
            }
        }
        if !opened.is_unchanged() {
            attached.clear();
        }
        attached
    }

    fn attach_one(
        &self,
        opened: &Opened,
        found: &Found,
        only: Option<u32>,
    ) -> io::Result<Attached> {
        if self.uprobes.links() >= MOST_LINKS {
            return Err(io::Error::other("there are as many as may be"));
        }
        let path = CString::new(format!("/proc/self/fd/{}", opened.file.as_raw_fd()))?;
        match self.uprobes.attach(&path, found, only) {
            // Only then: a command that is run under this program inherits the limit.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                open::allow_descriptors();
                self.uprobes.attach(&path, found, only)
            }
            attached => attached,
        }
    }
}
