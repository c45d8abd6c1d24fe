//! Length-prefixed messages: one byte that tells whether it is compressed, four bytes of length, the message.
//!
//! Owns: the place in them. Refuses: to go on behind a flag that means nothing, for what follows is not gRPC.

/// A flag and a length.
const PREFIX_BYTES: usize = 5;
/// gRPC-Web: not a message but the trailers (its "PROTOCOL-WEB" specification).
const TRAILERS: u8 = 0x80;

/// The messages of one direction of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Messages {
    place: Place,
    /// Flags that are known besides "compressed".
    web: bool,
    tally: Tally,
    exact: bool,
}

/// What passed in one direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Messages that are whole.
    pub messages: u64,
    /// Bytes of messages, whole or not, without prefixes; compressed where they are.
    pub message_bytes: u64,
    /// Compressed ones, of those in `messages`.
    pub compressed: u64,
    /// Flags that mean nothing: 0 or 1, for nothing is read behind one.
    pub malformed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a prefix, of which `held` bytes came.
    Prefix {
        bytes: [u8; PREFIX_BYTES],
        held: usize,
    },
    /// In a message, of which so many bytes, never 0, are to come.
    Message { flags: u8, left: u64 },
    /// Not known.
    Lost,
}

impl Place {
    const PREFIX: Self = Self::Prefix {
        bytes: [0; PREFIX_BYTES],
        held: 0,
    };
}

impl Default for Messages {
    fn default() -> Self {
        Self::new()
    }
}

impl Messages {
    /// A direction of a gRPC stream, from its first byte of DATA on.
    pub fn new() -> Self {
        Self {
            place: Place::PREFIX,
            web: false,
            tally: Tally::default(),
            exact: true,
        }
    }

    /// A direction of a gRPC-Web exchange ([`Protocol::Web`](super::Protocol::Web)): its trailers come among the messages,
    /// and are none.
    pub fn web() -> Self {
        Self {
            web: true,
            ..Self::new()
        }
    }

    /// Bytes passed.
    pub fn bytes(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let used = match self.place {
                Place::Prefix { bytes, held } => self.prefix(bytes, held, rest),
                Place::Message { flags, left } => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    self.pass(flags, left, here as u64);
                    here
                }
                Place::Lost => return,
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// `length` bytes passed that are not here; 0 when it is not known how many.
    pub fn skipped(&mut self, length: u64) {
        let mut beyond = length;
        if let (Place::Message { flags, left }, 1..) = (self.place, length) {
            let here = left.min(length);
            self.pass(flags, left, here);
            beyond -= here;
        }
        if beyond > 0 || length == 0 {
            self.lose();
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

    /// Whether a message has begun and not ended. At the end of the stream: it was cut.
    pub fn is_within(&self) -> bool {
        matches!(
            self.place,
            Place::Message { .. } | Place::Prefix { held: 1.., .. }
        )
    }

    /// Takes the bytes of a prefix from the start of `data`, and says how many.
    fn prefix(&mut self, mut bytes: [u8; PREFIX_BYTES], before: usize, data: &[u8]) -> usize {
        let mut used = 0;
        for (place, byte) in bytes.iter_mut().skip(before).zip(data) {
            *place = *byte;
            used += 1;
        }
        let held = before + used;
        let [flags, length @ ..] = bytes;
        if flags & !1 != 0 && !(self.web && flags & !1 == TRAILERS) {
            self.tally.malformed += 1;
            self.lose();
        } else if held < PREFIX_BYTES {
            self.place = Place::Prefix { bytes, held };
        } else {
            self.pass(flags, u64::from(u32::from_be_bytes(length)), 0);
        }
        used
    }

    /// Passes `bytes`, not more than are `left`, of a message.
    fn pass(&mut self, flags: u8, left: u64, bytes: u64) {
        let is_message = flags & TRAILERS == 0;
        if is_message {
            self.tally.message_bytes = self.tally.message_bytes.saturating_add(bytes);
        }
        self.place = match left.saturating_sub(bytes) {
            0 => {
                self.tally.messages += u64::from(is_message);
                self.tally.compressed += u64::from(is_message && flags & 1 != 0);
                Place::PREFIX
            }
            left => Place::Message { flags, left },
        };
    }

    /// Where the next message begins is not known.
    fn lose(&mut self) {
        self.place = Place::Lost;
        self.exact = false;
    }
}
