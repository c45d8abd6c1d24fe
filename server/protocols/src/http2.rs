//! HTTP/2 (RFC 9113) as a passive observer sees it: the frames of both directions of one connection, and the exchange of
//! each stream.
//!
//! Owns: where frames begin and end, which stream they belong to, how an exchange ended, flow control as far as it can be
//! followed, and what could not be seen. Refuses: to keep a byte of DATA, to hold a clock, and to judge: what a peer would
//! answer with an error is counted and followed as far as it can be. Header fields come from [`crate::hpack`].
//!
//! **Invariant**: each exchange is handed over by [`Observer::exchange`] exactly once. **Invariant**: what is held for a
//! connection is bounded by its [`Limits`], whatever the bytes are. Of both directions together
//! [`Limits::max_held_bytes`]: a header block in the making and its frame at hand, together no more than one block may have;
//! the table of HPACK, of which the older half is forgotten where it does not fit; the room in which it decodes. Besides
//! these what the observer makes of the heads of open streams.
//!
//! A live capture holds the headers of frames and what is in them but DATA, and says where frames begin
//! ([`Connection::frame`]); a capture file holds every byte. Where frames are lost sight of, header blocks may have been
//! among them: the table of HPACK is joined anew, and what it held is unknown from then on.

mod blocks;
mod connection;
mod control;
mod data;
mod endings;
mod facts;
mod fields;
mod frame;
mod frames;
mod lane;
mod losses;
mod messages;
mod repeats;
mod streams;
mod table_sizes;
mod window;

pub use connection::Connection;
pub use facts::{Facts, GoAway, Settings, StreamError, StreamFacts};
pub use fields::{Fields, RequestHead, ResponseHead, Room};
pub use frame::{error_name, may_begin};
pub use repeats::Repeats;

use crate::exchange::Exchange;
use crate::passive::Direction;

/// What becomes of the things that a [`Connection`] finds.
pub trait Observer {
    /// What is kept of a request's head. Clones are made of those that may repeat only.
    type Request: Clone;
    /// What is kept of a response's head.
    type Response: Clone;

    /// Where the fields of a head are laid out; the same each time, so that it need not be allocated again.
    fn room(&mut self) -> &mut Room;
    /// A request's head is there.
    fn request(&mut self, head: &RequestHead<'_>) -> Self::Request;
    /// A final response's head is there. One of unknown status may turn out to have been an interim one: then this is
    /// called again for the same exchange, and what it returned before is dropped. Where only the trailers of a response
    /// were seen, its head is without status and fields, and cut.
    fn response(&mut self, head: &ResponseHead<'_>) -> Self::Response;
    /// The trailers of a request (RFC 9110, 6.5).
    fn request_trailers(&mut self, request: &mut Self::Request, fields: Fields<'_>);
    /// The trailers of a response: in gRPC its status.
    fn response_trailers(&mut self, response: &mut Self::Response, fields: Fields<'_>);
    /// An exchange is over. Nothing about it changes afterwards.
    fn exchange(&mut self, exchange: Exchange<Self::Request, Self::Response>);
    /// Where heads are remembered, so that the same block is not read again; `None` where none are.
    fn repeats(&mut self) -> Option<&mut Repeats<Self::Request, Self::Response>> {
        None
    }
    /// Whether a request's head and what was made of it may be remembered. `in_clear`: with texts of it as they came; otherwise
    /// its block has nothing but indexes of the table.
    fn request_may_repeat(&self, _: &Self::Request, _in_clear: bool) -> bool {
        false
    }
    /// Whether a response's head and what was made of it may be remembered; as above.
    fn response_may_repeat(&self, _: &Self::Response, _in_clear: bool) -> bool {
        false
    }
    /// A request's head is there that was remembered: called in the place of `request`.
    fn request_repeats(&mut self, _: &Self::Request) {}
    /// Something in `direction` was not as HTTP/2 wants it. To be counted.
    fn malformed(&mut self, direction: Direction, element: MalformedElement);
}

/// The element that was not as HTTP/2 wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MalformedElement {
    /// The connection preface: the client's 24 bytes, and of either end SETTINGS as the first frame (RFC 9113, 3.4).
    Preface,
    /// The header of a frame: a length or stream that its type or sender forbids (RFC 9113, 4.1, 5.1.1 and 6).
    FrameHeader,
    /// Padding longer than its frame (RFC 9113, 6.1).
    Padding,
    /// A header block that is no HPACK (RFC 7541), or is interrupted by another frame (RFC 9113, 4.3).
    HeaderBlock,
    /// A head without its pseudo-header fields, or DATA where a head is due (RFC 9113, 8.1 and 8.3).
    PseudoHeader,
}

/// Bounds of what one connection may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a header block; of a longer one no more is read, and the table of HPACK is joined anew behind it.
    pub max_block_bytes: usize,
    /// What the entries of a table of HPACK may sum up to, as its own size does (RFC 7541, 4.1).
    pub max_table_bytes: usize,
    /// Bytes of memory in blocks, frames and tables of both directions, between two calls.
    pub max_held_bytes: usize,
    /// Streams open at once; the oldest make room as [`Truncated`](crate::http1::Outcome::Truncated).
    pub max_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_block_bytes: 16 * 1024,
            max_table_bytes: 16 * 1024,
            max_held_bytes: 64 * 1024,
            max_streams: 256,
        }
    }
}
