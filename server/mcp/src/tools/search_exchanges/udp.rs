//! `protocol: udp`: flows that carry no DNS, with their counts; those of QUIC with the name that the client gave.

use headwater_query::{UdpQuery, UdpRow, rfc3339};
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
        column("start"),
        captured_column("client"),
        captured_column("server"),
        captured_column("path"),
        column("quic_version"),
        column("client_packets"),
        column("client_bytes"),
        column("server_packets"),
        column("server_bytes"),
        column("icmp"),
        detailed(column("duration_ms")),
        detailed(column("client_address")),
        detailed(column("client_pid")),
        detailed(column("server_address")),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    refuse(
        arguments,
        "udp",
        &[
            "method",
            "status",
            "header_name",
            "header_value",
            "min_latency_ms",
            "outcome",
            "order",
        ],
    )?;
    let mut query = UdpQuery {
        window: window(arguments),
        service: arguments.text("service"),
        peer: arguments.text("peer"),
        name: arguments.text("path"),
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
    };
    let patience = Patience::of(arguments);
    if query.cursor.is_none() {
        patience.begin(&mut query.window, asking).await?;
    }
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.udp_flows(&query, asking.cancel).await?;
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

fn row(flow: &UdpRow) -> Vec<Value> {
    vec![
        rfc3339(flow.start_ns).into(),
        cell(&flow.client).into(),
        cell(&flow.server).into(),
        flow.tls_server_name.as_deref().map(cell).into(),
        flow.quic_version
            .map(|version| format!("{version:#x}"))
            .into(),
        flow.client_sent.0.into(),
        flow.client_sent.1.into(),
        flow.server_sent.0.into(),
        flow.server_sent.1.into(),
        flow.icmp.as_deref().into(),
        milliseconds(Some(flow.duration_ns)),
        flow.client_address.as_str().into(),
        flow.client_pid.into(),
        flow.server_address.as_str().into(),
    ]
}
