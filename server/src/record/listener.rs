//! Who listens where, for connections whose server never sent a byte and so never showed its owner.
//!
//! Owns: a picture of all listening sockets of all network namespaces, from `/proc/PID/net/tcp{,6}` (one process for each
//! namespace) and `/proc/PID/fd`. Taken when asked for something unknown, not more often than `MIN_AGE` (sooner once one that it
//! shows has ended), and by a thread of its own: where a million descriptors are open that takes a second, in which the ring
//! buffer would overflow. Beside it, who was seen to answer at an address, which counts where it can have been one alone.

use std::{
    collections::HashMap,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

use super::{capabilities, identity::TICK_NS};
use procfs::{
    net::TcpState,
    process::{FDTarget, Process, all_processes},
};

/// Looking through every descriptor of every process is dear.
const MIN_AGE: Duration = Duration::from_secs(5);
/// Once one that it shows has ended, another may listen in its place.
const MIN_AGE_OUTDATED: Duration = Duration::from_secs(1);
/// So long a picture is waited for when it is asked for; later it serves those who ask then.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a process held is closed within so long of its end.
const CLOSING_NS: u64 = 20_000_000;
/// Of one port so many are remembered, those that have ended among them.
const MOST_AT_ONE_PLACE: usize = 16;
const MOST_PLACES: usize = 4_096;

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
    pub(crate) comm: String,
    /// Whether it was seen to listen; else to answer.
    is_listening: bool,
    /// On the boot clock; `None` while it runs, as far as is known.
    pub(crate) ended_ns: Option<u64>,
}

impl Listener {
    /// Whether it can have taken a connection that began at a time of the boot clock. Its start is known to a tick only; its end
    /// is told before the kernel closes what it listened on.
    fn lived_at(&self, at_ns: u64) -> bool {
        let ended = self
            .ended_ns
            .map(|ended_ns| ended_ns.saturating_add(CLOSING_NS));
        let begun = self.start_ticks.saturating_add(1).saturating_mul(TICK_NS);
        ended.is_none_or(|ended_ns| at_ns <= ended_ns) && begun <= at_ns
    }
}

/// By namespace and port; addresses in the order found.
type Picture = HashMap<(u32, u16), Vec<(SocketAddr, Listener)>>;

/// The picture, and who takes the next one.
pub(crate) struct Listeners {
    found: Picture,
    /// Where those are in it that have not ended, by number and start.
    alive: HashMap<(u32, u64), Vec<(u32, u16)>>,
    asked: Option<Instant>,
    /// When it was last waited for.
    waited: Option<Instant>,
    is_due: bool,
    /// One that it shows has ended.
    is_outdated: bool,
    /// Ends that came while a picture was under way, which may show those processes alive.
    ends: Vec<(u32, u64, u64)>,
    ask: SyncSender<()>,
    pictures: Receiver<Picture>,
}

impl Listeners {
    /// Starts the thread, which ends with this.
    pub(crate) fn new() -> Self {
        let (ask, asked) = sync_channel(1);
        let (give, pictures) = sync_channel(1);
        std::thread::spawn(move || {
            capabilities::keep(capabilities::PROCESSES);
            while asked.recv().is_ok() {
                if give.send(take()).is_err() {
                    return;
                }
            }
        });
        Self {
            found: Picture::new(),
            alive: HashMap::new(),
            asked: None,
            waited: None,
            is_due: false,
            is_outdated: false,
            ends: Vec::new(),
            ask,
            pictures,
        }
    }

    /// Remembers who answered at an address, besides those that the picture shows.
    pub(crate) fn served(&mut self, netns: u32, local: SocketAddr, pid: u32, start_ticks: u64) {
        let place = (netns, local.port());
        if self.found.len() >= MOST_PLACES && !self.found.contains_key(&place) {
            // Where nobody listens any more makes room.
            let is_alive = |(_, listener): &(SocketAddr, Listener)| listener.ended_ns.is_none();
            self.found
                .retain(|_, listeners| listeners.iter().any(is_alive));
            if self.found.len() >= MOST_PLACES {
                return;
            }
        }
        let listeners = self.found.entry(place).or_default();
        let is_known = |(address, listener): &(SocketAddr, Listener)| {
            (listener.pid, listener.start_ticks) == (pid, start_ticks)
                && (address.ip() == local.ip() || address.ip().is_unspecified())
        };
        if listeners.iter().any(is_known) {
            return;
        }
        if listeners.len() >= MOST_AT_ONE_PLACE {
            // Those that ended first; of more that are alive nobody could say which it was.
            match listeners
                .iter()
                .position(|(_, listener)| listener.ended_ns.is_some())
            {
                Some(ended) => drop(listeners.remove(ended)),
                None => return,
            }
        }
        let listener = Listener {
            pid,
            parent: 0,
            start_ticks,
            comm: String::new(),
            is_listening: false,
            ended_ns: None,
        };
        listeners.push((local, listener));
        self.alive
            .entry((pid, start_ticks))
            .or_default()
            .push(place);
    }

    /// Remembers that a process ended: it takes no connection from then on, and another may listen in its place.
    pub(crate) fn ended(&mut self, pid: u32, start_ticks: u64, at_ns: u64) {
        if self.is_due && self.ends.len() < MOST_PLACES {
            self.ends.push((pid, start_ticks, at_ns));
        }
        // Most processes that end listened nowhere.
        for place in self.alive.remove(&(pid, start_ticks)).unwrap_or_default() {
            self.is_outdated = true;
            for (_, listener) in self.found.get_mut(&place).into_iter().flatten() {
                if (listener.pid, listener.start_ticks) == (pid, start_ticks) {
                    listener.ended_ns = Some(at_ns);
                }
            }
        }
    }

