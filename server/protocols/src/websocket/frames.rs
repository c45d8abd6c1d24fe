//! One direction: the walk from frame to frame.
//!
//! Owns: the place in the stream, and how it is lost. Refuses: to find it (`faith` weighs), and to reorder: pieces and skips come in the order
//! of the stream.

use super::faith::{Faith, Standing};
use super::header::{Header, MAX_HEADER_BYTES, Opcode};
use super::message::{Begun, Tally};
use super::{Direction, Event, MalformedElement, close};

/// The frames of one direction of a connection.
#[derive(Debug)]
pub struct Frames {
    direction: Direction,
    /// RSV1 may be set.
    compression: bool,
    place: Place,
    faith: Faith,
    /// The beginning of a header whose end did not come yet.
    partial: [u8; MAX_HEADER_BYTES],
    /// How many bytes `partial` holds; 0 in every place but [`Place::Header`].
    held: usize,
    begun: Begun,
    close: close::Payload,
    tally: Tally,
    /// The place was known from the first byte to the latest.
    exact: bool,
    /// The next bytes begin a packet.
    packet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A header is due, or has begun.
    Header,
    /// In a payload, of which so many bytes, never 0, are to come.
    Payload { header: Header, left: u64 },
    /// Not known.
    Lost,
}

impl Frames {
    /// A direction from its first byte behind the handshake on.
    pub fn new(direction: Direction) -> Self {
        Self {
            direction,
            compression: true,
            place: Place::Header,
            faith: Faith::Known,
            partial: [0; MAX_HEADER_BYTES],
            held: 0,
            begun: Begun::Nothing,
            close: close::Payload::EMPTY,
            tally: Tally::default(),
            exact: true,
            packet: false,
        }
    }

    /// A direction joined in the middle: its place is to be found.
    pub fn joined_midstream(direction: Direction) -> Self {
        Self {
            place: Place::Lost,
            begun: Begun::Unknown,
            exact: false,
            ..Self::new(direction)
        }
    }

    /// The handshake did not agree on compression ([`Handshake::compression`](super::Handshake::compression)): RSV1 is
    /// malformed, and a place is found more surely.
    #[must_use]
    pub fn without_compression(mut self) -> Self {
        self.compression = false;
        self
    }

    /// The next bytes in this direction are the first of a packet's payload: only there a lost place is found again.
    pub fn packet(&mut self) {
        self.packet = true;
    }

    /// Bytes passed at `at_ns`.
    pub fn bytes(&mut self, at_ns: u64, data: &[u8], each: &mut impl FnMut(Event<'_>)) {
        if data.is_empty() {
            return;
        }
        let mut packet = std::mem::take(&mut self.packet);
        if packet && self.place == Place::Lost {
            self.place = Place::Header;
            self.faith = Faith::PacketStart;
        }
        let mut rest = data;
        while !rest.is_empty() {
            let used = match self.place {
                Place::Header => self.header(at_ns, rest, packet, each),
                Place::Payload { header, left } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    if header.opcode() == Opcode::Close {
                        self.close
                            .push(rest.get(..here).unwrap_or_default(), header.key);
                    }
                    self.pass(at_ns, header, left, here as u64, each);
                    here
                }
                Place::Lost => return,
            };
            rest = rest.get(used..).unwrap_or_default();
            packet = false;
        }
    }

