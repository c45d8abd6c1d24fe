//! The views that `query_sql` reads: exchanges and the like of a window, redacted as everything in the store is.
//!
//! Owns: their names, columns and SQL. They are made on a connection of the question's own, and nothing else can be read there.

use std::fmt::Write as _;

use crate::answer::Window;
use crate::integer::signed;
use crate::outcome;
use crate::search::{LATENCY, PATH};
use crate::segments::{self, Segment};

/// A view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// What a row is.
    pub row: &'static str,
    /// Its columns.
    pub columns: &'static [&'static str],
}

/// All of them.
pub const VIEWS: &[View] = &[
    View {
        name: "exchanges",
        row: "an HTTP exchange; id is for get_exchange; error is NULL where it is no failure",
        columns: &[
            "id",
            "start_ns",
            "latency_ms",
            "client",
            "server",
            "method",
            "path",
            "query",
            "route",
            "status",
            "outcome",
            "error",
            "request_bytes",
            "response_bytes",
            "grpc_status",
            "connection_id",
        ],
    },
    View {
        name: "dns",
        row: "a DNS question with its answer; type as IANA numbers them; id is for get_exchange",
        columns: &[
            "id",
            "start_ns",
            "latency_ms",
            "client",
            "server",
            "name",
            "type",
            "error",
            "answers",
            "retries",
        ],
    },
    View {
        name: "connections",
        row: "a TCP connection or an attempt; id is for get_connection; bytes are of payload",
        columns: &[
            "id",
            "start_ns",
            "end_ns",
            "close_reason",
            "client",
            "server",
            "client_address",
            "client_port",
            "server_address",
            "server_port",
            "protocol",
            "client_bytes",
            "server_bytes",
            "retransmits",
            "tls_version",
            "tls_cipher",
            "tls_server_name",
            "tls_ja4",
            "tls_ms",
            "tls_error",
        ],
    },
    View {
        name: "processes",
        row: "a process that talked; end_ns is NULL while it runs, or when nobody saw its end",
        columns: &[
            "pid",
            "service",
            "program",
            "command_line",
            "start_ns",
            "end_ns",
            "exit_code",
            "exit_signal",
            "container_id",
        ],
    },
    View {
        name: "not_seen",
        row: "what could not be recorded, as in coverage",
        columns: &["kind", "from_ns", "until_ns", "count"],
    },
];

/// The statements that make the views of a window.
pub(super) fn made(segments: &[Segment], window: Window) -> String {
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    let within: Vec<i64> = segments
        .iter()
        .filter(|segment| segment.may_hold(since_ns, until_ns))
        .map(|segment| segment.number)
        .collect();
    let outcomes =
        outcome::OUTCOMES
            .iter()
            .enumerate()
            .fold(String::new(), |mut cases, (number, name)| {
                let _ = write!(cases, " WHEN {number} THEN '{name}'");
                cases
            });
    let time = format!("BETWEEN {since_ns} AND {until_ns}");
    let exchanges = of_each(&within, |n| {
        format!(
            "SELECT exchange_id(e.id), e.start_ns, ({LATENCY}) / 1e6, {client}, {server}, e.http_request_method, {PATH}, e.url_query, \
             r.template, e.http_response_status_code, CASE e.outcome{outcomes} END, failure_kind(e.error_kind), \
             e.http_request_body_size, e.http_response_body_size, e.rpc_grpc_status_code, connection_id(e.connection_id) \
             FROM exchange_rows({n}) e LEFT JOIN route r ON r.id = e.route_id {SERVICES} WHERE e.start_ns {time}",
            client = name_of("cs"),
            server = name_of("ss"),
        )
    });
    let dns = of_each(&within, |n| {
        format!(
            "SELECT dns_id(e.id), e.start_ns, e.answer_delta_ns / 1e6, {client}, {server}, e.dns_question_name, e.question_type, \
             failure_kind(e.error_kind), e.dns_answers, e.retries FROM dns_rows({n}) e {SERVICES} WHERE e.start_ns {time}",
            client = name_of("cs"),
            server = name_of("ss"),
        )
    });
    let connections = format!(
        "SELECT connection_id(e.id), e.start_ns, e.end_ns, e.close_reason, {client}, {server}, e.client_address, e.client_port, \
         e.server_address, e.server_port, e.network_protocol_name, e.client_bytes, e.server_bytes, e.retransmits, \
         tls_version(t.tls_version), tls_cipher(t.tls_cipher), t.tls_server_name, t.tls_ja4, t.done_ns / 1e6, failure_kind(t.error_kind) \
         FROM connection e {SERVICES} LEFT JOIN connection_tls t ON t.connection_id = e.id WHERE e.start_ns <= {until_ns} AND COALESCE(e.end_ns, {until_ns}) >= {since_ns}",
        client = name_of("cs"),
        server = name_of("ss"),
    );
    let processes = format!(
        "SELECT e.pid, {service}, e.executable_name, e.command_line, e.start_ns, e.end_ns, e.exit_code, e.exit_signal, e.container_id \
         FROM process e LEFT JOIN service ss ON ss.id = e.service_id \
         WHERE e.first_seen_ns <= {until_ns} AND COALESCE(e.end_ns, {until_ns}) >= {since_ns}",
        service = name_of("ss"),
    );
    let not_seen = format!(
        "SELECT kind, from_ns, until_ns, count FROM coverage WHERE from_ns <= {until_ns} AND until_ns >= {since_ns}"
    );
    let of = [exchanges, dns, connections, processes, not_seen];
    VIEWS
        .iter()
        .zip(of)
        .fold(String::new(), |mut all, (view, select)| {
            let _ = writeln!(
                all,
                "CREATE TEMP VIEW {}({}) AS {select};",
                view.name,
                quoted(view.columns)
            );
            all
        })
}

fn quoted(columns: &[&str]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| format!("\"{column}\""))
        .collect();
    columns.join(", ")
}

/// One after the other; of no segments the columns of one without a row.
fn of_each(segments: &[i64], select: impl Fn(i64) -> String) -> String {
    if segments.is_empty() {
        return format!("{} LIMIT 0", select(0));
    }
    segments::of_each(segments.iter().copied(), select)
}

/// As services are shown everywhere.
fn name_of(alias: &str) -> String {
    format!("service_name({alias}.name, {alias}.port)")
}

const SERVICES: &str = "LEFT JOIN service cs ON cs.id = e.client_service_id LEFT JOIN service ss ON ss.id = e.server_service_id";
