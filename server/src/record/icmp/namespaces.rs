//! Entering other network namespaces, to open sockets there.
//!
//! Owns: a thread that lives for one round of it, since setns(2) moves the thread that calls it. A namespace is entered by
//! the process that was met there or, when that is gone, by a name under /run or by whoever else is in it. What is entered is
//! compared by inode first: numbers of processes come again.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::sockets::{self, RawSocket};

/// Where `ip netns` and Docker name namespaces.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
/// Namespaces that wait to be entered.
const MOST_WANTED: usize = 256;

/// One namespace, and what became of it.
pub(super) struct Entered {
    pub(super) netns: u32,
    /// Its sockets, or why there are none: nothing when the namespace is gone, where there is nothing more to hear.
    pub(super) outcome: Result<Vec<RawSocket>, Option<String>>,
}

/// What is to be entered, and what is being.
#[derive(Default)]
pub(super) struct Entering {
    wanted: HashMap<u32, u32>,
    round: Option<JoinHandle<Vec<Entered>>>,
}

impl Entering {
    /// This namespace should be entered, by this process if it is still there.
    pub(super) fn want(&mut self, netns: u32, pid: u32) {
        if self.wanted.len() < MOST_WANTED {
            self.wanted.insert(netns, pid);
        }
    }

    /// Begins a round, unless one is going on.
    pub(super) fn begin(&mut self) {
        if self.wanted.is_empty() || self.round.is_some() {
            return;
        }
        let wanted = std::mem::take(&mut self.wanted);
        let thread = std::thread::Builder::new().name("namespaces".to_owned());
        match thread.spawn(move || wanted.into_iter().map(enter).collect()) {
            Ok(round) => self.round = Some(round),
            Err(error) => tracing::warn!(%error, "no thread to enter network namespaces with"),
        }
    }

    /// What the last round came to, once.
    pub(super) fn take(&mut self) -> Vec<Entered> {
        let done = self.round.take_if(|round| round.is_finished());
        let entered = done.and_then(|round| round.join().ok()).unwrap_or_default();
        for one in &entered {
            self.wanted.remove(&one.netns);
        }
        entered
    }
}

fn enter((netns, pid): (u32, u32)) -> Entered {
    let outcome = match find(netns, pid) {
        Some(file) => open_in(&file).map_err(Some),
        None => Err(None),
    };
    Entered { netns, outcome }
}

fn open_in(namespace: &File) -> Result<Vec<RawSocket>, String> {
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|error| match error {
        Errno::EPERM => "they cannot be entered without CAP_SYS_ADMIN".to_owned(),
        error => format!("they cannot be entered: {error}"),
    })?;
    sockets::open()
}

fn find(netns: u32, pid: u32) -> Option<File> {
    let of_process = |pid| is_it(Path::new(&format!("/proc/{pid}/ns/net")), netns);
    let named = || {
        let folders = NAMED
            .into_iter()
            .filter_map(|path| std::fs::read_dir(path).ok());
        folders
            .flatten()
            .flatten()
            .find_map(|entry| is_it(&entry.path(), netns))
    };
    let anybody = || {
        let processes = std::fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            of_process(pid)
        })
    };
    of_process(pid).or_else(named).or_else(anybody)
}

/// The file, when it is this namespace.
fn is_it(path: &Path, netns: u32) -> Option<File> {
    let file = File::open(path).ok()?;
    let metadata = file.metadata().ok()?;
    (metadata.ino() == u64::from(netns)).then_some(file)
}
