//! WebSocket (RFC 6455) as a passive observer sees it: the frames of both directions behind the opening handshake.
//!
//! Owns: where frames begin and end, what messages they make, how the connection was closed, and what the handshake's
//! header fields say. Refuses: to keep or to decompress a payload; of a close frame the status stays, its reason is
//! handed out borrowed, once. Refuses to judge, too: what an endpoint would fail the connection for is counted and
//! followed as far as it can be.
//!
//! **Invariant**: what is held for a direction has one size, whatever the bytes are. **Invariant**: while
//! [`Frames::is_exact`] is true, the [`Tally`] is what was sent; behind that it is at most what was sent.
//!
//! The surprising part is that bytes may pass unseen. A payload's length is known, so they may be counted through it;
//! where they hide a header the place is lost. It is taken up again only at the start of a packet, and only when what
//! stands there is what this direction would send, header behind header: until four of them were followed, or until one
//! ends where a further packet begins. Counting begins with the header that decides. That is a likelihood, not proof:
//! payload that mimics frames at the start of a packet is taken for frames, until a header is none.

mod close;
mod connection;
mod faith;
mod frames;
mod handshake;
mod header;
mod message;

pub use crate::http1::{Direction, End};
pub use close::{Close, CloseCode};
pub use connection::{Connection, Ending};
pub use frames::Frames;
pub use handshake::Handshake;
pub use header::Opcode;
pub use message::{Message, Tally};

/// What a direction's bytes say, in the order in which it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A text or binary message is whole.
    Message(Message),
    /// A ping is whole (RFC 6455, 5.5.2).
    Ping,
    /// A pong is whole (RFC 6455, 5.5.3).
    Pong,
    /// A close frame is whole (RFC 6455, 5.5.1).
    Close(Close<'a>),
    /// Something was not as RFC 6455 wants it.
    Malformed(MalformedElement),
    /// Where the next frame begins is not known from here on: counts are lower bounds.
    PlaceLost,
    /// Frames are followed again; how many passed since [`Event::PlaceLost`] is not known.
    PlaceFound,
}

/// The element of a frame, or of their sequence, that was not as RFC 6455 wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MalformedElement {
    /// RSV2 or RSV3, for which there is no extension; or RSV1 where compression has none (RFC 6455, 5.2; RFC 7692, 6).
    ReservedBits,
    /// An opcode that means nothing (RFC 6455, 5.2).
    ReservedOpcode,
    /// A client's frame without mask, or a server's with one (RFC 6455, 5.1).
    Mask,
    /// A length in more bytes than it needs (RFC 6455, 5.2).
    LengthEncoding,
    /// A length with the most significant bit; nothing behind it can be found (RFC 6455, 5.2).
    LengthTopBit,
    /// A control frame of more than 125 bytes (RFC 6455, 5.5).
    ControlLength,
    /// A control frame without FIN (RFC 6455, 5.5).
    ControlFragmented,
    /// A continuation where no message was begun (RFC 6455, 5.4).
    Continuation,
    /// A new message where the one before had no end (RFC 6455, 5.4).
    MessageUnfinished,
    /// A close frame of one byte (RFC 6455, 5.5.1).
    CloseLength,
    /// A frame behind the close frame (RFC 6455, 5.5.1).
    BehindClose,
}
