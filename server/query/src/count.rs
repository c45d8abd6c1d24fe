//! How many exchanges are stored, one by one: for tests and measurements that must not believe any sum kept up at ingest.

use sqlx::AssertSqlSafe;

use crate::QueryError;
use crate::integer::unsigned;
use crate::segments;
use crate::snapshot::Snapshot;

/// Reads every exchange, and counts their ids, each once.
pub(crate) async fn answer(snapshot: &mut Snapshot) -> Result<u64, QueryError> {
    let segments = segments::all(snapshot).await?;
    if segments.is_empty() {
        return Ok(0);
    }
    let tables: Vec<_> = segments
        .iter()
        .map(|segment| format!("SELECT id FROM exchange_rows({})", segment.number))
        .collect();
    let sql = format!(
        "SELECT COUNT(DISTINCT id) FROM ({})",
        tables.join(" UNION ALL ")
    );
    let count: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(snapshot.connection())
        .await?;
    Ok(unsigned(count))
}
