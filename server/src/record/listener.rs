//! Who listens where, for connections whose server never sent a byte and so never showed its owner.
//!
//! Owns: a picture of all listening sockets of all network namespaces, from `/proc/PID/net/tcp{,6}` (one process for each
//! namespace) and `/proc/PID/fd`. Taken when asked for something unknown, not more often than `MIN_AGE`, and by a thread of its
//! own: where a million descriptors are open that takes a second, in which the ring buffer would overflow.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use procfs::{
    net::TcpState,
    process::{FDTarget, Process, all_processes},
};

/// Looking through every descriptor of every process is dear.
const MIN_AGE: Duration = Duration::from_secs(5);
/// So long a picture is waited for when it is asked for; later it serves those who ask then.
const PATIENCE: Duration = Duration::from_millis(100);

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
    pub(crate) comm: String,
}

/// By namespace and port; addresses in the order found.
type Picture = HashMap<(u32, u16), Vec<(SocketAddr, Listener)>>;

/// The picture, and who takes the next one.
pub(crate) struct Listeners {
    found: Picture,
    asked: Option<Instant>,
    is_due: bool,
    ask: SyncSender<()>,
    pictures: Receiver<Picture>,
}

impl Listeners {
    /// Starts the thread, which ends with this.
    pub(crate) fn new() -> Self {
        let (ask, asked) = sync_channel(1);
        let (give, pictures) = sync_channel(1);
        std::thread::spawn(move || {
            while asked.recv().is_ok() {
                if give.send(take()).is_err() {
                    return;
                }
            }
        });
        Self {
            found: Picture::new(),
            asked: None,
            is_due: false,
            ask,
            pictures,
        }
    }

    /// The process that listens at an address, or at the unspecified one with the same port.
    pub(crate) fn find(&mut self, netns: u32, local: SocketAddr) -> Option<Listener> {
        self.receive(Duration::ZERO);
        if let Some(listener) = self.look(netns, local) {
            return Some(listener);
        }
        if !self.is_due && self.asked.is_none_or(|asked| asked.elapsed() >= MIN_AGE) {
            self.asked = Some(Instant::now());
            self.is_due = self.ask.try_send(()).is_ok();
            self.receive(PATIENCE);
        }
        self.look(netns, local)
    }

    fn receive(&mut self, patience: Duration) {
        if !self.is_due {
            return;
        }
        match self.pictures.recv_timeout(patience) {
            Ok(picture) => (self.found, self.is_due) = (picture, false),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_due = false,
        }
    }

    /// Where the namespace is not known, the port must be listened on in one only.
    fn look(&self, netns: u32, local: SocketAddr) -> Option<Listener> {
        let all = if netns == 0 {
            let mut places = self
                .found
                .iter()
                .filter(|((_, port), _)| *port == local.port());
            let (_, all) = places.next()?;
            if places.next().is_some() {
                return None;
            }
            all
        } else {
            self.found.get(&(netns, local.port()))?
        };
        let exact = all.iter().find(|(address, _)| address.ip() == local.ip());
        exact
            .or_else(|| {
                all.iter()
                    .find(|(address, _)| address.ip().is_unspecified())
            })
            .map(|(_, listener)| listener.clone())
    }
}

fn take() -> Picture {
    let mut found = Picture::new();
    let Ok(processes) = all_processes() else {
        return found;
    };
    let mut inodes: HashMap<u32, HashMap<u64, SocketAddr>> = HashMap::new();
    for process in processes.flatten() {
        let Some(netns) = namespace(&process) else {
            continue;
        };
        let sockets = inodes.entry(netns).or_insert_with(|| listening(&process));
        if sockets.is_empty() {
            continue;
        }
        let Ok(descriptors) = process.fd() else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let FDTarget::Socket(inode) = descriptor.target else {
                continue;
            };
            let (Some(address), Some(listener)) = (sockets.get(&inode), listener(&process)) else {
                continue;
            };
            found
                .entry((netns, address.port()))
                .or_default()
                .push((*address, listener));
        }
    }
    found
}

fn namespace(process: &Process) -> Option<u32> {
    let inode = std::fs::metadata(format!("/proc/{}/ns/net", process.pid()))
        .ok()?
        .ino();
    u32::try_from(inode).ok()
}

fn listening(process: &Process) -> HashMap<u64, SocketAddr> {
    let sockets = process
        .tcp()
        .unwrap_or_default()
        .into_iter()
        .chain(process.tcp6().unwrap_or_default());
    sockets
        .filter(|socket| socket.state == TcpState::Listen)
        .map(|socket| (socket.inode, socket.local_address))
        .collect()
}

fn listener(process: &Process) -> Option<Listener> {
    let stat = process.stat().ok()?;
    Some(Listener {
        pid: u32::try_from(stat.pid).ok()?,
        parent: u32::try_from(stat.ppid).unwrap_or(0),
        start_ticks: stat.starttime,
        comm: stat.comm,
    })
}
