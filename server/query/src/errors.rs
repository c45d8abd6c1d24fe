//! `find_errors`: failures grouped by service, route and kind, from the roll-ups.

use crate::WindowArgument;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorsQuery {
    /// When. Snapped outward to the roll-ups' ten seconds.
    pub window: WindowArgument,
    /// Only services whose name contains this.
    pub service: Option<String>,
    /// Whether responses 400 to 499 count (default true in the tools).
    pub include_client_errors: bool,
    /// At most this many groups (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// One group of failures.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorGroup {
    /// Answering service. Untrusted.
    pub server: String,
    /// Calling service with the most of them. Untrusted.
    pub client: String,
    /// Method and route. Untrusted.
    pub route: String,
    /// `status 502`, `reset`, `closed`, `refused`, `gave_up`, `timed_out`, `malformed`, `unreachable`.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Requests of the same service and route in the window, good and bad.
    pub of_requests: u64,
    /// First.
    pub first_ns: u64,
    /// Last.
    pub last_ns: u64,
    /// Printable ids of a few, newest first. Empty for connections that were refused.
    pub examples: Vec<String>,
}