    /// The process that listened at an address, or at the unspecified one with the same port, at a time of the boot clock.
    pub(crate) fn find(&mut self, netns: u32, local: SocketAddr, at_ns: u64) -> Option<Listener> {
        self.receive(Duration::ZERO);
        if let Some(listener) = self.look(netns, local, at_ns) {
            return Some(listener);
        }
        let least = if self.is_outdated {
            MIN_AGE_OUTDATED
        } else {
            MIN_AGE
        };
        if !self.is_due && self.asked.is_none_or(|asked| asked.elapsed() >= least) {
            self.asked = Some(Instant::now());
            self.is_outdated = false;
            self.is_due = self.ask.try_send(()).is_ok();
            // The recorder's thread has other things to do.
            if self.waited.is_none_or(|waited| waited.elapsed() >= MIN_AGE) {
                self.waited = Some(Instant::now());
                self.receive(PATIENCE);
            }
        }
        self.look(netns, local, at_ns)
    }

    fn receive(&mut self, patience: Duration) {
        if !self.is_due {
            return;
        }
        match self.pictures.recv_timeout(patience) {
            Ok(mut picture) => {
                // Who has ended since is not in the new one, and may yet be asked for.
                for (place, listeners) in self.found.drain() {
                    let gone = listeners
                        .into_iter()
                        .filter(|(_, listener)| listener.ended_ns.is_some());
                    let room =
                        MOST_AT_ONE_PLACE.saturating_sub(picture.get(&place).map_or(0, Vec::len));
                    picture.entry(place).or_default().extend(gone.take(room));
                }
                self.alive.clear();
                for (place, listeners) in &picture {
                    let alive = listeners
                        .iter()
                        .filter(|(_, listener)| listener.ended_ns.is_none());
                    for (_, listener) in alive {
                        let places = self.alive.entry((listener.pid, listener.start_ticks));
                        places.or_default().push(*place);
                    }
                }
                (self.found, self.is_due) = (picture, false);
                for (pid, start_ticks, at_ns) in std::mem::take(&mut self.ends) {
                    self.ended(pid, start_ticks, at_ns);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_due = false,
        }
    }

    /// Where the namespace is not known, the port must be listened on in one only.
    fn look(&self, netns: u32, local: SocketAddr, at_ns: u64) -> Option<Listener> {
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
        let lived = || all.iter().filter(|(_, listener)| listener.lived_at(at_ns));
        let listening = || lived().filter(|(_, listener)| listener.is_listening);
        let exact = listening().find(|(address, _)| address.ip() == local.ip());
        exact
            .or_else(|| listening().find(|(address, _)| address.ip().is_unspecified()))
            .or_else(|| {
                // Of several that answered there nobody can say which it was.
                let mut answered = lived().filter(|(address, _)| address.ip() == local.ip());
                answered.next().filter(|_| answered.next().is_none())
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
        is_listening: true,
        ended_ns: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listeners(all: &[(u32, u64)]) -> Listeners {
        let mut listeners = Listeners::new();
        for (pid, start_ticks) in all {
            let listener = Listener {
                pid: *pid,
                parent: 1,
                start_ticks: *start_ticks,
                comm: "node".to_owned(),
                is_listening: true,
                ended_ns: None,
            };
            listeners.alive.insert((*pid, *start_ticks), vec![(1, 80)]);
            let place = listeners.found.entry((1, 80)).or_default();
            place.push((SocketAddr::from(([127, 0, 0, 1], 80)), listener));
        }
        listeners
    }

    #[test]
    fn who_answered_there_may_have_taken_what_nobody_answered() {
        let mut listeners = listeners(&[]);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        for pid in 1..40 {
            listeners.served(1, address, pid, 10);
            listeners.served(1, address, pid, 10);
            listeners.ended(pid, 10, 20 * TICK_NS);
        }
        listeners.served(1, address, 50, 30);
        let pid = |listeners: &Listeners, at: u64| {
            let found = listeners.look(1, address, at * TICK_NS);
            found.map(|listener| listener.pid)
        };
        assert_eq!((pid(&listeners, 40), pid(&listeners, 25)), (Some(50), None));
        // Fifteen of those that have ended are remembered, and any of them may have taken it.
        assert_eq!(pid(&listeners, 15), None);
        assert_eq!(listeners.found[&(1, 80)].len(), MOST_AT_ONE_PLACE);
        assert_eq!(
            listeners.alive.len(),
            1,
            "those that have ended are not kept"
        );
        listeners.served(1, address, 51, 30);
        assert_eq!(pid(&listeners, 40), None, "either may have taken it");
    }

    #[test]
    fn one_that_had_ended_or_not_begun_takes_nothing() {
        let mut listeners = listeners(&[(7, 10), (8, 30)]);
        let address = SocketAddr::from(([127, 0, 0, 1], 80));
        listeners.ended(7, 10, 20 * TICK_NS);
        let pid = |at: u64| {
            let found = listeners.look(1, address, at * TICK_NS);
            found.map(|listener| listener.pid)
        };
        // It may have ended for that very connection.
        assert_eq!((pid(10), pid(15), pid(22)), (None, Some(7), Some(7)));
        assert_eq!((pid(23), pid(30), pid(31)), (None, None, Some(8)));
    }
}
