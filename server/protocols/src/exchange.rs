//! What the parsers of HTTP find: an exchange with its parts, its outcome and its gaps.
//!
//! Owns: their shape, the same for HTTP/1 and HTTP/2. Refuses: to know how they are found. The words are those of `headwater-model`, which this crate
//! does not depend on, so that it stays a parser and nothing else; [`Gaps`] has the same bits.

/// One request with its response, or the lack of one, after its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange<Q, S> {
    /// Position on its connection, from 0, in the order in which exchanges began.
    pub ordinal: u32,
    /// The request, `None` when it was not seen or was no request.
    pub request: Option<RequestPart<Q>>,
    /// The final response, `None` when there was none.
    pub response: Option<ResponsePart<S>>,
    /// Statuses of the interim responses before it.
    pub interim: Interim,
    /// How it ended.
    pub outcome: Outcome,
    /// When that was decided: the time of the piece or end that decided it.
    pub end_ns: u64,
    /// What could not be seen.
    pub gaps: Gaps,
    /// What only HTTP/2 knows of it; `None` in HTTP/1.
    pub stream: Option<Box<crate::http2::StreamFacts>>,
}

/// An exchange that has begun and not ended, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenExchange<'a, Q, S> {
    /// Position on its connection, the same as later in [`Exchange::ordinal`].
    pub ordinal: u32,
    /// The request.
    pub request: Option<&'a RequestPart<Q>>,
    /// The final response, once its head was seen.
    pub response: Option<&'a ResponsePart<S>>,
    /// Interim responses so far.
    pub interim: Interim,
    /// What could not be seen so far.
    pub gaps: Gaps,
    /// What only HTTP/2 knows of it; `None` in HTTP/1.
    pub stream: Option<&'a crate::http2::StreamFacts>,
}

/// A request: what the observer made of its head, and its sizes and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPart<Q> {
    /// What the observer made of the head.
    pub value: Q,
    /// Bytes of the head, start line and blank line included; only those seen when the head was cut.
    pub header_bytes: u64,
    /// Bytes behind the head, chunk framing and trailers included.
    pub body_bytes: u64,
    /// When the piece with its first byte passed.
    pub first_byte_ns: u64,
    /// When the piece with its last byte passed; `None` when the end was not reached.
    pub last_byte_ns: Option<u64>,
    /// The caller's tag of the piece in which it began.
    pub first_tag: u64,
}

/// A final response: what the observer made of its head, and its sizes and times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponsePart<S> {
    /// What the observer made of the head.
    pub value: S,
    /// Bytes of the head, start line and blank line included; only those seen when the head was cut.
    pub header_bytes: u64,
    /// Bytes behind the head, chunk framing and trailers included.
    pub body_bytes: u64,
    /// When the piece with its first byte passed; interim responses do not count.
    pub first_byte_ns: u64,
    /// When the piece with its last byte passed; `None` when the end was not reached.
    pub last_byte_ns: Option<u64>,
    /// The caller's tag of the piece in which it began.
    pub first_tag: u64,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The response was seen to its end, and so was the request unless its `last_byte_ns` is `None` (a server may answer
    /// early and close, RFC 9112, 9.6).
    Complete,
    /// Never given when one ends: what an exchange from its `open` is.
    Open,
    /// The client closed or reset before the response (or its end) came.
    ClientGaveUp,
    /// The server reset the connection.
    ServerReset,
    /// The server closed the connection without a whole response.
    ServerClosed,
    /// TCP timed out.
    TimedOut,
    /// The response or its end was not seen, for the observer's own reasons (loss, eviction, limits).
    Truncated,
    /// Bytes that are not HTTP stood where the response's head was due, its chunks are broken, or (with a response and
    /// no request) it answers bytes that are no request.
    Malformed,
    /// A response whose request was not seen.
    RequestNotSeen,
}

/// What could not be seen of an exchange, as a set. The bits are those of `headwater_model::Gaps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gaps(pub u16);

impl Gaps {
    /// The request's head was cut by the cap, a hole or the limit.
    pub const REQUEST_HEAD_CUT: Self = Self(1);
    /// The response's head was cut by the cap, a hole or the limit.
    pub const RESPONSE_HEAD_CUT: Self = Self(1 << 1);
    /// Records of this connection were lost.
    pub const RECORDS_LOST: Self = Self(1 << 2);
    /// Bytes stood behind an uncopied body in the same turn: pipelined messages or trailers not seen.
    pub const BEHIND_BODY: Self = Self(1 << 3);
    /// The end of a message is inferred from what followed, not seen.
    pub const END_INFERRED: Self = Self(1 << 4);
    /// The stream was joined in the middle.
    pub const JOINED_MIDSTREAM: Self = Self(1 << 5);
    /// Chunked body with uncopied bytes: trailers, if any, were not seen.
    pub const TRAILERS_UNSEEN: Self = Self(1 << 6);
    /// A hole in the capture itself.
    pub const CAPTURE_HOLE: Self = Self(1 << 7);
    /// HTTP/2: texts of the header table that were not seen stand in its heads.
    pub const FIELDS_UNKNOWN: Self = Self(1 << 8);

    /// Both sets.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether all of `other` is in the set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// Statuses of interim responses (RFC 9110, 15.2) in order; the first eight, since a server may send any number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Interim {
    statuses: [u16; 8],
    length: u8,
}

impl Interim {
    /// The statuses.
    pub fn as_slice(&self) -> &[u16] {
        self.statuses
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
    pub(crate) fn push(&mut self, status: u16) {
        if let Some(free) = self.statuses.get_mut(usize::from(self.length)) {
            *free = status;
            self.length += 1;
        }
    }
}
