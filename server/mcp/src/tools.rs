//! The tools: one file each, and this list of them.

mod compare;
mod explain_failure;
mod find_errors;
mod get_connection;
mod get_exchange;
mod get_session;
mod list_services;
mod mark;
mod query_sql;
mod search_exchanges;
mod status;
mod trace_transaction;

use std::fmt::Write as _;

use headwater_query::{
    QueryError, Store, StoreState, Syntax, TimeArgument, WindowArgument, rfc3339,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    Arguments, Kind, Output, Parameter,
    arguments::common::CURSOR,
    output::{FactSpec, TableSpec},
    schema,
};

/// A tool's declaration.
pub(crate) struct Declaration {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) parameters: &'static [Parameter],
    pub(crate) facts: &'static [FactSpec],
    pub(crate) tables: &'static [TableSpec],
}

/// Why a tool gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The caller went away.
    #[error("cancelled")]
    Cancelled,
    /// What was named by its id is not in this store: dropped, never given out, another store's.
    #[error("{0}")]
    NotHere(String),
    /// The caller can mend it; the text says how.
    #[error("{0}")]
    Steer(String),
    /// The store cannot be read; the text says why and what to do.
    #[error("{text}")]
    Store {
        /// Why, and the cure.
        text: String,
        /// The state of the store; none when SQLite failed for another reason.
        state: Option<StoreState>,
    },
    /// The caller cannot; the reason is in the log.
    #[error("the store could not be read; the server's log has the reason")]
    Internal,
}

impl From<QueryError> for ToolError {
    fn from(error: QueryError) -> Self {
        let text = error.to_string();
        match error {
            QueryError::Cancelled => Self::Cancelled,
            QueryError::Sql(source) => {
                tracing::error!(error = %source, "a query failed");
                Self::Internal
            }
            QueryError::Argument { .. } => Self::Steer(text),
            QueryError::Expired { .. }
            | QueryError::Foreign { .. }
            | QueryError::Unknown { .. } => Self::NotHere(text),
            QueryError::Store { state, .. } => Self::Store { text, state },
        }
    }
}

/// What a tool is given besides its arguments.
pub struct Asking<'a> {
    /// The store.
    pub store: &'a Store,
    /// Cancelled when the caller goes away.
    pub cancel: &'a CancellationToken,
    /// Called with elapsed and total seconds while a tool waits.
    pub progress: &'a (dyn Fn(u64, u64) + Send + Sync),
}

/// A tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// `compare`
    Compare,
    /// `explain_failure`
    ExplainFailure,
    /// `find_errors`
    FindErrors,
    /// `get_connection`
    GetConnection,
    /// `get_exchange`
    GetExchange,
    /// `get_session`
    GetSession,
    /// `list_services`
    ListServices,
    /// `mark`
    Mark,
    /// `query_sql`
    QuerySql,
    /// `search_exchanges`
    SearchExchanges,
    /// `status`
    Status,
    /// `trace_transaction`
    TraceTransaction,
}

