//! The header of a frame (RFC 6455, 5.2).
//!
//! ```text
//!   0               1               2               3
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  |F|R|R|R| opcode|M| length 7    |   length 16 or 64, where the  |
//!  |I|S|S|S|  (4)  |A|             |   7 bits say 126 or 127       |
//!  |N|V|V|V|       |S|             |                               |
//!  | |1|2|3|       |K|             |                               |
//!  +-+-+-+-+-------+-+-------------+-------------------------------+
//!  | masking key, 32 bits, where MASK is set                       |
//!  +---------------------------------------------------------------+
//! ```
//!
//! Owns: its layout, and what in it alone can be wrong. Refuses: to know what frames came before.

use super::MalformedElement as Element;
use crate::http1::Direction;

/// The longest header: 2 bytes, a length of 8, a key of 4.
pub(super) const MAX_HEADER_BYTES: usize = 14;
/// The longest payload of a control frame (RFC 6455, 5.5).
pub(super) const MAX_CONTROL_BYTES: usize = 125;
/// Longer frames are too rare to be believed where a place is taken up again.
const MAX_BELIEVED_LENGTH: u64 = 1 << 20;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Opcode {
    /// More of a message.
    Continuation,
    /// The first frame of a text message.
    Text,
    /// The first frame of a binary message.
    Binary,
    /// The end of this direction.
    Close,
    /// A question whether the other side is there.
    Ping,
    /// The answer, or a sign of life that nobody asked for.
    Pong,
    /// 3 to 7 and 11 to 15.
    Reserved(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// FIN, RSV1 to RSV3, opcode.
    first: u8,
    /// MASK, and the length or what it is written in.
    second: u8,
    pub(super) length: u64,
    /// Zeros where there is none: they change nothing.
    pub(super) key: [u8; 4],
}

impl Header {
    /// The header at the start of `bytes`, and its size; `None` when more are needed.
    pub(super) fn read(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (length, rest) = match second & 0x7f {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            length => (u64::from(length), rest),
        };
        let (key, rest) = match second & 0x80 {
            0 => ([0; 4], rest),
            _ => rest.split_first_chunk().map(|(key, rest)| (*key, rest))?,
        };
        let header = Self {
            first,
            second,
            length,
            key,
        };
        Some((header, bytes.len() - rest.len()))
    }

    pub(super) fn opcode(self) -> Opcode {
        match self.first & 0xf {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            other => Opcode::Reserved(other),
        }
    }

    pub(super) fn is_final(self) -> bool {
        self.first & 0x80 != 0
    }

    /// RSV1: the message is compressed (RFC 7692, 6).
    pub(super) fn is_compressed(self) -> bool {
        self.first & 0x40 != 0
    }

    pub(super) fn has_top_bit(self) -> bool {
        self.length >> 63 != 0
    }

    /// What is wrong with it, sent in `direction` after a handshake that did or did not agree on `compression`.
    pub(super) fn malformed(
        self,
        direction: Direction,
        compression: bool,
    ) -> impl Iterator<Item = Element> {
        let control = self.first & 0x8 != 0;
        let begins_message = matches!(self.opcode(), Opcode::Text | Opcode::Binary);
        let minimal = match self.second & 0x7f {
            126 => self.length > 125,
            127 => self.length > u64::from(u16::MAX),
            _ => true,
        };
        let masked = self.second & 0x80 != 0;
        [
            (
                self.first & 0x30 != 0
                    || (self.is_compressed() && !(compression && begins_message)),
                Element::ReservedBits,
            ),
            (
                matches!(self.opcode(), Opcode::Reserved(_)),
                Element::ReservedOpcode,
            ),
            (masked != (direction == Direction::ToServer), Element::Mask),
            (!minimal, Element::LengthEncoding),
            (self.has_top_bit(), Element::LengthTopBit),
            (
                control && self.length > MAX_CONTROL_BYTES as u64,
                Element::ControlLength,
            ),
            (control && !self.is_final(), Element::ControlFragmented),
            (
                self.opcode() == Opcode::Close && self.length == 1,
                Element::CloseLength,
            ),
        ]
        .into_iter()
        .filter_map(|(wrong, element)| wrong.then_some(element))
    }

    /// Whether bytes of which it is not known that they are a header may be taken for one.
    pub(super) fn is_plausible(self, direction: Direction, compression: bool) -> bool {
        self.length <= MAX_BELIEVED_LENGTH
            && self.malformed(direction, compression).next().is_none()
    }
}
