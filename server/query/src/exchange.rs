//! `get_exchange`: one exchange in full.
//!
//! Owns: the look-up by id, with its three ways to fail. Rows are read in `record` and `end`, words are in `explained`,
//! long header values in `header`.

mod begin;
mod end;
mod explained;
mod header;
mod protocol;
mod record;

use crate::coverage::{About, Framed};
use crate::db::query_scalar;
use crate::id::ExchangeId;
use crate::integer::{signed, unsigned};
use crate::recorder::Runs;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::rfc3339;
use crate::{Answer, QueryError, recorder};

pub use begin::ProcessBegin;
pub(crate) use end::load as ends;
pub(crate) use explained::span;
pub(crate) use header::header;
use record::Record;
pub(crate) use record::{resolution, template};

/// One header line as shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderLine {
    /// Name, case as received. Untrusted.
    pub name: String,
    /// Value, redacted. Untrusted.
    pub value: String,
    /// Whether part of the value is a hash.
    pub redacted: bool,
}

/// One long header value, in pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderPage {
    /// Name as received. Untrusted.
    pub name: String,
    /// request or response.
    pub of: &'static str,
    /// The part of the value on this page. Untrusted.
    pub value: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Length of the whole value in bytes.
    pub full_bytes: u64,
}

/// One direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageDetail {
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`.
    pub version: String,
    /// Header fields in order.
    pub headers: Vec<HeaderLine>,
    /// Trailer fields in order.
    pub trailers: Vec<HeaderLine>,
    /// Bytes of the head.
    pub header_bytes: u64,
    /// Bytes of the body on the wire.
    pub body_bytes: u64,
    /// First byte.
    pub first_byte_ns: u64,
    /// Last byte, when known.
    pub last_byte_ns: Option<u64>,
    /// Thread that sent it, when the evidence is good.
    pub thread_id: Option<u32>,
    /// none, socket_lock, turn_start, proc.
    pub thread_evidence: &'static str,
}

/// One end of the exchange's connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndDetail {
    /// Service name with port. Untrusted.
    pub service: String,
    /// container, unit, program, host or address.
    pub service_kind: String,
    /// Address and port.
    pub address: String,
    /// Where it saw its peer, when address translation made that differ.
    pub peer_as_seen: Option<String>,
    /// Whether this end is on this machine.
    pub local: bool,
    /// Network namespace inode.
    pub netns: u32,
    /// Process id.
    pub pid: Option<u32>,
    /// Executable. Untrusted.
    pub executable: Option<String>,
    /// Command line, redacted. Untrusted.
    pub command_line: Option<String>,
    /// Cgroup path. Untrusted.
    pub cgroup: Option<String>,
    /// Container id.
    pub container_id: Option<String>,
    /// Of a server, the process of the same program in whose place it came, where one ended shortly before it began.
    pub replaces: Option<Replaced>,
    /// How the process began.
    pub process_begin: ProcessBegin,
    /// When the process ended, if it did and that was seen.
    pub process_end_ns: Option<i64>,
    /// How.
    pub process_exit: Option<ProcessExit>,
    /// none, socket_lock, turn_start, proc.
    pub process_evidence: String,
}

/// A process in whose place another came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// Its process id.
    pub pid: u32,
    /// How it ended, where that was seen.
    pub exit: Option<ProcessExit>,
    /// From its end to the beginning of the other.
    pub after_ns: u64,
    /// When the other began.
    pub start_ns: i64,
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after = span(self.after_ns);
        write!(f, "pid {}, which ended {after} before", self.pid)?;
        self.exit.map_or(Ok(()), |exit| write!(f, ": {exit}"))
    }
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessExit {
    /// `process.exit.code`
    Code(u8),
    /// The signal that killed it.
    Signal(u8),
}

impl std::fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "killed by {name}"),
                None => write!(f, "killed by signal {signal}"),
            },
        }
    }
}

/// Names of the signals that end processes (signal(7)), with their numbers on most architectures.
fn signal_name(signal: u8) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// One exchange in full.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeDetail {
    /// Printable id.
    pub id: String,
    /// Printable connection id.
    pub connection_id: String,
    /// Position on the connection, from 0.
    pub ordinal: u32,
    /// Method as received. Untrusted.
    pub method: Option<String>,
    /// origin, absolute, authority or asterisk.
    pub target_form: &'static str,
    /// Target, redacted, put together again. Untrusted.
    pub target: Option<String>,
    /// `http.route`, estimated. Untrusted.
    pub route: Option<String>,
    /// Status code.
    pub status_code: Option<u16>,
    /// Reason phrase when it is not the registered one. Untrusted.
    pub reason: Option<String>,
    /// 1xx codes before the final response.
    pub interim: Vec<u16>,
    /// Outcome name.
    pub outcome: &'static str,
    /// What the outcome means here, in words made by Headwater.
    pub outcome_explained: String,
    /// Start.
    pub start_ns: u64,
    /// When the outcome was decided.
    pub end_ns: u64,
    /// First to last byte of the request.
    pub request_sent_ns: Option<u64>,
    /// Last request byte to first response byte.
    pub wait_ns: Option<u64>,
    /// First to last byte of the response.
    pub response_ns: Option<u64>,
    /// Request.
    pub request: Option<MessageDetail>,
    /// Response.
    pub response: Option<MessageDetail>,
    /// The calling end.
    pub client: EndDetail,
    /// The answering end.
    pub server: EndDetail,
    /// Connection: joined_midstream, close reason, bytes.
    pub connection_close_reason: String,
    /// Whether the connection was joined in the middle.
    pub joined_midstream: bool,
    /// Names of what could not be seen.
    pub gaps: Vec<&'static str>,
    /// The name that the server's address was learned by.
    pub resolution: Option<ResolutionDetail>,
    /// What only HTTP/2 knows of it.
    pub http2: Option<Http2Detail>,
    /// What only gRPC knows of it.
    pub grpc: Option<GrpcDetail>,
    /// What passed over the WebSocket that it opened.
    pub websocket: Option<WebSocketDetail>,
    /// What its response carried of server-sent events.
    pub event_stream: Option<EventStreamDetail>,
}

/// How the caller learned the server's address: the newest DNS answer that held it before the connection began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolutionDetail {
    /// The name that was asked for. Untrusted.
    pub name: String,
    /// From the answer to the connection's start.
    pub before_ns: u64,
    /// Printable id of the DNS exchange.
    pub exchange_id: String,
    /// `process`: the same process asked; `namespace`: somebody in the same network namespace; `address`: somebody at the
    /// same address, which is all that a capture file knows.
    pub asked_by: String,
}

/// The part of an exchange that is HTTP/2's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http2Detail {
    /// Stream (RFC 9113, 5.1.1).
    pub stream_id: u32,
    /// Name of the error code that ended it, or its number.
    pub error: Option<String>,
    /// `client`, `server`, or `server (GOAWAY)`.
    pub error_by: Option<&'static str>,
    /// How often a sender had no window left.
    pub stalls: u64,
    /// For how long in all.
    pub stalled_ns: u64,
    /// The server promised it: nobody asked.
    pub is_pushed: bool,
}

/// What passed over a WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocketDetail {
    /// The handshake agreed on permessage-deflate.
    pub compression: bool,
    /// open, closing, clean, unanswered, abnormal or not_seen.
    pub ending: &'static str,
    /// Close code with its name.
    pub close_code: Option<String>,
    /// `client` or `server`.
    pub closed_by: Option<&'static str>,
    /// First message, after the start.
    pub first_message_ns: Option<u64>,
    /// Latest message, after the start.
    pub last_message_ns: Option<u64>,
    /// What the client sent.
    pub client: WebSocketCounts,
    /// What the server sent.
    pub server: WebSocketCounts,
}

/// What one side of a WebSocket sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WebSocketCounts {
    /// Text messages.
    pub text: u64,
    /// Binary messages.
    pub binary: u64,
    /// Messages of more than one frame, of those.
    pub fragmented: u64,
    /// Compressed messages, of those.
    pub compressed: u64,
    /// Continuation frames.
    pub continuation_frames: u64,
    /// Pings.
    pub ping: u64,
    /// Pongs.
    pub pong: u64,
    /// Close frames.
    pub close: u64,
    /// Bytes of payload.
    pub payload_bytes: u64,
    /// Elements that RFC 6455 does not allow.
    pub malformed: u64,
    /// Whether these are exact, else least numbers.
    pub is_exact: bool,
}

/// What passed of server-sent events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventStreamDetail {
    /// Events; `None` when nothing of the body was seen.
    pub events: Option<u64>,
    /// Comment lines.
    pub comments: u64,
    /// Whether these are exact, else least numbers.
    pub is_exact: bool,
    /// First event, after the start.
    pub first_event_ns: Option<u64>,
    /// Latest event that was seen, after the start.
    pub last_event_ns: Option<u64>,
}

/// The part of an exchange that is gRPC's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcDetail {
    /// `rpc.service`. Untrusted.
    pub service: Option<String>,
    /// `rpc.method`. Untrusted.
    pub method: Option<String>,
    /// Number of the status; `None` when it was not seen.
    pub status_code: Option<u32>,
    /// Its name, or its number.
    pub status: Option<String>,
    /// `grpc-message`, redacted. Untrusted.
    pub message: Option<String>,
    /// The deadline that the client gave.
    pub timeout_ns: Option<u64>,
    /// Messages of the request, and of the response.
    pub messages: [u64; 2],
    /// Whether each of them is counted exactly, else at least.
    pub is_exact: [bool; 2],
    /// unary, client_streaming, server_streaming or bidi, as far as this exchange shows it.
    pub kind_seen: Option<&'static str>,
}

/// Answers the look-up.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    id: &str,
) -> Result<Answer<ExchangeDetail>, QueryError> {
    let segments = segments::all(snapshot)?;
    let record = find(snapshot, &segments, id)?;
    let window = record.window();
    let value = record.detail(snapshot)?;
    let runs = Runs::load(snapshot)?;
    let framed = Framed {
        about: About::Http,
        value,
        empty: false,
        window,
        next_cursor: None,
        remarks: Vec::new(),
    };
    let answer = framed.finish(snapshot, &runs, &segments)?;
    Ok(Answer {
        window: None,
        ..answer
    })
}

/// The number of an exchange with a printed id, which is stored.
///
/// # Errors
/// As those of `answer`.
pub(crate) fn number(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    text: &str,
) -> Result<i64, QueryError> {
    find(snapshot, segments, text)?.id()
}

/// The exchange with a printed id.
///
/// # Errors
/// `Argument`, `Foreign`, `Expired` and `Unknown`, which are four different things to a caller.
fn find(snapshot: &mut Snapshot, segments: &[Segment], text: &str) -> Result<Record, QueryError> {
    let tag = snapshot.tag();
    let id = ExchangeId::parse("id", &tag, text)?;
    let number = signed(id.0);
    if let Some(segment) = segments::holding(segments, number)
        && let Some(record) = Record::load(snapshot, segment.number, number)?
    {
        return Ok(record);
    }
    let next: Option<String> =
        query_scalar("SELECT value FROM meta WHERE key = 'next_exchange_id'")
            .fetch_optional(snapshot.connection())?;
    let end = segments.last().map_or(0, |last| last.first_id);
    let end = next
        .and_then(|next| next.parse::<i64>().ok())
        .map_or(end, |next| next.max(end));
    let first_kept = segments.first().map_or(end, |first| first.first_id);
    let id = id.printed(&tag);
    if number == 0
        || unsigned(number) != ExchangeId::parse("id", &tag, &id)?.0
        || number >= first_kept
    {
        return Err(QueryError::Unknown { id });
    }
    let oldest = recorder::oldest_ns(snapshot)?.map_or_else(|| "now on".to_owned(), rfc3339);
    Err(QueryError::Expired { id, oldest })
}
