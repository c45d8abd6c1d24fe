//! What happened in a window, exactly: whole slots from the roll-ups, and their ends exchange by exchange.

use std::collections::{BTreeMap, BTreeSet};

use headwater_schema::latency::bucket_of;

use crate::answer::Window;
use crate::db::{query, query_as};
use crate::integer::{signed, unsigned};
use crate::quantile::Latencies;
use crate::rollup::{self, Selection};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::tls::IS_COUNTED;
use crate::window::SLOT_NS;
use crate::{QueryError, outcome};

/// Where something was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) server: i64,
    pub(super) client: i64,
    /// 0 when there is none.
    pub(super) route: i64,
    pub(super) method: String,
}

impl Place {
    /// Of a pair of services.
    pub(super) fn pair(&self) -> Self {
        Self {
            server: self.server,
            client: self.client,
            ..Self::default()
        }
    }

    /// Of a route, whoever asked.
    pub(super) fn of_route(&self) -> Self {
        Self {
            client: 0,
            ..self.clone()
        }
    }
}

/// What was counted at a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    pub(super) count: u64,
    /// By kind, as in the roll-ups.
    pub(super) failures: BTreeMap<i64, u64>,
    pub(super) latencies: Latencies,
}

impl Side {
    /// Failures of any kind.
    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Those of the server's or the network's.
    pub(super) fn errors(&self) -> u64 {
        self.of_kind(outcome::is_error)
    }

    /// Those that are the client's own fault.
    pub(super) fn client_errors(&self) -> u64 {
        self.of_kind(outcome::is_client_error)
    }

    fn of_kind(&self, is_it: fn(i64) -> bool) -> u64 {
        let kinds = self.failures.iter().filter(|(kind, _)| is_it(**kind));
        kinds.map(|(_, count)| *count).sum()
    }

    /// The most frequent kind of failure.
    pub(super) fn worst(&self) -> Option<i64> {
        let most = self.failures.iter().max_by_key(|(_, count)| **count);
        most.map(|(kind, _)| *kind)
    }

    fn add(&mut self, kind: i64, count: u64) {
        self.count = self.count.saturating_add(count);
        if outcome::is_error(kind) || outcome::is_client_error(kind) {
            let sum = self.failures.entry(kind).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        for (kind, count) in &other.failures {
            let sum = self.failures.entry(*kind).or_default();
            *sum = sum.saturating_add(*count);
        }
        self.latencies.merge(&other.latencies);
    }
}

/// A window's counts.
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) sides: BTreeMap<Place, Side>,
    /// An end was left out.
    pub(super) is_limited: bool,
    /// What was counted.
    pub(super) parts: Vec<Window>,
}

impl Counted {
    pub(super) fn read(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        window: Window,
        servers: Option<&BTreeSet<i64>>,
    ) -> Result<Self, QueryError> {
        let mut counted = Self::default();
        // The slots that lie wholly within.
        let first = window.since_ns.div_ceil(SLOT_NS).saturating_mul(SLOT_NS);
        let behind = window.until_ns.saturating_add(1) / SLOT_NS * SLOT_NS;
        let whole = |since_ns, until_ns| Window { since_ns, until_ns };
        if first >= behind {
            if !counted.exactly(snapshot, segments, window, servers)? {
                return Err(QueryError::Argument {
                    argument: "since",
                    problem: "so much happened in so short a time that it cannot be compared; take half a minute or more".to_owned(),
                });
            }
            return Ok(counted);
        }
        let inner = whole(first, behind - 1);
        counted.slots(snapshot, segments, inner, servers)?;
        counted.parts.push(inner);
        let ends = [
            (window.since_ns, first),
            (behind, window.until_ns.saturating_add(1)),
        ];
        for (from, to) in ends.into_iter().filter(|(from, to)| from < to) {
            // What is too much to read stays out: its slot may belong to the other window as well.
            counted.exactly(snapshot, segments, whole(from, to - 1), servers)?;
        }
        Ok(counted)
    }

    pub(super) fn total(&self) -> u64 {
        self.sides.values().map(|side| side.count).sum()
    }

    /// Put together by a part of the place.
    pub(super) fn merged(&self, part: impl Fn(&Place) -> Place) -> BTreeMap<Place, Side> {
        let mut merged: BTreeMap<Place, Side> = BTreeMap::new();
        for (place, side) in &self.sides {
            merged.entry(part(place)).or_default().merge(side);
        }
        merged
    }

