//! The table of files: which have TLS in them, who runs them, and what is attached to each.
//!
//! A file is looked into once, by the descriptor that it is attached by. It is attached to while anybody runs it and for a while
//! after, and let go of at once when it is written to: probes would stand in the middle of what is new.

use std::{
    collections::{HashMap, HashSet},
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    sync::mpsc::Sender,
    time::{Duration, Instant},
};

use headwater_sites::{Found, Looked, Unsupported};
use nix::sys::inotify::{AddWatchFlags, Inotify, WatchDescriptor};

mod attaching;

use super::{
    News, NotRead, TlsFilter,
    open::{self, FileId, Opened, Stamp, is_gone, is_over, program_of},
};
use crate::probes::{Attached, Uprobes};

/// How long a file that nobody runs any more stays attached to: whoever runs it again is seen from the beginning. On other
/// file systems than that of the root folder it is let go of at once: as long as probes stand in a file, its file system
/// cannot be unmounted.
pub(super) const GRACE: Duration = Duration::from_secs(20);
/// Files attached to at once. Whoever may run programs may make as many files with a TLS library in them as they like.
const MOST_FILES: usize = 256;
/// Of these, those of one user other than root.
const MOST_OF_ONE_OWNER: usize = 64;
/// Files and programs told of as not being read; what is beyond is counted, each once up to as many more.
const MOST_TOLD: usize = 256;
/// As above.
const MOST_COUNTED: usize = 16_384;
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

/// What a mapping was of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// A file without TLS.
    Plain,
    /// Anything else.
    Other,
}

/// Whose name cannot be asked for any more.
const ENDED: &str = "a program that has ended";

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
    /// As it was met first.
    path: PathBuf,
    /// Stays attached to while nobody uses it.
    is_standing: bool,
    /// Attached for all processes.
    for_all: Vec<Attached>,
    /// Attached for some of them.
    for_each: HashMap<u32, Vec<Attached>>,
    users: HashSet<u32>,
    /// Since when it has had no users.
    idle: Option<Instant>,
    /// When an attachment for all was refused last.
    refused: Option<Instant>,
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
    /// Device of the root folder.
    root: Option<u64>,
    /// Tells when a file is written to.
    pub(super) changes: Inotify,
    tell: Sender<News>,
    /// Files are looked into, and nothing is attached any more.
    pub(super) is_ending: bool,
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
            root: std::fs::metadata("/").ok().map(|meta| meta.dev()),
            changes,
            tell,
            is_ending: false,
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

    /// All that is mapped now. Says whether it could be looked for.
    pub(super) fn look_through_proc(&mut self) -> bool {
        let Ok(processes) = procfs::process::all_processes() else {
            return false;
        };
        let (mut alive, mut plain) = (HashSet::new(), HashSet::new());
        for process in processes.filter_map(Result::ok) {
            let Ok(pid) = u32::try_from(process.pid) else {
                continue;
            };
            alive.insert(pid);
            // It may take a while, in which files change.
            self.let_go_of_changed();
            let Ok(maps) = process.maps() else {
                continue;
            };
            let mut seen = HashSet::new();
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
                // Each file once for each process, and one without TLS once for all of them.
                if seen.insert(told)
                    && !plain.contains(&told)
                    && self.mapped(pid, map.address, told, path) == Met::Plain
                {
                    plain.insert(told);
                }
            }
        }
        let gone = self.by_process.keys().filter(|pid| !alive.contains(pid));
        for pid in gone.copied().collect::<Vec<_>>() {
            if is_over(pid) {
                self.ended(pid);
            }
        }
        true
    }

    /// A process has mapped a file to run it.
    pub(super) fn mapped(&mut self, pid: u32, range: (u64, u64), told: FileId, path: &Path) -> Met {
        if !self.is_wanted(pid) {
            return Met::Other;
        }
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
            Err(error) if is_gone(&error) => return Met::Other,
            Err(error) => {
                let why = format!("it cannot be opened: {error}");
                self.cannot(told, path, Some(pid), None, PERHAPS, &why);
                return Met::Other;
            }
        };
        if !self.look(&opened, path, Some(pid)) {
            return Met::Plain;
        }
        // Of one that has ended the end was heard already perhaps.
        if !is_over(pid) {
            self.uses(pid, opened.id);
        }
        if !self.is_for_all() {
            self.attach_for(pid, &opened, path);
        }
        Met::Other
    }

    /// Whether a process is one that is asked for.
    fn is_wanted(&self, pid: u32) -> bool {
        self.is_for_all() || program_of(pid).is_some_and(|name| self.filter.only.contains(&name))
    }

    fn uses(&mut self, pid: u32, id: FileId) {
        if let Some(file) = self.files.get_mut(&id) {
            file.users.insert(pid);
            file.idle = None;
            self.by_process.entry(pid).or_default().insert(id);
        }
    }

    /// A process has been forked: it runs what its parent does. Says whether that one runs anything of interest.
    pub(super) fn forked(&mut self, pid: u32, parent: u32) -> bool {
        let Some(files) = self.by_process.get(&parent).cloned() else {
            return false;
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
        true
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
        loop {
            let changes = match self.changes.read_events() {
                Ok(changes) => changes,
                Err(nix::Error::EINTR) => continue,
                Err(nix::Error::EAGAIN) => return,
                Err(_) => {
                    return self.let_go_of(|_| true);
                }
            };
            for change in changes {
                // Which others were written to is not known any more.
                let is_lost = change.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                self.let_go_of(|file| is_lost || file.watch == Some(change.wd));
            }
        }
    }

    /// Detaches from files that may have changed. Whoever runs them still does: they are looked into anew when they are mapped next.
    fn let_go_of(&mut self, which: impl Fn(&File) -> bool) {
        let mut unread = Vec::new();
        for (id, file) in &mut self.files {
            if !which(file) {
                continue;
            }
            if file.is_attached() {
                unread.push((*id, file.path.clone(), file.users.clone()));
            }
            file.for_all.clear();
            file.for_each.clear();
            file.found.clear();
            file.stamp = Stamp::default();
        }
        let why =
            "it was written to, and is looked into again when a program that runs it is started";
        for (id, path, users) in unread {
            for pid in users {
                self.cannot(id, &path, Some(pid), None, "TLS", why);
            }
        }
    }

    /// Detaches from files that nobody has run for as long.
    pub(super) fn let_go_of_idle(&mut self, after: Duration) {
        let root = self.root;
        let is_over = |id: &FileId, file: &File| {
            let after = if Some(id.device) == root {
                after
            } else {
                Duration::ZERO
            };
            !file.is_standing && file.idle.is_some_and(|since| since.elapsed() >= after)
        };
        for (_, file) in self.files.extract_if(|id, file| is_over(id, file)) {
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
        // What stands in it stands in the middle of something else now.
        if let Some(file) = self.files.get_mut(&opened.id) {
            file.for_all.clear();
            file.for_each.clear();
        }
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
            path: path.to_owned(),
            is_standing,
            for_all: Vec::new(),
            for_each: HashMap::new(),
            idle: users.is_empty().then(Instant::now),
            refused: None,
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
        let program = pid
            .map(|pid| program_of(pid).unwrap_or_else(|| ENDED.to_owned()))
            .unwrap_or_default();
        let key = (id, program, library.to_owned());
        if self.told.contains(&key) {
            return;
        }
        let program = key.1.clone();
        let is_told = self.told.len() < MOST_TOLD;
        if self.told.len() < MOST_COUNTED {
            self.told.insert(key);
        }
        // The recorder may be ending.
        let _ = if is_told {
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
