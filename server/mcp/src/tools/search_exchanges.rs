//! `search_exchanges`: single exchanges by what they are; waits for the next one if asked to.
//!
//! Owns: the arguments, which mean the same for every protocol, and waiting. What is no exchange of HTTP is told by `dns` and
//! `udp`.

pub(super) mod dns;
mod udp;

use std::time::{Duration, Instant};

use headwater_query::{
    Answer, ExchangeRow, SearchOrder, SearchQuery, Syntax, TimeArgument, WindowArgument, rfc3339,
};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds, window};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, LIMIT, MAX_TOKENS, PEER, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{TableSpec, captured_column, column, detailed},
};

const WAIT: Parameter = Parameter {
    name: "wait_s",
    kind: Kind::Integer {
        min: 0,
        max: 25,
        default: 0,
    },
    required: false,
    description: "Wait so many seconds for the next match; without since, only what begins after this call counts",
};
const ORDER: Parameter = Parameter {
    name: "order",
    kind: Kind::Choice(&["newest", "slowest"]),
    required: false,
    description: "Which come first; newest unless told",
};
const PROTOCOL: Parameter = Parameter {
    name: "protocol",
    kind: Kind::Choice(&["http1", "http2", "grpc", "websocket", "sse", "dns", "udp"]),
    required: false,
    description: "Only these; all HTTP unless told. dns: method is the type, path the name, status the response code. udp: flows",
};
const LATENCY: Parameter = Parameter {
    name: "min_latency_ms",
    kind: Kind::Number,
    required: false,
    description: "Least time from first request byte to last response byte",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "search_exchanges",
    title: "Search exchanges",
    description: "Single exchanges (HTTP, gRPC, WebSocket; with protocol dns DNS, with udp other flows), newest or slowest first, by time, service, peer, method, path, status, header, latency and \
        outcome. Use it when you know what you look for; begin with find_errors or list_services when you do not. A plain secret \
        given as header_value is hashed with the store's key and found by its hash. get_exchange tells one of them in full.",
    parameters: &[
        SINCE,
        UNTIL,
        SERVICE,
        PEER,
        Parameter::text(
            "method",
            "Request method, exactly; of dns the type (A, AAAA)",
        ),
        Parameter::text(
            "path",
            "Part of the path (of dns the name); =/exact; * is a wildcard",
        ),
        Parameter::written(
            "status",
            Syntax::Statuses,
            "404, 5xx, 400-499; of dns NXDOMAIN and the like; several with commas",
        ),
        Parameter::text("header_name", "A header that request or response must have"),
        Parameter::text("header_value", "Part of a header's value"),
        LATENCY,
        PROTOCOL,
        Parameter::written(
            "outcome",
            Syntax::Outcomes,
            "complete, open, client_gave_up, server_reset, server_closed, timed_out, malformed, or failed for these last five; truncated and request_not_seen are the recorder's own limits. Of dns: answered, answered_late, no_answer, unreachable, query_not_seen, unfinished, failed",
        ),
        ORDER,
        WAIT,
        LIMIT,
        CURSOR,
        DETAIL,
        MAX_TOKENS,
    ],
    facts: &[],
    tables: &[ANY_TABLE],
};

/// Those of HTTP.
const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("id"),
        column("start"),
        captured_column("client"),
        captured_column("server"),
        captured_column("method"),
        captured_column("path"),
        column("status"),
        column("latency_ms"),
        column("outcome"),
        detailed(column("response_bytes")),
        detailed(column("gaps")),
    ],
};

