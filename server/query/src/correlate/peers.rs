//! The exchanges of the same service, route and method about the same time: what those that failed have in common that the
//! others have not, and whether one was slower than is usual.
//!
//! Owns: which exchanges are compared, and the bounds of that.

use crate::QueryError;
use crate::db::{query_as, query_scalar};
use crate::exchange::span;
use crate::integer::{signed, unsigned};
use crate::segments::{self, Segment};
use crate::slow::is_slow;
use crate::snapshot::Snapshot;
use crate::traits::{self, Difference, Sample};

use super::findings::Finding;
use super::node::Node;

/// The others of an exchange's place.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Those that went like it: failed in the same way or, where it did not fail, were as slow.
    alike: Vec<(i64, i64)>,
    /// Those that ended well, or were not slow.
    others: Vec<(i64, i64)>,
    /// Of those that ended well.
    median_ns: Option<u64>,
    /// Segment and id of the exchange itself.
    own: (i64, i64),
    /// It failed, or is slow: there is something to explain.
    is_alike: bool,
}

impl Peers {
    /// Looks for them near an exchange, in the order of commits.
    pub(super) fn find(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        node: &Node,
    ) -> Result<Self, QueryError> {
        let mut found = Self {
            own: (node.segment, node.id),
            is_alike: node.has_failed(),
            ..Self::default()
        };
        let mut ended_well: Vec<(i64, i64, u64)> = Vec::new();
        for reach in REACH {
            ended_well.clear();
            for range in segments::near(segments, node.id, reach) {
                ended_well.extend(well(snapshot, range, node)?);
            }
            if ended_well.len() >= ENOUGH {
                break;
            }
        }
        let mut latencies: Vec<u64> = ended_well.iter().map(|(.., latency)| *latency).collect();
        latencies.sort_unstable();
        found.median_ns = latencies.get(latencies.len() / 2).copied();
        if node.has_failed() {
            found.others = ended_well
                .iter()
                .map(|(segment, id, _)| (*segment, *id))
                .collect();
            for range in segments::near(segments, node.id, FAR) {
                found.alike.extend(failed(snapshot, range, node)?);
            }
        } else {
            let median = found.median_ns.unwrap_or(0);
            found.is_alike = is_slow(
                node.end_ns
                    .min(snapshot.now_ns)
                    .saturating_sub(node.start_ns),
                median,
            );
            if found.is_alike {
                found.alike.push(found.own);
            }
            for (segment, id, latency) in ended_well {
                if is_slow(latency, median) {
                    found.alike.push((segment, id));
                } else if latency <= median.saturating_mul(2) {
                    found.others.push((segment, id));
                }
            }
        }
        Ok(found)
    }

    /// How the time of an exchange that did not fail compares with theirs.
    pub(super) fn slowness(&self, node: &Node, now_ns: u64) -> Option<Finding> {
        let median = self.median_ns?;
        let lasted = node.end_ns.min(now_ns).saturating_sub(node.start_ns);
        let others = self.others.len();
        if others < FEWEST {
            return None;
        }
        let (is, how) = if is_slow(lasted, median) {
            ("slow", "it is slow")
        } else if lasted.saturating_mul(2) <= median.saturating_mul(3) {
            ("ruled_out", "it is as fast as others")
        } else {
            ("known", "it is slower than others")
        };
        Some(Finding {
            is,
            after_ns: None,
            what: format!(
                "{how}: {}, where the median of its service, route and method about then is {}",
                span(lasted),
                span(median)
            ),
            id: None,
            captured: None,
        })
    }

    /// Whether the client gave up sooner than answers usually take.
    pub(super) fn impatience(&self, node: &Node) -> Option<Finding> {
        let median = self.median_ns.filter(|_| node.outcome == CLIENT_GAVE_UP)?;
        let waited = node.lasted_ns();
        // One that was ended did not lose patience, and one that left at once has other reasons.
        let is_exit = matches!(node.error_kind, Some(9..=12));
        let is_patience = waited >= median / 2 && waited < median.saturating_mul(11) / 10;
        (!is_exit && is_patience && self.others.len() >= FEWEST).then(|| Finding {
            is: "cause",
            after_ns: Some(signed(waited)),
            what: format!(
                "its client gave up after {}, where the median of good answers of this service, route and method about then is {}: the client \
                 is less patient than answers take",
                span(waited),
                span(median)
            ),
            id: None,
            captured: None,
        })
    }

