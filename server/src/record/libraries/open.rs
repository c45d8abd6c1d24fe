//! Opening what a process has mapped: the very file, not whatever has its name by now, and nothing but a regular file: to open a
//! device does something to it already.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

/// `OVERLAYFS_SUPER_MAGIC` of linux/magic.h.
const OVERLAYFS: i64 = 0x794c_7630;

/// Descriptors that this process may need in all.
const DESCRIPTORS: u64 = 16_384;

/// Stands for the device of what overlayfs shows.
const OVERLAY: u64 = u64::MAX;

/// Names a file while it exists.
///
/// Files that overlayfs shows have another device in each of its mounts, and probes stand in the one file below, so that a file
/// of an image which many containers run is to be attached to once. It is told by what overlayfs shows of the file below: its
/// inode's number, size and times. A copy that is made of it (copy-up) has times of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// A file as it was when it was looked into. Its inode changes with every link and owner that it is given, which change none of
/// its code.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    size: u64,
    modified: (i64, i64),
}

/// A file that is open, and what it is.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) id: FileId,
    pub(super) stamp: Stamp,
    /// User id of its owner.
    pub(super) owner: u32,
    /// Inode number, as stat(2) gives it.
    inode: u64,
}

impl Opened {
    /// Of a descriptor that only names it (O_PATH).
    fn new(named: &OwnedFd) -> io::Result<Self> {
        let meta = rustix::fs::fstat(named)?;
        if !FileType::from_raw_mode(meta.st_mode).is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let file = File::open(format!("/proc/self/fd/{}", named.as_raw_fd()))?;
        let meta = file.metadata()?;
        let id = if rustix::fs::fstatfs(&file)?.f_type == OVERLAYFS {
            let mut hasher = DefaultHasher::new();
            let times = (
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
            );
            (meta.ino(), meta.size(), times).hash(&mut hasher);
            FileId {
                device: OVERLAY,
                inode: hasher.finish(),
            }
        } else {
            FileId {
                device: meta.dev(),
                inode: meta.ino(),
            }
        };
        Ok(Self {
            id,
            inode: meta.ino(),
            stamp: Stamp {
                size: meta.size(),
                modified: (meta.mtime(), meta.mtime_nsec()),
            },
            owner: meta.uid(),
            file,
        })
    }

    /// Whether it is still as it was.
    pub(super) fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| {
            self.stamp
                == Stamp {
                    size: meta.size(),
                    modified: (meta.mtime(), meta.mtime_nsec()),
                }
        })
    }
}

/// Opens a file by its name.
pub(super) fn by_name(path: &Path) -> io::Result<Opened> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Opened::new(&rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a file by its name in a process's root folder. The kernel's names have no symbolic links in them: where there is one now, it
/// was put there since, by whom is not known.
fn by_root(pid: u32, path: &Path) -> io::Result<Opened> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(
        format!("/proc/{pid}/root"),
        flags | OFlags::DIRECTORY,
        Mode::empty(),
    )?;
    let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let inner = path.strip_prefix("/").unwrap_or(path);
    Opened::new(&rustix::fs::openat2(
        &root,
        inner,
        flags,
        Mode::empty(),
        how,
    )?)
}

/// Opens what a process has mapped at a place of its memory (`map_files` of proc(5)), or else what has its name in that
/// process's root folder, or of a process that has ended in this one's, and is the same file.
pub(super) fn mapped(
    pid: u32,
    (from, to): (u64, u64),
    told: FileId,
    path: &Path,
) -> io::Result<Opened> {
    let link = format!("/proc/{pid}/map_files/{from:x}-{to:x}");
    let refused = match by_name(Path::new(&link)) {
        Ok(opened) => return Ok(opened),
        Err(error) => error,
    };
    match by_root(pid, path) {
        // The device is another one's in file systems made of others (overlayfs, a subvolume).
        Ok(opened) if opened.inode == told.inode => Ok(opened),
        Ok(_) => Err(refused),
        Err(error) if is_gone(&error) => match by_root(std::process::id(), path) {
            Ok(opened) if opened.id == told => Ok(opened),
            _ => Err(refused),
        },
        Err(error) => Err(error),
    }
}

/// Whether an error says that the process or the file is gone, so that there is nothing to be seen.
pub(super) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// Whether a process is over: its first thread may end before the others, and what has ended is in `/proc` until its parent
/// has asked.
pub(super) fn is_over(pid: u32) -> bool {
    let Ok(process) = procfs::process::Process::new(pid.cast_signed()) else {
        return true;
    };
    let Ok(stat) = process.stat() else {
        return true;
    };
    matches!(stat.state, 'Z' | 'X') && stat.num_threads <= 1
}

/// The name of a process's executable.
pub(super) fn program_of(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned())
}

/// What a process has mapped of a file, with its name there.
pub(super) fn find_mapped(pid: u32, id: FileId) -> Option<(Opened, PathBuf)> {
    let process = procfs::process::Process::new(pid.cast_signed()).ok()?;
    for map in process.maps().ok()? {
        let procfs::process::MMapPath::Path(path) = &map.pathname else {
            continue;
        };
        if (map.inode == id.inode || id.device == OVERLAY)
            && let Ok(opened) = mapped(pid, map.address, id, path)
            && opened.id == id
        {
            return Some((opened, path.clone()));
        }
    }
    None
}

/// Lets this process have as many descriptors as it may need, where it is allowed them.
pub(super) fn allow_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((now, most)) = getrlimit(Resource::RLIMIT_NOFILE)
        && now < DESCRIPTORS.min(most)
    {
        // What cannot be had is missed when it is asked for, and told then.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS.min(most), most);
    }
}
