//! Messages, and the count of what passed in one direction.
//!
//! Owns: how data frames make a message (RFC 6455, 5.4). Refuses: to know bytes.

use super::MalformedElement;
use super::header::{Header, Opcode};

/// A message that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message {
    /// [`Opcode::Text`] or [`Opcode::Binary`].
    pub opcode: Opcode,
    /// Frames that it came in.
    pub frames: u64,
    /// Bytes of their payloads, as they were sent: compressed where `compressed` says so.
    pub payload_bytes: u64,
    /// RSV1 was set: permessage-deflate (RFC 7692).
    pub compressed: bool,
    /// When the piece with the end of its first frame's header passed.
    pub first_ns: u64,
    /// When the piece with its last byte passed.
    pub last_ns: u64,
}

/// What passed in one direction. Messages and control frames count when they are whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Text messages.
    pub text: u64,
    /// Binary messages.
    pub binary: u64,
    /// Continuation frames, counted at their header.
    pub continuation_frames: u64,
    /// Pings.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Close frames; more than one is wrong, and possible.
    pub close: u64,
    /// Bytes of payload of all frames, up to the latest byte.
    pub payload_bytes: u64,
    /// Messages of more than one frame, of those in `text` and `binary`.
    pub fragmented: u64,
    /// Compressed messages, of those in `text` and `binary`.
    pub compressed: u64,
    /// Elements that were malformed.
    pub malformed: u64,
}

impl Tally {
    pub(super) fn message(&mut self, message: Message) {
        match message.opcode {
            Opcode::Binary => self.binary += 1,
            _ => self.text += 1,
        }
        self.fragmented += u64::from(message.frames > 1);
        self.compressed += u64::from(message.compressed);
    }
}

/// The message that data frames are adding to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// None: a new one is due.
    Nothing,
    /// This one; control frames may stand between its frames.
    Message(Message),
    /// It is not known whether there is one.
    Unknown,
}

impl Begun {
    /// A data frame begins. Says what is wrong with it in this place.
    pub(super) fn frame(&mut self, header: Header, at_ns: u64) -> Option<MalformedElement> {
        match (header.opcode(), &mut *self) {
            (Opcode::Continuation, Self::Nothing) => Some(MalformedElement::Continuation),
            (Opcode::Continuation, Self::Message(message)) => {
                message.frames += 1;
                None
            }
            (opcode @ (Opcode::Text | Opcode::Binary), begun) => {
                let unfinished = matches!(begun, Self::Message(_));
                *begun = Self::Message(Message {
                    opcode,
                    frames: 1,
                    payload_bytes: 0,
                    compressed: header.is_compressed(),
                    first_ns: at_ns,
                    last_ns: at_ns,
                });
                unfinished.then_some(MalformedElement::MessageUnfinished)
            }
            _ => None,
        }
    }

    pub(super) fn payload(&mut self, bytes: u64) {
        if let Self::Message(message) = self {
            message.payload_bytes = message.payload_bytes.saturating_add(bytes);
        }
    }

    /// The last frame of a message ended. The message, when its beginning was seen.
    pub(super) fn end(&mut self, at_ns: u64) -> Option<Message> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Message(message) => Some(Message {
                last_ns: at_ns,
                ..message
            }),
            Self::Nothing | Self::Unknown => None,
        }
    }
}
