//! TLS libraries that programs run: found as they are mapped, attached to once for each file, and let go of when nobody uses them.
//!
//! Owns: the thread that does this. A look through `/proc` at the beginning, and after the kernel says that it lost news, finds
//! what was mapped before; from then on the kernel tells of each mapping, fork and exit.

mod open;
mod table;

use std::{
    collections::HashSet,
    io,
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
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

use super::capabilities;
use crate::probes::{Heard, Mappings, Uprobes};
use open::{FileId, is_over};
use table::{GRACE, Table};

/// Looks through all of `/proc` are at least so far apart, and ten times as far as the last one took.
const BETWEEN_SCANS: Duration = Duration::from_secs(1);
/// Between two looks at whether the machine slept or has other processors.
const BETWEEN_CHANGES: Duration = Duration::from_secs(10);
/// Milliseconds for one round of news, beyond which others are said to be missed.
const STUCK_MS: u64 = 10_000;
/// A burst of news is waited for for so long: each mapping would wake this thread by itself.
const BURST: Duration = Duration::from_millis(1);
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
    /// So many mappings, forks and exits were not heard of; what lives was looked for since, but at the end.
    Unheard(u64),
    /// What lives could not be looked for (`/proc`).
    Unlooked,
}

/// The thread, and what it has to say.
pub(crate) struct Libraries {
    stop: Arc<EventFd>,
    thread: Option<JoinHandle<()>>,
    ready: Receiver<()>,
    news: Receiver<News>,
    busy: Arc<Busy>,
}

/// Since when the thread has been about one thing, such as opening a file of somebody's file system: milliseconds after `began`,
/// one more than they are, 0 while it waits.
struct Busy {
    began: Instant,
    since: AtomicU64,
}

impl Busy {
    fn begin(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(now + 1, Ordering::Relaxed);
    }

    fn end(&self) {
        self.since.store(0, Ordering::Relaxed);
    }
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
        let busy = Arc::new(Busy {
            began: Instant::now(),
            since: AtomicU64::new(1),
        });
        let about = Arc::clone(&busy);
        let thread = std::thread::spawn(move || {
            capabilities::keep(capabilities::for_libraries(uprobes.is_multi()));
            let mut table = Table::new(&uprobes, filter, changes, tell.clone());
            table.look_into_folders();
            if !table.look_through_proc() {
                let _ = tell.send(News::Unlooked);
            }
            // Whoever started this may have gone.
            let _ = tell_ready.send(());
            drop(tell_ready);
            follow(&mut table, mappings, &stopped, &about, &tell);
        });
        Ok(Self {
            stop,
            thread: Some(thread),
            ready,
            news,
            busy,
        })
    }

    /// Waits until all that is in use is attached to. Says whether it is.
    pub(crate) fn await_ready(ready: &Receiver<()>) -> bool {
        ready.recv_timeout(PATIENCE).is_ok()
    }

    /// What becomes ready once: for whoever waits for it.
    pub(crate) fn take_ready(&mut self) -> Receiver<()> {
        std::mem::replace(&mut self.ready, channel().1)
    }

    /// What there is to say, since last asked.
    pub(crate) fn news(&self) -> impl Iterator<Item = News> + '_ {
        self.news.try_iter()
    }

    /// Whether it has been about one thing for so long that programs which begin meanwhile are not seen.
    pub(crate) fn is_stuck(&self) -> bool {
        let since = self.busy.since.load(Ordering::Relaxed);
        let now = u64::try_from(self.busy.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        since != 0 && now.saturating_sub(since) > STUCK_MS
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

fn follow(
    table: &mut Table<'_>,
    mut mappings: Mappings,
    stop: &EventFd,
    busy: &Busy,
    tell: &Sender<News>,
) {
    let mut heard = Vec::new();
    // Processes of which an end was heard, which may be that of a thread's, and when they were looked at last.
    let (mut ending, mut looked_at) = (HashSet::new(), Instant::now());
    let (mut scanned, mut between, mut unheard) = (Instant::now(), BETWEEN_SCANS, 0);
    let mut refreshed = Instant::now();
    loop {
        let mut waits: Vec<PollFd<'_>> = mappings
            .descriptors()
            .chain([table.changes.as_fd(), stop.as_fd()])
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = if !ending.is_empty() || unheard > 0 {
            AGAIN
        } else {
            BETWEEN_CHANGES
        };
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::NONE);
        busy.end();
        if poll(&mut waits, timeout).is_err_and(|error| error != nix::Error::EINTR) {
            return;
        }
        let is_stopped = waits
            .last()
            .and_then(PollFd::revents)
            .is_some_and(|events| !events.is_empty());
        drop(waits);
        if is_stopped {
            // What was met last is told; nothing is put into a program only to be taken out again.
            busy.begin();
            table.is_ending = true;
            mappings.read(&mut heard);
            take_in(table, &mut heard, &mut unheard);
            if unheard > 0 {
                let _ = tell.send(News::Unheard(unheard));
            }
            return;
        }
        busy.begin();
        table.let_go_of_changed();
        std::thread::sleep(BURST);
        mappings.read(&mut heard);
        if refreshed.elapsed() >= BETWEEN_CHANGES {
            refreshed = Instant::now();
            match mappings.refresh() {
                Ok(true) => unheard += 1,
                Ok(false) => {}
                Err(_) => return,
            }
        }
        let is_new = |pid: &u32| !ending.contains(pid);
        let ended = take_in(table, &mut heard, &mut unheard);
        let mut look_at: Vec<u32> = ended.into_iter().filter(is_new).collect();
        if looked_at.elapsed() >= AGAIN {
            looked_at = Instant::now();
            look_at.extend(&ending);
        }
        for pid in look_at {
            if is_over(pid) {
                table.ended(pid);
                ending.remove(&pid);
            } else {
                ending.insert(pid);
            }
        }
        if unheard > 0 && scanned.elapsed() >= between {
            let began = Instant::now();
            let _ = if table.look_through_proc() {
                tell.send(News::Unheard(std::mem::take(&mut unheard)))
            } else {
                tell.send(News::Unlooked)
            };
            scanned = Instant::now();
            between = BETWEEN_SCANS.max(began.elapsed() * 10);
        }
        table.let_go_of_idle(GRACE);
    }
}

/// Takes in what was heard, and gives the processes that are said to have ended. Each processor's news are in their order, but
/// one's may come before what caused them on another: mappings come first, and ends last.
fn take_in(table: &mut Table<'_>, heard: &mut Vec<Heard>, unheard: &mut u64) -> HashSet<u32> {
    let (mut forks, mut ended) = (Vec::new(), HashSet::new());
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
            Heard::Forked { pid, parent } => forks.push((pid, parent)),
            Heard::Ended { pid } => {
                ended.insert(pid);
            }
            Heard::Lost(count) => *unheard += count,
        }
    }
    // A child's child may come before it.
    loop {
        let before = forks.len();
        forks.retain(|(pid, parent)| !table.forked(*pid, *parent));
        if forks.len() == before {
            break;
        }
    }
    ended
}
