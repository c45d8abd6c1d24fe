//! Records of one direction, as far as their boundaries are known.

use super::{CHANGE_CIPHER_SPEC, HANDSHAKE, HEARTBEAT};
use crate::held;

/// One direction.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Lane {
    /// The header of a record that is not whole.
    header: [u8; HEADER_BYTES],
    filled: usize,
    /// The record at hand: its type, and how much of it is to come.
    record: Option<(u8, usize)>,
    /// Where the next record begins is not known, until a turn begins.
    is_lost: bool,
    begins_turn: bool,
    /// Messages of the handshake that are not whole.
    message: Vec<u8>,
    /// What is still to come of a message that is too long to be held.
    beyond: usize,
    /// Bytes that passed.
    pub(super) passed: u64,
    /// Since the ServerHello, bytes of records that were not read.
    pub(super) unread: u64,
    /// It has changed to encryption (up to TLS 1.2).
    pub(super) is_sealed: bool,
    /// Since when nothing more comes.
    closed_ns: Option<u64>,
    /// When its Finished passed.
    pub(super) finished_ns: Option<u64>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next<'d> {
    /// A record begins.
    Record {
        /// Its type.
        kind: u8,
        /// Bytes in it.
        length: usize,
    },
    /// Bytes of a record.
    Payload {
        /// Its type.
        kind: u8,
        /// What they are.
        bytes: &'d [u8],
    },
    /// It is not TLS that this direction begins with.
    NotTls,
}

impl Lane {
    /// The next bytes begin a turn, and so a record.
    pub(super) fn turn(&mut self) {
        self.begins_turn = true;
    }

    /// Nothing more comes. What passed before may be told later.
    pub(super) fn closed(&mut self, at_ns: u64) {
        self.closed_ns.get_or_insert(at_ns);
    }

    /// Whether it was closed then.
    pub(super) fn was_closed(&self, at_ns: u64) -> bool {
        self.closed_ns.is_some_and(|closed_ns| closed_ns <= at_ns)
    }

