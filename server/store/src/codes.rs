//! The words and numbers that the schema gives to the model's enums. Written to disk: append only.

use headwater_model::{
    AskedBy, CloseReason, CoverageKind, DnsExchange, DnsOutcome, Evidence, Exchange, Outcome,
    ServiceKind, Side, TlsFailure,
};
use headwater_redact::TargetForm;

/// `connection.close_reason`.
pub(crate) fn close_reason(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Open => "open",
        CloseReason::Fin => "fin",
        CloseReason::ClientReset => "client_reset",
        CloseReason::ServerReset => "server_reset",
        CloseReason::Refused => "refused",
        CloseReason::TimedOut => "timed_out",
        CloseReason::Unreachable => "unreachable",
        CloseReason::GaveUp => "gave_up",
        CloseReason::Unknown => "unknown",
    }
}

/// `coverage.kind`.
pub(crate) fn coverage_kind(kind: CoverageKind) -> &'static str {
    match kind {
        CoverageKind::RingLost => "ring_lost",
        CoverageKind::ProbeRecursion => "probe_recursion",
        CoverageKind::ConnectionEvicted => "connection_evicted",
        CoverageKind::HeadCapped => "head_capped",
        CoverageKind::Malformed => "malformed",
        CoverageKind::JoinedMidstream => "joined_midstream",
        CoverageKind::TlsNotDecoded => "tls_not_decoded",
        CoverageKind::TlsLibraryNotRead => "tls_library_not_read",
        CoverageKind::TlsUnbound => "tls_unbound",
        CoverageKind::PlaintextUnread => "plaintext_unread",
        CoverageKind::HeaderBlockLost => "header_block_lost",
        CoverageKind::OtherProtocol => "other_protocol",
        CoverageKind::OwnTraffic => "own_traffic",
        CoverageKind::Filtered => "filtered",
        CoverageKind::ClockStep => "clock_step",
        CoverageKind::Suspended => "suspended",
        CoverageKind::WriteFailed => "write_failed",
        CoverageKind::Retention => "retention",
        CoverageKind::NameOverflow => "name_overflow",
        CoverageKind::Unsupported => "unsupported",
        CoverageKind::RecorderKilled => "recorder_killed",
        CoverageKind::ConnectionUnfollowed => "connection_unfollowed",
        CoverageKind::PacketsUnparsed => "packets_unparsed",
        CoverageKind::FlowTableFull => "flow_table_full",
        CoverageKind::FramesLost => "frames_lost",
        CoverageKind::HeldBytesCapped => "held_bytes_capped",
        CoverageKind::HeaderTableCapped => "header_table_capped",
        CoverageKind::DropsUntold => "drops_untold",
        CoverageKind::ExpansionCapped => "expansion_capped",
        CoverageKind::TableCapped => "table_capped",
        CoverageKind::DnsNotRead => "dns_not_read",
        CoverageKind::QuicNotDecoded => "quic_not_decoded",
        CoverageKind::IcmpNotTied => "icmp_not_tied",
        CoverageKind::UdpFlowEvicted => "udp_flow_evicted",
        CoverageKind::IdentifiersCapped => "identifiers_capped",
    }
}

/// `connection.*_process_evidence`.
pub(crate) fn evidence_name(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::None => "none",
        Evidence::SocketLock => "socket_lock",
        Evidence::TurnStart => "turn_start",
        Evidence::Proc => "proc",
    }
}

/// Two bits of `exchange_N.thread_evidence`.
pub(crate) fn evidence_bits(evidence: Evidence) -> i64 {
    match evidence {
        Evidence::None => 0,
        Evidence::SocketLock => 1,
        Evidence::TurnStart => 2,
        Evidence::Proc => 3,
    }
}

