//! The order of bytes in one direction.
//!
//! Owns: what was delivered to the parser so far, and a small store of pieces that came too early. Says of each stretch
//! whether it is bytes, or was not copied, or is lost. Does not parse.
//!
//! Invariant: what is held is bounded by `MAX_HELD_BYTES` and `MAX_HELD_PIECES`; over it the gap is given up as lost.

use crate::Place;

/// Most bytes held for one direction while a gap is open. Two directions make 64 KiB a connection at most.
const MAX_HELD_BYTES: usize = 32 << 10;
/// Most pieces held.
const MAX_HELD_PIECES: usize = 32;

/// Why bytes are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The probes counted them without copying: they lie beyond the cap of their turn.
    NotCopied {
        /// Whether they end with the last chunk of a chunked body.
        last_chunk: bool,
    },
    /// They should be here and are not.
    Lost,
}

/// A stretch of the stream, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stretch<'a> {
    /// Bytes.
    Bytes {
        /// When they passed.
        at_ns: u64,
        /// The caller's tag of the packet.
        tag: u64,
        /// Whether they begin a packet, or a frame.
        packet: bool,
        /// Whether the probes take them for WebSocket's, which they may know by their looks alone.
        websocket: bool,
        /// What they are.
        data: &'a [u8],
    },
    /// A hole.
    Hole {
        /// When the last of it passed, as far as known.
        at_ns: u64,
        /// How many.
        length: u64,
        /// Why.
        why: Missing,
    },
    /// A frame of HTTP/2 begins with the next bytes.
    Frame,
    /// The peer has talked and been heard: what follows begins a turn.
    Turn,
}

/// A packet's payload as it comes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    pub(crate) at_ns: u64,
    pub(crate) tag: u64,
    pub(crate) offset: u64,
    pub(crate) payload_length: u32,
    pub(crate) number: Option<u32>,
    pub(crate) place: Place,
    pub(crate) previous_ns: u64,
    pub(crate) previous_last_chunk: bool,
    /// It was told by the other end, in place of a record that was lost.
    pub(crate) other_end: bool,
    pub(crate) bytes: &'a [u8],
}

/// What is delivered: the bytes of a packet, or of a frame in one.
struct Packet<'a> {
    at_ns: u64,
    tag: u64,
    offset: u64,
    payload_length: u32,
    /// They are its first.
    begins: bool,
    /// The probes take them for WebSocket's.
    websocket: bool,
    bytes: &'a [u8],
}

struct Held {
    at_ns: u64,
    tag: u64,
    offset: u64,
    payload_length: u32,
    bytes: Box<[u8]>,
}

/// One direction.
#[derive(Default)]
pub(crate) struct Stream {
    /// Bytes delivered or given up.
    at: u64,
    /// The next record's number.
    number: u32,
    begun: bool,
    held: Vec<Held>,
    held_bytes: usize,
    /// Payload packets that brought nothing new.
    pub(crate) repeats: u32,
}

impl Stream {
    /// A direction whose first byte has the offset 0, or that is joined in the middle: then it begins with what comes first.
    pub(crate) fn new(joined_midstream: bool) -> Self {
        Self {
            begun: !joined_midstream,
            ..Self::default()
        }
    }

    /// It comes from another socket from here on, which has counts of its own: it begins with what comes first there.
    pub(crate) fn begin_anew(&mut self, give: &mut dyn FnMut(Stretch<'_>)) {
        self.give_up(give);
        self.begun = false;
    }

    /// Bytes that passed, as far as known.
    pub(crate) fn passed(&self) -> u64 {
        self.at
    }

    /// Bytes of memory in pieces that came too early.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes + self.held.capacity() * size_of::<Held>()
    }

    /// Gives up all gaps: what came too early is delivered.
    pub(crate) fn give_up(&mut self, give: &mut dyn FnMut(Stretch<'_>)) {
        self.release(true, give);
        self.held = Vec::new();
    }

    /// Takes one packet and gives what is in order now.
    pub(crate) fn take(&mut self, piece: &Piece<'_>, give: &mut dyn FnMut(Stretch<'_>)) {
        if !self.begun {
            self.begun = true;
            self.at = piece.offset;
            self.number = piece.number.unwrap_or(0);
        }
        let lost_records =
            piece.other_end || piece.number.is_some_and(|number| number != self.number);
        if !piece.other_end {
            self.number = piece.number.map_or(0, |number| number.wrapping_add(1));
        }
        let end = piece.offset.wrapping_add(u64::from(piece.payload_length));
        if end <= self.at {
            self.repeats = self.repeats.saturating_add(1);
            return;
        }
        if piece.offset > self.at {
            match piece.place {
                // The rest of the turn or frame before was not copied; unless records are missing, that is all there is to the gap.
                Place::NewTurn
                | Place::Frame
                | Place::InFrame
                | Place::WebSocketFrame
                | Place::InWebSocketFrame => {
                    self.release(true, give);
                    let why = if lost_records {
                        Missing::Lost
                    } else {
                        Missing::NotCopied {
                            last_chunk: piece.previous_last_chunk,
                        }
                    };
                    self.hole_to(piece.offset, piece.previous_ns, why, give);
                }
                Place::SameTurn if lost_records => {
                    self.hole_to(piece.offset, piece.previous_ns, Missing::Lost, give);
                }
                // Packets that changed places, or a capture file with a hole: wait.
                Place::SameTurn | Place::File => return self.hold(piece, give),
            }
        }
        match piece.place {
            // What is known of it already goes on where it was.
            Place::Frame if piece.offset < self.at => {}
            Place::Frame => give(Stretch::Frame),
            Place::NewTurn => give(Stretch::Turn),
            Place::File
            | Place::InFrame
            | Place::SameTurn
            | Place::WebSocketFrame
            | Place::InWebSocketFrame => {}
        }
        let packet = Packet {
            at_ns: piece.at_ns,
            tag: piece.tag,
            offset: piece.offset,
            payload_length: piece.payload_length,
            begins: !matches!(piece.place, Place::InFrame | Place::InWebSocketFrame),
            websocket: matches!(piece.place, Place::WebSocketFrame | Place::InWebSocketFrame),
            bytes: piece.bytes,
        };
        self.deliver(&packet, give);
        self.release(false, give);
    }

