//! The table of files: which have TLS in them, who runs them, and what is attached to each.
//!
//! A file is looked into once, by the descriptor that it is attached by. It is attached to while anybody runs it and for a while
//! after, and let go of at once when it is written to: probes would stand in the middle of what is new.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    io,
    os::fd::AsRawFd,
    path::Path,
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use headwater_sites::{Found, Looked, Unsupported};
use nix::sys::inotify::{AddWatchFlags, Inotify, WatchDescriptor};

use super::{
    News, NotRead, TlsFilter,
    open::{self, FileId, Opened, Stamp, is_gone, program_of},
};
use crate::probes::{Attached, Uprobes};

/// How long a file that nobody runs any more stays attached to: whoever runs it again is seen from the beginning.
pub(super) const GRACE: Duration = Duration::from_secs(20);
/// Files attached to at once. Whoever may run programs may make as many files with a TLS library in them as they like.
const MOST_FILES: usize = 256;
/// Of these, those of one user other than root.
const MOST_OF_ONE_OWNER: usize = 64;
/// Descriptors of attachments: one for each sort of place in a file or, on older kernels, for each place.
const MOST_LINKS: usize = 8_192;
/// Files and programs told of as not being read; what is beyond is counted.
const MOST_TOLD: usize = 256;
/// Files remembered as being of no interest; beyond, all are looked into again.
const MOST_PLAIN: usize = 65_536;
/// Folders in which libraries are looked for before anybody uses them, so that the first connection of a program that
/// starts later is seen from its beginning.
const FOLDERS: [&str; 8] = [
    "/usr/lib/x86_64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/lib64",
    "/usr/lib",
    "/lib",
    "/usr/local/lib",
];
/// What their names begin with.
const NAMES: [&str; 2] = ["libssl.so.", "libgnutls.so."];

/// What may be in a file that nobody could look into.
const PERHAPS: &str = "perhaps TLS";

/// What was found in a file.
struct File {
    stamp: Stamp,
    /// Who could be read of it.
    found: Vec<Found>,
    /// What cannot, and why.
    unsupported: Vec<Unsupported>,
    build_id: Option<String>,
    owner: u32,
    /// Stays attached to while nobody uses it.
    is_standing: bool,
    /// Attached for all processes.
    for_all: Vec<Attached>,
    /// Attached for some of them.
    for_each: HashMap<u32, Vec<Attached>>,
    users: HashSet<u32>,
    /// Since when it has had no users.
    idle: Option<Instant>,
    watch: Option<WatchDescriptor>,
}

impl File {
    fn is_attached(&self) -> bool {
        !self.for_all.is_empty() || !self.for_each.is_empty()
    }
}

/// The table.
pub(super) struct Table<'u> {
    uprobes: &'u Uprobes,
    filter: TlsFilter,
    /// Files without TLS.
    plain: HashMap<FileId, Stamp>,
    files: HashMap<FileId, File>,
    by_process: HashMap<u32, HashSet<FileId>>,
    told: HashSet<(FileId, String, String)>,
    /// Tells when a file is written to.
    pub(super) changes: Inotify,
    tell: Sender<News>,
}

impl<'u> Table<'u> {
    pub(super) fn new(
        uprobes: &'u Uprobes,
        filter: TlsFilter,
        changes: Inotify,
        tell: Sender<News>,
    ) -> Self {
        Self {
            uprobes,
            filter,
            plain: HashMap::new(),
            files: HashMap::new(),
            by_process: HashMap::new(),
            told: HashSet::new(),
            changes,
            tell,
        }
    }

    fn is_for_all(&self) -> bool {
        self.filter.only.is_empty()
    }