/// `exchange_N.outcome`.
pub(crate) fn outcome(outcome: Outcome) -> i64 {
    match outcome {
        Outcome::Complete => 0,
        Outcome::Open => OPEN_OUTCOME,
        Outcome::ClientGaveUp => 2,
        Outcome::ServerReset => 3,
        Outcome::ServerClosed => 4,
        Outcome::TimedOut => 5,
        Outcome::Truncated => TRUNCATED,
        Outcome::Malformed => 7,
        Outcome::RequestNotSeen => 8,
    }
}

/// `service.kind`.
pub(crate) fn service_kind(kind: ServiceKind) -> &'static str {
    match kind {
        ServiceKind::Container => "container",
        ServiceKind::Unit => "unit",
        ServiceKind::Program => "program",
        ServiceKind::Host => "host",
        ServiceKind::Address => "address",
    }
}

/// `exchange_N.target_form`.
pub(crate) fn target_form(form: TargetForm) -> i64 {
    match form {
        TargetForm::Origin => 0,
        TargetForm::Absolute => 1,
        TargetForm::Authority => 2,
        TargetForm::Asterisk => 3,
    }
}

/// `rollup_N.kind` of an exchange. `exchange_N.error_kind` is the same, but NULL for `NO_FAILURE` and `OPEN`.
pub(crate) fn kind(exchange: &Exchange) -> u16 {
    let status_code = exchange
        .response
        .as_ref()
        .and_then(|response| response.status_code);
    let grpc_status = exchange.grpc.as_ref().and_then(|grpc| grpc.status_code);
    let close_code = exchange
        .websocket
        .as_ref()
        .and_then(|websocket| websocket.close_code)
        .filter(|code| exchange.outcome != Outcome::Open && is_abnormal_close(*code));
    match (exchange.outcome, status_code, grpc_status) {
        _ if close_code.is_some() => WEBSOCKET + close_code.unwrap_or_default(),
        (_, _, Some(1..)) => code_kind(GRPC, grpc_status),
        (_, Some(status), _) if status >= 400 => status,
        (Outcome::ServerReset | Outcome::ClientGaveUp, ..) => reset_kind(exchange),
        (Outcome::ServerClosed, ..) => CLOSED,
        (Outcome::TimedOut, ..) => TIMED_OUT,
        (Outcome::Malformed, ..) => 6,
        (Outcome::Open, ..) => OPEN,
        (Outcome::Complete | Outcome::Truncated | Outcome::RequestNotSeen, ..) => NO_FAILURE,
    }
}

/// Whether a WebSocket that was closed with this code failed (RFC 6455, 7.4, and IANA's registry). Those that did not: 1000,
/// normal closure; 1001, an end that goes away, as servers do that stop and pages that are left; 1005, a close frame without
/// a code; what libraries (3000 to 3999) have not registered as a failure, and 4000 to 4999, whose meaning is known to the
/// application alone.
fn is_abnormal_close(code: u16) -> bool {
    matches!(code, 1002..=1004 | 1006..=1015 | 3000 | 3003 | 3008)
}

/// A client that cancels or leaves gave up; any other code says more than that.
fn reset_kind(exchange: &Exchange) -> u16 {
    let code = exchange
        .http2
        .as_ref()
        .and_then(|http2| http2.error)
        .map(|error| error.code);
    match (exchange.outcome, code) {
        (Outcome::ServerReset, Some(_)) => code_kind(HTTP2, code),
        (Outcome::ServerReset, None) => RESET,
        (_, Some(NO_ERROR | CANCEL) | None) => GAVE_UP,
        (_, Some(_)) => code_kind(HTTP2, code),
    }
}

/// A code on top of its base; codes that nobody has registered are one kind.
fn code_kind(base: u16, code: Option<u32>) -> u16 {
    let code = code.and_then(|code| u16::try_from(code).ok());
    base + code.unwrap_or(MOST_CODE).min(MOST_CODE)
}

