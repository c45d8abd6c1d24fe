//! What passed in a stream of server-sent events.

/// The part of an exchange that is its event stream's (WHATWG HTML, 9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventStream {
    /// Events that a client dispatches; `None` when nothing of the body was seen.
    pub events: Option<u64>,
    /// Comment lines, which keep the connection alive.
    pub comments: u64,
    /// All of the body was seen; else these are least numbers.
    pub is_exact: bool,
    /// When the first event was whole; `None` when that was not seen.
    pub first_event_ns: Option<u64>,
    /// When the latest was that was seen.
    pub last_event_ns: Option<u64>,
}
