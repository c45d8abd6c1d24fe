//! `search_exchanges`: rows by time, service, peer, method, path, status, header, latency, outcome.

use crate::WindowArgument;

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchOrder {
    /// By start time, descending.
    #[default]
    Newest,
    /// By latency, descending.
    Slowest,
}

/// What to look for. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchQuery {
    /// When.
    pub window: WindowArgument,
    /// Name of the service that answers, or part of it; `name:port` is exact.
    pub service: Option<String>,
    /// Name of the service that calls, or part of it.
    pub peer: Option<String>,
    /// Request method, exact.
    pub method: Option<String>,
    /// Text that the path contains; with a leading `=` exact; `*` is a wildcard.
    pub path: Option<String>,
    /// `404`, `5xx`, `400-499`, or several with commas.
    pub status: Option<String>,
    /// Header name that must be present in request or response, any case.
    pub header_name: Option<String>,
    /// Text that its (redacted) value contains; a plain secret is hashed with the store's key and compared too.
    pub header_value: Option<String>,
    /// Least latency (first request byte to last response byte) in milliseconds.
    pub min_latency_ms: Option<f64>,
    /// Outcome names: complete, open, client_gave_up, server_reset, server_closed, timed_out, truncated, malformed, request_not_seen; `failed` for any but complete and open.
    pub outcome: Option<String>,
    /// Exchanges of this process or its descendants only.
    pub process_tree: Option<u32>,
    /// Order.
    pub order: SearchOrder,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
    /// Only exchanges committed after this id (printable): how `wait_s` waits for the next match.
    pub after: Option<String>,
}

/// One exchange in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRow {
    /// Printable id, `x_…`.
    pub id: String,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Calling service. Untrusted.
    pub client: String,
    /// Answering service. Untrusted.
    pub server: String,
    /// Untrusted.
    pub method: Option<String>,
    /// Path, redacted. Untrusted.
    pub path: Option<String>,
    /// Status code.
    pub status_code: Option<u16>,
    /// First request byte to last response byte (or to the end as far as known).
    pub latency_ns: Option<u64>,
    /// Outcome name.
    pub outcome: &'static str,
    /// Response body bytes on the wire.
    pub response_body_bytes: Option<u64>,
    /// Names of what could not be seen of it.
    pub gaps: Vec<&'static str>,
}
