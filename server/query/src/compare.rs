//! `compare`: what is different in one time from another: destinations and routes that appeared or vanished, failures,
//! latencies, rates, header fields, and addresses that names mean.
//!
//! Owns: the two windows, which differences are told, and their order: what got worse first. Differences that chance would
//! make as well are left out.

mod counted;
mod names;
mod sampled;

use std::collections::{BTreeMap, BTreeSet};

use headwater_schema::latency::bucket_of;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::names::{ServiceNames, filtered, method_and_route, routes};
use crate::quantile::Latencies;
use crate::recorder::Runs;
use crate::search::checked_limit;
use crate::snapshot::Snapshot;
use crate::window::rfc3339;
use crate::{
    Answer, CoverageItem, QueryError, TimeArgument, WindowArgument, chance, outcome, segments,
};

use counted::{Counted, Place, Side};

/// What to compare.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompareQuery {
    /// The time that is looked at.
    pub window: WindowArgument,
    /// What it is compared with; absent parts: as long, and up to where the window begins.
    pub baseline: WindowArgument,
    /// Only services whose name contains this.
    pub service: Option<String>,
    /// At most this many changes (1 to 200).
    pub limit: u32,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// `errors`, `client_errors`, `appeared`, `vanished`, `latency`, `rate`, `requests` (a trait of requests or responses: header
    /// fields, statuses, processes, addresses), `name`.
    pub what: &'static str,
    /// Answering service. Untrusted.
    pub server: Option<String>,
    /// Calling service, of a destination. Untrusted.
    pub client: Option<String>,
    /// Method and route. Untrusted.
    pub route: Option<String>,
    /// How it was, in words made by Headwater.
    pub before: String,
    /// How it is, in words made by Headwater.
    pub after: String,
    /// What was captured of it. Untrusted.
    pub captured: Option<String>,
    /// How likely chance makes such a difference, at most, in words; `None` where that has no meaning.
    pub chance: Option<&'static str>,
}

/// Both windows, and what is different.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What it is compared with.
    pub baseline: Window,
    /// The time that is looked at.
    pub window: Window,
    /// Requests, questions and failed attempts in each.
    pub counts: (u64, u64),
    /// What got worse first.
    pub changes: Vec<Change>,
}

/// A difference with its place in the order.
struct Ranked {
    /// 0 comes first.
    rank: u8,
    /// Less likely chance comes first.
    chance: f64,
    change: Change,
}

/// Answers the question.
pub(crate) async fn answer(
    snapshot: &mut Snapshot,
    query: &CompareQuery,
) -> Result<Answer<Comparison>, QueryError> {
    let limit = checked_limit(query.limit)?;
    let runs = Runs::load(snapshot).await?;
    let reference = runs.reference(snapshot).await?;
    let window = query.window.resolve(reference)?;
    let baseline = baseline(&query.baseline, window, reference.now_ns)?;
    let segments = segments::all(snapshot).await?;
    let servers = filtered(snapshot, query.service.as_deref()).await?;
    let before = Counted::read(snapshot, &segments, baseline, servers.as_ref()).await?;
    let after = Counted::read(snapshot, &segments, window, servers.as_ref()).await?;
    let recorded = [&before, &after].map(|counted| {
        let parts = counted.parts.iter();
        let ns: u64 = parts.map(|part| runs.recorded_ns(*part).max(1)).sum();
        float(ns) / 1e9
    });
    let whole = Window {
        since_ns: baseline.since_ns.min(window.since_ns),
        until_ns: window.until_ns.max(baseline.until_ns),
    };
    let mut remarks = Vec::new();
    if before.is_limited || after.is_limited {
        remarks.push(remark(
            whole,
            "compared_by_slots",
            "So much happened that the two times are compared by their whole slots of ten seconds; what is at their ends, up to ten seconds, is left out.",
        ));
    }
    let is_partial =
        |window: Window| runs.recorded_ns(window) < (window.until_ns - window.since_ns) / 10 * 9;
    if is_partial(baseline) || is_partial(window) {
        remarks.push(remark(
            whole,
            "compared_in_part",
            "A recorder ran in part of one of the two times only: rates are of the time that it ran, and what appeared or vanished may have \
             been there when it did not.",
        ));
    }
    let counts = (before.total(), after.total());
    let mut found = Vec::new();
    if counts.0 > 0 && counts.1 > 0 {
        let lengths = (recorded[0], recorded[1]);
        let names = Names::load(snapshot, &before, &after).await?;
        found.extend(destinations(&before, &after, lengths, &names));
        found.extend(of_routes(&before, &after, lengths, &names));
        let sampled = sampled::read(snapshot, &segments, (baseline, window), servers.as_ref());
        found.extend(sampled.await?);
        // Names are not a service's.
        if servers.is_none() {
            found.extend(names::read(snapshot, &segments, (baseline, window)).await?);
        }
    } else if counts.0 == 0 && counts.1 > 0 {
        remarks.push(remark(
            whole,
            "baseline_empty",
            "Nothing is kept of the time before, so that there is nothing to compare with: give baseline_since and baseline_until, \
             or see list_services and find_errors.",
        ));
    }
    found.sort_by(|one, other| {
        let order = one.rank.cmp(&other.rank);
        order.then_with(|| one.chance.total_cmp(&other.chance))
    });
    let left_out = found.len().saturating_sub(limit);
    found.truncate(limit);
    if left_out > 0 {
        remarks.push(remark(
            whole,
            "changes_cut",
            &format!(
                "{left_out} more differences are left out; a greater limit, or service, shows them."
            ),
        ));
    }
    Framed {
        about: About::Everything,
        empty: counts == (0, 0),
        value: Comparison {
            baseline,
            window,
            counts,
            changes: found.into_iter().map(|ranked| ranked.change).collect(),
        },
        window: whole,
        next_cursor: None,
        remarks,
    }
    .finish(snapshot, &runs, &segments)
    .await
}

