//! The numbers that the schema gives to outcomes, failures, gaps and evidence, and their names.

use headwater_protocols::{dns, grpc, http2, tls, websocket};

/// Outcome names in the order of `exchange_N.outcome`.
pub(crate) const OUTCOMES: [&str; 9] = [
    "complete",
    "open",
    "client_gave_up",
    "server_reset",
    "server_closed",
    "timed_out",
    "truncated",
    "malformed",
    "request_not_seen",
];

/// Outcomes that are failures: what was cut short or missed by the recorder itself is none.
pub(crate) const FAILED: [i64; 5] = [2, 3, 4, 5, 7];

/// Name of an outcome.
pub(crate) fn name(outcome: i64) -> &'static str {
    usize::try_from(outcome)
        .ok()
        .and_then(|outcome| OUTCOMES.get(outcome))
        .copied()
        .unwrap_or("unknown")
}

/// Name of a kind of failure, as grouped by `find_errors`.
pub(crate) fn failure(kind: i64) -> String {
    match kind {
        SLOW => "slow".to_owned(),
        1 => "reset".to_owned(),
        2 => "closed".to_owned(),
        3 => "refused".to_owned(),
        4 => "gave_up".to_owned(),
        5 => "timed_out".to_owned(),
        6 => "malformed".to_owned(),
        7 => "unreachable".to_owned(),
        9 => "server_process_killed".to_owned(),
        10 => "server_process_failed".to_owned(),
        11 => "client_process_killed".to_owned(),
        12 => "client_process_failed".to_owned(),
        GRPC..HTTP2 => format!("grpc {}", grpc_status(kind - GRPC)),
        HTTP2..DNS => format!("http2 {}", http2_error(kind - HTTP2)),
        NO_ANSWER => "dns_no_answer".to_owned(),
        UNREACHABLE => "dns_unreachable".to_owned(),
        DNS..WEBSOCKET => format!("dns_{}", rcode(kind - DNS).to_ascii_lowercase()),
        WEBSOCKET..TLS => format!("websocket {}", close_code(kind - WEBSOCKET)),
        TLS.. => format!("tls_handshake {}", tls_failure(kind - TLS)),
        status => format!("status {status}"),
    }
}

/// Whether a kind counts as an error of the server's or the network's. Of gRPC's, those that OpenTelemetry counts at servers.
pub(crate) fn is_error(kind: i64) -> bool {
    match kind {
        GRPC..HTTP2 => matches!(kind - GRPC, 2 | 4 | 12..=15),
        DNS | UNFINISHED | NXDOMAIN => false,
        WEBSOCKET..TLS => kind - WEBSOCKET < CLOSE_CODES_OF_LIBRARIES,
        1..=7 | 9..=12 | 500.. => true,
        _ => false,
    }
}

/// Whether a kind is the client's own fault: a response 400 to 499, the other statuses of gRPC, a name that is none, and
/// WebSocket's close codes that say the same (3000 unauthorized, 3003 forbidden, 3008 timeout).
pub(crate) fn is_client_error(kind: i64) -> bool {
    matches!(kind, 400..=499 | GRPC..HTTP2 | NXDOMAIN | WEBSOCKET..) && !is_error(kind)
}

/// Name of a status of gRPC, or its number.
pub(crate) fn grpc_status(code: i64) -> String {
    let name = u32::try_from(code)
        .ok()
        .and_then(|code| grpc::Status(code).name());
    name.map_or_else(|| code.to_string(), str::to_owned)
}

/// Name of an error code of HTTP/2, or its number.
pub(crate) fn http2_error(code: i64) -> String {
    let name = u32::try_from(code).ok().and_then(http2::error_name);
    name.map_or_else(|| code.to_string(), str::to_owned)
}

/// Whether a kind is a DNS exchange's, good or bad.
pub(crate) fn is_dns(kind: i64) -> bool {
    (DNS..WEBSOCKET).contains(&kind)
}

/// Name of a response code of DNS, or its number.
pub(crate) fn rcode(code: i64) -> String {
    let code = u16::try_from(code).unwrap_or(u16::MAX);
    dns::Rcode(code).to_string()
}

/// A close code of WebSocket, with its name where it has one.
pub(crate) fn close_code(code: i64) -> String {
    let name = u16::try_from(code)
        .ok()
        .and_then(|code| websocket::CloseCode(code).name());
    name.map_or_else(|| code.to_string(), |name| format!("{code} {name}"))
}

/// Name of what a handshake of TLS failed of: an alert, or what stands in the place of one.
pub(crate) fn tls_failure(failure: i64) -> String {
    let known = match failure {
        300 => Some("encrypted_alert"),
        301 => Some("not_answered"),
        302 => Some("not_finished"),
        303 => Some("server_spoke_no_tls"),
        304 => Some("client_spoke_no_tls"),
        alert => u8::try_from(alert).ok().and_then(tls::alert_name),
    };
    known.map_or_else(|| failure.to_string(), str::to_owned)
}

/// Names of the bits of `exchange_N.gaps`, in order.
pub(crate) fn gaps(bits: i64) -> Vec<&'static str> {
    GAPS.into_iter()
        .enumerate()
        .filter(|(bit, _)| bits >> bit & 1 == 1)
        .map(|(_, name)| name)
        .collect()
}

/// Names of evidence in the order of the schema.
pub(crate) fn evidence(number: i64) -> &'static str {
    match number & 3 {
        1 => "socket_lock",
        2 => "turn_start",
        3 => "proc",
        _ => "none",
    }
}

const GAPS: [&str; 9] = [
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
/// No `rollup_N.kind`: of what ended well and took longer than is usual.
pub(crate) const SLOW: i64 = -1;
/// `rollup_N.kind` of statuses of gRPC begins here,
const GRPC: i64 = 1000;
/// and that of error codes of HTTP/2 here.
const HTTP2: i64 = 2000;
/// That of response codes of DNS,
const DNS: i64 = 3000;
/// among them the one for a name that does not exist,
const NXDOMAIN: i64 = 3003;
/// and behind them what ICMP said did not arrive, was not seen to its end, or had no answer.
const UNREACHABLE: i64 = 3997;
const UNFINISHED: i64 = 3998;
const NO_ANSWER: i64 = 3999;
/// and that of close codes of WebSocket here.
const WEBSOCKET: i64 = 4000;
/// That of failed handshakes of TLS.
pub(crate) const TLS: i64 = 10_000;
/// Close codes from here on are those of libraries and applications (RFC 6455, 7.4.2).
const CLOSE_CODES_OF_LIBRARIES: i64 = 3000;
