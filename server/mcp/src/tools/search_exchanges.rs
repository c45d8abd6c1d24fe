//! `search_exchanges`: single exchanges by what they are; waits for the next one if asked to.

use std::time::{Duration, Instant};

use headwater_query::{
    Answer, ExchangeRow, SearchOrder, SearchQuery, Syntax, TimeArgument, rfc3339,
};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds, window};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, LIMIT, MAX_TOKENS, PEER, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{Table, TableSpec, captured_column, column, detailed},
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
    kind: Kind::Choice(&["http1", "http2", "grpc", "websocket", "sse"]),
    required: false,
    description: "Only these",
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
    description: "Single HTTP exchanges, newest or slowest first, by time, service, peer, method, path, status, header, latency and \
        outcome. Use it when you know what you look for; begin with find_errors or list_services when you do not. A plain secret \
        given as header_value is hashed with the store's key and found by its hash. get_exchange tells one of them in full.",
    parameters: &[
        SINCE,
        UNTIL,
        SERVICE,
        PEER,
        Parameter::text("method", "Request method, exactly"),
        Parameter::text("path", "Part of the path; =/exact; * is a wildcard"),
        Parameter::written(
            "status",
            Syntax::Statuses,
            "404, 5xx, 400-499, or several with commas",
        ),
        Parameter::text("header_name", "A header that request or response must have"),
        Parameter::text("header_value", "Part of a header's value"),
        LATENCY,
        PROTOCOL,
        Parameter::written(
            "outcome",
            Syntax::Outcomes,
            "complete, open, client_gave_up, server_reset, server_closed, timed_out, malformed, or failed for these last five; truncated and request_not_seen are the recorder's own limits",
        ),
        ORDER,
        WAIT,
        LIMIT,
        CURSOR,
        DETAIL,
        MAX_TOKENS,
    ],
    facts: &[],
    tables: &[TABLE],
};

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

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let mut query = read(arguments);
    let patience = Duration::from_secs(arguments.integer(&WAIT));
    if !patience.is_zero() && query.window.since.is_none() && query.cursor.is_none() {
        query.window.since = Some(TimeArgument("now".to_owned()));
        let now = asking.store.status(asking.cancel).await?.value.now_ns;
        query.window.since = Some(TimeArgument(rfc3339(now)));
    }
    let mut fitting = Fitting::new(arguments.max_tokens());
    let mut first = Some(wait(&query, patience, asking).await?);
    loop {
        let answer = match first.take() {
            Some(answer) => answer,
            None => asking.store.search(&query, asking.cancel).await?,
        };
        let mut output = Output::framed(
            &answer,
            "Try fewer conditions or a longer window (since); list_services shows which services there are.",
        );
        let mut table = Table::new(&TABLE, arguments.is_detailed());
        for exchange in &answer.value {
            table.push(&TABLE, row(exchange));
        }
        output.tables.push(table);
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

/// Asks again with every commit until something matches or patience ends. Progress is told about once a second.
async fn wait(
    query: &SearchQuery,
    patience: Duration,
    asking: &Asking<'_>,
) -> Result<Answer<Vec<ExchangeRow>>, ToolError> {
    let begun = Instant::now();
    loop {
        let answer = asking.store.search(query, asking.cancel).await?;
        let left = patience.saturating_sub(begun.elapsed());
        if !answer.value.is_empty() || left.is_zero() {
            return Ok(answer);
        }
        (asking.progress)(begun.elapsed().as_secs(), patience.as_secs());
        asking
            .store
            .changed(
                answer.as_of_ns,
                left.min(Duration::from_secs(1)),
                asking.cancel,
            )
            .await?;
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
