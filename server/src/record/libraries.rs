//! TLS libraries that programs run: found as they are mapped, attached to once for each file, and let go of when nobody uses them.
//!
//! Owns: the thread that does this, and what is attached. A look through `/proc` at the beginning, and after the kernel says
//! that it lost news, finds what was mapped before; from then on the kernel tells of each mapping, fork and exit.
//!
//! Files are opened by the names that their processes give them, through those processes' root folders, and attached to by
//! the descriptor that was looked into: a name that is given to another file meanwhile changes nothing.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use headwater_sites::Found;
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::EventFd,
        inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
    },
};

use crate::probes::{Attached, Mappings, News, Uprobes};

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
/// How long a file that nobody runs any more stays attached to: whoever runs it again is seen from the beginning.
const GRACE: Duration = Duration::from_secs(20);
/// Files attached to at once. Whoever may run programs may make as many files with a TLS library in them as they like.
const MOST_FILES: usize = 256;
/// Files and programs told of as not being read.
const MOST_TOLD: usize = 256;
/// Descriptors that this may take: one for each sort of place in a file or, on older kernels, for each place.
const DESCRIPTORS: u64 = 16_384;
/// Files remembered as being of no interest; beyond, all are looked into again.
const MOST_PLAIN: usize = 65_536;

/// Which processes are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFilter {
    /// Names of executables; empty for all.
    pub(crate) only: Vec<String>,
}

/// A program whose TLS is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotRead {
    /// In words: who, which library, where, and why not.
    pub(crate) words: String,
}

/// The thread, and what it has to say.
pub(crate) struct Libraries {
    stop: std::sync::Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    news: Receiver<NotRead>,
}

impl Libraries {
    /// Starts: when this returns, all that is in use is attached to.
    ///
    /// # Errors
    /// The kernel's, when it does not tell of mappings.
    pub(crate) fn start(uprobes: Uprobes, filter: TlsFilter) -> io::Result<Self> {
        let stop = std::sync::Arc::new(EventFd::new()?);
        let mappings = Mappings::listen()?;
        let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let (tell, news) = channel();
        let (ready, is_ready) = channel();
        let stopped = std::sync::Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut work = Work {
                uprobes: &uprobes,
                filter,
                own: std::fs::metadata("/proc/self/exe").ok().map(|meta| FileId {
                    device: meta.dev(),
                    inode: meta.ino(),
                }),
                plain: HashSet::new(),
                files: HashMap::new(),
                by_process: HashMap::new(),
                told: HashSet::new(),
                changes,
                tell,
            };
            work.look_into_folders();
            work.look_through_proc();
            // Whoever started this may have gone.
            let _ = ready.send(());
            work.follow(mappings, &stopped);
        });
        // Fails when the thread has ended, which `stop` tells.
        let _ = is_ready.recv();
        Ok(Self {
            stop,
            thread: Some(thread),
            news,
        })
    }

    /// What is not seen, since last asked.
    pub(crate) fn news(&self) -> impl Iterator<Item = NotRead> + '_ {
        self.news.try_iter()
    }
}