    /// Libraries that anybody may begin to use.
    pub(super) fn look_into_folders(&mut self) {
        if !self.is_for_all() {
            return;
        }
        for folder in FOLDERS {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                if NAMES.iter().any(|begin| name.starts_with(begin))
                    && let Ok(opened) = open::by_name(&entry.path())
                    && self.look(&opened, &entry.path(), None)
                    && let Some(file) = self.files.get_mut(&opened.id)
                {
                    file.is_standing = true;
                }
            }
        }
    }

    /// All that is mapped now.
    pub(super) fn look_through_proc(&mut self) {
        let Ok(processes) = procfs::process::all_processes() else {
            return;
        };
        let mut alive = HashSet::new();
        for process in processes.filter_map(Result::ok) {
            let Ok(pid) = u32::try_from(process.pid) else {
                continue;
            };
            alive.insert(pid);
            let Ok(maps) = process.maps() else {
                continue;
            };
            for map in maps {
                let procfs::process::MMapPath::Path(path) = &map.pathname else {
                    continue;
                };
                if !map.perms.contains(procfs::process::MMPermissions::EXECUTE) {
                    continue;
                }
                let number = |part: i32| u32::try_from(part).unwrap_or(0);
                let told = FileId {
                    device: rustix::fs::makedev(number(map.dev.0), number(map.dev.1)),
                    inode: map.inode,
                };
                self.mapped(pid, map.address, told, path);
            }
        }
        let gone = self.by_process.keys().filter(|pid| !alive.contains(pid));
        for pid in gone.copied().collect::<Vec<_>>() {
            self.ended(pid);
        }
    }

    /// A process has mapped a file to run it.
    pub(super) fn mapped(&mut self, pid: u32, range: (u64, u64), told: FileId, path: &Path) {
        let mut opened = open::mapped(pid, range, told, path);
        if let Err(error) = &opened
            && error.raw_os_error() == Some(libc::EMFILE)
        {
            open::allow_descriptors();
            opened = open::mapped(pid, range, told, path);
        }
        let opened = match opened {
            Ok(opened) => opened,
            // Nothing of it can be seen any more.
            Err(error) if is_gone(&error) => return,
            Err(error) => {
                let why = format!("it cannot be opened: {error}");
                return self.cannot(told, path, Some(pid), None, PERHAPS, &why);
            }
        };
        if !self.look(&opened, path, Some(pid)) {
            return;
        }
        self.uses(pid, opened.id);
        if !self.is_for_all() {
            self.attach_for(pid, &opened, path);
        }
    }

    fn uses(&mut self, pid: u32, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            file.users.insert(pid);
            file.idle = None;
            self.by_process.entry(pid).or_default().insert(id);
        }
    }

    /// A process has been forked: it runs what its parent does.
    pub(super) fn forked(&mut self, pid: u32, parent: u32) {
        let Some(files) = self.by_process.get(&parent).cloned() else {
            return;
        };
        for id in files {
            self.uses(pid, id);
            let is_of_parent = self
                .files
                .get(&id)
                .is_some_and(|file| file.for_each.contains_key(&parent));
            if is_of_parent && let Some((opened, path)) = open::find_mapped(pid, id) {
                self.attach_for(pid, &opened, &path);
            }
        }
    }

    /// A process is over.
    pub(super) fn ended(&mut self, pid: u32) {
        for id in self.by_process.remove(&pid).unwrap_or_default() {
            let Some(file) = self.files.get_mut(&id) else {
                continue;
            };
            file.users.remove(&pid);
            file.for_each.remove(&pid);
            if file.users.is_empty() {
                file.idle.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Detaches from files that are written to.
    pub(super) fn let_go_of_changed(&mut self) {
        for change in self.changes.read_events().unwrap_or_default() {
            // Whoever runs it still uses it: it is looked into anew when it is mapped next.
            for file in self.files.values_mut() {
                if file.watch == Some(change.wd) {
                    file.for_all.clear();
                    file.for_each.clear();
                    file.found.clear();
                    file.stamp = Stamp::default();
                }
            }
        }
    }

    /// Whether anything will have to be let go of when nothing else happens.
    pub(super) fn has_idle(&self) -> bool {
        self.files
            .values()
            .any(|file| file.idle.is_some() && !file.is_standing)
    }

    /// Detaches from files that nobody has run for as long.
    pub(super) fn let_go_of_idle(&mut self, after: Duration) {
        let is_over = |file: &File| {
            !file.is_standing && file.idle.is_some_and(|since| since.elapsed() >= after)
        };
        for (_, file) in self.files.extract_if(|_, file| is_over(file)) {
            if let Some(watch) = file.watch {
                // Gone already when the file was removed.
                let _ = self.changes.rm_watch(watch);
            }
        }
    }

    /// Looks into a file, and attaches to it for all where there is TLS in it. Says whether there is any.
    fn look(&mut self, opened: &Opened, path: &Path, pid: Option<u32>) -> bool {
        if self.plain.get(&opened.id) == Some(&opened.stamp) {
            return false;
        }
        if self
            .files
            .get(&opened.id)
            .is_none_or(|file| file.stamp != opened.stamp)
            && !self.look_anew(opened, path, pid)
        {
            return false;
        }
        self.tell_of_unsupported(opened.id, path, pid);
        if self.is_for_all() {
            self.attach_for_all(opened, path, pid);
        }
        true
    }

    fn look_anew(&mut self, opened: &Opened, path: &Path, pid: Option<u32>) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // Before it is read: what is written from here on is told.
        let by_descriptor = format!("/proc/self/fd/{}", opened.file.as_raw_fd());
        let watch = self
            .changes
            .add_watch(by_descriptor.as_str(), AddWatchFlags::IN_MODIFY)
            .ok();
        let Looked { found, unsupported } = headwater_sites::look(&opened.file, &name)
            .unwrap_or_else(|error| Looked {
                found: Vec::new(),
                unsupported: vec![Unsupported {
                    library: PERHAPS,
                    why: format!("it cannot be looked into: {error}"),
                }],
            });
        let old = self.files.remove(&opened.id);
        if found.is_empty() && unsupported.is_empty() {
            if let Some(watch) = watch {
                let _ = self.changes.rm_watch(watch);
            }
            if self.plain.len() >= MOST_PLAIN {
                self.plain.clear();
            }
            self.plain.insert(opened.id, opened.stamp);
            return false;
        }
        if !self.has_room(opened.owner) {
            let why = "as many other files are looked at as may be";
            self.cannot(opened.id, path, pid, None, "TLS", why);
            if let Some(watch) = watch {
                let _ = self.changes.rm_watch(watch);
            }
            return false;
        }
        let (users, is_standing) = old
            .map(|old| (old.users, old.is_standing))
            .unwrap_or_default();
        let build_id = headwater_sites::build_id(&opened.file).ok().flatten();
        let file = File {
            stamp: opened.stamp,
            found,
            unsupported,
            build_id,
            owner: opened.owner,
            is_standing,
            for_all: Vec::new(),
            for_each: HashMap::new(),
            idle: users.is_empty().then(Instant::now),
            users,
            watch,
        };
        self.files.insert(opened.id, file);
        true
    }

    /// Whether a file more may be kept of this owner. Those that nobody runs make room.
    fn has_room(&mut self, owner: u32) -> bool {
        let is_full = |table: &Self| {
            let of_owner = table.files.values().filter(|file| file.owner == owner);
            table.files.len() >= MOST_FILES || owner != 0 && of_owner.count() >= MOST_OF_ONE_OWNER
        };
        if is_full(self) {
            self.let_go_of_idle(Duration::ZERO);
        }
        !is_full(self)
    }

    fn tell_of_unsupported(&mut self, id: FileId, path: &Path, pid: Option<u32>) {
        let Some(file) = self.files.get(&id) else {
            return;
        };
        if pid.is_none() || file.unsupported.is_empty() {
            return;
        }
        let build_id = file.build_id.clone();
        for Unsupported { library, why } in file.unsupported.clone() {
            self.cannot(id, path, pid, build_id.as_deref(), library, &why);
        }
    }

    fn attach_for_all(&mut self, opened: &Opened, path: &Path, pid: Option<u32>) {
        let Some(file) = self.files.get(&opened.id) else {
            return;
        };
        if file.found.is_empty() || file.is_attached() {
            return;
        }
        let attached = self.attach(opened, path, pid, None);
        if let Some(file) = self.files.get_mut(&opened.id) {
            file.for_all = attached;
        }
    }

    /// Attaches for one process, if it is one that is asked for.
    fn attach_for(&mut self, pid: u32, opened: &Opened, path: &Path) {
        let is_wanted = program_of(pid).is_some_and(|name| self.filter.only.contains(&name));
        let Some(file) = self.files.get(&opened.id) else {
            return;
        };
        // The sites are those of what was looked into.
        if !is_wanted || file.stamp != opened.stamp || file.for_each.contains_key(&pid) {
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
        match self.uprobes.attach(&path, &found.sites, only) {
            // Only then: a command that is run under this program inherits the limit.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                open::allow_descriptors();
                self.uprobes.attach(&path, &found.sites, only)
            }
            attached => attached,
        }
    }

    /// Tells once for each file, program and library that its TLS is not seen.
    fn cannot(
        &mut self,
        id: FileId,
        path: &Path,
        pid: Option<u32>,
        build_id: Option<&str>,
        library: &str,
        why: &str,
    ) {
        let program = pid.and_then(program_of).unwrap_or_default();
        let key = (id, program, library.to_owned());
        if self.told.contains(&key) {
            return;
        }
        let program = key.1.clone();
        // The recorder may be ending.
        let _ = if self.told.len() < MOST_TOLD {
            self.told.insert(key);
            self.tell.send(News::NotRead(Box::new(NotRead {
                program,
                pid,
                library: library.to_owned(),
                path: path.to_owned(),
                build_id: build_id.map(str::to_owned),
                why: why.to_owned(),
            })))
        } else {
            self.tell.send(News::Untold)
        };
    }
}
