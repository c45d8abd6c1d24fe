//! Errors that ICMP tells of connections and datagrams, from raw sockets: the probes do not see them.
//!
//! Owns: which network namespaces are listened in, the reading of what came, and its place among the records of the probes.
//! A raw socket hears of its own namespace only, so that there is one pair for the recorder's and one for each in which
//! somebody local was met lately; `namespaces` enters those. An open socket keeps a namespace alive after all else has left
//! it: so they are closed when nobody was heard of there for a while, and there are few of them at once. What came in a
//! namespace before it was met, or while it was not listened in, is not told. Reads messages, never writes any.

mod namespaces;
mod sockets;

use std::collections::{HashMap, VecDeque};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use headwater_assembly::{Datagram, IcmpMessage, Input, Look, Way};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::clock::boot_ns;
use namespaces::{Entered, Entering};
use sockets::{Family, RawSocket, Received};

pub(crate) use sockets::try_to_open;

/// Namespaces listened in at once.
const MOST_NAMESPACES: usize = 64;
/// One in which nobody was heard of for so long is left alone.
const QUIET: Duration = Duration::from_secs(30);
/// One that could not be entered is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(5);
/// Messages read from one socket at once; the rest stays where it is, and beyond that the kernel counts what it drops. As many
/// as there are records between two reads: each of those may be a datagram that comes back.
const MOST_READ: usize = 512;
/// Messages that wait for the records before them.
const MOST_WAITING: usize = 4096;

/// What was not told since last asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Missed {
    /// Messages that came faster than they were read.
    pub(crate) dropped: u64,
    /// Messages that are none, or quote what is no packet.
    pub(crate) malformed: u64,
    /// Namespaces that made room for others.
    pub(crate) namespaces: u64,
    /// What cannot be listened to at all, each said once.
    pub(crate) unsupported: Vec<String>,
}

struct Namespace {
    sockets: Vec<RawSocket>,
    heard: Instant,
}

/// All that is listened to.
pub(crate) struct IcmpListener {
    epoll: Option<Epoll>,
    own: u32,
    namespaces: HashMap<u32, Namespace>,
    entering: Entering,
    refused: HashMap<u32, Instant>,
    /// Read, and not given out yet.
    waiting: VecDeque<IcmpMessage>,
    /// Whether those are in order of time.
    in_order: bool,
    /// When last read.
    read_ns: u64,
    missed: Missed,
    /// Reasons that were told.
    told: Vec<String>,
}

impl IcmpListener {
    /// Listens in the recorder's own namespace. What cannot be is among what is missed.
    pub(crate) fn start() -> Self {
        let own = std::fs::metadata("/proc/self/ns/net")
            .ok()
            .and_then(|metadata| u32::try_from(metadata.ino()).ok())
            .unwrap_or(0);
        let mut listener = Self::new(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).ok(), own);
        match sockets::open() {
            Ok(sockets) => listener.listen(own, sockets),
            Err(error) => listener.tell(format!("ICMP errors about connections: {error}")),
        }
        listener
    }

    fn new(epoll: Option<Epoll>, own: u32) -> Self {
        Self {
            epoll,
            own,
            namespaces: HashMap::new(),
            entering: Entering::default(),
            refused: HashMap::new(),
            waiting: VecDeque::new(),
            in_order: true,
            read_ns: 0,
            missed: Missed::default(),
            told: Vec::new(),
        }
    }

    /// What was not told since last asked.
    pub(crate) fn news_of_missed(&mut self) -> Missed {
        std::mem::take(&mut self.missed)
    }

    /// Somebody local was heard of in a namespace that this process is in.
    pub(crate) fn met(&mut self, netns: u32, pid: u32) {
        if netns == self.own || self.namespaces.is_empty() {
            // Where the own one cannot be listened in, others cannot either.
            return;
        }
        if let Some(namespace) = self.namespaces.get_mut(&netns) {
            namespace.heard = Instant::now();
        } else if !self.refused.contains_key(&netns) {
            self.entering.want(netns, pid);
        }
    }

    /// Enters the namespaces that were met.
    pub(crate) fn follow_namespaces(&mut self) {
        for Entered { netns, outcome } in self.entering.take() {
            match outcome {
                Ok(sockets) => self.listen(netns, sockets),
                Err(why) => {
                    self.refused.insert(netns, Instant::now());
                    if let Some(why) = why {
                        self.tell(format!("ICMP errors in other network namespaces: {why}"));
                    }
                }
            }
        }
        self.entering.begin();
    }

    /// Leaves namespaces that went quiet.
    pub(crate) fn tick(&mut self) {
        let own = self.own;
        self.namespaces
            .retain(|netns, namespace| *netns == own || namespace.heard.elapsed() < QUIET);
        self.refused.retain(|_, since| since.elapsed() < TRY_AGAIN);
    }

    /// Reads what has come. One call of the kernel where nothing has.
    pub(crate) fn read(&mut self) {
        let Some(epoll) = self.epoll.as_ref().filter(|_| !self.namespaces.is_empty()) else {
            return;
        };
        self.read_ns = boot_ns();
        let mut ready = [EpollEvent::empty(); 16];
        let count = epoll.wait(&mut ready, EpollTimeout::ZERO).unwrap_or(0);
        for event in ready.iter().take(count) {
            let (netns, family) = of_data(event.data());
            let Some(namespace) = self.namespaces.get_mut(&netns) else {
                continue;
            };
            let sockets = namespace.sockets.iter_mut();
            for socket in sockets.filter(|socket| socket.family == family) {
                for _ in 0..MOST_READ {
                    match socket.receive(netns) {
                        Received::Nothing => break,
                        Received::Other => {}
                        Received::Malformed => self.missed.malformed += 1,
                        Received::Error(_) if self.waiting.len() >= MOST_WAITING => {
                            self.missed.dropped += 1;
                        }
                        Received::Error(message) => {
                            self.waiting.push_back(message);
                            self.in_order = false;
                        }
                    }
                }
                self.missed.dropped += socket.news_of_dropped();
            }
        }
    }

    /// Reads what came before a moment, where that has not been done.
    pub(crate) fn read_until(&mut self, at_ns: u64) {
        if self.read_ns < at_ns {
            self.read();
        }
    }

    /// Gives out what came up to a moment. The records of all that happened before must have been given out already, and
    /// those of what came of it must not.
    pub(crate) fn give(&mut self, until_ns: u64, mut take: impl FnMut(&Input<'_>)) {
        // Asked for each query, so that it has to cost nothing where many wait for later ones.
        if !std::mem::replace(&mut self.in_order, true) {
            let waiting = self.waiting.make_contiguous();
            waiting.sort_by_key(|message| message.at_ns);
        }
        let count = self
            .waiting
            .partition_point(|message| message.at_ns <= until_ns);
        for message in self.waiting.drain(..count) {
            take(&Input::Icmp(message));
        }
    }

    fn listen(&mut self, netns: u32, sockets: Vec<RawSocket>) {
        let Some(epoll) = &self.epoll else {
            return;
        };
        for socket in &sockets {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, data(netns, socket.family));
            if let Err(error) = epoll.add(socket, event) {
                tracing::warn!(%error, netns, "errors of ICMP are not told of this network namespace");
            }
        }
        if self.namespaces.len() >= MOST_NAMESPACES {
            let others = self.namespaces.iter().filter(|(one, _)| **one != self.own);
            let oldest = others.min_by_key(|(_, namespace)| namespace.heard);
            if let Some(oldest) = oldest.map(|(netns, _)| *netns) {
                self.namespaces.remove(&oldest);
                self.missed.namespaces += 1;
            }
        }
        let heard = Instant::now();
        self.namespaces.insert(netns, Namespace { sockets, heard });
    }

    fn tell(&mut self, words: String) {
        if !self.told.contains(&words) {
            self.told.push(words.clone());
            self.missed.unsupported.push(words);
        }
    }
}

