//! What a probe would keep for each socket, kept for each sender of a capture file: positions in the stream.

use std::{collections::HashMap, net::SocketAddr};

use headwater_assembly::{Assembly, Datagram, End, Identities, Input, Look, Place, Turn, Way};

use super::{
    count::Counter,
    packet::{Segment, UdpDatagram},
};

/// Senders remembered; beyond, all are forgotten and connections go on as if joined in the middle.
const MAX_SENDERS: usize = 65_536;

struct Sender {
    cookie: u64,
    /// Sequence number of the stream's first byte.
    base: u32,
    /// Highest position told, to extend 32 bits to 64.
    position: u64,
    opened: bool,
    last_ns: u64,
    /// When its SYN or SYN-ACK was seen.
    syn_ns: Option<u64>,
    counter: Counter,
    /// It has sent a FIN or RST: what comes now is told at once.
    is_closing: bool,
}

impl Sender {
    fn new(cookie: u64, base: u32, syn_ns: Option<u64>) -> Self {
        Self {
            cookie,
            base,
            position: 0,
            opened: false,
            last_ns: 0,
            syn_ns,
            counter: Counter::default(),
            is_closing: false,
        }
    }

    /// Position of a sequence number, near the highest one told.
    fn position_of(&self, seq: u32) -> Option<u64> {
        let low = u32::try_from(self.position & u64::from(u32::MAX)).unwrap_or(0);
        let ahead = seq.wrapping_sub(self.base).wrapping_sub(low);
        let ahead = i64::from(i32::from_ne_bytes(ahead.to_ne_bytes()));
        self.position.checked_add_signed(ahead)
    }
}

/// All senders of a file.
#[derive(Default)]
pub(crate) struct Tracker {
    senders: HashMap<(SocketAddr, SocketAddr), Sender>,
    next_cookie: u64,
    forgotten: u64,
}

impl Tracker {
    /// Tells the assembly of one segment.
    pub(crate) fn take<I: Identities>(
        &mut self,
        at_ns: u64,
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        if self.senders.len() >= MAX_SENDERS {
            self.forgotten += self.senders.len() as u64;
            self.senders.clear();
        }
        let key = (segment.source, segment.destination);
        if segment.flags.syn {
            self.syn(at_ns, key, segment, assembly);
        }
        self.acknowledge(key, segment, assembly);
        self.count(at_ns, key, segment);
        if segment.payload_length > 0 {
            self.payload(at_ns, key, segment, assembly);
        }
        if segment.flags.fin || segment.flags.rst {
            self.close(at_ns, key, segment, assembly);
        } else if self
            .senders
            .get(&key)
            .is_some_and(|sender| sender.is_closing)
        {
            self.tell(key, assembly);
        }
    }

    /// Tells the sums of all senders, when the file is at its end.
    pub(crate) fn finish<I: Identities>(&self, assembly: &mut Assembly<I>) {
        for key in self.senders.keys() {
            self.tell(*key, assembly);
        }
    }

    fn tell<I: Identities>(&self, key: (SocketAddr, SocketAddr), assembly: &mut Assembly<I>) {
        if let Some(sender) = self.senders.get(&key) {
            assembly.counted(key.0, key.1, &sender.counter.counts());
        }
    }

    fn count(&mut self, at_ns: u64, key: (SocketAddr, SocketAddr), segment: &Segment<'_>) {
        // Joined in the middle, a stream begins with its first payload: the number of a keep-alive is another's.
        if segment.payload_length > 0 && !self.senders.contains_key(&key) {
            let sender = Sender::new(self.new_cookie(), segment.seq, None);
            self.senders.insert(key, sender);
        }
        let Some(sender) = self.senders.get_mut(&key) else {
            return;
        };
        let offset = sender.position_of(segment.payload_seq());
        sender.counter.take(at_ns, segment, offset);
    }