    fn slots(
        &mut self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        window: Window,
        servers: Option<&BTreeSet<i64>>,
    ) -> Result<(), QueryError> {
        let selection = Selection {
            servers: servers.cloned(),
            or_clients: true,
            latency: true,
        };
        rollup::each(snapshot, segments, window, &selection, |row| {
            let place = Place {
                server: row.server,
                client: row.client,
                route: row.route,
                method: row.method,
            };
            let side = self.sides.entry(place).or_default();
            side.add(row.kind, row.count);
            // Those of DNS are not read at the ends.
            if !outcome::is_dns(row.kind) {
                side.latencies.add(&row.latency);
            }
        })
    }

    /// Exchange by exchange; says whether that was few enough.
    fn exactly(
        &mut self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        window: Window,
        servers: Option<&BTreeSet<i64>>,
    ) -> Result<bool, QueryError> {
        let chunks = segments::chunks(snapshot, segments, window, 10)?;
        let many = chunks.iter().map(|chunk| chunk.ids).sum::<u64>();
        if many > MOST_EXACT || segments::count_dns(snapshot, segments, window)? > MOST_EXACT {
            self.is_limited = true;
            return Ok(false);
        }
        self.parts.push(window);
        let wanted = |server: i64, client: i64| {
            servers.is_none_or(|servers| servers.contains(&server) || servers.contains(&client))
        };
        let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
        for chunk in chunks {
            let sql = format!(
                "SELECT server_service_id, client_service_id, COALESCE(route_id, 0), COALESCE(http_request_method, ''), \
                 COALESCE(error_kind, 0), CASE WHEN outcome NOT IN (1, 8) THEN COALESCE(response_end_delta_ns, end_delta_ns) END FROM exchange_rows({}) \
                 WHERE id BETWEEN ? AND ? AND start_ns BETWEEN ? AND ?",
                chunk.segment
            );
            let rows = query(sql)
                .bind(chunk.first_id)
                .bind(chunk.last_id)
                .bind(since_ns)
                .bind(until_ns)
                .fetch_all(snapshot.connection())?;
            for row in rows {
                let place = Place {
                    server: row.try_get(0)?,
                    client: row.try_get(1)?,
                    route: row.try_get(2)?,
                    method: row.try_get(3)?,
                };
                if wanted(place.server, place.client) {
                    let side = self.sides.entry(place).or_default();
                    side.add(row.try_get(4)?, 1);
                    let latency: Option<i64> = row.try_get(5)?;
                    if let Some(latency) = latency {
                        side.latencies.add_one(bucket_of(unsigned(latency)));
                    }
                }
            }
        }
        // As the roll-ups have them.
        let attempts: Vec<(i64, i64, i64, i64)> = query_as(format!(
            "SELECT server_service_id, client_service_id, CASE close_reason WHEN 'refused' THEN 3 WHEN 'gave_up' THEN 4 \
             WHEN 'timed_out' THEN 5 ELSE 7 END, COUNT(*) FROM connection WHERE start_ns BETWEEN ?1 AND ?2 \
             AND close_reason IN ('refused', 'timed_out', 'unreachable', 'gave_up') AND client_bytes = 0 GROUP BY 1, 2, 3 \
             UNION ALL SELECT c.server_service_id, c.client_service_id, t.error_kind, COUNT(*) FROM connection_tls t \
             JOIN connection c ON c.id = t.connection_id WHERE {IS_COUNTED} AND c.start_ns BETWEEN ?1 AND ?2 \
             GROUP BY 1, 2, 3",
        ))
        .bind(since_ns)
        .bind(until_ns)
        .fetch_all(snapshot.connection())?;
        let mut others = attempts
            .into_iter()
            .map(|row| ("", row))
            .collect::<Vec<_>>();
        for segment in segments
            .iter()
            .filter(|segment| segment.may_hold(since_ns, until_ns))
        {
            let sql = format!(
                "SELECT server_service_id, client_service_id, COALESCE(error_kind, 3000), COUNT(*) FROM dns_rows({}) \
                 WHERE start_ns BETWEEN ? AND ? GROUP BY 1, 2, 3",
                segment.number
            );
            let rows: Vec<(i64, i64, i64, i64)> = query_as(sql)
                .bind(since_ns)
                .bind(until_ns)
                .fetch_all(snapshot.connection())?;
            others.extend(rows.into_iter().map(|row| ("DNS", row)));
        }
        for (method, (server, client, kind, count)) in others {
            if wanted(server, client) {
                let place = Place {
                    server,
                    client,
                    route: 0,
                    method: method.to_owned(),
                };
                self.sides
                    .entry(place)
                    .or_default()
                    .add(kind, unsigned(count));
            }
        }
        Ok(true)
    }
}

/// Exchanges that are read one by one at an end of a window.
const MOST_EXACT: u64 = 200_000;