    /// Reads on in `data`.
    pub(super) fn next<'d>(&mut self, data: &mut &'d [u8]) -> Option<Next<'d>> {
        if data.is_empty() {
            return None;
        }
        // What begins a turn is believed to be a record until its header shows that it is none.
        if std::mem::take(&mut self.begins_turn) && self.is_lost {
            self.is_lost = false;
            (self.filled, self.record) = (0, None);
        }
        if self.is_lost {
            self.pass(data.len());
            self.unread += data.len() as u64;
            *data = &[];
            return None;
        }
        if let Some((kind, left)) = self.record {
            let (bytes, rest) = data.split_at_checked(left).unwrap_or((data, &[]));
            *data = rest;
            self.pass(bytes.len());
            self.record = (bytes.len() < left).then_some((kind, left - bytes.len()));
            return Some(Next::Payload { kind, bytes });
        }
        let is_first = self.passed == 0 || self.passed == self.filled as u64;
        while self.filled < HEADER_BYTES {
            let (byte, rest) = data.split_first()?;
            *data = rest;
            self.pass(1);
            if let Some(place) = self.header.get_mut(self.filled) {
                *place = *byte;
            }
            self.filled += 1;
            if !may_begin(self.header.get(..self.filled).unwrap_or_default()) {
                self.unread += self.filled as u64;
                (self.filled, self.beyond, self.is_lost) = (0, 0, true);
                self.message = Vec::new();
                if is_first {
                    return Some(Next::NotTls);
                }
                return self.next(data);
            }
        }
        self.filled = 0;
        let (kind, length) = read(&self.header)?;
        self.record = (length > 0).then_some((kind, length));
        Some(Next::Record { kind, length })
    }

    /// So many bytes are missing. Says whether that was inside a record, whose end is still known.
    pub(super) fn skip(&mut self, length: u64) -> bool {
        self.passed = self.passed.saturating_add(length);
        let missing = usize::try_from(length).unwrap_or(usize::MAX);
        match self.record {
            Some((kind, left)) if missing <= left && !self.is_lost => {
                self.record = (missing < left).then_some((kind, left - missing));
                // A message that is too long ends where it said. Of what follows otherwise in it nobody knows where a message begins.
                if kind == HANDSHAKE {
                    self.beyond = if self.beyond > 0 && self.beyond >= missing {
                        self.beyond - missing
                    } else {
                        left - missing
                    };
                }
                true
            }
            record => {
                let inside = record.filter(|_| !self.is_lost).map_or(0, |(_, left)| left);
                let unknown = length - (inside as u64).min(length) + self.filled as u64;
                self.unread = self.unread.saturating_add(unknown);
                (self.record, self.filled, self.beyond) = (None, 0, 0);
                self.is_lost = true;
                false
            }
        }
    }

    /// Bytes of messages. What is too long is read as far as it is held.
    pub(super) fn append(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(u8, &[u8], bool)) {
        loop {
            let over = self.beyond.min(bytes.len());
            self.beyond -= over;
            bytes = bytes.get(over..).unwrap_or_default();
            let room = MAX_MESSAGE_BYTES.saturating_sub(self.message.len());
            let (now, later) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            held::append(&mut self.message, now);
            bytes = later;
            // There may be thousands of them: what was read goes at once.
            let mut rest = &self.message[..];
            while let Some((kind, length)) = message_head(rest)
                && let Some((whole, behind)) = rest.split_at_checked(MESSAGE_HEADER + length)
            {
                each(kind, whole.get(MESSAGE_HEADER..).unwrap_or_default(), true);
                rest = behind;
            }
            if rest.len() < self.message.len() {
                self.message = rest.to_vec();
            }
            if self.message.len() == MAX_MESSAGE_BYTES {
                self.cut(each);
            }
            if bytes.is_empty() {
                return;
            }
        }
    }

    /// What is held of a message is all that there will be.
    pub(super) fn cut(&mut self, each: &mut dyn FnMut(u8, &[u8], bool)) {
        let message = std::mem::take(&mut self.message);
        let Some((kind, length)) = message_head(&message) else {
            return;
        };
        let body = message.get(MESSAGE_HEADER..).unwrap_or_default();
        self.beyond = length.saturating_sub(body.len());
        each(kind, body, false);
    }

    /// Holds nothing more.
    pub(super) fn let_go(&mut self) {
        self.message = Vec::new();
    }

    /// Bytes of memory in messages.
    pub(super) fn held_bytes(&self) -> usize {
        self.message.capacity()
    }

    fn pass(&mut self, bytes: usize) {
        self.passed = self.passed.saturating_add(bytes as u64);
    }
}

/// Type and length of a record whose header is there.
fn read(bytes: &[u8]) -> Option<(u8, usize)> {
    let header = bytes.get(..HEADER_BYTES)?;
    match header {
        [kind, _, _, high, low] if may_begin(header) => {
            Some((*kind, usize::from(u16::from_be_bytes([*high, *low]))))
        }
        _ => None,
    }
}

/// Whether a record's header may begin so (RFC 8446, section 5.1; lengths as up to TLS 1.2).
fn may_begin(header: &[u8]) -> bool {
    let of = |place: usize, may: fn(u8) -> bool| header.get(place).is_none_or(|byte| may(*byte));
    of(0, |kind| (CHANGE_CIPHER_SPEC..=HEARTBEAT).contains(&kind))
        && of(1, |major| major == 3)
        && of(2, |minor| minor <= 4)
        && of(3, |high| high <= 0x48)
}

/// Type and length of the message that begins there.
fn message_head(message: &[u8]) -> Option<(u8, usize)> {
    let (&[kind, a, b, c], _) = message.split_first_chunk::<MESSAGE_HEADER>()?;
    let length = u32::from_be_bytes([0, a, b, c]);
    Some((kind, usize::try_from(length).ok()?))
}

const HEADER_BYTES: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// What is held of messages in one direction.
pub(super) const MAX_MESSAGE_BYTES: usize = 24 << 10;
