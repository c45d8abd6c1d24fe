//! HTTP/1.x (RFC 9112) as a passive observer sees it: message framing of both directions of one connection, and the
//! pairing of requests with responses.
//!
//! Owns: where heads and bodies begin and end, which response belongs to which request, how an exchange ended, and what
//! of it could not be seen. Refuses: to keep a byte of a body or a head (the [`Observer`] gets each head borrowed, once,
//! and makes of it what it may keep), to hold a clock, and to judge: what a server would reject is reported and
//! followed as far as it can be.
//!
//! **Invariant**: each exchange is handed over by [`Observer::exchange`] exactly once. **Invariant**: what is held for a
//! connection is bounded by its [`Limits`], whatever the bytes are.
//!
//! The surprising part is that an observer does not see everything. Each direction is a stream of *turns*; the first
//! bytes of a turn are there and the rest is only counted ([`Connection::skipped`]). Where counting is not enough (a
//! chunked body in uncopied bytes) the end is inferred from what follows, and the exchange says so in its [`Gaps`].
//! A replayed capture has no turns and no uncopied bytes; then every end is found by framing, to the byte.

mod adrift;
mod chunked;
mod connection;
mod endings;
mod exchanges;
mod fields;
mod framing;
mod head;
mod heads;
mod lane;
mod messages;
mod repeats;
mod skips;
mod start_line;

pub use crate::exchange::{
    Exchange, Gaps, Interim, OpenExchange, Outcome, RequestPart, ResponsePart,
};
pub use crate::passive::{Direction, End, Skip, Verdict};
pub use connection::Connection;
pub use fields::{FieldIter, Fields};
pub use head::{RequestHead, ResponseHead};
pub use repeats::Repeats;
pub use start_line::HTTP_0_9;

/// What becomes of the things that a [`Connection`] finds.
pub trait Observer {
    /// What is kept of a request's head. Clones are made of those that may repeat only.
    type Request: Clone;
    /// What is kept of a response's head.
    type Response: Clone;

    /// A request's head is there: called once for each request, whether its exchange is ever completed or not.
    fn request(&mut self, head: &RequestHead<'_>) -> Self::Request;
    /// A final response's head is there (interim responses only leave their status in [`Exchange::interim`]).
    fn response(&mut self, head: &ResponseHead<'_>) -> Self::Response;
    /// Whether the body of a response is to be shown as it passes.
    fn wants_body(&mut self, response: &Self::Response) -> bool {
        let _ = response;
        false
    }
    /// Bytes of such a body passed at `at_ns`, without chunk framing.
    fn body(&mut self, response: &mut Self::Response, at_ns: u64, data: &[u8]) {
        let _ = (response, at_ns, data);
    }
    /// Bytes of such a body passed, framing perhaps among them, and are not shown; 0 when it is not known how many.
    fn body_skipped(&mut self, response: &mut Self::Response, length: u64) {
        let _ = (response, length);
    }
    /// An exchange is over. Nothing about it changes afterwards.
    fn exchange(&mut self, exchange: Exchange<Self::Request, Self::Response>);
    /// Where heads are remembered, so that the same bytes are not read again; `None` where none are.
    fn repeats(&mut self) -> Option<&mut Repeats<Self::Request, Self::Response>> {
        None
    }
    /// Whether a request's head and what was made of it may be remembered.
    fn request_may_repeat(&self, _: &Self::Request) -> bool {
        false
    }
    /// Whether a response's head and what was made of it may be remembered.
    fn response_may_repeat(&self, _: &Self::Response) -> bool {
        false
    }
    /// A request's head is there that was remembered: called in the place of `request`.
    fn request_repeats(&mut self, _: &Self::Request) {}
    /// Something in `direction` was not as HTTP wants it. To be counted: the connection goes on as well as it can.
    fn malformed(&mut self, direction: Direction, element: MalformedElement);
}

/// What is known of the last bytes of a [`Connection::skipped`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tail {
    /// Nothing, or that they are not the ones below.
    Unknown,
    /// They are `0\r\n\r\n`: the last chunk without trailers (RFC 9112, 7.1).
    LastChunk,
}

/// The element of a message that was not as HTTP wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MalformedElement {
    /// Bytes that are no request line where one was due (RFC 9112, 3).
    RequestLine,
    /// Bytes that are no status line where one was due (RFC 9112, 4), or one with a CR in its reason, which is handed out as
    /// received.
    StatusLine,
    /// A field line without a name, or with one that is no token; the line is left out (RFC 9112, 5). Or with white space
    /// around its name, where it is told without (5.1 and 2.2); in a response, behind the name, it is not counted.
    FieldName,
    /// A field value with control bytes, a CR alone among them; it is handed out as received (RFC 9110, 5.5).
    FieldValue,
    /// Content-Length values that are no number or contradict each other (RFC 9112, 6.3).
    ContentLength,
    /// A Transfer-Encoding that cannot frame its message (RFC 9112, 6.1).
    TransferEncoding,
    /// A chunk size that is no number or above 64 bits (RFC 9112, 7.1).
    ChunkSize,
    /// No line end behind the data of a chunk (RFC 9112, 7.1).
    ChunkEnd,
}

/// Bounds of what one connection may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head; what lies beyond is not looked at, and the head counts as cut.
    pub max_head_bytes: usize,
    /// Requests that wait for their response; further ones are handed over at once as [`Outcome::Truncated`].
    pub max_pipelined: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_head_bytes: 64 * 1024,
            max_pipelined: 128,
        }
    }
}