    /// How many senders were forgotten for want of room.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn syn<I: Identities>(
        &mut self,
        at_ns: u64,
        key: (SocketAddr, SocketAddr),
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        let base = segment.seq.wrapping_add(1);
        if let Some(sender) = self.senders.get(&key)
            && sender.base == base
        {
            // One that comes behind the payload that it opens is of no use any more.
            if sender.syn_ns.is_some() {
                let again = end(at_ns, sender.cookie, segment, 0, 0);
                assembly.take(&Input::Syn(again));
            }
            return;
        }
        if segment.flags.ack {
            let peer = (key.1, key.0);
            let asked_ns = self.senders.get(&peer).and_then(|peer| peer.syn_ns);
            let round_trip_ns = asked_ns.map(|asked_ns| at_ns.saturating_sub(asked_ns));
            if let Some(peer) = self.senders.get_mut(&peer) {
                peer.counter.round_trip_ns = round_trip_ns;
            }
        } else {
            self.tell(key, assembly);
            self.tell((key.1, key.0), assembly);
        }
        let cookie = self.new_cookie();
        let mut sender = Sender::new(cookie, base, Some(at_ns));
        sender.counter.round_trip_ns = self
            .senders
            .get(&(key.1, key.0))
            .and_then(|peer| peer.counter.round_trip_ns);
        self.senders.insert(key, sender);
        assembly.take(&Input::Syn(end(at_ns, cookie, segment, 0, 0)));
    }

    /// The peer has what it acknowledges: a hole before that is the capture's.
    fn acknowledge<I: Identities>(
        &mut self,
        key: (SocketAddr, SocketAddr),
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        if !segment.flags.ack {
            return;
        }
        if let Some(peer) = self.senders.get_mut(&(key.1, key.0))
            && let Some(position) = peer.position_of(segment.ack)
        {
            assembly.acknowledged(peer.cookie, position);
            peer.counter.acknowledged(position, segment);
        }
    }

    fn payload<I: Identities>(
        &mut self,
        at_ns: u64,
        key: (SocketAddr, SocketAddr),
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        let Some(sender) = self.senders.get_mut(&key) else {
            return;
        };
        if !sender.opened {
            sender.opened = true;
            let mut opening = end(at_ns, sender.cookie, segment, 0, 0);
            // Where the payload is a SYN's, that has been told of by itself.
            (opening.flags.syn, opening.handshake) = (false, None);
            assembly.take(&Input::Open(opening));
        }
        // Before the first byte seen (a late packet of a connection joined in the middle): nowhere to put it.
        let Some(offset) = sender.position_of(segment.payload_seq()) else {
            return;
        };
        assembly.take(&Input::Turn(Turn {
            at_ns,
            cookie: sender.cookie,
            way: Way::Egress,
            thread_id: 0,
            owned: Some(false),
            offset,
            previous_ns: sender.last_ns,
            previous_last_chunk: false,
            seq: segment.payload_seq(),
            ack: segment.ack,
            payload_length: segment.payload_length,
            number: None,
            place: Place::File,
            bytes: segment.payload,
        }));
        sender.position = sender
            .position
            .max(offset + u64::from(segment.payload_length));
        sender.last_ns = at_ns;
    }

    fn close<I: Identities>(
        &mut self,
        at_ns: u64,
        key: (SocketAddr, SocketAddr),
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        self.tell(key, assembly);
        self.tell((key.1, key.0), assembly);
        let (cookie, position, last_ns) = match self.senders.get_mut(&key) {
            Some(sender) => {
                sender.is_closing = true;
                (sender.cookie, sender.position, sender.last_ns)
            }
            None => (self.new_cookie(), 0, 0),
        };
        // A FIN stands behind the last byte: it tells of bytes that the capture lacks.
        let told = self.senders.get(&key).and_then(|sender| {
            sender.position_of(segment.payload_seq().wrapping_add(segment.payload_length))
        });
        let offset = if segment.flags.fin {
            told.unwrap_or(position)
        } else {
            position
        };
        assembly.take(&Input::Close(end(at_ns, cookie, segment, offset, last_ns)));
    }

    fn new_cookie(&mut self) -> u64 {
        self.next_cookie += 1;
        self.next_cookie
    }
}

/// Tells the assembly of one datagram.
pub(crate) fn take_datagram<I: Identities>(
    at_ns: u64,
    datagram: &UdpDatagram<'_>,
    assembly: &mut Assembly<I>,
) {
    assembly.take(&Input::Datagram(Datagram {
        at_ns,
        cookie: 0,
        local: datagram.source,
        remote: datagram.destination,
        way: Way::Egress,
        netns: 0,
        loopback: false,
        look: Look::File,
        payload_length: datagram.payload_length,
        bytes: datagram.payload,
    }));
}

fn end(at_ns: u64, cookie: u64, segment: &Segment<'_>, offset: u64, last_ns: u64) -> End {
    End {
        at_ns,
        cookie,
        local: segment.source,
        remote: segment.destination,
        way: Way::Egress,
        flags: segment.flags,
        netns: 0,
        loopback: false,
        offset,
        last_ns,
        ip: Some(segment.ip),
        handshake: segment.handshake,
    }
}
