//! `get_connection`: one connection as a story, with the header elements of both directions.

use super::{Asking, Declaration, ToolError, milliseconds, signed_milliseconds};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{DETAIL, MAX_TOKENS},
    budget::squeeze,
    escape::{cell, plain, value},
    output::{FactSpec, Table, TableSpec, captured, captured_column, column, fact},
};
use headwater_query::{ConnectionDetail, Element, EndDetail, StoryLine, rfc3339};

const ID: Parameter = Parameter {
    name: "id",
    kind: Kind::Text,
    required: true,
    description: "Connection id, c_…",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "get_connection",
    title: "One TCP connection as a story",
    description: "One TCP connection, or an attempt that came to none, by its id (c_…, from get_exchange or find_errors): what happened in \
        order of time (name resolved, SYN and retries, SYN-ACK, payload, exchanges, retransmits, zero windows, FIN or RST by whom in which \
        state, packets that the kernel dropped, ends of processes, close reason), and the IP and TCP header elements of both directions: hop limit, DSCP, ECN, MSS, options, \
        round trips, counts. Use it when an exchange was reset, refused, slow or timed out.",
    parameters: &[ID, DETAIL, MAX_TOKENS],
    facts: FACTS,
    tables: &[STORY, ELEMENTS],
};

/// Exchanges told one by one.
const CONCISE: usize = 10;
const DETAILED: usize = 50;

const STORY: TableSpec = TableSpec {
    name: "story",
    columns: &[
        column("after_ms"),
        column("by"),
        column("what"),
        column("id"),
        captured_column("captured"),
    ],
};
const ELEMENTS: TableSpec = TableSpec {
    name: "elements",
    columns: &[
        column("element"),
        column("client_sent"),
        column("server_sent"),
    ],
};

macro_rules! facts_of {
    ($($fixed:expr),+ ; ends $($end:literal),+) => {
        &[
            $($fixed,)+
            $(
                captured(concat!($end, ".service")),
                fact(concat!($end, ".address"), "string"),
                fact(concat!($end, ".peer_as_seen"), "string"),
                fact(concat!($end, ".on_this_machine"), "boolean"),
                fact(concat!($end, ".netns"), "integer"),
                fact(concat!($end, ".pid"), "integer"),
                captured(concat!($end, ".executable")),
                captured(concat!($end, ".command_line")),
                fact(concat!($end, ".container_id"), "string"),
                fact(concat!($end, ".process_evidence"), "string"),
            )+
        ]
    };
}

const FACTS: &[FactSpec] = facts_of!(
    fact("id", "string"),
    fact("close_reason", "string"),
    fact("close_explained", "string"),
    fact("start", "string"),
    fact("end", "string"),
    fact("duration_ms", "number"),
    fact("protocol", "string"),
    fact("joined_midstream", "boolean"),
    fact("handshake_ms", "number"),
    fact("handshake_seen_at", "string"),
    fact("exchanges", "integer"),
    fact("unknown", "array");
    ends "client", "server"
);

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let id = arguments.text("id").unwrap_or_default();
    let most = if arguments.is_detailed() {
        DETAILED
    } else {
        CONCISE
    };
    let answer = asking.store.connection(&id, most, asking.cancel).await?;
    let mut output = Output::framed(&answer, "");
    let connection = &answer.value;
    facts(&mut output, connection);
    end(
        &mut output,
        CLIENT,
        &connection.client,
        arguments.is_detailed(),
    );
    end(
        &mut output,
        SERVER,
        &connection.server,
        arguments.is_detailed(),
    );
    output.tables.push(story(&connection.story));
    output.tables.push(elements(&connection.elements));
    Ok(squeeze(output, arguments.max_tokens()))
}

fn facts(output: &mut Output, connection: &ConnectionDetail) {
    output.tell(FACTS, "id", connection.id.as_str());
    output.tell(FACTS, "close_reason", connection.close_reason.as_str());
    output.tell(
        FACTS,
        "close_explained",
        connection.close_explained.as_str(),
    );
    output.tell(FACTS, "start", rfc3339(connection.start_ns));
    output.tell(FACTS, "end", connection.end_ns.map(rfc3339));
    let lasted = connection
        .end_ns
        .map(|end_ns| end_ns.saturating_sub(connection.start_ns));
    output.tell(FACTS, "duration_ms", milliseconds(lasted));
    output.tell(FACTS, "protocol", connection.protocol.as_deref());
    output.tell(FACTS, "joined_midstream", connection.joined_midstream);
    output.tell(FACTS, "handshake_ms", milliseconds(connection.handshake_ns));
    output.tell(FACTS, "handshake_seen_at", connection.handshake_seen_at);
    output.tell(FACTS, "exchanges", connection.exchange_count);
    if !connection.unknown.is_empty() {
        output.tell(FACTS, "unknown", connection.unknown.clone());
    }
}

/// Facts of the client's end, in the order of `end`.
const CLIENT: [&str; 10] = [
    "client.service",
    "client.address",
    "client.peer_as_seen",
    "client.on_this_machine",
    "client.netns",
    "client.pid",
    "client.executable",
    "client.command_line",
    "client.container_id",
    "client.process_evidence",
];

/// Facts of the server's end, in the order of `end`.
const SERVER: [&str; 10] = [
    "server.service",
    "server.address",
    "server.peer_as_seen",
    "server.on_this_machine",
    "server.netns",
    "server.pid",
    "server.executable",
    "server.command_line",
    "server.container_id",
    "server.process_evidence",
];

fn end(output: &mut Output, paths: [&'static str; 10], end: &EndDetail, is_detailed: bool) {
    let [
        service,
        address,
        peer,
        local,
        netns,
        pid,
        executable,
        command_line,
        container,
        evidence,
    ] = paths;
    output.tell(FACTS, service, value(&end.service));
    output.tell(FACTS, address, end.address.as_str());
    output.tell(FACTS, peer, end.peer_as_seen.as_deref());
    output.tell(FACTS, local, end.local);
    if end.netns != 0 {
        output.tell(FACTS, netns, end.netns);
    }
    output.tell(FACTS, pid, end.pid);
    output.tell(FACTS, executable, end.executable.as_deref().map(value));
    output.tell(FACTS, container, end.container_id.as_deref().map(plain));
    output.tell(FACTS, evidence, end.process_evidence.as_str());
    if is_detailed {
        output.tell(FACTS, command_line, end.command_line.as_deref().map(value));
    }
}

fn story(lines: &[StoryLine]) -> Table {
    let mut table = Table::new(&STORY, true);
    for line in lines {
        table.push(
            &STORY,
            vec![
                signed_milliseconds(line.after_ns),
                line.by.into(),
                line.what.as_str().into(),
                line.id.clone().into(),
                line.captured.as_deref().map(cell).into(),
            ],
        );
    }
    table
}

fn elements(elements: &[Element]) -> Table {
    let mut table = Table::new(&ELEMENTS, true);
    for element in elements {
        let shown = |known: &Option<String>| known.as_deref().unwrap_or("unknown").to_owned();
        table.push(
            &ELEMENTS,
            vec![
                element.name.into(),
                shown(&element.client).into(),
                shown(&element.server).into(),
            ],
        );
    }
    table
}
