//! The conditions of a search, as SQL with bound values.
//!
//! Owns: reading the filter arguments. No text of the caller's becomes SQL: clauses are fixed, values are bound.

use std::path::Path;
use std::time::Duration;

use super::secret::Secrets;
use super::{LATENCY, PATH, caused, pattern};
use crate::db::{Query, Row, query};
use crate::id::ExchangeId;
use crate::integer::signed;
use crate::snapshot::Snapshot;
use crate::{QueryError, SearchQuery, names, outcome};

/// A value to bind.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Integer(i64),
    Text(String),
}

/// Conditions that must all hold.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    sql: String,
    values: Vec<Value>,
    /// No row can match.
    pub(crate) nothing: bool,
}

impl Filter {
    /// Reads every condition but those on headers.
    pub(crate) fn read(
        snapshot: &mut Snapshot,
        query: &SearchQuery,
        secrets: &Secrets,
    ) -> Result<Self, QueryError> {
        let mut filter = Self::default();
        if let Some(service) = &query.service {
            filter.services(snapshot, "e.server_service_id", service)?;
        }
        if let Some(peer) = &query.peer {
            filter.services(snapshot, "e.client_service_id", peer)?;
        }
        if let Some(method) = &query.method {
            filter.add("e.http_request_method = ?", [Value::Text(method.clone())]);
        }
        if let Some(path) = &query.path {
            filter.path(path, secrets);
        }
        if let Some(status) = &query.status {
            filter.status(status)?;
        }
        if let Some(least) = query.min_latency_ms {
            let latency_ns = nanoseconds(least)?;
            filter.add(&format!("{LATENCY} >= ?"), [Value::Integer(latency_ns)]);
        }
        if let Some(outcome) = &query.outcome {
            filter.outcome(outcome)?;
        }
        if let Some(protocol) = &query.protocol {
            filter.protocol(protocol)?;
        }
        if query.process_tree.is_some() || query.cgroup.is_some() {
            filter.caused_by(snapshot, query)?;
        }
        if let Some(after) = &query.after {
            let after = ExchangeId::parse("after", &snapshot.tag(), after)?;
            filter.add("e.id > ?", [Value::Integer(signed(after.0))]);
        }
        Ok(filter)
    }

    /// The conditions as SQL, each with ` AND ` before it.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// Their values, in order.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    fn add(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(clause);
        self.values.extend(values);
    }

    fn services(
        &mut self,
        snapshot: &mut Snapshot,
        column: &str,
        text: &str,
    ) -> Result<(), QueryError> {
        let ids = names::matching(snapshot, text)?;
        self.nothing |= ids.is_empty();
        let list = Value::Text(names::json_list(ids));
        self.add(
            &format!("{column} IN (SELECT value FROM json_each(?))"),
            [list],
        );
        Ok(())
    }

    fn path(&mut self, text: &str, secrets: &Secrets) {
        let mut patterns = vec![pattern::path_glob(text)];
        patterns.extend(
            secrets
                .redacted_path(text)
                .map(|redacted| pattern::path_glob(&redacted)),
        );
        let clauses: Vec<String> = patterns.iter().map(|_| format!("{PATH} GLOB ?")).collect();
        self.add(
            &format!("({})", clauses.join(" OR ")),
            patterns.into_iter().map(Value::Text),
        );
    }

    fn status(&mut self, text: &str) -> Result<(), QueryError> {
        let ranges = pattern::status_ranges(text)?;
        let clauses: Vec<&str> = ranges
            .iter()
            .map(|_| "e.http_response_status_code BETWEEN ? AND ?")
            .collect();
        let values = ranges
            .into_iter()
            .flat_map(|(from, to)| [Value::Integer(from), Value::Integer(to)]);
        self.add(&format!("({})", clauses.join(" OR ")), values);
        Ok(())
    }

    fn outcome(&mut self, text: &str) -> Result<(), QueryError> {
        let numbers = outcomes(text)?;
        self.add(
            "e.outcome IN (SELECT value FROM json_each(?))",
            [Value::Text(names::json_list(numbers))],
        );
        Ok(())
    }

    /// By what a row has that others have not.
    fn protocol(&mut self, text: &str) -> Result<(), QueryError> {
        let clause = match text {
            "http1" => "e.http2_stream_id IS NULL",
            "http2" => "e.http2_stream_id IS NOT NULL",
            "grpc" => "e.rpc_request_messages IS NOT NULL",
            "websocket" => "e.websocket IS NOT NULL",
            "sse" => "e.event_stream IS NOT NULL",
            _ => {
                return Err(QueryError::Argument {
                    argument: "protocol",
                    problem: "give one of http1, http2, grpc, websocket, sse".to_owned(),
                });
            }
        };
        self.add(clause, []);
        Ok(())
    }

    fn caused_by(
        &mut self,
        snapshot: &mut Snapshot,
        query: &SearchQuery,
    ) -> Result<(), QueryError> {
        let ids = caused::processes(snapshot, query.process_tree, query.cgroup.as_deref())?;
        self.nothing |= ids.is_empty();
        let list = names::json_list(ids);
        self.add(
            "EXISTS (SELECT 1 FROM connection c WHERE c.id = e.connection_id AND (c.client_process_id IN (SELECT value \
             FROM json_each(?)) OR c.server_process_id IN (SELECT value FROM json_each(?))))",
            [Value::Text(list.clone()), Value::Text(list)],
        );
        Ok(())
    }
}

/// The numbers of outcomes by their names, several with commas.
///
/// # Errors
/// `Argument`, naming them all.
pub(crate) fn outcomes(text: &str) -> Result<Vec<i64>, QueryError> {
    let mut numbers = Vec::new();
    for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        match outcome::OUTCOMES.iter().position(|known| *known == name) {
            Some(number) => numbers.push(i64::try_from(number).unwrap_or(-1)),
            None if name == "failed" => numbers.extend(outcome::FAILED),
            None => {
                let problem = format!(
                    "give one of {}, or failed for any but complete, open, truncated and request_not_seen; several with \
                     commas",
                    outcome::OUTCOMES.join(", ")
                );
                return Err(QueryError::Argument {
                    argument: "outcome",
                    problem,
                });
            }
        }
    }
    Ok(numbers)
}

/// A statement with its values bound.
pub(crate) fn bound(sql: String, values: &[Value]) -> Query<Row> {
    // `sql` is made of fixed clauses and of numbers of segments.
    values
        .iter()
        .cloned()
        .fold(query(sql), |query, value| match value {
            Value::Integer(integer) => query.bind(integer),
            Value::Text(text) => query.bind(text),
        })
}

/// What the filters on secret text need of the store: the key beside it.
pub(crate) fn secrets(snapshot: &Snapshot, store: &Path, query: &SearchQuery) -> Secrets {
    if query.header_value.is_none() && query.path.is_none() {
        return Secrets::none();
    }
    Secrets::load(store, snapshot.opened.key_fingerprint.as_deref())
}

fn nanoseconds(milliseconds: f64) -> Result<i64, QueryError> {
    Duration::try_from_secs_f64(milliseconds / 1000.0)
        .ok()
        .and_then(|latency| i64::try_from(latency.as_nanos()).ok())
        .ok_or_else(|| QueryError::Argument {
            argument: "min_latency_ms",
            problem: "give a number of milliseconds from 0 on, such as 250".to_owned(),
        })
}
