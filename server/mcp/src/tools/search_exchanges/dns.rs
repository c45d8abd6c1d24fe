//! `protocol: dns`: questions with their answers, in the columns that exchanges of HTTP have, and a few of their own.

use std::fmt::Write as _;

use headwater_query::{DnsQuery, DnsRow, rfc3339};
use serde_json::Value;

use super::{Patience, refuse};
use crate::{
    Arguments, Output,
    budget::{Fit, Fitting},
    escape::cell,
    output::{TableSpec, captured_column, column, detailed},
    tools::{Asking, ToolError, milliseconds, window},
};

pub(super) const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("id"),
        column("start"),
        captured_column("client"),
        captured_column("server"),
        column("method"),
        captured_column("path"),
        column("status"),
        column("latency_ms"),
        column("outcome"),
        column("addresses"),
        column("icmp"),
        detailed(captured_column("aliases")),
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
    refuse(
        arguments,
        "dns",
        &["header_name", "header_value", "min_latency_ms", "order"],
    )?;
    let mut query = DnsQuery {
        window: window(arguments),
        service: arguments.text("service"),
        peer: arguments.text("peer"),
        name: arguments.text("path"),
        kind: arguments.text("method"),
        rcode: arguments.text("status"),
        outcome: arguments.text("outcome"),
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
    };
    let patience = Patience::of(arguments);
    if query.cursor.is_none() {
        patience.begin(&mut query.window, asking).await?;
    }
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.dns(&query, asking.cancel).await?;
        if !patience.is_over(&answer, asking).await? {
            continue;
        }
        let output = Output::listed(
            &answer,
            "Try fewer conditions, or an earlier since.",
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

/// The addresses of an answer, and how many more there were.
pub(crate) fn addresses(exchange: &DnsRow) -> Option<String> {
    let mut addresses = exchange.addresses.join(" ");
    let shown = exchange.addresses.len() as u64;
    if exchange.address_count > shown {
        let more = exchange.address_count - shown;
        // Writing to a string does not fail.
        let _ = write!(addresses, " and {more} more");
    }
    (!addresses.is_empty()).then_some(addresses)
}

fn row(exchange: &DnsRow) -> Vec<Value> {
    let aliases: Vec<String> = exchange.aliases.iter().map(|alias| cell(alias)).collect();
    let aliases = aliases.join(" ");
    vec![
        exchange.id.as_str().into(),
        rfc3339(exchange.start_ns).into(),
        cell(&exchange.client).into(),
        cell(&exchange.server).into(),
        exchange.kind.as_deref().into(),
        exchange.name.as_deref().map(cell).into(),
        exchange.rcode.as_deref().into(),
        milliseconds(exchange.latency_ns),
        exchange.outcome.into(),
        addresses(exchange).into(),
        exchange.icmp.as_deref().into(),
        (!aliases.is_empty()).then_some(aliases).into(),
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