/// Every column of the three tables, of which an answer has one.
const ANY_TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("id"),
        column("start"),
        captured_column("client"),
        captured_column("server"),
        captured_column("method"),
        captured_column("path"),
        column("status"),
        column("latency_ms"),
        column("outcome"),
        column("response_bytes"),
        column("gaps"),
        column("addresses"),
        column("icmp"),
        captured_column("aliases"),
        column("ttl_s"),
        column("transport"),
        column("retries"),
        column("truncated"),
        column("connection"),
        column("client_evidence"),
        column("quic_version"),
        column("client_packets"),
        column("client_bytes"),
        column("server_packets"),
        column("server_bytes"),
        column("duration_ms"),
        column("client_address"),
        column("client_pid"),
        column("server_address"),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    match arguments.text(PROTOCOL.name).as_deref() {
        Some("dns") => return dns::answer(arguments, asking).await,
        Some("udp") => return udp::answer(arguments, asking).await,
        _ => {}
    }
    let mut query = read(arguments);
    let patience = Patience::of(arguments);
    if query.cursor.is_none() {
        patience.begin(&mut query.window, asking).await?;
    }
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.search(&query, asking.cancel).await?;
        if !patience.is_over(&answer, asking).await? {
            continue;
        }
        let output = Output::listed(
            &answer,
            "Try fewer conditions or a longer window (since); list_services shows which services there are.",
            &TABLE,
            arguments.is_detailed(),
            row,
        );
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(limit) => query.limit = limit,
        }
    }
}

fn read(arguments: &Arguments) -> SearchQuery {
    SearchQuery {
        window: window(arguments),
        service: arguments.text("service"),
        peer: arguments.text("peer"),
        method: arguments.text("method"),
        path: arguments.text("path"),
        status: arguments.text("status"),
        header_name: arguments.text("header_name"),
        header_value: arguments.text("header_value"),
        min_latency_ms: arguments.number(LATENCY.name),
        protocol: arguments.text(PROTOCOL.name),
        outcome: arguments.text("outcome"),
        order: if arguments.text(ORDER.name).as_deref() == Some("slowest") {
            SearchOrder::Slowest
        } else {
            SearchOrder::Newest
        },
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
        ..SearchQuery::default()
    }
}

/// Says that arguments make no sense with a protocol.
fn refuse(arguments: &Arguments, protocol: &str, names: &[&str]) -> Result<(), ToolError> {
    let given: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| arguments.has(name))
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    Err(ToolError::Steer(format!(
        "protocol {protocol} has no {}: leave that out",
        given.join(", ")
    )))
}

/// How long somebody waits for the next match.
struct Patience {
    whole: Duration,
    begun: Instant,
}

impl Patience {
    fn of(arguments: &Arguments) -> Self {
        Self {
            whole: Duration::from_secs(arguments.integer(&WAIT)),
            begun: Instant::now(),
        }
    }

    /// Who waits without saying since when means from now on.
    async fn begin(
        &self,
        window: &mut WindowArgument,
        asking: &Asking<'_>,
    ) -> Result<(), ToolError> {
        if !self.whole.is_zero() && window.since.is_none() {
            let now = asking.store.status(asking.cancel).await?.value.now_ns;
            window.since = Some(TimeArgument(rfc3339(now)));
        }
        Ok(())
    }

    /// Whether an answer is to be given as it is. If not, the next commit has come: it is time to ask again. Progress is
    /// told about once a second.
    async fn is_over<T>(
        &self,
        answer: &Answer<Vec<T>>,
        asking: &Asking<'_>,
    ) -> Result<bool, ToolError> {
        let left = self.whole.saturating_sub(self.begun.elapsed());
        if !answer.value.is_empty() || left.is_zero() {
            return Ok(true);
        }
        (asking.progress)(self.begun.elapsed().as_secs(), self.whole.as_secs());
        let next = left.min(Duration::from_secs(1));
        let store = asking.store;
        store.changed(answer.as_of_ns, next, asking.cancel).await?;
        Ok(false)
    }
}

fn row(exchange: &ExchangeRow) -> Vec<Value> {
    vec![
        exchange.id.as_str().into(),
        rfc3339(exchange.start_ns).into(),
        cell(&exchange.client).into(),
        cell(&exchange.server).into(),
        exchange.method.as_deref().map(cell).into(),
        exchange.path.as_deref().map(cell).into(),
        exchange.status_code.into(),
        milliseconds(exchange.latency_ns),
        exchange.outcome.into(),
        exchange.response_body_bytes.into(),
        exchange.gaps.clone().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with a column that the schema does not know is refused by clients that check.
    #[test]
    fn the_schema_knows_every_column_of_the_three_tables() {
        for table in [&TABLE, &dns::TABLE, &udp::TABLE] {
            for column in table.columns {
                let mut known = ANY_TABLE.columns.iter();
                assert!(known.any(|any| any.name == column.name), "{}", column.name);
            }
        }
    }
}
