//! `list_services`: who serves and who calls whom, from the roll-ups.

use crate::WindowArgument;

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServicesQuery {
    /// When. Snapped outward to the roll-ups' ten seconds; the answer says the window used.
    pub window: WindowArgument,
    /// Only services whose name contains this (as server or as caller).
    pub service: Option<String>,
    /// One row for each route instead of one for each pair of services.
    pub by_route: bool,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// One service being called by another.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCall {
    /// Answering service, `name:port`. Untrusted.
    pub server: String,
    /// container, unit, program, host or address.
    pub server_kind: String,
    /// Calling service. Untrusted.
    pub client: String,
    /// Its kind.
    pub client_kind: String,
    /// An address the server was reached at.
    pub address: Option<String>,
    /// A process id of the server, when local and known.
    pub pid: Option<u32>,
    /// Method and route when listed by route. Untrusted.
    pub route: Option<String>,
    /// Exchanges.
    pub requests: u64,
    /// Of these, failures (5xx, resets, closes, refusals, time-outs, give-ups, malformed; and 4xx in `client_errors`).
    pub errors: u64,
    /// Responses 400 to 499.
    pub client_errors: u64,
    /// Median latency.
    pub p50_ns: Option<u64>,
    /// 95th percentile.
    pub p95_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Last seen.
    pub last_ns: u64,
}