/// `rollup_N.kind` of a connection on which nothing was exchanged; `None` when it is no failure.
pub(crate) fn connection_kind(reason: CloseReason) -> Option<u16> {
    match reason {
        CloseReason::Refused => Some(3),
        CloseReason::TimedOut => Some(TIMED_OUT),
        CloseReason::Unreachable => Some(7),
        CloseReason::GaveUp => Some(GAVE_UP),
        CloseReason::Open
        | CloseReason::Fin
        | CloseReason::ClientReset
        | CloseReason::ServerReset
        | CloseReason::Unknown => None,
    }
}

/// `rollup_N.kind` and `connection_tls.error_kind` of a handshake of TLS that failed, and who sent the alert.
pub(crate) fn tls_kind(failure: TlsFailure) -> (u16, Option<Side>) {
    match failure {
        TlsFailure::Alert { by, description } => (TLS + u16::from(description), Some(by)),
        TlsFailure::EncryptedAlert { by } => (TLS + 300, Some(by)),
        TlsFailure::NotAnswered => (TLS + 301, None),
        TlsFailure::NotFinished => (TLS + 302, None),
        TlsFailure::ServerSpokeNoTls => (TLS + 303, None),
        TlsFailure::ClientSpokeNoTls => (TLS + 304, None),
    }
}

/// `connection_resolution.asked_by`.
pub(crate) fn asked_by(asked_by: AskedBy) -> &'static str {
    match asked_by {
        AskedBy::Process => "process",
        AskedBy::Namespace => "namespace",
        AskedBy::Address => "address",
    }
}

/// `dns_exchange_N.outcome`.
pub(crate) fn dns_outcome(outcome: DnsOutcome) -> i64 {
    match outcome {
        DnsOutcome::Answered => 0,
        DnsOutcome::AnsweredLate => 1,
        DnsOutcome::NoAnswer => 2,
        DnsOutcome::QueryNotSeen => 3,
        DnsOutcome::Unfinished => 4,
        DnsOutcome::Unreachable => 5,
    }
}

/// `rollup_N.kind` of a DNS exchange, and whether that is a failure.
pub(crate) fn dns_kind(exchange: &DnsExchange) -> (u16, bool) {
    match (exchange.outcome, &exchange.answer) {
        (DnsOutcome::NoAnswer, _) => (DNS + MOST_CODE, true),
        (DnsOutcome::Unreachable, _) => (DNS + MOST_CODE - 2, true),
        (_, Some(answer)) => {
            let rcode = answer.rcode.min(MOST_CODE - 3);
            (DNS + rcode, rcode != 0)
        }
        (_, None) => (DNS + MOST_CODE - 1, false),
    }
}

/// `exchange_N.outcome` of an exchange that has not ended,
pub(crate) const OPEN_OUTCOME: i64 = 1;
/// and of one whose end was lost.
pub(crate) const TRUNCATED: i64 = 6;
/// `rollup_N.kind` of what went well.
pub(crate) const NO_FAILURE: u16 = 0;
/// `rollup_N.kind` of what has not ended.
pub(crate) const OPEN: u16 = 8;
/// `rollup_N.kind` of the outcomes for which a process can be at fault,
pub(crate) const RESET: u16 = 1;
pub(crate) const CLOSED: u16 = 2;
pub(crate) const GAVE_UP: u16 = 4;
/// and what stands for them when it was killed by a signal, or gave another exit code than 0, with the exchange open.
pub(crate) const SERVER_KILLED: u16 = 9;
pub(crate) const SERVER_FAILED: u16 = 10;
pub(crate) const CLIENT_KILLED: u16 = 11;
pub(crate) const CLIENT_FAILED: u16 = 12;
const TIMED_OUT: u16 = 5;
/// `rollup_N.kind` of a status of gRPC,
const GRPC: u16 = 1000;
/// and of an error code of HTTP/2.
const HTTP2: u16 = 2000;
/// and of a response code of DNS.
const DNS: u16 = 3000;
/// and of a close code of WebSocket.
const WEBSOCKET: u16 = 4000;
/// and of a failed handshake of TLS.
const TLS: u16 = 10_000;
const MOST_CODE: u16 = 999;
/// RFC 9113, 7.
const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;
