//! What a probe would keep for each socket, kept for each sender of a capture file: positions in the stream.

use std::{collections::HashMap, net::SocketAddr};

use headwater_assembly::{Assembly, Datagram, End, Identities, Input, Look, Place, Turn, Way};

use super::packet::{Segment, UdpDatagram};

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
}

impl Sender {
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
        if segment.payload_length > 0 && !segment.flags.syn {
            self.payload(at_ns, key, segment, assembly);
        }
        if segment.flags.fin || segment.flags.rst {
            self.close(at_ns, key, segment, assembly);
        }
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
        if self
            .senders
            .get(&key)
            .is_some_and(|sender| sender.base == base)
        {
            return;
        }
        let cookie = self.new_cookie();
        self.senders.insert(
            key,
            Sender {
                cookie,
                base,
                position: 0,
                opened: false,
                last_ns: 0,
            },
        );
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
        if let Some(peer) = self.senders.get(&(key.1, key.0))
            && let Some(position) = peer.position_of(segment.ack)
        {
            assembly.acknowledged(peer.cookie, position);
        }
    }

    fn payload<I: Identities>(
        &mut self,
        at_ns: u64,
        key: (SocketAddr, SocketAddr),
        segment: &Segment<'_>,
        assembly: &mut Assembly<I>,
    ) {
        if !self.senders.contains_key(&key) {
            let cookie = self.new_cookie();
            self.senders.insert(
                key,
                Sender {
                    cookie,
                    base: segment.seq,
                    position: 0,
                    opened: false,
                    last_ns: 0,
                },
            );
        }
        let Some(sender) = self.senders.get_mut(&key) else {
            return;
        };
        if !sender.opened {
            sender.opened = true;
            assembly.take(&Input::Open(end(at_ns, sender.cookie, segment, 0, 0)));
        }
        // Before the first byte seen (a late packet of a connection joined in the middle): nowhere to put it.
        let Some(offset) = sender.position_of(segment.seq) else {
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
            seq: segment.seq,
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
        let (cookie, position, last_ns) = match self.senders.get(&key) {
            Some(sender) => (sender.cookie, sender.position, sender.last_ns),
            None => (self.new_cookie(), 0, 0),
        };
        // A FIN stands behind the last byte: it tells of bytes that the capture lacks.
        let told = self.senders.get(&key).and_then(|sender| {
            sender.position_of(segment.seq.wrapping_add(segment.payload_length))
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
    }
}
