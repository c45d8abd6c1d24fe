//! Routes of which more requests are slow than were before.
//!
//! Owns: what slow is, and what is told of it: first and last, and examples. A route is compared with itself, so that one that is
//! always slow, or always has a slow few, is none.

use std::collections::BTreeMap;

use headwater_schema::latency::middle_of;

use crate::answer::Window;
use crate::db::{query_as, query_scalar};
use crate::integer::{signed, unsigned};
use crate::quantile::Latencies;
use crate::search::LATENCY;
use crate::segments::{MOST_AT_ONCE, Segment, of_each};
use crate::snapshot::Snapshot;
use crate::{QueryError, chance};

/// So much longer than is usual that a person would ask why.
pub(crate) fn is_slow(lasted_ns: u64, median_ns: u64) -> bool {
    lasted_ns > limit_ns(median_ns)
}

/// What is slow lasts longer.
pub(crate) fn limit_ns(median_ns: u64) -> u64 {
    let thrice = median_ns.saturating_mul(3);
    thrice.max(median_ns.saturating_add(LEAST_SLOW_NS))
}

/// A route that became slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slow {
    /// What lasted longer.
    pub(crate) limit_ns: u64,
    /// How many did,
    pub(crate) count: u64,
    /// and before.
    pub(crate) before: u64,
}

impl Slow {
    /// Of those that ended well, now and before; `None` where no more are slow than chance makes.
    pub(crate) fn of(now: &Latencies, then: &Latencies) -> Option<Self> {
        let median_ns = then.quantile(50).filter(|_| then.sum() >= LEAST_BEFORE)?;
        let limit_ns = limit_ns(median_ns);
        let (count, before) = (beyond(now, limit_ns), beyond(then, limit_ns));
        let is_more = count.saturating_mul(then.sum()) > before.saturating_mul(now.sum());
        let chance = chance::of_shares((count, now.sum()), (before, then.sum()));
        (is_more && chance < chance::MOST).then_some(Self {
            limit_ns,
            count,
            before,
        })
    }
}

fn beyond(latencies: &Latencies, limit_ns: u64) -> u64 {
    let slow = latencies
        .buckets()
        .filter(|bucket| middle_of(*bucket) > limit_ns);
    slow.map(|bucket| latencies.count(bucket)).sum()
}

/// When requests of a route were slow, and which.
#[derive(Debug, Default)]
pub(crate) struct Occurrences {
    /// Those of the first ten seconds that have any,
    pub(crate) first_ns: Option<u64>,
    /// and of the last.
    pub(crate) last_ns: u64,
    /// By calling service.
    pub(crate) clients: BTreeMap<i64, u64>,
    /// A few, newest first.
    pub(crate) examples: Vec<i64>,
}

/// Segment, calling service, first and last time, first and last id, latencies.
type Slot = (i64, i64, i64, i64, Option<i64>, Option<i64>, Vec<u8>);

/// Looks for them in the slots of a window.
pub(crate) fn occurrences(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    (server, route, method): (i64, i64, &str),
    limit_ns: u64,
) -> Result<Occurrences, QueryError> {
    let mut found = Occurrences::default();
    // Segment, first and last id of the newest slots that have any.
    let mut newest: Vec<(i64, i64, i64)> = Vec::new();
    for segments in segments.chunks(MOST_AT_ONCE) {
        let sql = of_each(segments.iter(), |segment| {
            let number = segment.number;
            format!(
                "SELECT {number}, client_service_id, first_ns, last_ns, first_exchange_id, last_exchange_id, latency_buckets \
                 FROM rollup_{number} WHERE slot_ns BETWEEN ?1 AND ?2 AND server_service_id = ?3 AND route_id = ?4 AND method = ?5 AND kind = 0"
            )
        });
        let slots: Vec<Slot> = query_as(sql)
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(server)
            .bind(route)
            .bind(method)
            .fetch_all(snapshot.connection())?;
        for (segment, client, first_ns, last_ns, first_id, last_id, buckets) in slots {
            let mut latencies = Latencies::default();
            latencies.add(&buckets);
            let count = beyond(&latencies, limit_ns);
            if count == 0 {
                continue;
            }
            let (first_ns, last_ns) = (unsigned(first_ns), unsigned(last_ns));
            found.first_ns = Some(found.first_ns.map_or(first_ns, |first| first.min(first_ns)));
            found.last_ns = found.last_ns.max(last_ns);
            let sum = found.clients.entry(client).or_default();
            *sum = sum.saturating_add(count);
            newest.extend(
                first_id
                    .zip(last_id)
                    .map(|(first, last)| (segment, first, last)),
            );
        }
    }
    newest.sort_unstable_by_key(|(.., last)| std::cmp::Reverse(*last));
    for (segment, first, last) in newest.into_iter().take(MOST_SLOTS) {
        let sql = format!(
            "SELECT e.id FROM exchange_rows({segment}) e WHERE e.id BETWEEN ? AND ? AND e.server_service_id = ? \
             AND COALESCE(e.route_id, 0) = ? AND COALESCE(e.http_request_method, '') = ? AND e.error_kind IS NULL \
             AND e.outcome NOT IN (1, 8) AND {LATENCY} > ? ORDER BY e.id DESC LIMIT ?"
        );
        let ids: Vec<i64> = query_scalar(sql)
            .bind(first.max(last.saturating_sub(MOST_LOOKED_AT)))
            .bind(last)
            .bind(server)
            .bind(route)
            .bind(method)
            .bind(signed(limit_ns))
            .bind(i64::try_from(EXAMPLES - found.examples.len()).unwrap_or(0))
            .fetch_all(snapshot.connection())?;
        found.examples.extend(ids);
        if found.examples.len() >= EXAMPLES {
            break;
        }
    }
    Ok(found)
}

/// Fewer milliseconds are nobody's trouble.
const LEAST_SLOW_NS: u64 = 20_000_000;
/// Fewer say nothing of what is usual.
const LEAST_BEFORE: u64 = 10;
const EXAMPLES: usize = 3;
/// Slots that are looked through for examples,
const MOST_SLOTS: usize = 3;
/// and exchanges of each, the newest.
const MOST_LOOKED_AT: i64 = 20_000;

#[cfg(test)]
mod tests {
    use headwater_schema::latency::bucket_of;

    use super::*;

    fn latencies(of_ms: &[(u64, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        for (ms, count) in of_ms {
            for _ in 0..*count {
                latencies.add_one(bucket_of(ms * 1_000_000));
            }
        }
        latencies
    }

    #[test]
    fn a_route_is_compared_with_itself() {
        let usual = latencies(&[(10, 980), (200, 20)]);
        // As ever, though a few are slow.
        assert_eq!(Slow::of(&latencies(&[(10, 98), (200, 2)]), &usual), None);
        assert_eq!(Slow::of(&latencies(&[(28, 100)]), &usual), None);
        let slow = Slow::of(&latencies(&[(10, 80), (200, 20)]), &usual).unwrap();
        assert_eq!((slow.count, slow.before), (20, 20));
        // Less than before.
        assert_eq!(Slow::of(&latencies(&[(10, 5_000)]), &usual), None);
        // Nothing is known of what is usual.
        let few = latencies(&[(10, 9)]);
        assert_eq!(Slow::of(&latencies(&[(500, 1_000)]), &few), None);
    }
}
