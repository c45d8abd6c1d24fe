//! `get_session`: what one client did, as a time line.

use headwater_query::{SessionQuery, SessionRow, rfc3339};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, milliseconds};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{LIMIT, MAX_TOKENS},
    budget::{Fit, Fitting},
    escape::{cell, value},
    output::{FactSpec, Table, TableSpec, captured, captured_column, column, fact},
};

const ID: Parameter = Parameter {
    name: "id",
    kind: Kind::Text,
    required: true,
    description: "Plain value of a session's cookie, bearer token or key (hashed with the store's key, and found by its hash), or the id (x_…) \
        of an exchange that carries one",
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "get_session",
    title: "What one client did",
    description: "The time line of a session: its exchanges in order of time, over all servers that it was used with, with new ids that \
        servers set for it (followed), ids taken away, other credentials, other client addresses and refusals. By the value of its cookie, token \
        or key, or by an exchange that carries a known one. What others of them caused, as where a proxy hands a cookie on, is counted as handed_on and left out. Use it when a user was logged out, mixed up \
        with another, or to see what they did before an error.",
    parameters: &[ID, LIMIT, MAX_TOKENS],
    facts: FACTS,
    tables: &[TABLE],
};

const FACTS: &[FactSpec] = &[
    captured("carried_in"),
    fact("ids", "integer"),
    fact("exchanges", "integer"),
    fact("handed_on", "integer"),
    fact("failures", "integer"),
];

const TABLE: TableSpec = TableSpec {
    name: "",
    columns: &[
        column("id"),
        column("start"),
        captured_column("client"),
        column("client_address"),
        captured_column("server"),
        captured_column("method"),
        captured_column("path"),
        column("status"),
        column("latency_ms"),
        column("outcome"),
        column("events"),
    ],
};

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let query = SessionQuery {
        id: arguments.text("id").unwrap_or_default(),
        limit: arguments.limit(),
    };
    let mut answer = asking.store.session(&query, asking.cancel).await?;
    let mut fitting = Fitting::new(arguments.max_tokens());
    let mut left_out = 0;
    loop {
        let mut output = Output::framed(&answer, "Try the id of an exchange of that session.");
        let session = &answer.value;
        if !session.rows.is_empty() {
            output.tell(FACTS, "carried_in", value(&session.carriers.join(", ")));
            output.tell(FACTS, "ids", session.ids);
            output.tell(FACTS, "exchanges", session.exchanges);
            output.tell(FACTS, "handed_on", session.handed_on);
            output.tell(FACTS, "failures", session.failures);
        }
        let mut table = Table::new(&TABLE, true);
        for line in &session.rows {
            table.push(&TABLE, row(line));
        }
        if !table.rows.is_empty() {
            output.tables.push(table);
        }
        if left_out > 0 {
            output.notes.push(format!(
                "{left_out} older exchanges are left out for max_tokens"
            ));
        }
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(limit) => {
                let most = usize::try_from(limit).unwrap_or(usize::MAX);
                let more = answer.value.rows.len().saturating_sub(most);
                answer.value.rows.drain(..more);
                left_out += more;
            }
        }
    }
}

fn row(row: &SessionRow) -> Vec<Value> {
    let events = (!row.events.is_empty()).then(|| row.events.join("; "));
    vec![
        row.id.as_str().into(),
        rfc3339(row.start_ns).into(),
        cell(&row.client).into(),
        row.client_address.as_deref().map(cell).into(),
        cell(&row.server).into(),
        row.method.as_deref().map(cell).into(),
        row.path.as_deref().map(cell).into(),
        row.status_code.into(),
        milliseconds(Some(row.latency_ns)),
        row.outcome.into(),
        events.into(),
    ]
}
