//! `get_exchange`: one exchange in full, or one of its header values whole.

mod dns;
mod protocol;

use headwater_query::{EndDetail, ExchangeDetail, HeaderLine, HeaderPage, MessageDetail, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds};
use crate::{
    Arguments, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, ID, MAX_TOKENS},
    budget::{size, squeeze},
    escape::{plain, value},
    output::{FactSpec, Table, TableSpec, captured, captured_column, column, fact},
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "get_exchange",
    title: "One exchange in full",
    description: "One exchange by its id (x_…, or d_… of DNS): request and response with all header fields, both ends with process and container, \
        timing split, the DNS answer that its connection used, what the outcome means, the evidence for owners and threads, and what could not be seen; get_connection tells of its connection. With header, one \
        long value whole, in pages.",
    parameters: &[
        ID,
        Parameter::text("header", "Give the whole value of this header instead"),
        CURSOR,
        DETAIL,
        MAX_TOKENS,
    ],
    facts: FACTS,
    tables: &[
        REQUEST_HEADERS,
        REQUEST_TRAILERS,
        RESPONSE_HEADERS,
        RESPONSE_TRAILERS,
        PAGES,
    ],
};

/// Header text given at a time, in bytes for each token of the budget.
const PAGE_BYTES_FOR_TOKEN: usize = 1;
/// Below so many bytes asking for less makes no shorter page.
const LEAST_ROOM: usize = 4;

const HEADER_COLUMNS: &[crate::output::ColumnSpec] =
    &[captured_column("name"), captured_column("value")];
const REQUEST_HEADERS: TableSpec = TableSpec {
    name: "request.headers",
    columns: HEADER_COLUMNS,
};
const RESPONSE_HEADERS: TableSpec = TableSpec {
    name: "response.headers",
    columns: HEADER_COLUMNS,
};
const REQUEST_TRAILERS: TableSpec = TableSpec {
    name: "request.trailers",
    columns: HEADER_COLUMNS,
};
const RESPONSE_TRAILERS: TableSpec = TableSpec {
    name: "response.trailers",
    columns: HEADER_COLUMNS,
};
const PAGES: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("of"),
        captured_column("name"),
        captured_column("value"),
        column("offset"),
        column("full_bytes"),
    ],
};

macro_rules! facts_of {
    ($($fixed:expr),+ ; ends $($end:literal),+ ; messages $($message:literal),+) => {
        &[
            $($fixed,)+
            $(
                captured(concat!($end, ".service")),
                fact(concat!($end, ".service_kind"), "string"),
                fact(concat!($end, ".address"), "string"),
                fact(concat!($end, ".peer_as_seen"), "string"),
                fact(concat!($end, ".on_this_machine"), "boolean"),
                fact(concat!($end, ".netns"), "integer"),
                fact(concat!($end, ".pid"), "integer"),
                captured(concat!($end, ".executable")),
                captured(concat!($end, ".command_line")),
                captured(concat!($end, ".cgroup")),
                fact(concat!($end, ".container_id"), "string"),
                fact(concat!($end, ".process_evidence"), "string"),
                fact(concat!($end, ".process_begin"), "string"),
                fact(concat!($end, ".process_end"), "string"),
                fact(concat!($end, ".process_exit"), "string"),
            )+
            $(
                fact(concat!($message, ".version"), "string"),
                fact(concat!($message, ".header_bytes"), "integer"),
                fact(concat!($message, ".body_bytes"), "integer"),
                fact(concat!($message, ".first_byte"), "string"),
                fact(concat!($message, ".last_byte"), "string"),
                fact(concat!($message, ".thread_id"), "integer"),
                fact(concat!($message, ".thread_evidence"), "string"),
            )+
        ]
    };
}