    /// All bytes before `offset` have passed, the last of them at `at_ns`: what was not delivered never will be.
    pub(crate) fn advance(
        &mut self,
        offset: u64,
        at_ns: u64,
        why: Missing,
        give: &mut dyn FnMut(Stretch<'_>),
    ) {
        if !self.begun {
            self.begun = true;
            self.at = offset;
            return;
        }
        if !self.held.is_empty() {
            self.release(true, give);
        }
        self.hole_to(offset, at_ns, why, give);
    }

    /// Gives up the gaps that the peer has acknowledged up to `offset`: it has the bytes, the capture has not.
    pub(crate) fn acknowledged(&mut self, offset: u64, give: &mut dyn FnMut(Stretch<'_>)) {
        while let Some(first) = self.held.iter().map(|held| held.offset).min() {
            if first > offset {
                return;
            }
            self.hole_to(first, 0, Missing::Lost, give);
            self.release(false, give);
        }
    }

    fn hole_to(
        &mut self,
        offset: u64,
        at_ns: u64,
        why: Missing,
        give: &mut dyn FnMut(Stretch<'_>),
    ) {
        if let Some(length) = offset.checked_sub(self.at).filter(|length| *length > 0) {
            self.at = offset;
            give(Stretch::Hole { at_ns, length, why });
        }
    }

    fn deliver(&mut self, packet: &Packet<'_>, give: &mut dyn FnMut(Stretch<'_>)) {
        let known = usize::try_from(self.at.saturating_sub(packet.offset)).unwrap_or(usize::MAX);
        if let Some(fresh) = packet.bytes.get(known..).filter(|fresh| !fresh.is_empty()) {
            self.at = packet.offset + packet.bytes.len() as u64;
            give(Stretch::Bytes {
                at_ns: packet.at_ns,
                tag: packet.tag,
                packet: known == 0 && packet.begins,
                websocket: packet.websocket,
                data: fresh,
            });
        }
        let end = packet.offset + u64::from(packet.payload_length);
        if end > self.at {
            let length = end - self.at;
            self.at = end;
            give(Stretch::Hole {
                at_ns: packet.at_ns,
                length,
                why: Missing::NotCopied { last_chunk: false },
            });
        }
    }

    fn hold(&mut self, piece: &Piece<'_>, give: &mut dyn FnMut(Stretch<'_>)) {
        self.held_bytes += piece.bytes.len();
        self.held.push(Held {
            at_ns: piece.at_ns,
            tag: piece.tag,
            offset: piece.offset,
            payload_length: piece.payload_length,
            bytes: piece.bytes.into(),
        });
        while self.held_bytes > MAX_HELD_BYTES || self.held.len() > MAX_HELD_PIECES {
            let Some(first) = self.held.iter().map(|held| held.offset).min() else {
                return;
            };
            self.hole_to(first, 0, Missing::Lost, give);
            self.release(false, give);
        }
    }

    /// Delivers what is held and in order now; with `all`, gaps are given up until nothing is held.
    fn release(&mut self, all: bool, give: &mut dyn FnMut(Stretch<'_>)) {
        while let Some((index, first)) = self
            .held
            .iter()
            .enumerate()
            .min_by_key(|(_, held)| held.offset)
            .map(|(i, h)| (i, h.offset))
        {
            if first > self.at {
                if !all {
                    return;
                }
                self.hole_to(first, 0, Missing::Lost, give);
            }
            let held = self.held.swap_remove(index);
            self.held_bytes -= held.bytes.len();
            if held.offset + u64::from(held.payload_length) > self.at {
                let packet = Packet {
                    at_ns: held.at_ns,
                    tag: held.tag,
                    offset: held.offset,
                    payload_length: held.payload_length,
                    begins: true,
                    websocket: false,
                    bytes: &held.bytes,
                };
                self.deliver(&packet, give);
            }
        }
    }
}

#[cfg(test)]
mod tests;
