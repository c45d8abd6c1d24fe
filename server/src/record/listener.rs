//! Who listens where, for connections whose server never sent a byte and so never showed its owner.
//!
//! Owns: a picture of all listening sockets of all network namespaces, from `/proc/PID/net/tcp{,6}` (one process for each
//! namespace) and `/proc/PID/fd`. Taken when asked for something unknown, and not more often than `MIN_AGE`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    time::{Duration, Instant},
};

use procfs::{
    net::TcpState,
    process::{FDTarget, Process, all_processes},
};

/// Looking through every descriptor of every process is dear.
const MIN_AGE: Duration = Duration::from_secs(5);

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
    pub(crate) comm: String,
}

/// The picture.
#[derive(Default)]
pub(crate) struct Listeners {
    taken: Option<Instant>,
    /// By namespace and port; addresses in the order found.
    found: HashMap<(u32, u16), Vec<(SocketAddr, Listener)>>,
}

impl Listeners {
    /// The process that listens at an address, or at the unspecified one with the same port.
    pub(crate) fn find(&mut self, netns: u32, local: SocketAddr) -> Option<Listener> {
        if let Some(listener) = self.look(netns, local) {
            return Some(listener);
        }
        if self.taken.is_none_or(|taken| taken.elapsed() >= MIN_AGE) {
            self.take();
        }
        self.look(netns, local)
    }

    fn look(&self, netns: u32, local: SocketAddr) -> Option<Listener> {
        let all = self.found.get(&(netns, local.port()))?;
        let exact = all.iter().find(|(address, _)| address.ip() == local.ip());
        exact
            .or_else(|| {
                all.iter()
                    .find(|(address, _)| address.ip().is_unspecified())
            })
            .map(|(_, listener)| listener.clone())
    }

    fn take(&mut self) {
        self.taken = Some(Instant::now());
        self.found.clear();
        let Ok(processes) = all_processes() else {
            return;
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
                let (Some(address), Some(listener)) = (sockets.get(&inode), listener(&process))
                else {
                    continue;
                };
                self.found
                    .entry((netns, address.port()))
                    .or_default()
                    .push((*address, listener));
            }
        }
    }
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
