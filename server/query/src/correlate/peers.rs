//! The exchanges of the same service, route and method about the same time: what those that failed have in common that the
//! others have not, and whether one was slower than is usual.
//!
//! Owns: which exchanges are compared, and the bounds of that.

use std::collections::HashMap;

use crate::QueryError;
use crate::db::{query_as, query_scalar};
use crate::exchange::span;
use crate::id::ExchangeId;
use crate::integer::{signed, unsigned};
use crate::search::PATH;
use crate::segments::{self, Segment};
use crate::slow::is_slow;
use crate::snapshot::Snapshot;
use crate::traits::{self, Aspect, Difference, Sample};

use super::findings::Finding;
use super::meanwhile::Meanwhile;
use super::node::Node;

/// The others of an exchange's place.
#[derive(Debug, Default)]
pub(super) struct Peers {
    /// Those that went like it: failed in the same way or, where it did not fail, were as slow.
    alike: Vec<(i64, i64)>,
    /// The first of them that have its path as well.
    first: Vec<(i64, i64)>,
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
                let left = MOST_FIRST - found.first.len();
                found.first.extend(first(snapshot, range, node, left)?);
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
        segments: &[Segment],
        whose: &str,
        want: Want,
    ) -> Result<Common, QueryError> {
        if !self.is_alike {
            return Ok(Common::default());
        }
        let places = [&[self.own], &*self.alike, &*self.others, &*self.first];
        let mut all = samples(snapshot, places.concat())?;
        let meanwhile = match want {
            Want::Fields => Meanwhile::default(),
            Want::Meanwhile => Meanwhile::add(snapshot, segments, &mut all)?,
        };
        snapshot.check()?;
        let by_id: HashMap<i64, &Sample> = all.iter().map(|sample| (sample.id, sample)).collect();
        let of = |places: &[(i64, i64)]| -> Vec<&Sample> {
            let samples = places.iter().filter_map(|(_, id)| by_id.get(id).copied());
            samples.collect()
        };
        let Some(own) = by_id.get(&self.own.1).copied() else {
            return Ok(Common::default());
        };
        let tag = snapshot.tag();
        let printed = |call: i64| ExchangeId(unsigned(call)).printed(&tag);
        let mut common = Common {
            is_too_much: meanwhile.is_too_much,
            ..Common::default()
        };
        // What most of the others have explains nothing where this one has it not.
        let found = differences(&of(&self.alike), &of(&self.others));
        let its = found.into_iter().filter(|difference| own.has(difference));
        for difference in its.take(MOST_TOLD) {
            let mut finding = finding(&difference, whose);
            if let Some(call) = meanwhile.call(own.id, &difference.captured) {
                finding.id = Some(printed(call));
                common.calls_differ = true;
                if difference.aspect == Aspect::CallFailed {
                    common.failed_call = common.failed_call.or(Some(call));
                }
            }
            common.findings.push(finding);
        }
        let kept = of(&self.first).into_iter().find_map(|first| {
            let call = meanwhile.failed_once(first.id, own.id)?;
            Some((first, call))
        });
        common.findings.extend(kept.map(|(first, call)| Finding {
            is: "cause",
            after_ns: Some(first.start_ns.saturating_sub(own.start_ns)),
            what: KEPT.to_owned(),
            id: Some(printed(call.id)),
            captured: Some(call.text.clone()),
        }));
        Ok(common)
    }
}

/// What tells some from others; and from those of them since it began alone: what was good before may have been so for want of what is
/// wrong now.
fn differences(alike: &[&Sample], others: &[&Sample]) -> Vec<Difference> {
    let mut found = traits::differences(alike, others);
    let since = alike.iter().map(|sample| sample.start_ns).min();
    let is_since = |other: &&Sample| since.is_some_and(|since| other.start_ns > since);
    let later: Vec<&Sample> = others.iter().copied().filter(is_since).collect();
    if later.len() == others.len() {
        return found;
    }
    for difference in traits::differences(alike, &later) {
        let is_known = |known: &Difference| {
            known.aspect == difference.aspect && known.captured == difference.captured
        };
        if !found.iter().any(is_known) {
            found.push(difference);
        }
    }
    found
}

/// What is looked at of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// What its own fields say.
    Fields,
    /// And what its server did meanwhile.
    Meanwhile,
}

/// What those alike have in common.
#[derive(Debug, Default)]
pub(super) struct Common {
    pub(super) findings: Vec<Finding>,
    /// An exchange that its process asked for meanwhile, which failed as others did when others failed, and not when others did not.
    pub(super) failed_call: Option<i64>,
    /// What was called meanwhile is among what they have in common.
    pub(super) calls_differ: bool,
    /// Too much happened to compare what servers did meanwhile.
    pub(super) is_too_much: bool,
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

/// Each once.
fn samples(
    snapshot: &mut Snapshot,
    mut places: Vec<(i64, i64)>,
) -> Result<Vec<Sample>, QueryError> {
    places.sort_unstable();
    places.dedup();
    let mut samples = Vec::with_capacity(places.len());
    for of_segment in places.chunk_by(|(one, _), (other, _)| one == other) {
        let Some((segment, _)) = of_segment.first() else {
            continue;
        };
        let ids: Vec<i64> = of_segment.iter().map(|(_, id)| *id).collect();
        samples.extend(traits::read(snapshot, *segment, &ids, false)?);
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

/// The first of those with its path too.
fn first(
    snapshot: &mut Snapshot,
    (segment, first, last): (i64, i64, i64),
    node: &Node,
    most: usize,
) -> Result<Vec<(i64, i64)>, QueryError> {
    let sql = format!(
        "SELECT e.id FROM exchange_{segment} e WHERE e.error_kind = ?1 AND e.id BETWEEN ?2 AND ?3 AND e.id < ?4 AND e.server_service_id = ?5 \
         AND COALESCE(e.http_request_method, '') = ?6 AND {PATH} = ?7 ORDER BY e.id LIMIT ?8"
    );
    let ids: Vec<i64> = query_scalar(sql)
        .bind(node.error_kind)
        .bind(first)
        .bind(last)
        .bind(node.id)
        .bind(node.server.service)
        .bind(node.method.clone().unwrap_or_default())
        .bind(node.path.clone())
        .bind(i64::try_from(most).unwrap_or(0))
        .fetch_all(snapshot.connection())?;
    Ok(ids.into_iter().map(|id| (segment, id)).collect())
}

const KEPT: &str = "its process did not call this meanwhile, as far as could be seen, and had called it when an earlier one was answered in the same \
    way, and that failed: what was answered then may have been kept, as caches and circuit breakers do";
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
const MOST_FIRST: usize = 5;
