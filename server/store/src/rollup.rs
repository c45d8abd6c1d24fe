//! Counts for each ten seconds, kept up as rows come.
//!
//! Owns: what a batch adds, in memory until its commit, and the merge into `rollup_N`. An exchange that was counted as open
//! and has ended moves: it is taken from one row and added to another, in the segment that holds it.

use std::collections::BTreeMap;

use headwater_pack::ALL_SLOTS;
use headwater_schema::latency::{bucket_of, decode, encode};
use rusqlite::{Connection, OptionalExtension, params};

use crate::codes;
use crate::integer::signed;
use crate::ledger::FastMap;
use crate::names::Methods;

/// Names one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) segment: i64,
    pub(crate) slot_ns: i64,
    pub(crate) server: i64,
    pub(crate) client: i64,
    /// 0 when there is none.
    pub(crate) route: i64,
    /// See `Methods::name`.
    pub(crate) method: u16,
    pub(crate) kind: u16,
}

/// What the batch adds.
#[derive(Debug, Default)]
pub(crate) struct Rollups {
    rows: FastMap<Key, Row>,
}

/// What is added to one row, or the row as it stands.
#[derive(Debug, Clone, Default)]
struct Row {
    count: i64,
    span_ns: Option<(i64, i64)>,
    ids: Option<(i64, i64)>,
    /// Ascending by bucket.
    latencies: Vec<(u16, u64)>,
}

impl Rollups {
    /// Counts one exchange or failed connection.
    pub(crate) fn add(&mut self, key: Key, at_ns: i64, id: Option<i64>, latency_ns: Option<u64>) {
        let row = self.rows.entry(key).or_default();
        row.count += 1;
        row.span_ns = widened(row.span_ns, Some((at_ns, at_ns)));
        row.ids = widened(row.ids, id.map(|id| (id, id)));
        if let Some(latency_ns) = latency_ns {
            row.add_latency(bucket_of(latency_ns), 1);
        }
    }

    /// Takes back an exchange that was counted as open.
    pub(crate) fn subtract(&mut self, key: Key) {
        self.rows.entry(key).or_default().count -= 1;
    }

    /// Forgets the batch.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
    }

    /// Writes everything, ordered as the tables are. What changes in a segment that is not `open` changes its sum as well.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        open: i64,
        methods: &Methods,
    ) -> rusqlite::Result<()> {
        let mut rows: Vec<(Key, Row)> = self.rows.drain().collect();
        rows.sort_unstable_by_key(|(key, _)| (key.segment, key.slot_ns, key.server, key.client));
        for (key, added) in rows {
            if added.count != 0 || !added.latencies.is_empty() {
                let method = methods.name(key.method);
                if key.segment != open {
                    let all = Key {
                        slot_ns: ALL_SLOTS,
                        ..key
                    };
                    merge(connection, all, method, added.clone())?;
                }
                merge(connection, key, method, added)?;
            }
        }
        Ok(())
    }
}

impl Row {
    fn add_latency(&mut self, bucket: u16, count: u64) {
        match self
            .latencies
            .binary_search_by_key(&bucket, |(bucket, _)| *bucket)
        {
            Ok(at) => {
                if let Some((_, sum)) = self.latencies.get_mut(at) {
                    *sum = sum.saturating_add(count);
                }
            }
            Err(at) => self.latencies.insert(at, (bucket, count)),
        }
    }
}

fn merge(connection: &Connection, key: Key, method: &str, mut row: Row) -> rusqlite::Result<()> {
    let Key {
        segment,
        slot_ns,
        server,
        client,
        route,
        kind,
        ..
    } = key;
    let place = params![slot_ns, server, client, route, method, kind];
    let sql = format!(
        "SELECT count, first_ns, last_ns, first_exchange_id, last_exchange_id, latency_buckets FROM rollup_{segment} {WHERE}"
    );
    let before = connection
        .prepare_cached(&sql)?
        .query_row(place, |found| read(found, 0));
    if let Some(before) = before.optional()? {
        row.count += before.count;
        row.span_ns = widened(row.span_ns, before.span_ns);
        row.ids = widened(row.ids, before.ids);
        for (bucket, count) in before.latencies {
            row.add_latency(bucket, count);
        }
    }
    if row.count <= 0 {
        let sql = format!("DELETE FROM rollup_{segment} {WHERE}");
        connection.prepare_cached(&sql)?.execute(place)?;
        return Ok(());
    }
    let mut buckets = Vec::with_capacity(row.latencies.len() * 3);
    encode(row.latencies, |byte| buckets.push(byte));
    let span_ns = row.span_ns.unwrap_or((slot_ns, slot_ns));
    let sql = format!("REPLACE INTO rollup_{segment} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    connection.prepare_cached(&sql)?.execute(params![
        slot_ns,
        server,
        client,
        route,
        method,
        kind,
        row.count,
        span_ns.0,
        span_ns.1,
        row.ids.map(|ids| ids.0),
        row.ids.map(|ids| ids.1),
        buckets
    ])?;
    Ok(())
}

