//! The kinds of rows that are packed: their columns, in the order of `segment.sql`, and the tables that hold them.

use std::ffi::CStr;

/// A kind of row. Its first column is the id.
#[derive(Debug)]
pub struct Layout {
    /// Names of the columns, at most `MOST_COLUMNS`.
    pub columns: &'static [&'static str],
    /// Place of `start_ns` among them.
    pub start_ns: usize,
    /// The table of plain rows, without its segment's number,
    pub plain: &'static str,
    /// and that of packs.
    pub packs: &'static str,
    /// The virtual table that shows both.
    pub rows: &'static CStr,
}

/// Exchanges of HTTP.
pub static EXCHANGES: Layout = Layout {
    columns: &[
        "id",
        "connection_id",
        "ordinal",
        "start_ns",
        "request_end_delta_ns",
        "response_start_delta_ns",
        "response_end_delta_ns",
        "end_delta_ns",
        "client_service_id",
        "server_service_id",
        "route_id",
        "http_request_method",
        "target_form",
        "url_scheme",
        "url_authority",
        "url_path",
        "url_query",
        "http_response_status_code",
        "http_response_reason",
        "request_minor_version",
        "response_minor_version",
        "interim",
        "outcome",
        "error_kind",
        "gaps",
        "request_header_block_id",
        "request_header_holes",
        "response_header_block_id",
        "response_header_holes",
        "http_request_header_size",
        "http_request_body_size",
        "http_response_header_size",
        "http_response_body_size",
        "request_thread_id",
        "response_thread_id",
        "thread_evidence",
        "http2_stream_id",
        "http2_flags",
        "http2_error_code",
        "http2_stalls",
        "http2_stalled_ns",
        "rpc_grpc_status_code",
        "rpc_grpc_message",
        "rpc_grpc_timeout_ns",
        "rpc_request_messages",
        "rpc_response_messages",
        "rpc_messages_exact",
        "request_trailer_block_id",
        "request_trailer_holes",
        "response_trailer_block_id",
        "response_trailer_holes",
        "websocket",
        "event_stream",
    ],
    start_ns: 3,
    plain: "exchange",
    packs: "exchange_pack",
    rows: c"exchange_rows",
};

/// Exchanges of DNS.
pub static DNS_EXCHANGES: Layout = Layout {
    columns: &[
        "id",
        "start_ns",
        "answer_delta_ns",
        "end_delta_ns",
        "client_service_id",
        "server_service_id",
        "client_address",
        "client_port",
        "client_local",
        "client_netns",
        "client_process_id",
        "client_process_evidence",
        "server_address",
        "server_port",
        "server_local",
        "server_netns",
        "server_process_id",
        "server_process_evidence",
        "network_transport",
        "connection_id",
        "message_id",
        "dns_question_name",
        "question_type",
        "question_class",
        "retries",
        "outcome",
        "rcode",
        "flags",
        "dns_answers",
        "address_count",
        "aliases",
        "other_count",
        "minimum_ttl_s",
        "query_bytes",
        "answer_bytes",
        "error_kind",
        "icmp",
    ],
    start_ns: 1,
    plain: "dns_exchange",
    packs: "dns_exchange_pack",
    rows: c"dns_rows",
};

/// Place of the id.
pub(crate) const ID: usize = 0;
/// As many as a number has bits: one tells of each whether it differs from the row before.
pub(crate) const MOST_COLUMNS: usize = 64;
const _: () = assert!(EXCHANGES.columns.len() <= MOST_COLUMNS);
const _: () = assert!(DNS_EXCHANGES.columns.len() <= MOST_COLUMNS);