impl Tool {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 12] = [
        Self::Compare,
        Self::ExplainFailure,
        Self::FindErrors,
        Self::GetConnection,
        Self::GetExchange,
        Self::GetSession,
        Self::ListServices,
        Self::Mark,
        Self::QuerySql,
        Self::SearchExchanges,
        Self::Status,
        Self::TraceTransaction,
    ];

    pub(crate) fn declaration(self) -> &'static Declaration {
        match self {
            Self::Compare => &compare::DECLARATION,
            Self::ExplainFailure => &explain_failure::DECLARATION,
            Self::FindErrors => &find_errors::DECLARATION,
            Self::GetConnection => &get_connection::DECLARATION,
            Self::GetExchange => &get_exchange::DECLARATION,
            Self::GetSession => &get_session::DECLARATION,
            Self::ListServices => &list_services::DECLARATION,
            Self::Mark => &mark::DECLARATION,
            Self::QuerySql => &query_sql::DECLARATION,
            Self::SearchExchanges => &search_exchanges::DECLARATION,
            Self::Status => &status::DECLARATION,
            Self::TraceTransaction => &trace_transaction::DECLARATION,
        }
    }

    /// The tool of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Its name, `verb_noun`.
    pub fn name(self) -> &'static str {
        self.declaration().name
    }

    /// Its description, for models and `--help`.
    pub fn description(self) -> &'static str {
        self.declaration().description
    }

    /// Its parameters.
    pub fn parameters(self) -> &'static [Parameter] {
        self.declaration().parameters
    }

    /// Whether it writes anything.
    pub fn writes(self) -> bool {
        self == Self::Mark
    }

    /// Its title.
    pub fn title(self) -> &'static str {
        self.declaration().title
    }

    /// Its input schema.
    pub fn input_schema(self) -> Map<String, Value> {
        schema::input(self.declaration().parameters)
    }

    /// Its output schema.
    pub fn output_schema(self) -> Map<String, Value> {
        let Declaration {
            parameters,
            facts,
            tables,
            ..
        } = self.declaration();
        schema::output(facts, tables, parameters.contains(&CURSOR))
    }

    /// Checks the arguments and answers.
    ///
    /// # Errors
    /// See `ToolError`.
    pub async fn answer(
        self,
        given: Map<String, Value>,
        asking: &Asking<'_>,
    ) -> Result<Output, ToolError> {
        let mut arguments = Arguments::check(self.parameters(), given).map_err(ToolError::Steer)?;
        for parameter in self.parameters() {
            if parameter.kind == Kind::Written(Syntax::Time)
                && let Some(text) = arguments.text(parameter.name)
                && let Some(at_ns) = asking.store.moment(parameter.name, &text)?
            {
                arguments.set(parameter.name, rfc3339(at_ns));
            }
        }
        match self {
            Self::Compare => compare::answer(&arguments, asking).await,
            Self::ExplainFailure => explain_failure::answer(&arguments, asking).await,
            Self::FindErrors => find_errors::answer(&arguments, asking).await,
            Self::GetConnection => get_connection::answer(&arguments, asking).await,
            Self::GetExchange => get_exchange::answer(&arguments, asking).await,
            Self::GetSession => get_session::answer(&arguments, asking).await,
            Self::ListServices => list_services::answer(&arguments, asking).await,
            Self::Mark => mark::answer(&arguments, asking).await,
            Self::QuerySql => query_sql::answer(&arguments, asking).await,
            Self::SearchExchanges => search_exchanges::answer(&arguments, asking).await,
            Self::Status => status::answer(&arguments, asking).await,
            Self::TraceTransaction => trace_transaction::answer(&arguments, asking).await,
        }
    }
}

/// The window that the arguments name.
pub(crate) fn window(arguments: &Arguments) -> WindowArgument {
    WindowArgument {
        since: arguments.text("since").map(TimeArgument),
        until: arguments.text("until").map(TimeArgument),
    }
}

/// Milliseconds with three digits.
pub(crate) fn milliseconds(ns: Option<u64>) -> Value {
    ns.map_or(Value::Null, |ns| {
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let rounded = (ns as f64 / 1000.0).round() / 1000.0;
        Value::from(rounded)
    })
}

/// The same of what may be negative, or is not known.
pub(crate) fn signed_milliseconds(ns: Option<i64>) -> Value {
    let Some(ns) = ns else {
        return Value::Null;
    };
    let size = milliseconds(Some(ns.unsigned_abs()));
    match size.as_f64().filter(|_| ns < 0) {
        Some(size) => Value::from(-size),
        None => size,
    }
}

/// The documentation of all tools, generated from their declarations.
pub fn tools_markdown() -> String {
    let mut out = String::from(
        "# Tools\n\nGenerated from the declarations in `server/mcp/src/tools`; a test fails when it is stale.\n\
        Each tool is also a subcommand: `search_exchanges` is `headwater search-exchanges`, `max_tokens` is `--max-tokens`.\n",
    );
    for tool in Tool::ALL {
        let _ = write!(
            out,
            "\n## {}\n\n{}\n\n| argument | takes | meaning |\n|---|---|---|\n",
            tool.name(),
            tool.description()
        );
        for parameter in tool.parameters() {
            let takes = match parameter.kind {
                Kind::Choice(words) => words.join(", "),
                Kind::Flag => "true or false".to_owned(),
                Kind::Integer { min, max, default } => {
                    format!("{min} to {max}, default {default}")
                }
                Kind::Number => "number".to_owned(),
                Kind::Text | Kind::Statement | Kind::Written(_) => if parameter.required {
                    "text, required"
                } else {
                    "text"
                }
                .to_owned(),
            };
            let _ = writeln!(
                out,
                "| `{}` | {takes} | {} |",
                parameter.name, parameter.description
            );
        }
        for table in tool.declaration().tables {
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| {
                    format!(
                        "`{}`{}",
                        column.name,
                        if column.untrusted { " (captured)" } else { "" }
                    )
                })
                .collect();
            if columns.is_empty() {
                out.push_str("\nColumns: those of the statement, all captured.\n");
                continue;
            }
            let name = if table.name.is_empty() {
                "Columns".to_owned()
            } else {
                format!("Columns of `{}`", table.name)
            };
            let _ = write!(out, "\n{name}: {}.\n", columns.join(", "));
        }
    }
    out
}
