//! The roll-ups of a window: counts for each ten seconds, kept up at ingest.
//!
//! Owns: reading them, from every segment. Groups are made by who asks.

use std::collections::BTreeSet;

use headwater_pack::{ALL_SLOTS, Newest};

use crate::QueryError;
use crate::answer::Window;
use crate::db::query;
use crate::integer::{signed, unsigned};
use crate::names::json_list;
use crate::segments::{MOST_AT_ONCE, Segment, of_each};
use crate::snapshot::Snapshot;

/// What the window has of one pair of services, route, method and kind.
#[derive(Debug, Default)]
pub(crate) struct Rollup {
    pub(crate) server: i64,
    pub(crate) client: i64,
    /// 0 when there is none.
    pub(crate) route: i64,
    pub(crate) method: String,
    pub(crate) kind: i64,
    pub(crate) count: u64,
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
    /// Of its newest ten seconds, and the greatest that are known.
    pub(crate) newest: Newest,
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

/// Gives what the window's slots have of each pair of services, route, method and kind to `take`; of a store of many segments
/// in parts.
pub(crate) fn each(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    selection: &Selection,
    mut take: impl FnMut(Rollup) + Send,
) -> Result<(), QueryError> {
    let latency = if selection.latency {
        "latency_sum(latency_buckets)"
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
    for segments in segments.chunks(MOST_AT_ONCE) {
        let all = of_each(segments.iter(), |segment| {
            let number = segment.number;
            // Of a segment that the window holds all of, the sum is read.
            let is_within = format!(
                "(SELECT MIN(slot_ns) FROM rollup_{number} WHERE slot_ns > {ALL_SLOTS}) >= ?1 AND (SELECT MAX(slot_ns) FROM rollup_{number}) <= ?2"
            );
            let slots = if segment.closed {
                format!(
                    "CASE WHEN {is_within} THEN {ALL_SLOTS} ELSE ?1 END AND CASE WHEN {is_within} THEN {ALL_SLOTS} ELSE ?2 END"
                )
            } else {
                "?1 AND ?2".to_owned()
            };
            format!(
                "SELECT {number} AS segment, * FROM rollup_{number} WHERE slot_ns BETWEEN {slots}"
            )
        });
        let sql = format!(
            "SELECT server_service_id, client_service_id, route_id, method, kind, SUM(count), MIN(first_ns), MAX(last_ns), \
             newest_ids(segment, first_exchange_id, last_exchange_id), {latency} FROM ({all}) WHERE {condition} GROUP BY 1, 2, 3, 4, 5"
        );
        let rows = query(sql)
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(list.clone())
            .fetch_all(snapshot.connection())?;
        for row in rows {
            take(Rollup {
                server: row.try_get(0)?,
                client: row.try_get(1)?,
                route: row.try_get(2)?,
                method: row.try_get(3)?,
                kind: row.try_get(4)?,
                count: unsigned(row.try_get(5)?),
                first_ns: unsigned(row.try_get(6)?),
                last_ns: unsigned(row.try_get(7)?),
                newest: Newest::read(row.try_get(8)?),
                latency: row.try_get(9)?,
            });
        }
    }
    Ok(())
}
