//! `list_services`: who serves and who calls whom.

use headwater_query::{ServiceCall, ServicesQuery, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds, window};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{CURSOR, DETAIL, LIMIT, MAX_TOKENS, SERVICE, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{Table, TableSpec, captured_column, column, detailed},
};

const BY_ROUTE: Parameter = Parameter {
    name: "by_route",
    kind: Kind::Flag,
    required: false,
    description: "One row for each method and route",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "list_services",
    title: "Services and their callers",
    description: "Who serves and who calls whom in a window: requests, errors (5xx and connections that failed), their rate and latency quantiles (within 6 %) for each pair of services, or for \
        each route with by_route; and which servers are proxies or API gateways. Use it to learn the shape of a system and the names that other tools take as service. \
        For single requests use search_exchanges, for failures find_errors.",
    parameters: &[
        SINCE, UNTIL, SERVICE, BY_ROUTE, LIMIT, CURSOR, DETAIL, MAX_TOKENS,
    ],
    facts: &[],
    tables: &[TABLE],
};

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        captured_column("server"),
        captured_column("client"),
        captured_column("route"),
        column("requests"),
        column("errors"),
        column("error_rate"),
        column("client_errors"),
        column("p50_ms"),
        column("p95_ms"),
        column("p99_ms"),
        column("gateway"),
        detailed(column("server_kind")),
        detailed(column("client_kind")),
        detailed(column("address")),
        detailed(column("pid")),
        detailed(captured_column("program")),
        detailed(column("last")),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let mut query = ServicesQuery {
        window: window(arguments),
        service: arguments.text("service"),
        by_route: arguments.flag("by_route"),
        limit: arguments.limit(),
        cursor: arguments.text("cursor"),
    };
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.services(&query, asking.cancel).await?;
        let mut output = Output::framed(
            &answer,
            "Try a longer window (since), without service, or call status.",
        );
        let mut table = Table::new(&TABLE, arguments.is_detailed());
        if !query.by_route {
            table.columns.retain(|column| column.name != "route");
        }
        for call in &answer.value {
            table.push(&TABLE, row(call));
        }
        output.tables.push(table);
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(limit) => query.limit = limit,
        }
    }
}

fn row(call: &ServiceCall) -> Vec<Value> {
    vec![
        cell(&call.server).into(),
        cell(&call.client).into(),
        call.route.as_deref().map(cell).into(),
        call.requests.into(),
        call.errors.into(),
        rate(call.errors, call.requests),
        call.client_errors.into(),
        milliseconds(call.p50_ns),
        milliseconds(call.p95_ns),
        milliseconds(call.p99_ns),
        call.gateway.into(),
        call.server_kind.as_str().into(),
        call.client_kind.as_str().into(),
        call.address.as_deref().map(cell).into(),
        call.pid.into(),
        call.program.as_deref().map(cell).into(),
        rfc3339(call.last_ns).into(),
    ]
}

/// A share with four digits behind the point: of more than a few thousand requests nobody asks for more.
#[expect(clippy::cast_precision_loss, reason = "rounded to four digits")]
fn rate(part: u64, whole: u64) -> Value {
    if whole == 0 {
        return Value::Null;
    }
    ((part as f64 / whole as f64 * 1e4).round() / 1e4).into()
}