const FACTS: &[FactSpec] = facts_of!(
    fact("id", "string"),
    fact("outcome", "string"),
    fact("outcome_explained", "string"),
    fact("status_code", "integer"),
    captured("reason"),
    captured("method"),
    captured("target"),
    fact("target_form", "string"),
    captured("route"),
    fact("interim", "array"),
    fact("start", "string"),
    fact("end", "string"),
    fact("timing.request_sent_ms", "number"),
    fact("timing.wait_ms", "number"),
    fact("timing.response_ms", "number"),
    fact("gaps", "array"),
    fact("server.replaces", "string"),
    fact("connection.id", "string"),
    fact("connection.ordinal", "integer"),
    fact("connection.close_reason", "string"),
    fact("connection.joined_midstream", "boolean"),
    captured("resolution.name"),
    fact("resolution.before_ms", "number"),
    fact("resolution.asked_by", "string"),
    fact("resolution.dns_exchange", "string"),
    captured("dns.name"),
    fact("dns.type", "string"),
    fact("dns.class", "string"),
    fact("dns.rcode", "string"),
    fact("dns.icmp", "string"),
    fact("dns.addresses", "string"),
    captured("dns.aliases"),
    fact("dns.ttl_s", "integer"),
    fact("dns.transport", "string"),
    fact("dns.retries", "integer"),
    fact("dns.truncated", "boolean"),
    fact("http2.stream_id", "integer"),
    fact("http2.error", "string"),
    fact("http2.error_by", "string"),
    fact("http2.stalls", "integer"),
    fact("http2.stalled_ms", "number"),
    fact("http2.pushed", "boolean"),
    captured("rpc.service"),
    captured("rpc.method"),
    fact("rpc.grpc_status_code", "integer"),
    fact("rpc.grpc_status", "string"),
    captured("rpc.grpc_message"),
    fact("rpc.timeout_ms", "number"),
    fact("rpc.request_messages", "string"),
    fact("rpc.response_messages", "string"),
    fact("rpc.kind_seen", "string"),
    fact("websocket.ending", "string"),
    fact("websocket.close_code", "string"),
    fact("websocket.closed_by", "string"),
    fact("websocket.compression", "boolean"),
    fact("websocket.client_sent", "string"),
    fact("websocket.server_sent", "string"),
    fact("websocket.first_message_ms", "number"),
    fact("websocket.last_message_ms", "number"),
    fact("sse.events", "string"),
    fact("sse.comments", "integer"),
    fact("sse.first_event_ms", "number"),
    fact("sse.last_event_ms", "number");
    ends "client", "server";
    messages "request", "response"
);

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let id = arguments.text("id").unwrap_or_default();
    if id
        .get(..2)
        .is_some_and(|form| form.eq_ignore_ascii_case("d_"))
    {
        return dns::answer(&id, arguments, asking).await;
    }
    if let Some(header) = arguments.text("header") {
        return page(&id, &header, arguments, asking).await;
    }
    without_cursor(arguments)?;
    let answer = asking.store.exchange(&id, asking.cancel).await?;
    let mut output = Output::framed(&answer, "");
    let exchange = &answer.value;
    facts(&mut output, exchange);
    protocol::tell(&mut output, exchange);
    end(
        &mut output,
        CLIENT,
        &exchange.client,
        arguments.is_detailed(),
    );
    end(
        &mut output,
        SERVER,
        &exchange.server,
        arguments.is_detailed(),
    );
    if let Some(request) = &exchange.request {
        message(
            &mut output,
            [
                "request.version",
                "request.header_bytes",
                "request.body_bytes",
                "request.first_byte",
                "request.last_byte",
                "request.thread_id",
                "request.thread_evidence",
            ],
            request,
            arguments.is_detailed(),
        );
        output
            .tables
            .push(headers(&REQUEST_HEADERS, &request.headers));
        if !request.trailers.is_empty() {
            output
                .tables
                .push(headers(&REQUEST_TRAILERS, &request.trailers));
        }
    }
    if let Some(response) = &exchange.response {
        message(
            &mut output,
            [
                "response.version",
                "response.header_bytes",
                "response.body_bytes",
                "response.first_byte",
                "response.last_byte",
                "response.thread_id",
                "response.thread_evidence",
            ],
            response,
            arguments.is_detailed(),
        );
        output
            .tables
            .push(headers(&RESPONSE_HEADERS, &response.headers));
        if !response.trailers.is_empty() {
            output
                .tables
                .push(headers(&RESPONSE_TRAILERS, &response.trailers));
        }
    }
    Ok(squeeze(output, arguments.max_tokens()))
}

