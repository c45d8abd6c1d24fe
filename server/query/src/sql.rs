//! `query_sql`: a SELECT of the caller's own over documented views.
//!
//! Owns: what such a statement may do. It has a connection of its own, which is opened for reading, on which an authorizer lets
//! through reads of the views and a list of functions, and nothing else; with limits of time, rows and bytes. What SQLite says is told
//! in words that are none of the statement's or the data's.

mod views;

use std::path::Path;

use rusqlite::functions::FunctionFlags;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};

use crate::coverage::{About, Framed};
use crate::db::query_scalar;
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::integer::{narrow, unsigned};
use crate::names::with_port;
use crate::open::connect;
use crate::recorder::Runs;
use crate::snapshot::Snapshot;
use crate::{Answer, CoverageItem, QueryError, WindowArgument, outcome, segments, tls};

pub use views::{VIEWS, View};

/// A question in SQL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SqlQuery {
    /// One SELECT.
    pub sql: String,
    /// When. The views hold nothing else.
    pub window: WindowArgument,
    /// Rows at most (1 to 200).
    pub limit: u32,
}

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlValue {
    /// NULL
    Null,
    /// INTEGER
    Integer(i64),
    /// REAL
    Real(f64),
    /// TEXT. Untrusted.
    Text(String),
    /// BLOB: how many bytes.
    Blob(usize),
}

/// What it gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SqlRows {
    /// As the statement names them.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: Vec<Vec<SqlValue>>,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &SqlQuery,
) -> Result<Answer<SqlRows>, QueryError> {
    let limit = crate::search::checked_limit(query.limit)?;
    if query.sql.len() > LONGEST_SQL {
        return Err(argument(format!("write it in at most {LONGEST_SQL} bytes")));
    }
    let runs = Runs::load(snapshot)?;
    let window = query.window.resolve(runs.reference(snapshot)?)?;
    let segments = segments::all(snapshot)?;
    let connection = connect(store, snapshot.opened.still)?;
    prepare(snapshot, &connection, &views::made(&segments, window))?;
    let (value, is_cut) = select(&connection, &query.sql, limit)?;
    let remarks = is_cut.then(|| CoverageItem {
        kind: "rows_cut".to_owned(),
        from_ns: window.since_ns,
        until_ns: window.until_ns,
        count: 1,
        explanation: format!(
            "The statement gives more than the {} rows that are shown: count or group them, or add ORDER BY with LIMIT and OFFSET.",
            value.rows.len()
        ),
    });
    let empty = value.rows.is_empty();
    Framed {
        about: About::Everything,
        value,
        empty,
        window,
        next_cursor: None,
        remarks: Vec::from_iter(remarks),
    }
    .finish(snapshot, &runs, &segments)
}

/// An id as printed, of a store's tag.
type Printed = fn(u64, &str) -> String;

/// Makes the views, and lets nothing else be done.
fn prepare(snapshot: &Snapshot, connection: &Connection, views: &str) -> Result<(), Error> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let names: [(&str, Printed); 3] = [
        ("exchange_id", |number, tag| ExchangeId(number).printed(tag)),
        ("connection_id", |number, tag| {
            ConnectionId(number).printed(tag)
        }),
        ("dns_id", |number, tag| DnsId(number).printed(tag)),
    ];
    for (name, printed) in names {
        let tag = snapshot.tag();
        connection.create_scalar_function(name, 1, flags, move |context| {
            let number: Option<i64> = context.get(0)?;
            Ok(number.map(|number| printed(unsigned(number), &tag)))
        })?;
    }
    connection.create_scalar_function("service_name", 2, flags, |context| {
        let (name, port): (Option<String>, Option<i64>) = (context.get(0)?, context.get(1)?);
        Ok(name.map(|name| with_port(&name, narrow(port.unwrap_or(0)))))
    })?;
    connection.create_scalar_function("failure_kind", 1, flags, |context| {
        let kind: Option<i64> = context.get(0)?;
        Ok(kind.map(outcome::failure))
    })?;
    for (name, said) in [
        ("tls_version", tls::version as fn(u16) -> String),
        ("tls_cipher", tls::cipher),
    ] {
        connection.create_scalar_function(name, 1, flags, move |context| {
            let number: Option<u16> = context.get(0)?;
            Ok(number.map(said))
        })?;
    }
    // Sorting goes to disk instead of to memory.
    connection.execute_batch("PRAGMA temp_store = FILE; PRAGMA query_only = OFF")?;
    connection.execute_batch(views)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST_VALUE)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, LONGEST_PATTERN)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.progress_handler(OPERATIONS, Some(snapshot.is_over()))?;
    let tables: Vec<String> =
        query_scalar("SELECT name FROM sqlite_schema").fetch_all(connection)?;
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if is_allowed(&tables, &context) {
            Authorization::Allow
        } else {
            Authorization::Deny
        }
    }))
}

fn is_allowed(tables: &[String], context: &AuthContext<'_>) -> bool {
    let is_view = |name: &str| VIEWS.iter().any(|view| view.name == name);
    // What a view does is ours.
    if context.accessor.is_some_and(is_view) {
        return matches!(
            context.action,
            AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Select
        );
    }
    match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            // Of which no column is read: a table of the statement's own, or one that a view joins in vain.
            let is_table = tables
                .iter()
                .any(|table| table.eq_ignore_ascii_case(table_name));
            let is_bare = column_name.is_empty()
                && context.database_name.is_none()
                && (!is_table || JOINED.contains(&table_name));
            is_bare || is_view(table_name) || table_name == "json_each" || table_name == "json_tree"
        }
        AuthAction::Function { function_name } => FUNCTIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(function_name)),
        _ => false,
    }
}

