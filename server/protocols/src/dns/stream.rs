//! One direction of a TCP connection, cut into messages by the two octets of length before each (RFC 1035, 4.2.2).
//!
//! Owns: where messages begin and end, when not every octet was copied: a count stands for the others
//! ([`Stream::skipped`]). A message with a hole is handed over as far as it was copied before the hole, and its length
//! says that there was more. Refuses: to look for the next message where a hole covers a length. Nothing in the stream
//! marks a beginning, so it is given up from there on ([`Lost::Gap`]), and what follows is only counted.

/// Octets of a header: the least that a message can have.
const MIN_MESSAGE_BYTES: usize = 12;

/// One direction of a TCP connection.
#[derive(Debug)]
pub struct Stream {
    place: Place,
    /// What is kept of a message that comes in several pieces, and handed over of any.
    max_bytes: usize,
    lost_bytes: u64,
}

/// Where a stream stands; also what its [`Stream::bytes`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Behind a message, or at the beginning.
    Between,
    /// Within a message or its length.
    NeedMore,
    /// Nowhere: it is given up.
    Lost(Lost),
}

/// Why a stream was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Octets of a length are not here.
    Gap,
    /// A length is less than a header: it is not DNS.
    Length,
}

#[derive(Debug)]
enum Place {
    /// Before a length, or behind the first octet of one.
    Length(Option<u8>),
    Message {
        wire_length: usize,
        passed: usize,
        kept: Vec<u8>,
        /// Some of it was not copied: what comes behind that is of no use.
        hole: bool,
    },
    Lost(Lost),
}

impl Stream {
    /// A stream from its beginning. Of each message at most `max_bytes` octets are kept and handed over.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            place: Place::Length(None),
            max_bytes,
            lost_bytes: 0,
        }
    }

    /// The next octets. Each message that ends in them is given to `message`, with its length on the wire.
    pub fn bytes(&mut self, mut piece: &[u8], message: &mut impl FnMut(&[u8], usize)) -> Standing {
        while let Some((first, rest)) = piece.split_first() {
            piece = match &mut self.place {
                Place::Lost(_) => {
                    self.lost_bytes = self.lost_bytes.saturating_add(piece.len() as u64);
                    break;
                }
                Place::Length(None) => {
                    self.place = Place::Length(Some(*first));
                    rest
                }
                Place::Length(Some(upper)) => {
                    self.place = behind_length(u16::from_be_bytes([*upper, *first]));
                    rest
                }
                Place::Message { .. } => self.within(piece, message),
            };
        }
        self.standing()
    }

    /// `count` octets passed that are not here.
    pub fn skipped(&mut self, count: u64, message: &mut impl FnMut(&[u8], usize)) -> Standing {
        let mut left = count;
        if let Place::Message {
            wire_length,
            passed,
            kept,
            hole,
        } = &mut self.place
        {
            let missing = *wire_length - *passed;
            let here = usize::try_from(count).unwrap_or(usize::MAX).min(missing);
            *passed += here;
            *hole |= here > 0;
            left = left.saturating_sub(here as u64);
            if *passed == *wire_length {
                message(kept, *wire_length);
                self.place = Place::Length(None);
            }
        }
        if left > 0 {
            self.lost_bytes = self.lost_bytes.saturating_add(left);
            if !matches!(self.place, Place::Lost(_)) {
                self.place = Place::Lost(Lost::Gap);
            }
        }
        self.standing()
    }

    /// The stream is over: a message whose end did not come is handed over as far as it did.
    pub fn end(self, message: &mut impl FnMut(&[u8], usize)) {
        if let Place::Message {
            wire_length, kept, ..
        } = self.place
        {
            message(&kept, wire_length);
        }
    }

    /// Where it stands.
    pub fn standing(&self) -> Standing {
        match self.place {
            Place::Length(None) => Standing::Between,
            Place::Length(Some(_)) | Place::Message { .. } => Standing::NeedMore,
            Place::Lost(lost) => Standing::Lost(lost),
        }
    }

    /// Octets that passed since it was given up, those of the gap included.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    /// Takes what `piece` holds of the message, and returns the rest.
    fn within<'a>(&mut self, piece: &'a [u8], message: &mut impl FnMut(&[u8], usize)) -> &'a [u8] {
        let Place::Message {
            wire_length,
            passed,
            kept,
            hole,
        } = &mut self.place
        else {
            return piece;
        };
        let missing = *wire_length - *passed;
        let (here, rest) = piece.split_at_checked(missing).unwrap_or((piece, &[]));
        let whole = *passed == 0 && here.len() == *wire_length;
        *passed += here.len();
        let wanted = if *hole {
            0
        } else {
            self.max_bytes - kept.len()
        };
        let here = here.get(..wanted).unwrap_or(here);
        if !whole {
            kept.extend_from_slice(here);
        }
        if *passed == *wire_length {
            message(if whole { here } else { kept }, *wire_length);
            self.place = Place::Length(None);
        }
        rest
    }
}

fn behind_length(length: u16) -> Place {
    let wire_length = usize::from(length);
    if wire_length < MIN_MESSAGE_BYTES {
        return Place::Lost(Lost::Length);
    }
    Place::Message {
        wire_length,
        passed: 0,
        kept: Vec::new(),
        hole: false,
    }
}
