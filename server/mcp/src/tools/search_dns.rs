//! `search_dns`: DNS exchanges by what was asked and answered.

use std::fmt::Write as _;

use headwater_query::{DnsQuery, DnsRow, Syntax, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds, window};
use crate::{
    Arguments, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, LIMIT, MAX_TOKENS, PEER, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{Table, TableSpec, captured_column, column, detailed},
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "search_dns",
    title: "Search DNS exchanges",
    description: "DNS questions with their answers, newest first, over UDP and TCP, by time, service, name, type, response code and \
        outcome: who asked whom for which name, what came back and how long it took. With id (d_… of find_errors or \
        get_exchange) that one alone.",
    parameters: &[
        SINCE,
        UNTIL,
        SERVICE,
        PEER,
        Parameter::text("name", "Part of the name; =exact.name; * is a wildcard"),
        Parameter::written(
            "type",
            Syntax::DnsTypes,
            "A, AAAA, SRV, or several with commas",
        ),
        Parameter::written(
            "rcode",
            Syntax::DnsRcodes,
            "NXDOMAIN, SERVFAIL, or several with commas",
        ),
        Parameter::written(
            "outcome",
            Syntax::DnsOutcomes,
            "answered, answered_late, no_answer, query_not_seen, unfinished, or failed for no_answer and every rcode but NOERROR",
        ),
        Parameter::text("id", "This one alone, d_…"),
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
        captured_column("name"),
        column("type"),
        column("rcode"),
        column("outcome"),
        column("latency_ms"),
        column("addresses"),
        detailed(captured_column("aliases")),
        detailed(column("class")),
        detailed(column("ttl_s")),
        detailed(column("transport")),
        detailed(column("retries")),
        detailed(column("truncated")),
        detailed(column("client_address")),
        detailed(column("client_pid")),
        detailed(column("client_evidence")),
        detailed(column("server_address")),
        detailed(column("connection")),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let mut query = DnsQuery {
        window: window(arguments),
        service: arguments.text("service"),
        peer: arguments.text("peer"),
        name: arguments.text("name"),
        kind: arguments.text("type"),
        rcode: arguments.text("rcode"),
        outcome: arguments.text("outcome"),
        id: arguments.text("id"),
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
    };
    let is_detailed = arguments.is_detailed() || query.id.is_some();
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.dns(&query, asking.cancel).await?;
        let mut output = Output::framed(&answer, "Try fewer conditions, or an earlier since.");
        let mut table = Table::new(&TABLE, is_detailed);
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

fn row(exchange: &DnsRow) -> Vec<Value> {
    let listed = |text: String| (!text.is_empty()).then_some(text);
    let aliases: Vec<String> = exchange.aliases.iter().map(|alias| cell(alias)).collect();
    let mut addresses = exchange.addresses.join(" ");
    let shown = exchange.addresses.len() as u64;
    if exchange.address_count > shown {
        let more = exchange.address_count - shown;
        // Writing to a string does not fail.
        let _ = write!(addresses, " and {more} more");
    }
    vec![
        exchange.id.as_str().into(),
        rfc3339(exchange.start_ns).into(),
        cell(&exchange.client).into(),
        cell(&exchange.server).into(),
        exchange.name.as_deref().map(cell).into(),
        exchange.kind.as_deref().into(),
        exchange.rcode.as_deref().into(),
        exchange.outcome.into(),
        milliseconds(exchange.latency_ns),
        listed(addresses).into(),
        listed(aliases.join(" ")).into(),
        exchange.class.as_deref().into(),
        exchange.minimum_ttl_s.into(),
        exchange.transport.into(),
        exchange.retries.into(),
        exchange.truncated.into(),
        exchange.client_address.as_str().into(),
        exchange.client_pid.into(),
        exchange.client_evidence.as_str().into(),
        exchange.server_address.as_str().into(),
        exchange.connection_id.as_deref().into(),
    ]
}