/// The rows, and whether there are more.
fn select(connection: &Connection, sql: &str, limit: usize) -> Result<(SqlRows, bool), QueryError> {
    let mut statement = connection.prepare(sql).map_err(refused)?;
    // It is asked when a statement is prepared, and what the tables of packs read for it is theirs.
    let nobody: Option<fn(AuthContext<'_>) -> Authorization> = None;
    connection.authorizer(nobody)?;
    let mut value = SqlRows {
        columns: statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        rows: Vec::new(),
    };
    let width = value.columns.len();
    let is_select = statement.readonly() && statement.is_explain() == 0;
    if width == 0 || width > MOST_COLUMNS || !is_select {
        return Err(argument(format!(
            "give one SELECT with at most {MOST_COLUMNS} columns over the views {}",
            names()
        )));
    }
    if statement.parameter_count() > 0 {
        return Err(argument(
            "write values into the SELECT: it has a parameter".to_owned(),
        ));
    }
    let mut rows = statement.query([]).map_err(failed)?;
    let mut bytes = 0_usize;
    while let Some(row) = rows.next().map_err(failed)? {
        if value.rows.len() >= limit || bytes > MOST_BYTES {
            return Ok((value, true));
        }
        let mut cells = Vec::with_capacity(width);
        for place in 0..width {
            let cell = match row.get_ref(place).map_err(failed)? {
                ValueRef::Null => SqlValue::Null,
                ValueRef::Integer(number) => SqlValue::Integer(number),
                ValueRef::Real(number) => SqlValue::Real(number),
                ValueRef::Text(text) => {
                    let text = text.get(..LONGEST_CELL).unwrap_or(text);
                    SqlValue::Text(String::from_utf8_lossy(text).into_owned())
                }
                ValueRef::Blob(bytes) => SqlValue::Blob(bytes.len()),
            };
            if let SqlValue::Text(text) = &cell {
                bytes = bytes.saturating_add(text.len());
            }
            cells.push(cell);
        }
        value.rows.push(cells);
    }
    Ok((value, false))
}

fn names() -> String {
    let names: Vec<&str> = VIEWS.iter().map(|view| view.name).collect();
    names.join(", ")
}

fn argument(problem: String) -> QueryError {
    QueryError::Argument {
        argument: "sql",
        problem,
    }
}

/// In words of SQLite's that are none of the statement's: somebody may have put captured text into it.
fn refused(error: Error) -> QueryError {
    let (said, offset) = match error {
        Error::SqlInputError { msg, offset, .. } => (msg, usize::try_from(offset).ok()),
        Error::SqliteFailure(_, Some(said)) => (said, None),
        Error::MultipleStatement => return argument(problem("more than one statement", None)),
        other => return failed(other),
    };
    let known = SAID.iter().find(|words| said.contains(**words));
    let words = match known {
        Some(&("prohibited" | "not authorized")) => {
            "it reads a table, or calls a function, that is not to be had here"
        }
        Some(words) => words,
        None => "SQLite does not take it",
    };
    argument(problem(words, offset))
}

fn problem(words: &str, offset: Option<usize>) -> String {
    let place = offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
    format!(
        "{words}{place}. Give one SELECT over the views {}, in SQLite's dialect; without sql the tool tells their columns",
        names()
    )
}

fn failed(error: Error) -> QueryError {
    let code = crate::unopened::primary_code(&error);
    match code {
        Some(TOO_BIG) => argument("a value in it gets too long".to_owned()),
        // A segment that was dropped meanwhile.
        Some(ERROR) if is_missing(&error) => QueryError::Sql(error),
        Some(ERROR | MISMATCH) => {
            argument("it failed while it ran, as a function does of what it cannot read".to_owned())
        }
        // An interrupt too, which the snapshot judges: too slow, or given up.
        _ => QueryError::Sql(error),
    }
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(_, Some(said)) if said.starts_with("no such table"))
}

/// What SQLite says of statements that it does not take, as far as that is said back.
const SAID: &[&str] = &[
    "prohibited",
    "not authorized",
    "no such column",
    "no such table",
    "no such function",
    "ambiguous column name",
    "wrong number of arguments",
    "misuse of aggregate",
    "misuse of window function",
    "unrecognized token",
    "incomplete input",
    "syntax error",
    "do not have the same number of result columns",
    "term out of range",
    "circular reference",
    "too many",
];
/// Tables that views join: that there are so many rows in them is no secret.
const JOINED: &[&str] = &["connection_tls", "route", "service"];
/// Functions that read what they are given and nothing else.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "ceil",
    "coalesce",
    "concat",
    "count",
    "cume_dist",
    "date",
    "datetime",
    "dense_rank",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_type",
    "json_valid",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likely",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "pow",
    "power",
    "printf",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "time",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unicode",
    "unixepoch",
    "unlikely",
    "upper",
];
const OPERATIONS: i32 = 4_000;
const MOST_COLUMNS: usize = 40;
/// Text of all cells, about.
const MOST_BYTES: usize = 1 << 20;
const LONGEST_CELL: usize = 4_096;
/// Packs of exchanges among them.
const LONGEST_VALUE: i32 = 16 << 20;
const LONGEST_SQL: usize = 8 << 10;
const LONGEST_PATTERN: i32 = 256;
const ERROR: i32 = 1;
const TOO_BIG: i32 = 18;
const MISMATCH: i32 = 20;