/// Refuses a cursor where nothing has a next page: left unsaid, the same answer would come for ever.
fn without_cursor(arguments: &Arguments) -> Result<(), ToolError> {
    if arguments.text("cursor").is_none() {
        return Ok(());
    }
    Err(ToolError::Steer(
        "cursor: only the pages of one header have a next one; give header too, as in the call that gave the cursor".to_owned(),
    ))
}

fn facts(output: &mut Output, exchange: &ExchangeDetail) {
    output.tell(FACTS, "id", exchange.id.as_str());
    output.tell(FACTS, "outcome", exchange.outcome);
    output.tell(FACTS, "status_code", exchange.status_code);
    output.tell(FACTS, "method", exchange.method.as_deref().map(value));
    output.tell(FACTS, "target", exchange.target.as_deref().map(value));
    output.tell(
        FACTS,
        "outcome_explained",
        exchange.outcome_explained.as_str(),
    );
    output.tell(FACTS, "reason", exchange.reason.as_deref().map(value));
    output.tell(FACTS, "target_form", exchange.target_form);
    output.tell(FACTS, "route", exchange.route.as_deref().map(value));
    if !exchange.interim.is_empty() {
        output.tell(FACTS, "interim", exchange.interim.clone());
    }
    output.tell(FACTS, "start", rfc3339(exchange.start_ns));
    output.tell(FACTS, "end", rfc3339(exchange.end_ns));
    output.tell(
        FACTS,
        "timing.request_sent_ms",
        milliseconds(exchange.request_sent_ns),
    );
    output.tell(FACTS, "timing.wait_ms", milliseconds(exchange.wait_ns));
    output.tell(
        FACTS,
        "timing.response_ms",
        milliseconds(exchange.response_ns),
    );
    if !exchange.gaps.is_empty() {
        output.tell(FACTS, "gaps", exchange.gaps.clone());
    }
    let replaces = exchange.server.replaces.map(|replaced| {
        let began = rfc3339(replaced.start_ns.cast_unsigned());
        format!("{replaced}; this process began at {began}")
    });
    output.tell(FACTS, "server.replaces", replaces);
    output.tell(FACTS, "connection.id", exchange.connection_id.as_str());
    output.tell(FACTS, "connection.ordinal", exchange.ordinal);
    output.tell(
        FACTS,
        "connection.close_reason",
        exchange.connection_close_reason.as_str(),
    );
    output.tell(
        FACTS,
        "connection.joined_midstream",
        exchange.joined_midstream,
    );
    if let Some(resolution) = &exchange.resolution {
        output.tell(FACTS, "resolution.name", value(&resolution.name));
        output.tell(
            FACTS,
            "resolution.before_ms",
            milliseconds(Some(resolution.before_ns)),
        );
        output.tell(FACTS, "resolution.asked_by", resolution.asked_by.as_str());
        output.tell(
            FACTS,
            "resolution.dns_exchange",
            resolution.exchange_id.as_str(),
        );
    }
}

/// Facts of the client's end, in the order of `end`.
const CLIENT: [&str; 15] = [
    "client.service",
    "client.service_kind",
    "client.address",
    "client.peer_as_seen",
    "client.on_this_machine",
    "client.netns",
    "client.pid",
    "client.executable",
    "client.command_line",
    "client.cgroup",
    "client.container_id",
    "client.process_evidence",
    "client.process_begin",
    "client.process_end",
    "client.process_exit",
];

/// Facts of the server's end, in the order of `end`.
const SERVER: [&str; 15] = [
    "server.service",
    "server.service_kind",
    "server.address",
    "server.peer_as_seen",
    "server.on_this_machine",
    "server.netns",
    "server.pid",
    "server.executable",
    "server.command_line",
    "server.cgroup",
    "server.container_id",
    "server.process_evidence",
    "server.process_begin",
    "server.process_end",
    "server.process_exit",
];