    /// What those alike have and the others have not.
    pub(super) fn in_common(
        &self,
        snapshot: &mut Snapshot,
        whose: &str,
    ) -> Result<Vec<Finding>, QueryError> {
        if !self.is_alike {
            return Ok(Vec::new());
        }
        let own = samples(snapshot, &[self.own])?;
        let alike = samples(snapshot, &self.alike)?;
        let others = samples(snapshot, &self.others)?;
        snapshot.check()?;
        let (alike, others): (Vec<&Sample>, Vec<&Sample>) =
            (alike.iter().collect(), others.iter().collect());
        let found = traits::differences(&alike, &others);
        // What most of the others have explains nothing where this one has it not.
        let is_its = |difference: &Difference| own.first().is_some_and(|own| own.has(difference));
        Ok(found
            .into_iter()
            .filter(is_its)
            .take(MOST_TOLD)
            .map(|difference| finding(&difference, whose))
            .collect())
    }
}

fn finding(difference: &Difference, whose: &str) -> Finding {
    let ((some, of_some), (others, of_others)) = (difference.of_some, difference.of_others);
    Finding {
        is: "common",
        after_ns: None,
        what: format!(
            "{}: {some} of {of_some} {whose} have it, and {others} of {of_others} good ones of the same service, route and method",
            difference.aspect.words()
        ),
        id: None,
        captured: Some(difference.captured.clone()).filter(|text| !text.is_empty()),
    }
}

fn samples(snapshot: &mut Snapshot, places: &[(i64, i64)]) -> Result<Vec<Sample>, QueryError> {
    let mut samples = Vec::with_capacity(places.len());
    let mut segments: Vec<i64> = places.iter().map(|(segment, _)| *segment).collect();
    segments.dedup();
    for segment in segments {
        let ids: Vec<i64> = places
            .iter()
            .filter(|(of, _)| *of == segment)
            .map(|(_, id)| *id)
            .collect();
        samples.extend(traits::read(snapshot, segment, &ids, false)?);
    }
    Ok(samples)
}

/// Exchanges of the place that ended well, nearest first: segment, id, latency.
fn well(
    snapshot: &mut Snapshot,
    (segment, first, last): (i64, i64, i64),
    node: &Node,
) -> Result<Vec<(i64, i64, u64)>, QueryError> {
    let sql = format!(
        "SELECT e.id, COALESCE(e.response_end_delta_ns, e.end_delta_ns) FROM exchange_rows({segment}) e \
         WHERE e.id BETWEEN ?1 AND ?2 AND e.server_service_id = ?3 AND COALESCE(e.http_request_method, '') = ?4 \
         AND COALESCE(e.route_id, 0) = ?5 AND e.error_kind IS NULL AND e.outcome = 0 AND e.id <> ?6 \
         ORDER BY ABS(e.id - ?6) LIMIT ?7"
    );
    let rows: Vec<(i64, i64)> = query_as(sql)
        .bind(first)
        .bind(last)
        .bind(node.server.service)
        .bind(node.method.clone().unwrap_or_default())
        .bind(node.route)
        .bind(node.id)
        .bind(MOST_OTHERS)
        .fetch_all(snapshot.connection())?;
    let rows = rows.into_iter();
    Ok(rows
        .map(|(id, latency)| (segment, id, unsigned(latency)))
        .collect())
}

/// Exchanges of the place that failed in the same way, itself among them, nearest first.
fn failed(
    snapshot: &mut Snapshot,
    (segment, first, last): (i64, i64, i64),
    node: &Node,
) -> Result<Vec<(i64, i64)>, QueryError> {
    // Failures are rows of their own, and have an index.
    let sql = format!(
        "SELECT id FROM exchange_{segment} WHERE error_kind = ?1 AND id BETWEEN ?2 AND ?3 AND server_service_id = ?4 \
         AND COALESCE(http_request_method, '') = ?5 AND COALESCE(route_id, 0) = ?6 ORDER BY ABS(id - ?7) LIMIT ?8"
    );
    let ids: Vec<i64> = query_scalar(sql)
        .bind(node.error_kind)
        .bind(first)
        .bind(last)
        .bind(node.server.service)
        .bind(node.method.clone().unwrap_or_default())
        .bind(node.route)
        .bind(node.id)
        .bind(MOST_ALIKE)
        .fetch_all(snapshot.connection())?;
    Ok(ids.into_iter().map(|id| (segment, id)).collect())
}

const CLIENT_GAVE_UP: i64 = 2;
/// Ids before and after that are looked at, the second where the first has too few.
const REACH: [i64; 2] = [8_192, FAR];
const FAR: i64 = 32_768;
const ENOUGH: usize = 100;
/// Fewer show nothing.
const FEWEST: usize = 5;
const MOST_OTHERS: i64 = 300;
const MOST_ALIKE: i64 = 150;
const MOST_TOLD: usize = 3;
