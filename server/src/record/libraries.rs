//! TLS libraries that programs run: found as they are mapped, attached to once for each file, and let go of when nobody uses them.
//!
//! Owns: the thread that does this. A look through `/proc` at the beginning, and after the kernel says that it lost news, finds
//! what was mapped before; from then on the kernel tells of each mapping, fork and exit.

mod open;
mod table;

use std::{
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        eventfd::EventFd,
        inotify::{InitFlags, Inotify},
    },
};

use crate::probes::{Heard, Mappings, Uprobes};
use open::{FileId, is_over};
use table::{GRACE, Table};

/// Looks through all of `/proc` are at least so far apart.
const BETWEEN_SCANS: Duration = Duration::from_secs(1);
/// Between two looks at whether what has ended is over.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a start waits for all that is in use to be attached to, and an end for what is under way: files are opened that
/// strangers name, and may be on file systems that do not answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// As above, at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// Which processes are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsFilter {
    /// Names of executables; empty for all.
    pub(crate) only: Vec<String>,
}

/// A program whose TLS is not seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotRead {
    /// Name of its executable; empty where nobody runs the file.
    pub(crate) program: String,
    pub(crate) pid: Option<u32>,
    pub(crate) library: String,
    /// As the process names it.
    pub(crate) path: PathBuf,
    /// Lower-case hexadecimal digits.
    pub(crate) build_id: Option<String>,
    pub(crate) why: String,
}

/// What the recorder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// A program's TLS is not seen.
    NotRead(Box<NotRead>),
    /// One more of those, which are too many to be told one by one.
    Untold,
    /// So many mappings, forks and exits were not heard of; what lives was looked for since.
    Unheard(u64),
}

/// The thread, and what it has to say.
pub(crate) struct Libraries {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    ready: Receiver<()>,
    news: Receiver<News>,
}

impl Libraries {
    /// Starts.
    ///
    /// # Errors
    /// The kernel's, when it does not tell of mappings.
    pub(crate) fn start(uprobes: Uprobes, filter: TlsFilter) -> io::Result<Self> {
        let stop = Arc::new(EventFd::new()?);
        let mappings = Mappings::listen()?;
        let changes = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let (tell, news) = channel();
        let (tell_ready, ready) = channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut table = Table::new(&uprobes, filter, changes, tell.clone());
            table.look_into_folders();
            table.look_through_proc();
            // Whoever started this may have gone.
            let _ = tell_ready.send(());
            drop(tell_ready);
            follow(&mut table, mappings, &stopped, &tell);
        });
        Ok(Self {
            stop,
            thread: Some(thread),
            ready,
            news,
        })
    }

    /// Waits until all that is in use is attached to. Says whether it is.
    pub(crate) fn await_ready(ready: &Receiver<()>) -> bool {
        ready.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout)
    }

    /// What becomes ready once: for whoever waits for it.
    pub(crate) fn take_ready(&mut self) -> Receiver<()> {
        std::mem::replace(&mut self.ready, channel().1)
    }

    /// What there is to say, since last asked.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> + '_ {
        self.news.try_iter()
    }

    /// Whether its thread has ended, though nobody asked it to.
    pub(crate) fn is_broken(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Ends the thread, and detaches. What it said last can still be asked for.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.write(1);
        let Some(thread) = self.thread.take() else {
            return;
        };
        let asked = Instant::now();
        while !thread.is_finished() && asked.elapsed() < LAST_PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        // One that waits for a file system ends with the process, which detaches as well.
        if thread.is_finished() {
            let _ = thread.join();
        }
    }
}

impl Drop for Libraries {
    fn drop(&mut self) {
        self.stop();
    }
}

fn follow(table: &mut Table<'_>, mut mappings: Mappings, stop: &EventFd, tell: &Sender<News>) {
    let mut heard = Vec::new();
    // Processes whose first thread has ended.
    let mut ending: Vec<u32> = Vec::new();
    let (mut scanned, mut unheard) = (Instant::now(), 0);
    loop {
        let mut waits: Vec<PollFd<'_>> = mappings
            .descriptors()
            .chain([table.changes.as_fd(), stop.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = if !ending.is_empty() || unheard > 0 {
            PollTimeout::try_from(AGAIN).unwrap_or(PollTimeout::NONE)
        } else if table.has_idle() {
            PollTimeout::try_from(GRACE).unwrap_or(PollTimeout::NONE)
        } else {
            PollTimeout::NONE
        };
        if poll(&mut waits, timeout).is_err_and(|error| error != nix::Error::EINTR) {
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
        table.let_go_of_changed();
        // Each processor's are in order, and those of one may come before what caused them on another: ends come last.
        mappings.read(&mut heard);
        for one in heard.drain(..) {
            match one {
                Heard::Mapped {
                    pid,
                    range,
                    file: (device, inode),
                    path,
                } => {
                    let path = Path::new(std::ffi::OsStr::from_bytes(&path));
                    table.mapped(pid, range, FileId { device, inode }, path);
                }
                Heard::Forked { pid, parent } => table.forked(pid, parent),
                Heard::Ended { pid } => ending.push(pid),
                Heard::Lost(count) => unheard += count,
            }
        }
        ending.retain(|pid| {
            let is_over = is_over(*pid);
            if is_over {
                table.ended(*pid);
            }
            !is_over
        });
        if unheard > 0 && scanned.elapsed() >= BETWEEN_SCANS {
            table.look_through_proc();
            let _ = tell.send(News::Unheard(unheard));
            (scanned, unheard) = (Instant::now(), 0);
        }
        table.let_go_of_idle(GRACE);
    }
}