fn end(output: &mut Output, paths: [&'static str; 15], end: &EndDetail, is_detailed: bool) {
    let [
        service,
        kind,
        address,
        peer,
        local,
        netns,
        pid,
        executable,
        command_line,
        cgroup,
        container,
        evidence,
        began,
        ended,
        exit,
    ] = paths;
    output.tell(FACTS, service, value(&end.service));
    output.tell(FACTS, kind, end.service_kind.as_str());
    output.tell(FACTS, address, end.address.as_str());
    output.tell(FACTS, peer, end.peer_as_seen.as_deref());
    output.tell(FACTS, local, end.local);
    output.tell(FACTS, pid, end.pid);
    output.tell(FACTS, executable, end.executable.as_deref().map(value));
    output.tell(FACTS, command_line, end.command_line.as_deref().map(value));
    output.tell(FACTS, container, end.container_id.as_deref().map(plain));
    output.tell(FACTS, evidence, end.process_evidence.as_str());
    let how = end.process_begin;
    output.tell(FACTS, began, how.is_known().then(|| how.to_string()));
    output.tell(
        FACTS,
        ended,
        end.process_end_ns.map(|at| rfc3339(at.cast_unsigned())),
    );
    output.tell(FACTS, exit, end.process_exit.map(|exit| exit.to_string()));
    if is_detailed {
        output.tell(FACTS, netns, end.netns);
        output.tell(FACTS, cgroup, end.cgroup.as_deref().map(value));
    }
}

fn message(
    output: &mut Output,
    paths: [&'static str; 7],
    message: &MessageDetail,
    is_detailed: bool,
) {
    let [
        version,
        header_bytes,
        body_bytes,
        first,
        last,
        thread,
        evidence,
    ] = paths;
    output.tell(FACTS, version, message.version.as_str());
    output.tell(FACTS, header_bytes, message.header_bytes);
    output.tell(FACTS, body_bytes, message.body_bytes);
    output.tell(FACTS, thread, message.thread_id);
    output.tell(FACTS, evidence, message.thread_evidence);
    if is_detailed {
        output.tell(FACTS, first, rfc3339(message.first_byte_ns));
        output.tell(FACTS, last, message.last_byte_ns.map(rfc3339));
    }
}

fn headers(spec: &TableSpec, lines: &[HeaderLine]) -> Table {
    let mut table = Table::new(spec, true);
    for line in lines {
        table.push(
            spec,
            vec![value(&line.name).into(), value(&line.value).into()],
        );
    }
    table
}

async fn page(
    id: &str,
    header: &str,
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let budget = arguments.max_tokens();
    let mut room = budget.saturating_sub(150).max(50) * PAGE_BYTES_FOR_TOKEN;
    let cursor = arguments.text("cursor");
    loop {
        let answer = asking
            .store
            .header(id, header, cursor.as_deref(), room, asking.cancel)
            .await?;
        let mut output = Output::framed(&answer, "");
        if answer.value.is_empty() {
            let said =
                "this exchange has no such header; get_exchange without header lists those it has";
            output.empty = Some(said.to_owned());
        }
        output.tables.push(pages(&answer.value));
        while size(&output) > budget && output.frame.shrink() {}
        // The next page begins where this one ends, so that rows cannot simply be dropped: fewer are asked for.
        if size(&output) <= budget || room <= LEAST_ROOM {
            return Ok(squeeze(output, budget));
        }
        room /= 2;
    }
}

fn pages(pages: &[HeaderPage]) -> Table {
    let mut table = Table::new(&PAGES, true);
    for page in pages {
        let row: Vec<Value> = vec![
            page.of.into(),
            value(&page.name).into(),
            plain(&page.value).into(),
            page.offset.into(),
            page.full_bytes.into(),
        ];
        table.push(&PAGES, row);
    }
    table
}
