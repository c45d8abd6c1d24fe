//! One request with its response, or the lack of one.

use headwater_redact::{HeaderBlock, Target, Text};

use crate::{ConnectionKey, EventStream, Side, WebSocket};

/// Names an exchange while the recorder lives; the store gives it its lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeKey(pub u64);

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Request and response were both seen to their end.
    Complete,
    /// Not ended yet: still waiting for the response or its end.
    Open,
    /// The client closed or reset before the response (or its end) came.
    ClientGaveUp,
    /// The server reset the connection.
    ServerReset,
    /// The server closed the connection without a whole response.
    ServerClosed,
    /// TCP timed out.
    TimedOut,
    /// The response began and its end was not seen, for the recorder's own reasons (loss, eviction, stop).
    Truncated,
    /// Bytes that are not HTTP stood where a head was due.
    Malformed,
    /// A response whose request was not seen.
    RequestNotSeen,
}

/// How good the evidence for an owner or a thread is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Evidence {
    /// Nothing is known.
    #[default]
    None,
    /// The packet left while a task held the socket's lock, so the task is its user: certain.
    SocketLock,
    /// The first packet of a turn, without knowledge of the lock: strong.
    TurnStart,
    /// Found in `/proc` by the socket's inode or its listener: strong for the process, none for the thread.
    Proc,
}

/// What could not be seen of an exchange, as a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gaps(pub u16);

impl Gaps {
    /// The request's head was cut by the cap.
    pub const REQUEST_HEAD_CUT: Self = Self(1);
    /// The response's head was cut by the cap.
    pub const RESPONSE_HEAD_CUT: Self = Self(1 << 1);
    /// Records of this connection were lost (ring buffer full).
    pub const RECORDS_LOST: Self = Self(1 << 2);
    /// Bytes stood behind an uncopied body in the same turn: pipelined messages or trailers not seen.
    pub const BEHIND_BODY: Self = Self(1 << 3);
    /// The end of the response is inferred from what followed, not seen.
    pub const END_INFERRED: Self = Self(1 << 4);
    /// The stream was joined in the middle.
    pub const JOINED_MIDSTREAM: Self = Self(1 << 5);
    /// Chunked body with uncopied bytes: trailers, if any, were not seen.
    pub const TRAILERS_UNSEEN: Self = Self(1 << 6);
    /// A hole in the capture itself (pcap snap length, missing packets).
    pub const CAPTURE_HOLE: Self = Self(1 << 7);
    /// HTTP/2: texts of the header table that were not seen stand in its heads, by opaque names.
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
    /// The names in the order of the bits, as they are stored and shown.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        const NAMES: [&str; 9] = [
            "request_head_cut",
            "response_head_cut",
            "records_lost",
            "behind_body_not_seen",
            "end_inferred",
            "joined_midstream",
            "trailers_not_seen",
            "capture_hole",
            "fields_unknown",
        ];
        NAMES
            .into_iter()
            .enumerate()
            .filter(move |(bit, _)| self.0 & (1 << bit) != 0)
            .map(|(_, name)| name)
    }
}

/// What requests and responses have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The header block, redacted.
    pub headers: HeaderBlock,
    /// Minor version of HTTP/1 (0 or 1); 9 is HTTP/0.9.
    pub minor_version: u8,
    /// Bytes of the head, start line and blank line included.
    pub header_bytes: u64,
    /// Bytes of the body on the wire, chunk framing included.
    pub body_bytes: u64,
    /// When its first byte was seen.
    pub first_byte_ns: u64,
    /// When its last byte was seen, `None` while that is unknown.
    pub last_byte_ns: Option<u64>,
    /// The thread that sent it, where the evidence is good.
    pub thread_id: Option<u32>,
    /// How good that evidence is.
    pub thread_evidence: Evidence,
    /// The trailers, redacted, where there were any.
    pub trailers: Option<HeaderBlock>,
}

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Common part.
    pub message: Message,
    /// `http.request.method` as received.
    pub method: Text,
    /// The redacted target.
    pub target: Target,
    /// The redacted Host header, when there was one.
    pub host: Option<Text>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Common part.
    pub message: Message,
    /// `http.response.status_code`; `None` when it was not seen.
    pub status_code: Option<u16>,
    /// The reason phrase, redacted.
    pub reason: Text,
}

/// One exchange. Given to the store when it ends, or earlier as `Outcome::Open` and then again under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name in this recorder's life.
    pub key: ExchangeKey,
    /// The connection that carried it.
    pub connection: ConnectionKey,
    /// The request, `None` when only the response was seen.
    pub request: Option<Request>,
    /// The final response, `None` when there was none.
    pub response: Option<Response>,
    /// Status codes of interim (1xx) responses in order, at most eight.
    pub interim: Vec<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// When the outcome was decided.
    pub end_ns: u64,
    /// What could not be seen.
    pub gaps: Gaps,
    /// Position on its connection, from 0.
    pub ordinal: u32,
    /// What only HTTP/2 knows of it; `None` in HTTP/1.
    pub http2: Option<Box<Http2>>,
    /// What only gRPC knows of it.
    pub grpc: Option<Box<Grpc>>,
    /// What passed over the WebSocket that it opened.
    pub websocket: Option<Box<WebSocket>>,
    /// What its response carried of server-sent events.
    pub event_stream: Option<Box<EventStream>>,
}

/// The part of an exchange that is HTTP/2's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Http2 {
    /// Stream (RFC 9113, 5.1.1).
    pub stream_id: u32,
    /// How it was ended, where it did not end by itself.
    pub error: Option<Http2Error>,
    /// How often a sender had more to send and no window left.
    pub stalls: u32,
    /// For how long in all.
    pub stalled_ns: u64,
    /// The server promised it (RFC 9113, 8.4): nobody asked.
    pub is_pushed: bool,
}

/// The end of a stream by RST_STREAM or GOAWAY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http2Error {
    /// The code (RFC 9113, 7).
    pub code: u32,
    /// Who sent it.
    pub by: Side,
    /// It came as GOAWAY: the stream was not processed (RFC 9113, 6.8).
    pub by_goaway: bool,
}

/// The part of an exchange that is gRPC's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grpc {
    /// `rpc.grpc.status_code`; `None` when it was not seen.
    pub status_code: Option<u32>,
    /// `grpc-message`, redacted.
    pub message: Option<Text>,
    /// The deadline that the client gave, as `grpc-timeout`.
    pub timeout_ns: Option<u64>,
    /// Messages of the request.
    pub request_messages: Messages,
    /// Messages of the response.
    pub response_messages: Messages,
}

/// How many messages passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Messages {
    /// So many.
    pub count: u64,
    /// Exactly; else at least.
    pub is_exact: bool,
}

impl Exchange {
    /// The first byte of the request or, unseen, of the response, or when the outcome was decided.
    pub fn start_ns(&self) -> u64 {
        let request = self.request.as_ref().map(|part| part.message.first_byte_ns);
        let response = self
            .response
            .as_ref()
            .map(|part| part.message.first_byte_ns);
        request.or(response).unwrap_or(self.end_ns)
    }
}