impl Drop for Libraries {
    fn drop(&mut self) {
        let _ = self.stop.write(1);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Names a file: device, inode, and what changes when it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileId {
    device: u64,
    inode: u64,
}

/// A file as it was when it was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// A file with TLS in it.
struct Library {
    stamp: Stamp,
    /// Stays while nobody uses it.
    is_standing: bool,
    /// Attached for all processes.
    for_all: Option<Attached>,
    /// Attached for some of them.
    for_each: HashMap<u32, Attached>,
    found: Vec<Found>,
    users: HashSet<u32>,
    /// Since when it has had no users.
    idle: Option<Instant>,
    watch: Option<WatchDescriptor>,
}

struct Work<'u> {
    uprobes: &'u Uprobes,
    filter: TlsFilter,
    /// This program, which names what it looks for and calls none of it.
    own: Option<FileId>,
    /// Files without TLS, by what the kernel told of them.
    plain: HashSet<(u64, u64)>,
    files: HashMap<FileId, Library>,
    by_process: HashMap<u32, HashSet<FileId>>,
    told: HashSet<(FileId, String)>,
    /// Tells when a file that is attached to is written to: probes would be in the middle of what is new.
    changes: Inotify,
    tell: Sender<NotRead>,
}

impl Work<'_> {
    fn follow(&mut self, mut mappings: Mappings, stop: &EventFd) {
        loop {
            let mut waits: Vec<PollFd<'_>> = mappings
                .descriptors()
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
                .collect();
            waits.push(PollFd::new(
                std::os::fd::AsFd::as_fd(stop),
                PollFlags::POLLIN,
            ));
            if poll(&mut waits, PollTimeout::NONE).is_err_and(|error| error != nix::Error::EINTR) {
                return;
            }
            let is_stopped = waits
                .last()
                .and_then(PollFd::revents)
                .is_some_and(|events| !events.is_empty());
            drop(waits);
            if is_stopped {
                return;
            }
            self.let_go_of_changed();
            let mut is_lost = false;
            mappings.read(|news| match news {
                News::Mapped { pid, file, path } => self.mapped(pid, file, &path),
                News::Forked { pid, parent } => self.forked(pid, parent),
                News::Ended { pid } => self.ended(pid),
                News::Lost => is_lost = true,
            });
            if is_lost {
                self.look_through_proc();
            }
            self.let_go_of_idle();
        }
    }

    /// Detaches from files that are written to.
    fn let_go_of_changed(&mut self) {
        for change in self.changes.read_events().unwrap_or_default() {
            self.files
                .retain(|_, library| library.watch != Some(change.wd));
        }
    }

    /// Detaches from files that nobody has run for a while.
    fn let_go_of_idle(&mut self) {
        let is_over = |library: &Library| {
            !library.is_standing && library.idle.is_some_and(|since| since.elapsed() >= GRACE)
        };
        for (_, library) in self.files.extract_if(|_, library| is_over(library)) {
            if let Some(watch) = library.watch {
                // Gone already when the file was removed.
                let _ = self.changes.rm_watch(watch);
            }
        }
    }

