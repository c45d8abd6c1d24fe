//! `query_sql`: a SELECT of the caller's own.

use headwater_query::{SqlQuery, SqlValue, VIEWS, View};
use serde_json::Value;

use super::{Asking, Declaration, ToolError, window};
use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::{LIMIT, MAX_TOKENS, SINCE, UNTIL},
    budget::{Fit, Fitting},
    escape::cell,
    output::{Table, TableSpec, captured_column, column},
};

pub(super) static DECLARATION: Declaration = Declaration {
    name: "query_sql",
    title: "SQL over what is recorded",
    description: "One SELECT in SQLite's dialect over the views exchanges, dns, connections, processes and not_seen, which hold the \
        window (since, until) and nothing else. Without sql it tells the views and their columns. Use it for what no other tool counts or groups; they \
        know more of what belongs together, and of what was not seen. It reads, and cannot write; ten seconds at most.",
    parameters: &[
        Parameter {
            kind: Kind::Statement,
            ..Parameter::text(
                "sql",
                "Such as SELECT server, status, COUNT(*) AS n FROM exchanges GROUP BY 1, 2 ORDER BY n DESC",
            )
        },
        SINCE,
        UNTIL,
        LIMIT,
        MAX_TOKENS,
    ],
    facts: &[],
    tables: &[GIVEN],
};

/// Columns are what the statement gives, all of them captured.
const GIVEN: TableSpec = TableSpec {
    name: "",
    columns: &[],
};
const VIEW: &[&str] = &["view", "a_row_is", "columns"];
/// Letters of a column's name.
const LONGEST_NAME: usize = 60;

pub(super) async fn answer(
    arguments: &Arguments,
    asking: &Asking<'_>,
) -> Result<Output, ToolError> {
    let Some(sql) = arguments.text("sql") else {
        return views(asking).await;
    };
    let mut query = SqlQuery {
        sql,
        window: window(arguments),
        limit: arguments.limit(),
    };
    let mut fitting = Fitting::new(arguments.max_tokens());
    loop {
        let answer = asking.store.sql(&query, asking.cancel).await?;
        let mut output = Output::framed(&answer, "Try a longer window (since).");
        let titles = answer.value.columns.iter().zip(1..);
        let titles = titles.map(|(name, number)| title(name, number));
        let shown = |value: &SqlValue| match value {
            SqlValue::Null => Value::Null,
            SqlValue::Integer(number) => (*number).into(),
            SqlValue::Real(number) => (*number).into(),
            SqlValue::Text(text) => cell(text).into(),
            SqlValue::Blob(bytes) => format!("({bytes} bytes)").into(),
        };
        let rows = answer.value.rows.iter();
        output.tables.push(Table {
            name: GIVEN.name,
            columns: vec![captured_column(""); answer.value.columns.len()],
            titles: titles.collect(),
            rows: rows.map(|row| row.iter().map(shown).collect()).collect(),
        });
        match fitting.judge(output) {
            Fit::Done(output) => return Ok(*output),
            Fit::Again(limit) => query.limit = limit,
        }
    }
}

/// A column's name. What the statement does not name has its text for a name, in which captured text may have been pasted.
fn title(name: &str, number: usize) -> String {
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "_(*).".contains(character);
    if name.len() <= LONGEST_NAME && name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("column_{number}")
    }
}

async fn views(asking: &Asking<'_>) -> Result<Output, ToolError> {
    let answer = asking.store.status(asking.cancel).await?;
    let mut output = Output::framed(&answer, "");
    output.empty = None;
    let row = |view: &View| -> Vec<Value> {
        let columns = view.columns.join(", ");
        vec![view.name.into(), view.row.into(), columns.into()]
    };
    output.tables.push(Table {
        name: GIVEN.name,
        columns: vec![column(""); VIEW.len()],
        titles: VIEW.iter().map(|title| (*title).to_owned()).collect(),
        rows: VIEWS.iter().map(row).collect(),
    });
    output.notes.push(
        "times are nanoseconds since 1970 (datetime(start_ns / 1000000000, 'unixepoch')); since and until choose the window"
            .to_owned(),
    );
    Ok(output)
}
