//! How many exchanges are stored, one by one: for tests and measurements that must not believe any sum kept up at ingest.

use crate::QueryError;
use crate::db::query_scalar;
use crate::integer::unsigned;
use crate::segments;
use crate::snapshot::Snapshot;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Exchanges of HTTP.
    Exchanges,
    /// Exchanges of DNS that were answered.
    AnsweredDns,
}

/// Reads every exchange, and counts their ids, each once.
pub(crate) fn answer(snapshot: &mut Snapshot, counted: Counted) -> Result<u64, QueryError> {
    let segments = segments::all(snapshot)?;
    if segments.is_empty() {
        return Ok(0);
    }
    let tables: Vec<_> = segments
        .iter()
        .map(|segment| match counted {
            Counted::Exchanges => format!("SELECT id FROM exchange_rows({})", segment.number),
            Counted::AnsweredDns => format!(
                "SELECT id FROM dns_rows({}) WHERE outcome = 0",
                segment.number
            ),
        })
        .collect();
    let sql = format!(
        "SELECT COUNT(DISTINCT id) FROM ({})",
        tables.join(" UNION ALL ")
    );
    let count: i64 = query_scalar(sql).fetch_one(snapshot.connection())?;
    Ok(unsigned(count))
}