    /// Libraries that anybody may begin to use.
    fn look_into_folders(&mut self) {
        if !self.filter.only.is_empty() {
            return;
        }
        for folder in FOLDERS {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name();
                let begins = |begin: &&str| name.as_bytes().starts_with(begin.as_bytes());
                if NAMES.iter().any(begins)
                    && let Ok(file) = File::open(entry.path())
                    && let Some(id) = self.look(&file, &entry.path(), None)
                    && let Some(library) = self.files.get_mut(&id)
                {
                    library.is_standing = true;
                }
            }
        }
    }

    /// All that is mapped now.
    fn look_through_proc(&mut self) {
        let Ok(processes) = procfs::process::all_processes() else {
            return;
        };
        let mut seen: HashMap<u32, HashSet<FileId>> = HashMap::new();
        for process in processes.filter_map(Result::ok) {
            let Ok(pid) = u32::try_from(process.pid) else {
                continue;
            };
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
                let major = u32::try_from(map.dev.0).unwrap_or(0);
                let minor = u32::try_from(map.dev.1).unwrap_or(0);
                let file = (rustix::fs::makedev(major, minor), map.inode);
                self.mapped(pid, file, path.as_os_str().as_bytes());
            }
            if let Some(files) = self.by_process.get(&pid) {
                seen.insert(pid, files.clone());
            }
        }
        // Whoever is gone by now uses nothing.
        let gone: Vec<u32> = self
            .by_process
            .keys()
            .filter(|pid| !seen.contains_key(pid))
            .copied()
            .collect();
        for pid in gone {
            self.ended(pid);
        }
    }

    fn mapped(&mut self, pid: u32, told: (u64, u64), path: &[u8]) {
        if self.plain.contains(&told) {
            return;
        }
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        let Ok(file) = open(pid, told, path) else {
            // The process has ended meanwhile, or its file is gone: nothing of it can be attached to.
            return;
        };
        if let Some(id) = self.look(&file, path, Some(pid)) {
            self.uses(pid, id);
            if !self.filter.only.is_empty() {
                self.attach_for(pid, id, &file, path);
            }
        } else {
            if self.plain.len() >= MOST_PLAIN {
                self.plain.clear();
            }
            self.plain.insert(told);
        }
    }

    fn uses(&mut self, pid: u32, id: FileId) {
        if let Some(library) = self.files.get_mut(&id) {
            library.users.insert(pid);
            library.idle = None;
            self.by_process.entry(pid).or_default().insert(id);
        }
    }

    fn forked(&mut self, pid: u32, parent: u32) {
        let Some(files) = self.by_process.get(&parent).cloned() else {
            return;
        };
        for id in files {
            self.uses(pid, id);
            if self.filter.only.is_empty() {
                continue;
            }
            if self
                .files
                .get(&id)
                .is_some_and(|library| library.for_each.contains_key(&parent))
                && let Some((file, path)) = mapped_file(pid, id)
            {
                self.attach_for(pid, id, &file, &path);
            }
        }
    }

    fn ended(&mut self, pid: u32) {
        for id in self.by_process.remove(&pid).unwrap_or_default() {
            let Some(library) = self.files.get_mut(&id) else {
                continue;
            };
            library.users.remove(&pid);
            library.for_each.remove(&pid);
            if library.users.is_empty() {
                library.idle.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Looks into a file, and attaches to it where there is TLS in it. `None` where there is none.
    fn look(&mut self, file: &File, path: &Path, pid: Option<u32>) -> Option<FileId> {
        let meta = file.metadata().ok()?;
        let id = FileId {
            device: meta.dev(),
            inode: meta.ino(),
        };
        let stamp = Stamp {
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        };
        if let Some(known) = self.files.get(&id) {
            if known.stamp == stamp {
                return Some(id);
            }
            self.files.remove(&id);
        }
        if self.own == Some(id) {
            return None;
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let found = match headwater_sites::look(file, &name) {
            Ok(looked) => {
                for one in &looked.unsupported {
                    self.cannot(id, file, path, pid, one.library, &one.why);
                }
                if looked.found.is_empty() {
                    return None;
                }
                looked.found
            }
            Err(error) => {
                tracing::debug!(%error, path = %path.display(), "not looked into for TLS");
                return None;
            }
        };
        if self.files.len() >= MOST_FILES {
            let why = format!("{MOST_FILES} other files are looked at already");
            self.cannot(id, file, path, pid, "TLS", &why);
            return None;
        }
        let mut library = Library {
            stamp,
            is_standing: false,
            for_all: None,
            for_each: HashMap::new(),
            found,
            users: HashSet::new(),
            idle: Some(Instant::now()),
            watch: None,
        };
        let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
        library.watch = self
            .changes
            .add_watch(by_descriptor.as_str(), AddWatchFlags::IN_MODIFY)
            .ok();
        if self.filter.only.is_empty() {
            match self.attach(&library.found, file, None) {
                Ok(attached) => library.for_all = Some(attached),
                Err(error) => {
                    let names: Vec<_> =
                        library.found.iter().map(|one| one.library.name()).collect();
                    self.cannot(
                        id,
                        file,
                        path,
                        pid,
                        &names.join(", "),
                        &format!("the kernel refuses probes in it: {error}"),
                    );
                }
            }
        }
        tracing::debug!(path = %path.display(), found = ?library.found.len(), "TLS");
        self.files.insert(id, library);
        Some(id)
    }

    fn attach(&self, found: &[Found], file: &File, pid: Option<u32>) -> io::Result<Attached> {
        let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let sites: Vec<_> = found.iter().flat_map(|one| one.sites.clone()).collect();
        match self.uprobes.attach(&path, &sites, pid) {
            // Only then: a command that is run under this program inherits the limit.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                allow_descriptors();
                self.uprobes.attach(&path, &sites, pid)
            }
            attached => attached,
        }
    }

    /// Attaches for one process, if it is one that is asked for.
    fn attach_for(&mut self, pid: u32, id: FileId, file: &File, path: &Path) {
        let is_wanted = program_of(pid).is_some_and(|name| self.filter.only.contains(&name));
        let Some(library) = self.files.get(&id) else {
            return;
        };
        if !is_wanted || library.for_each.contains_key(&pid) {
            return;
        }
        match self.attach(&library.found, file, Some(pid)) {
            Ok(attached) => {
                if let Some(library) = self.files.get_mut(&id) {
                    library.for_each.insert(pid, attached);
                }
            }
            Err(error) => self.cannot(
                id,
                file,
                path,
                Some(pid),
                "TLS",
                &format!("the kernel refuses probes in it: {error}"),
            ),
        }
    }

    /// Tells once for each file and program that its TLS is not seen.
    fn cannot(
        &mut self,
        id: FileId,
        file: &File,
        path: &Path,
        pid: Option<u32>,
        library: &str,
        why: &str,
    ) {
        let program = pid.and_then(program_of).unwrap_or_default();
        if self.told.len() >= MOST_TOLD || !self.told.insert((id, program.clone())) {
            return;
        }
        let who = pid.map_or_else(String::new, |pid| format!("{program} (pid {pid}): "));
        let build_id = headwater_sites::build_id(file)
            .ok()
            .flatten()
            .map_or_else(|| "no build id".to_owned(), |id| format!("build id {id}"));
        let words = format!("{who}{library} in {}, {build_id}: {why}", path.display());
        // The recorder may be ending.
        let _ = self.tell.send(NotRead { words });
    }
}

/// Lets this process have as many descriptors as it may need, where it is allowed them.
fn allow_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && now < DESCRIPTORS.min(most)
    {
        // What cannot be had is missed when it is asked for, and told then.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(most), most);
    }
}

/// The name of a process's executable.
fn program_of(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
}

/// Opens what a process has mapped.
fn open(pid: u32, told: (u64, u64), path: &Path) -> io::Result<File> {
    let inner = path.strip_prefix("/").unwrap_or(path);
    let by_root = PathBuf::from(format!("/proc/{pid}/root")).join(inner);
    if let Ok(file) = open_plain(&by_root) {
        let meta = file.metadata()?;
        // Of file systems made of others (overlay) the kernel tells the lower one's device.
        if meta.ino() == told.1 || meta.dev() != told.0 {
            return Ok(file);
        }
    }
    let (file, _) = mapped_file(
        pid,
        FileId {
            device: told.0,
            inode: told.1,
        },
    )
    .ok_or(io::ErrorKind::NotFound)?;
    Ok(file)
}

/// Not a FIFO or a device, which whoever made it could let wait.
fn open_plain(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let fd: OwnedFd = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::empty(),
    )?;
    let file = File::from(fd);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

/// What a process has mapped, though its name is gone (`map_files` of proc(5)).
fn mapped_file(pid: u32, id: FileId) -> Option<(File, PathBuf)> {
    let process = procfs::process::Process::new(pid.cast_signed()).ok()?;
    for map in process.maps().ok()? {
        let procfs::process::MMapPath::Path(path) = &map.pathname else {
            continue;
        };
        if map.inode != id.inode {
            continue;
        }
        let (from, to) = map.address;
        let link = format!("/proc/{pid}/map_files/{from:x}-{to:x}");
        if let Ok(file) = open_plain(Path::new(&link)) {
            return Some((file, path.clone()));
        }
    }
    None
}