/// Whether a record ends a connection for a reason that ICMP may have told before, so that this has to be read first: the
/// kernel gives a message to raw sockets before TCP hears of it.
pub(crate) fn may_have_caused(input: &Input<'_>) -> bool {
    match input {
        Input::Socket(end) => {
            !matches!(end.error, 0 | EPIPE | ECONNRESET)
                || end.stats.soft_error.is_some_and(|error| error != 0)
                || end.stats.state == SYN_SENT
        }
        _ => false,
    }
}

/// Whether a datagram may be a query of DNS sent again because the one before came back, so that this has to be read first.
pub(crate) fn may_ask_again(datagram: &Datagram<'_>) -> bool {
    let is_sent = datagram.way == Way::Egress && datagram.look == Look::Dns;
    // The bit that answers have set (RFC 1035, section 4.1.1).
    is_sent && datagram.bytes.get(2).is_some_and(|flags| flags & 0x80 == 0)
}

/// What a peer's RST leaves, which comes often.
const EPIPE: u32 = 32;
const ECONNRESET: u32 = 104;

/// TCP_SYN_SENT of include/net/tcp_states.h.
const SYN_SENT: u8 = 2;

/// What the kernel says of a socket that is ready.
fn data(netns: u32, family: Family) -> u64 {
    u64::from(netns) << 1 | u64::from(family == Family::Six)
}

fn of_data(data: u64) -> (u32, Family) {
    let family = if data & 1 == 1 {
        Family::Six
    } else {
        Family::Four
    };
    (u32::try_from(data >> 1).unwrap_or(0), family)
}

#[cfg(test)]
mod tests {
    use headwater_assembly::{Quoted, QuotedSegment};

    use super::*;

    fn message(at_ns: u64) -> IcmpMessage {
        IcmpMessage {
            at_ns,
            netns: 1,
            from: "10.0.0.1".parse().unwrap(),
            kind: 3,
            code: 1,
            mtu: None,
            quoted: Quoted::Segment(QuotedSegment {
                source: "10.0.0.2:1".parse().unwrap(),
                destination: "10.0.0.3:2".parse().unwrap(),
                seq: 0,
            }),
        }
    }

    fn silent() -> IcmpListener {
        IcmpListener::new(None, 1)
    }

    #[test]
    fn messages_are_given_in_order_and_not_too_early() {
        let mut listener = silent();
        listener.waiting = [30, 10, 20].map(message).into();
        listener.in_order = false;
        let mut given = |until_ns| {
            let mut times = Vec::new();
            listener.give(until_ns, |input| {
                if let Input::Icmp(message) = input {
                    times.push(message.at_ns);
                }
            });
            times
        };
        assert_eq!(given(9), [0; 0]);
        assert_eq!(given(20), [10, 20]);
        assert_eq!(given(99), [30]);
        assert_eq!(given(99), [0; 0]);
    }

    #[test]
    fn a_reason_is_told_once() {
        let mut listener = silent();
        for _ in 0..3 {
            listener.tell("why".to_owned());
        }
        assert_eq!(listener.news_of_missed().unsupported, ["why"]);
        assert_eq!(listener.news_of_missed(), Missed::default());
    }

    #[test]
    fn a_socket_that_is_ready_is_found_again() {
        for family in [Family::Four, Family::Six] {
            assert_eq!(of_data(data(u32::MAX, family)), (u32::MAX, family));
        }
    }
}