    /// `length` bytes passed that are not here; 0 when it is not known how many.
    pub fn skipped(&mut self, at_ns: u64, length: u64, each: &mut impl FnMut(Event<'_>)) {
        self.packet = false;
        let mut beyond = length;
        if let (Place::Payload { header, left }, 1..) = (self.place, length) {
            let here = left.min(length);
            self.close.cut();
            self.pass(at_ns, header, left, here, each);
            beyond -= here;
        }
        if beyond > 0 || length == 0 {
            self.lose(each);
        }
    }

    /// What passed so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Whether the tally is all that passed, not a lower bound.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Takes the bytes of a header from the start of `data`, which may be that of a `packet`, and says how many.
    fn header(
        &mut self,
        at_ns: u64,
        data: &[u8],
        packet: bool,
        each: &mut impl FnMut(Event<'_>),
    ) -> usize {
        let before = self.held;
        for (place, byte) in self.partial.iter_mut().skip(before).zip(data) {
            *place = *byte;
            self.held += 1;
        }
        let held = self.partial.get(..self.held).unwrap_or_default();
        let Some((header, size)) = Header::read(held) else {
            return data.len();
        };
        self.held = 0;
        let used = size.saturating_sub(before);
        if !self.exact {
            let behind = data.get(used..).unwrap_or_default();
            let standing = Standing {
                direction: self.direction,
                compression: self.compression,
                packet: packet && before == 0,
                behind,
            };
            let faith = self.faith;
            match faith.weigh(header, standing) {
                Some(weighed) => self.faith = weighed,
                None => self.lose(each),
            }
            if faith != Faith::Known && self.faith == Faith::Known {
                each(Event::PlaceFound);
            }
        }
        if self.place == Place::Header {
            self.enter(at_ns, header, each);
        }
        used
    }

    /// A frame begins.
    fn enter(&mut self, at_ns: u64, header: Header, each: &mut impl FnMut(Event<'_>)) {
        if self.faith == Faith::Known {
            self.begin(at_ns, header, each);
        }
        if header.has_top_bit() {
            self.lose(each);
        } else if header.length == 0 {
            self.end_frame(at_ns, header, each);
        } else {
            let left = header.length;
            self.place = Place::Payload { header, left };
        }
    }

    /// Counts what a header says, in a place that is known.
    fn begin(&mut self, at_ns: u64, header: Header, each: &mut impl FnMut(Event<'_>)) {
        let mut malformed = |element| {
            self.tally.malformed += 1;
            each(Event::Malformed(element));
        };
        header
            .malformed(self.direction, self.compression)
            .for_each(&mut malformed);
        if self.tally.close > 0 {
            malformed(MalformedElement::BehindClose);
        }
        if let Some(element) = self.begun.frame(header, at_ns) {
            malformed(element);
        }
        self.tally.continuation_frames += u64::from(header.opcode() == Opcode::Continuation);
        self.close = close::Payload::EMPTY;
    }

    /// Passes `bytes`, not more than are `left`, of a payload.
    fn pass(
        &mut self,
        at_ns: u64,
        header: Header,
        left: u64,
        bytes: u64,
        each: &mut impl FnMut(Event<'_>),
    ) {
        if self.faith == Faith::Known {
            self.tally.payload_bytes = self.tally.payload_bytes.saturating_add(bytes);
            if is_data(header.opcode()) {
                self.begun.payload(bytes);
            }
        }
        match left.saturating_sub(bytes) {
            0 => self.end_frame(at_ns, header, each),
            left => self.place = Place::Payload { header, left },
        }
    }

    /// A frame ended, and a header is due.
    fn end_frame(&mut self, at_ns: u64, header: Header, each: &mut impl FnMut(Event<'_>)) {
        self.place = Place::Header;
        if self.faith != Faith::Known {
            return;
        }
        match header.opcode() {
            Opcode::Close => {
                self.tally.close += 1;
                each(Event::Close(self.close.read(header.length)));
            }
            Opcode::Ping => {
                self.tally.ping += 1;
                each(Event::Ping);
            }
            Opcode::Pong => {
                self.tally.pong += 1;
                each(Event::Pong);
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary if header.is_final() => {
                if let Some(message) = self.begun.end(at_ns) {
                    self.tally.message(message);
                    each(Event::Message(message));
                }
            }
            Opcode::Continuation | Opcode::Text | Opcode::Binary | Opcode::Reserved(_) => {}
        }
    }

    /// Where the next header stands is not known.
    fn lose(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if self.place != Place::Lost && self.faith == Faith::Known {
            each(Event::PlaceLost);
        }
        self.place = Place::Lost;
        self.held = 0;
        self.begun = Begun::Unknown;
        self.exact = false;
    }
}

fn is_data(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Continuation | Opcode::Text | Opcode::Binary)
}