fn baseline(given: &WindowArgument, window: Window, now_ns: u64) -> Result<Window, QueryError> {
    let at = |time: &Option<TimeArgument>, argument: &'static str| {
        let time = time.as_ref();
        time.map(|time| time.resolve(argument, now_ns)).transpose()
    };
    let until_ns = at(&given.until, "baseline_until")?.unwrap_or(window.since_ns.saturating_sub(1));
    let length_ns = window.until_ns - window.since_ns;
    let since_ns =
        at(&given.since, "baseline_since")?.unwrap_or(until_ns.saturating_sub(length_ns));
    let refuse = |argument, problem: String| Err(QueryError::Argument { argument, problem });
    if since_ns > until_ns {
        return refuse(
            "baseline_since",
            format!(
                "{} is after its end, {}",
                rfc3339(since_ns),
                rfc3339(until_ns)
            ),
        );
    }
    if until_ns >= window.since_ns && since_ns <= window.until_ns {
        return refuse(
            "baseline_until",
            format!(
                "the time to compare with goes on into the time that is looked at, which begins at {}",
                rfc3339(window.since_ns)
            ),
        );
    }
    Ok(Window { since_ns, until_ns })
}

/// Names of what was counted.
struct Names {
    services: ServiceNames,
    routes: BTreeMap<i64, String>,
}

impl Names {
    async fn load(
        snapshot: &mut Snapshot,
        before: &Counted,
        after: &Counted,
    ) -> Result<Self, QueryError> {
        let places = || before.sides.keys().chain(after.sides.keys());
        let services = places().flat_map(|place| [place.server, place.client]);
        let services = ServiceNames::load(snapshot, services.collect()).await?;
        let routes = routes(snapshot, places().map(|place| place.route).collect()).await?;
        Ok(Self { services, routes })
    }

    fn route(&self, place: &Place) -> String {
        let template = self.routes.get(&place.route).map(String::as_str);
        method_and_route(&place.method, template)
    }
}

/// Pairs of services, and routes, that are there in one window alone.
fn destinations(
    before: &Counted,
    after: &Counted,
    lengths: (f64, f64),
    names: &Names,
) -> Vec<Ranked> {
    let mut found = Vec::new();
    let pairs = (before.merged(Place::pair), after.merged(Place::pair));
    let routes = (
        before.merged(Place::of_route),
        after.merged(Place::of_route),
    );
    for (by_pair, (before, after)) in [(true, pairs), (false, routes)] {
        for (what, here, there, (own, other)) in [
            ("appeared", &after, &before, (lengths.1, lengths.0)),
            ("vanished", &before, &after, (lengths.0, lengths.1)),
        ] {
            for (place, side) in here.iter().filter(|(place, _)| !there.contains_key(*place)) {
                // A route of a pair that is new itself is not told apart.
                let is_known = there.keys().any(|known| known.server == place.server);
                if !by_pair && !is_known {
                    continue;
                }
                // A route that was learned meanwhile is none that is new.
                let is_learned = names.route(place).contains("{name}");
                let chance = chance::of_absence(side.count, own, other);
                if chance > MOST_OF_ABSENCE || !by_pair && is_learned {
                    continue;
                }
                let told = counts_of(side);
                let (before, after) = match what {
                    "appeared" => ("none".to_owned(), told),
                    _ => (told, "none".to_owned()),
                };
                found.push(Ranked {
                    rank: u8::from(side.failed() == 0 || what == "vanished"),
                    chance,
                    change: Change {
                        what,
                        server: Some(names.services.of(place.server).shown),
                        client: by_pair.then(|| names.services.of(place.client).shown),
                        route: (!by_pair).then(|| names.route(place)),
                        before,
                        after,
                        captured: None,
                        chance: chance::words(chance),
                    },
                });
            }
        }
    }
    found
}

