//! Headers that are there to tell what belongs together, or whose it is.
//!
//! Owns: the names that are known for it, and those that the operator gave to the recorder (`--correlation-header`,
//! `--session-header`), which stand with the recorder's other settings in the store.

use std::collections::BTreeSet;

use crate::QueryError;
use crate::db::query_scalar;
use crate::snapshot::Snapshot;

/// What a header is named for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It carries an id from hop to hop.
    Correlation,
    /// It names a session.
    Session,
}

/// Names in lower case.
#[derive(Debug, Clone, Default)]
pub(super) struct HeaderNames(BTreeSet<String>);

impl HeaderNames {
    /// Those that are known, and those of every recorder that wrote to the store.
    pub(super) fn load(snapshot: &mut Snapshot, purpose: Purpose) -> Result<Self, QueryError> {
        let (known, key) = match purpose {
            Purpose::Correlation => (CORRELATION, "$.correlation_headers"),
            Purpose::Session => (SESSION, "$.session_headers"),
        };
        let given: Vec<String> = query_scalar(
            "SELECT DISTINCT LOWER(name.value) FROM recorder_run r, \
             json_each(CASE WHEN json_valid(r.settings) THEN r.settings ELSE '{}' END, ?) name",
        )
        .bind(key)
        .fetch_all(snapshot.connection())?;
        let known = known.iter().map(|name| (*name).to_owned());
        Ok(Self(known.chain(given).collect()))
    }

    /// Whether a header, in any case, is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(&name.to_ascii_lowercase())
    }
}

/// Besides trace context.
const CORRELATION: &[&str] = &[
    "correlation-id",
    "request-id",
    "x-amz-request-id",
    "x-amzn-requestid",
    "x-correlation-id",
    "x-ms-client-request-id",
    "x-ms-request-id",
    "x-request-id",
    "x-transaction-id",
];
/// Besides cookies, tokens and keys.
const SESSION: &[&str] = &["mcp-session-id", "x-session-id"];
