//! The exchanges of the same service, route and method about the same time: what those that failed have in common that the
//! others have not, and whether one was slower than is usual.
//!
//! Owns: which exchanges are compared, and the bounds of that.

use std::collections::BTreeMap;

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
use super::meanwhile;
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
    /// Segment and id of the exchange itself,
    own: (i64, i64),
    /// and its start.
    start_ns: u64,
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
            start_ns: node.start_ns,
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
        whose: &str,
        want: Want,
    ) -> Result<Common, QueryError> {
        if !self.is_alike {
            return Ok(Common::default());
        }
        let mut called = BTreeMap::new();
        let own = samples(snapshot, &[self.own], want, &mut called)?;
        let alike = samples(snapshot, &self.alike, want, &mut called)?;
        let others = samples(snapshot, &self.others, want, &mut called)?;
        snapshot.check()?;
        let (alike, others): (Vec<&Sample>, Vec<&Sample>) =
            (alike.iter().collect(), others.iter().collect());
        let mut found = traits::differences(&alike, &others);
        // And from those since it began alone: what was good before may have been so for want of what is wrong now.
        let since = alike.iter().map(|sample| sample.start_ns).min();
        let is_since = |other: &&Sample| since.is_some_and(|since| other.start_ns > since);
        let later: Vec<&Sample> = others.iter().copied().filter(is_since).collect();
        if later.len() < others.len() {
            for difference in traits::differences(&alike, &later) {
                let is_same = |known: &Difference| {
                    known.aspect == difference.aspect && known.captured == difference.captured
                };
                if !found.iter().any(is_same) {
                    found.push(difference);
                }
            }
        }
        let own_sample = own.first();
        // What most of the others have explains nothing where this one has it not.
        let is_its = |difference: &Difference| own_sample.is_some_and(|own| own.has(difference));
        let mut common = Common::default();
        let tag = snapshot.tag();
        let printed = |call: i64| ExchangeId(unsigned(call)).printed(&tag);
        for difference in found.into_iter().filter(is_its).take(MOST_TOLD) {
            let mut finding = finding(&difference, whose);
            let call = called.get(&(self.own.1, difference.captured.clone()));
            if let Some(call) = call.copied() {
                finding.id = Some(printed(call));
                common.calls_differ = true;
                if difference.aspect == Aspect::CallFailed {
                    common.failed_call = common.failed_call.or(Some(call));
                }
            }
            common.findings.push(finding);
        }
        let is_quiet = own_sample.is_some_and(|own| own.text(Aspect::CalledNobody).is_some());
        let first = if is_quiet {
            samples(snapshot, &self.first, want, &mut called)?
        } else {
            Vec::new()
        };
        let kept = own_sample.and_then(|own| earlier_call(own, &first));
        common.findings.extend(kept.map(|(earlier, place)| {
            let call = called.get(&(earlier.id, place.to_owned()));
            Finding {
                is: "cause",
                after_ns: Some(earlier.start_ns.saturating_sub(signed(self.start_ns))),
                what: "its process called nobody meanwhile, and when it answered an earlier one in the same way it had called this, which failed: \
                       what was answered then may have been kept (a cache)"
                    .to_owned(),
                id: call.copied().map(printed),
                captured: Some(place.to_owned()),
            }
        }));
        Ok(common)
    }
}

/// Of the first that failed as one that called nobody did, one of the same process that did call: with what failed there.
fn earlier_call<'s>(own: &Sample, first: &'s [Sample]) -> Option<(&'s Sample, &'s str)> {
    let process = own.text(Aspect::ServerProcess);
    let is_same = |earlier: &&Sample| {
        earlier.start_ns < own.start_ns && earlier.text(Aspect::ServerProcess) == process
    };
    let earlier = first.iter().filter(is_same);
    let mut called = earlier.filter_map(|sample| Some((sample, sample.text(Aspect::CallFailed)?)));
    called.next()
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

fn samples(
    snapshot: &mut Snapshot,
    places: &[(i64, i64)],
    want: Want,
    called: &mut BTreeMap<(i64, String), i64>,
) -> Result<Vec<Sample>, QueryError> {
    let mut samples = Vec::with_capacity(places.len());
    let mut segments: Vec<i64> = places.iter().map(|(segment, _)| *segment).collect();
    segments.dedup();
    for segment in segments {
        let ids: Vec<i64> = places
            .iter()
            .filter(|(of, _)| *of == segment)
            .map(|(_, id)| *id)
            .collect();
        let mut of_segment = traits::read(snapshot, segment, &ids, false)?;
        if want == Want::Meanwhile {
            meanwhile::add(snapshot, segment, &mut of_segment, called)?;
        }
        samples.extend(of_segment);
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
