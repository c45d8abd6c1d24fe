//! The columns of an exchange, in the order of `segment.sql`.

/// Their names.
pub const EXCHANGE_COLUMNS: [&str; COUNT] = [
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
];
/// How many there are.
pub(crate) const COUNT: usize = 36;
/// Place of `id`.
pub const ID: usize = 0;
/// Place of `start_ns`.
pub const START_NS: usize = 3;
