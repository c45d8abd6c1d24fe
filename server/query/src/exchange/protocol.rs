//! What a row tells that only HTTP/2 or gRPC knows.

use headwater_protocols::grpc;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{GrpcDetail, Http2Detail};
use crate::integer::{narrow, unsigned};
use crate::{QueryError, outcome};

/// HTTP/2's part.
pub(super) fn http2(row: &SqliteRow) -> Result<Option<Http2Detail>, QueryError> {
    let Some(stream_id): Option<i64> = row.try_get("http2_stream_id")? else {
        return Ok(None);
    };
    let flags: i64 = row.try_get::<Option<i64>, _>("http2_flags")?.unwrap_or(0);
    let code: Option<i64> = row.try_get("http2_error_code")?;
    let count = |column| {
        row.try_get::<Option<i64>, _>(column)
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
pub(super) fn grpc(row: &SqliteRow) -> Result<Option<GrpcDetail>, QueryError> {
    let Some(requests): Option<i64> = row.try_get("rpc_request_messages")? else {
        return Ok(None);
    };
    let responses: Option<i64> = row.try_get("rpc_response_messages")?;
    let messages = [unsigned(requests), responses.map_or(0, unsigned)];
    let exact: i64 = row
        .try_get::<Option<i64>, _>("rpc_messages_exact")?
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

const PUSHED: i64 = 1;
const BY_SERVER: i64 = 2;
const BY_GOAWAY: i64 = 4;