/// Sums up a segment that is being closed: windows that hold all of it need not read its slots. The ids of a sum are those
/// of its newest slot.
pub(crate) fn sum_up(connection: &Connection, segment: i64) -> rusqlite::Result<()> {
    let mut sums: BTreeMap<(i64, i64, i64, String, u16), Row> = BTreeMap::new();
    let sql = format!(
        "SELECT server_service_id, client_service_id, route_id, method, kind, count, first_ns, last_ns, \
         first_exchange_id, last_exchange_id, latency_buckets FROM rollup_{segment} ORDER BY slot_ns"
    );
    let mut select = connection.prepare(&sql)?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        let place = (
            found.get(0)?,
            found.get(1)?,
            found.get(2)?,
            found.get(3)?,
            found.get(4)?,
        );
        let row = read(found, 5)?;
        let sum = sums.entry(place).or_default();
        sum.count += row.count;
        sum.span_ns = widened(sum.span_ns, row.span_ns);
        sum.ids = row.ids.or(sum.ids);
        for (bucket, count) in row.latencies {
            sum.add_latency(bucket, count);
        }
    }
    drop(rows);
    for ((server, client, route, method, kind), row) in sums {
        let key = Key {
            segment,
            slot_ns: ALL_SLOTS,
            server,
            client,
            route,
            // The name is given beside it.
            method: 0,
            kind,
        };
        merge(connection, key, &method, row)?;
    }
    Ok(())
}

/// Moves what is counted as open in a segment to what went well, and says whether there was any.
pub(crate) fn end_open(connection: &Connection, segment: i64) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT slot_ns, server_service_id, client_service_id, route_id, method, count, first_ns, last_ns, \
         first_exchange_id, last_exchange_id, latency_buckets FROM rollup_{segment} WHERE kind = ?"
    );
    let open = connection
        .prepare(&sql)?
        .query_map([codes::OPEN], |found| {
            let key = Key {
                segment,
                slot_ns: found.get(0)?,
                server: found.get(1)?,
                client: found.get(2)?,
                route: found.get(3)?,
                // The name is given beside it.
                method: 0,
                kind: codes::NO_FAILURE,
            };
            Ok((key, found.get::<_, String>(4)?, read(found, 5)?))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let any = !open.is_empty();
    for (key, method, row) in open {
        merge(connection, key, &method, row)?;
    }
    let sql = format!("DELETE FROM rollup_{segment} WHERE kind = ?");
    connection.execute(&sql, [codes::OPEN])?;
    Ok(any)
}

/// A row from its count on.
fn read(found: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Row> {
    let ids: (Option<i64>, Option<i64>) = (found.get(at + 3)?, found.get(at + 4)?);
    Ok(Row {
        count: found.get(at)?,
        span_ns: Some((found.get(at + 1)?, found.get(at + 2)?)),
        ids: ids.0.zip(ids.1),
        latencies: decode(found.get_ref(at + 5)?.as_blob().unwrap_or_default()).collect(),
    })
}

/// The start of the ten seconds that hold a moment.
pub(crate) fn slot_of(at_ns: u64) -> i64 {
    signed(at_ns - at_ns % SLOT_NS)
}

fn widened(one: Option<(i64, i64)>, other: Option<(i64, i64)>) -> Option<(i64, i64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

const WHERE: &str = "WHERE slot_ns = ? AND server_service_id = ? AND client_service_id = ? AND route_id = ? \
                     AND method = ? AND kind = ?";
const SLOT_NS: u64 = 10_000_000_000;
