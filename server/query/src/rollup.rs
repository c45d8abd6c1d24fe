//! The roll-ups of a window: counts for each ten seconds, kept up at ingest.
//!
//! Owns: reading them, row by row, from every segment. Groups are made by who asks.

use std::collections::BTreeSet;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row};

use crate::QueryError;
use crate::answer::Window;
use crate::integer::{signed, unsigned};
use crate::names::json_list;
use crate::segments::Segment;
use crate::snapshot::Snapshot;

/// One row: ten seconds of one pair of services, route, method and kind.
#[derive(Debug, Default)]
pub(crate) struct Rollup {
    pub(crate) segment: i64,
    pub(crate) server: i64,
    pub(crate) client: i64,
    /// 0 when there is none.
    pub(crate) route: i64,
    pub(crate) method: String,
    pub(crate) kind: i64,
    pub(crate) count: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) first_id: Option<i64>,
    pub(crate) last_id: Option<i64>,
    /// See `headwater_schema::latency`.
    pub(crate) latency: Vec<u8>,
}

/// Which rows are wanted.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// Services that answer.
    pub(crate) servers: Option<BTreeSet<i64>>,
    /// Or services that call; used with `servers` only.
    pub(crate) or_clients: bool,
    /// Whether the histograms are wanted.
    pub(crate) latency: bool,
}

/// Gives every row of the window's slots to `take`, segment by segment, oldest first.
pub(crate) async fn each(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    selection: &Selection,
    mut take: impl FnMut(Rollup) + Send,
) -> Result<(), QueryError> {
    let latency = if selection.latency {
        "latency_buckets"
    } else {
        "x''"
    };
    let condition = match (&selection.servers, selection.or_clients) {
        (None, _) => "?3 = ''",
        (Some(_), false) => "server_service_id IN (SELECT value FROM json_each(?3))",
        (Some(_), true) => {
            "(server_service_id IN (SELECT value FROM json_each(?3)) \
             OR client_service_id IN (SELECT value FROM json_each(?3)))"
        }
    };
    let list = selection
        .servers
        .as_ref()
        .map_or_else(String::new, |ids| json_list(ids.iter().copied()));
    for segment in segments {
        let sql = format!(
            "SELECT server_service_id, client_service_id, route_id, method, kind, count, first_ns, last_ns, \
             first_exchange_id, last_exchange_id, {latency} FROM rollup_{} \
             WHERE slot_ns BETWEEN ?1 AND ?2 AND {condition}",
            segment.number
        );
        let mut rows = sqlx::query(AssertSqlSafe(sql))
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(list.clone())
            .fetch(snapshot.connection());
        while let Some(row) = rows.try_next().await? {
            take(Rollup {
                segment: segment.number,
                server: row.try_get(0)?,
                client: row.try_get(1)?,
                route: row.try_get(2)?,
                method: row.try_get(3)?,
                kind: row.try_get(4)?,
                count: unsigned(row.try_get(5)?),
                first_ns: unsigned(row.try_get(6)?),
                last_ns: unsigned(row.try_get(7)?),
                first_id: row.try_get(8)?,
                last_id: row.try_get(9)?,
                latency: row.try_get(10)?,
            });
        }
    }
    Ok(())
}