/// Failures, latencies and rates of routes that are there in both.
fn of_routes(
    before: &Counted,
    after: &Counted,
    (length_before, length_after): (f64, f64),
    names: &Names,
) -> Vec<Ranked> {
    let mut found = Vec::new();
    let (before, after) = (
        before.merged(Place::of_route),
        after.merged(Place::of_route),
    );
    for (place, now) in &after {
        let Some(then) = before.get(place) else {
            continue;
        };
        let mut push = |rank, chance: f64, what, (before, after): (String, String)| {
            found.push(Ranked {
                rank,
                chance,
                change: Change {
                    what,
                    server: Some(names.services.of(place.server).shown),
                    client: None,
                    route: Some(names.route(place)),
                    before,
                    after,
                    captured: None,
                    chance: chance::words(chance),
                },
            });
        };
        for (what, count) in [
            ("errors", Side::errors as fn(&Side) -> u64),
            ("client_errors", Side::client_errors),
        ] {
            let share = |side: &Side| (small(count(side)), small(side.count));
            let chance = chance::of_shares(share(now), share(then));
            if chance <= chance::MOST {
                let is_worse = ratio(count(now), now.count) > ratio(count(then), then.count);
                push(
                    u8::from(!is_worse) * 4,
                    chance,
                    what,
                    (counts_of(then), counts_of(now)),
                );
            }
        }
        if let Some((chance, is_slower)) = shift(&then.latencies, &now.latencies) {
            let told = (latency_of(then), latency_of(now));
            push(if is_slower { 2 } else { 4 }, chance, "latency", told);
        }
        let rates = (
            float(then.count) / length_before,
            float(now.count) / length_after,
        );
        let chance = chance::of_rates((then.count, length_before), (now.count, length_after));
        let is_shift = rates.1 > rates.0 * RATE_RATIO || rates.0 > rates.1 * RATE_RATIO;
        if chance <= chance::MOST && is_shift {
            let told = (format!("{:.2}/s", rates.0), format!("{:.2}/s", rates.1));
            push(5, chance, "rate", told);
        }
    }
    found
}

fn counts_of(side: &Side) -> String {
    let kinds = side.worst().map_or_else(String::new, |kind| {
        format!(", most often {}", outcome::failure(kind))
    });
    match side.failed() {
        0 => format!("{} requests, none failed", side.count),
        failed => format!("{failed} of {} failed{kinds}", side.count),
    }
}

fn latency_of(side: &Side) -> String {
    let told = |percent| {
        let ns = side.latencies.quantile(percent).unwrap_or(0);
        format!("{:.1}", float(ns) / 1e6)
    };
    format!("p50 {} ms, p95 {} ms", told(50), told(95))
}

/// Whether latencies moved, and how: the middle of them by their ranks, or the slow ones by how many are beyond what one in
/// twenty was before.
fn shift(before: &Latencies, after: &Latencies) -> Option<(f64, bool)> {
    let of = |latencies: &Latencies, percent| latencies.quantile(percent).map(float);
    let (was, is) = (of(before, 50)?, of(after, 50)?);
    let chance = chance::of_normal(rank_sum(before, after));
    if chance <= chance::MOST && (is > was * LATENCY_RATIO || was > is * LATENCY_RATIO) {
        return Some((chance, is > was));
    }
    let (was, is) = (of(before, 95)?, of(after, 95)?);
    if before.sum().min(after.sum()) < FEWEST_OF_TAIL {
        return None;
    }
    let is_slower = is > was;
    let limit = bucket_of(ns(was.min(is)));
    let beyond = |latencies: &Latencies| {
        let slow = latencies.buckets().filter(|bucket| *bucket > limit);
        let slow: u64 = slow.map(|bucket| latencies.count(bucket)).sum();
        (small(slow), small(latencies.sum()))
    };
    let chance = chance::of_shares(beyond(after), beyond(before));
    let is_shift = is > was * TAIL_RATIO || was > is * TAIL_RATIO;
    (chance <= chance::MOST && is_shift).then_some((chance, is_slower))
}

