//! What a row tells that only HTTP/2, gRPC, WebSocket or an event stream knows.

use headwater_pack::numbers;
use headwater_protocols::grpc;

use super::{EventStreamDetail, GrpcDetail, Http2Detail, WebSocketCounts, WebSocketDetail};
use crate::db::Row;
use crate::integer::{narrow, unsigned};
use crate::{QueryError, outcome};

/// HTTP/2's part.
pub(super) fn http2(row: &Row) -> Result<Option<Http2Detail>, QueryError> {
    let Some(stream_id): Option<i64> = row.try_get("http2_stream_id")? else {
        return Ok(None);
    };
    let flags: i64 = row.try_get::<Option<i64>>("http2_flags")?.unwrap_or(0);
    let code: Option<i64> = row.try_get("http2_error_code")?;
    let count = |column| {
        row.try_get::<Option<i64>>(column)
            .map(|count| count.map_or(0, unsigned))
    };
    Ok(Some(Http2Detail {
        stream_id: narrow(stream_id),
        error: code.map(outcome::http2_error),
        error_by: code.map(|_| match flags & (BY_SERVER | BY_GOAWAY) {
            0 => "client",
            BY_SERVER => "server",
            _ => "server (GOAWAY)",
        }),
        stalls: count("http2_stalls")?,
        stalled_ns: count("http2_stalled_ns")?,
        is_pushed: flags & PUSHED != 0,
    }))
}

/// gRPC's part.
pub(super) fn grpc(row: &Row) -> Result<Option<GrpcDetail>, QueryError> {
    let Some(requests): Option<i64> = row.try_get("rpc_request_messages")? else {
        return Ok(None);
    };
    let responses: Option<i64> = row.try_get("rpc_response_messages")?;
    let messages = [unsigned(requests), responses.map_or(0, unsigned)];
    let exact: i64 = row
        .try_get::<Option<i64>>("rpc_messages_exact")?
        .unwrap_or(0);
    let is_exact = [exact & 1 != 0, exact & 2 != 0];
    let path: Option<&str> = row.try_get("url_path")?;
    let names = path.and_then(|path| grpc::split_path(path.as_bytes()));
    let status: Option<i64> = row.try_get("rpc_grpc_status_code")?;
    let timeout: Option<i64> = row.try_get("rpc_grpc_timeout_ns")?;
    Ok(Some(GrpcDetail {
        service: names.map(|(service, _)| service.to_owned()),
        method: names.map(|(_, method)| method.to_owned()),
        status_code: status.map(narrow),
        status: status.map(outcome::grpc_status),
        message: row.try_get("rpc_grpc_message")?,
        timeout_ns: timeout.map(unsigned),
        messages,
        is_exact,
        // What is counted at least shows streaming only when it is more than one.
        kind_seen: (is_exact == [true; 2])
            .then(|| grpc::kind_seen(messages[0], messages[1]).name()),
    }))
}

/// WebSocket's part.
pub(super) fn websocket(row: &Row) -> Result<Option<WebSocketDetail>, QueryError> {
    let Some(text): Option<&str> = row.try_get("websocket")? else {
        return Ok(None);
    };
    let numbers: [Option<u64>; 24] = numbers::split(text);
    let [flags, code, first, last, counts @ ..] = numbers;
    let flags = flags.unwrap_or(0);
    let counts = counts.map(|count| count.unwrap_or(0));
    let side = |first: usize, exact: u64| {
        let mut counts = counts.iter().skip(first).copied();
        let mut next = || counts.next().unwrap_or(0);
        WebSocketCounts {
            text: next(),
            binary: next(),
            fragmented: next(),
            compressed: next(),
            continuation_frames: next(),
            ping: next(),
            pong: next(),
            close: next(),
            payload_bytes: next(),
            malformed: next(),
            is_exact: flags & exact != 0,
        }
    };
    Ok(Some(WebSocketDetail {
        compression: flags & 1 != 0,
        ending: usize::try_from(flags >> 5)
            .ok()
            .and_then(|ending| ENDINGS.get(ending).copied())
            .unwrap_or("unknown"),
        close_code: code
            .and_then(|code| i64::try_from(code).ok())
            .map(outcome::close_code),
        closed_by: match flags & (CLIENT_CLOSED | SERVER_CLOSED) {
            CLIENT_CLOSED => Some("client"),
            SERVER_CLOSED => Some("server"),
            _ => None,
        },
        first_message_ns: first,
        last_message_ns: last,
        client: side(0, 2),
        server: side(10, 4),
    }))
}

/// The event stream's part.
pub(super) fn event_stream(row: &Row) -> Result<Option<EventStreamDetail>, QueryError> {
    let text: Option<&str> = row.try_get("event_stream")?;
    Ok(text.map(|text| {
        let [flags, events, comments, first, last] = numbers::split(text);
        EventStreamDetail {
            events,
            comments: comments.unwrap_or(0),
            is_exact: flags.unwrap_or(0) & 1 != 0,
            first_event_ns: first,
            last_event_ns: last,
        }
    }))
}

const CLIENT_CLOSED: u64 = 8;
const SERVER_CLOSED: u64 = 16;
/// How a WebSocket was closed, in the order of the schema.
const ENDINGS: [&str; 6] = [
    "open",
    "closing",
    "clean",
    "unanswered",
    "abnormal",
    "not_seen",
];
const PUSHED: i64 = 1;
const BY_SERVER: i64 = 2;
const BY_GOAWAY: i64 = 4;