/// Mann and Whitney's rank sum test of two histograms, as a number of standard deviations.
fn rank_sum(before: &Latencies, after: &Latencies) -> f64 {
    let (n1, n2) = (float(before.sum()), float(after.sum()));
    let n = n1 + n2;
    if n1 < FEWEST_LATENCIES || n2 < FEWEST_LATENCIES {
        return 0.0;
    }
    let buckets: BTreeSet<u16> = before.buckets().chain(after.buckets()).collect();
    let (mut below, mut ranks, mut ties) = (0.0, 0.0, 0.0);
    for bucket in buckets {
        let (a, b) = (float(before.count(bucket)), float(after.count(bucket)));
        let here = a + b;
        ranks += b * (below + f64::midpoint(here, 1.0));
        ties += here * (here * here - 1.0);
        below += here;
    }
    let u = ranks - n2 * (n2 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 0.0;
    }
    (u - n1 * n2 / 2.0) / variance.sqrt()
}

fn remark(window: Window, kind: &str, explanation: &str) -> CoverageItem {
    CoverageItem {
        kind: kind.to_owned(),
        from_ns: window.since_ns,
        until_ns: window.until_ns,
        count: 1,
        explanation: explanation.to_owned(),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    float(part) / float(whole.max(1))
}

fn small(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts and times that are told with few digits"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "of a latency"
)]
fn ns(latency: f64) -> u64 {
    latency.max(0.0) as u64
}

/// Of what appears or vanishes.
const MOST_OF_ABSENCE: f64 = 0.01;
/// Of the slow ones.
const TAIL_RATIO: f64 = 2.0;
/// So that one in twenty is something.
const FEWEST_OF_TAIL: u64 = 40;
const LATENCY_RATIO: f64 = 1.3;
const RATE_RATIO: f64 = 2.0;
const FEWEST_LATENCIES: f64 = 8.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn latencies(all: &[(u16, u64)]) -> Latencies {
        let mut latencies = Latencies::default();
        for (bucket, count) in all {
            for _ in 0..*count {
                latencies.add_one(*bucket);
            }
        }
        latencies
    }

    #[test]
    fn ranks_tell_a_shift_and_no_shift() {
        let fast = latencies(&[(100, 20), (101, 20)]);
        let slow = latencies(&[(140, 20), (141, 20)]);
        assert!(rank_sum(&fast, &fast).abs() < 1e-9);
        assert!(rank_sum(&fast, &slow) > 7.0);
        assert!((rank_sum(&fast, &slow) + rank_sum(&slow, &fast)).abs() < 1e-9);
        assert!(
            rank_sum(&fast, &latencies(&[(140, 3)])).abs() < 1e-9,
            "too few"
        );
        let all_alike = latencies(&[(100, 50)]);
        assert!(rank_sum(&all_alike, &all_alike).abs() < 1e-9, "no variance");
    }

    #[test]
    fn the_slow_ones_alone_can_move() {
        let fast = latencies(&[(100, 100)]);
        let some_slow = latencies(&[(100, 80), (180, 20)]);
        assert_eq!(
            shift(&fast, &some_slow).map(|(_, is_slower)| is_slower),
            Some(true)
        );
        assert_eq!(
            shift(&some_slow, &fast).map(|(_, is_slower)| is_slower),
            Some(false)
        );
        assert_eq!(shift(&fast, &latencies(&[(100, 99), (180, 1)])), None);
        assert_eq!(shift(&fast, &fast), None);
    }

    #[test]
    fn the_time_before_is_as_long_and_ends_where_the_window_begins() {
        let window = Window {
            since_ns: 1_000,
            until_ns: 1_400,
        };
        let found = baseline(&WindowArgument::default(), window, 5_000).unwrap();
        assert_eq!((found.since_ns, found.until_ns), (599, 999));
        let at = |text: &str| Some(TimeArgument(text.to_owned()));
        let overlapping = WindowArgument {
            since: at("-1s"),
            until: at("now"),
        };
        assert!(baseline(&overlapping, window, 1_200).is_err());
    }
}
