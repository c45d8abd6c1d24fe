//! `compare`: what is different in one time from another: destinations and routes that appeared or vanished, failures,
//! latencies, rates, header fields, and addresses that names mean.
//!
//! Owns: the two windows, which differences are told, and their order: what got worse first. Differences that chance would
//! make as well are left out.

mod counted;
mod names;
mod sampled;

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::names::{ServiceNames, filtered, method_and_route, routes};
use crate::quantile::Latencies;
use crate::recorder::Runs;
use crate::search::checked_limit;
use crate::snapshot::Snapshot;
use crate::traits::{LEAST_STRENGTH, g_test};
use crate::window::rfc3339;
use crate::{Answer, CoverageItem, QueryError, TimeArgument, WindowArgument, outcome, segments};

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
    /// `errors`, `appeared`, `vanished`, `latency`, `rate`, `header` (or another trait of requests and responses), `name`.
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
    strength: f64,
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
    let counts = (before.total(), after.total());
    let mut found = Vec::new();
    if counts.0 > 0 && counts.1 > 0 {
        let lengths = (length(baseline), length(window));
        let names = Names::load(snapshot, &before, &after).await?;
        found.extend(destinations(&before, &after, lengths, &names));
        found.extend(of_routes(&before, &after, lengths, &names));
        let sampled = sampled::read(snapshot, &segments, (baseline, window), servers.as_ref());
        found.extend(sampled.await?);
        found.extend(names::read(snapshot, &segments, (baseline, window)).await?);
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
        order.then_with(|| other.strength.total_cmp(&one.strength))
    });
    let left_out = found.len().saturating_sub(limit);
    found.truncate(limit);
    if left_out > 0 {
        remarks.push(remark(
            whole,
            "changes_cut",
            &format!("{left_out} more differences are left out; a greater limit, or service, shows them."),
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

fn baseline(
    given: &WindowArgument,
    window: Window,
    now_ns: u64,
) -> Result<Window, QueryError> {
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
            format!("{} is after its end, {}", rfc3339(since_ns), rfc3339(until_ns)),
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
    let routes = (before.merged(Place::of_route), after.merged(Place::of_route));
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
                let strength = absence(side.count, own, other);
                if strength < LEAST_ABSENCE {
                    continue;
                }
                let told = counts_of(side);
                let (before, after) = match what {
                    "appeared" => ("none".to_owned(), told),
                    _ => (told, "none".to_owned()),
                };
                found.push(Ranked {
                    rank: if side.errors() > 0 && what == "appeared" { 0 } else { 1 },
                    strength,
                    change: Change {
                        what,
                        server: Some(names.services.of(place.server).shown),
                        client: by_pair.then(|| names.services.of(place.client).shown),
                        route: (!by_pair).then(|| names.route(place)),
                        before,
                        after,
                        captured: None,
                        chance: chance(strength),
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
    let (before, after) = (before.merged(Place::of_route), after.merged(Place::of_route));
    for (place, now) in &after {
        let Some(then) = before.get(place) else {
            continue;
        };
        let mut push = |rank, strength: f64, what, (before, after): (String, String)| {
            found.push(Ranked {
                rank,
                strength,
                change: Change {
                    what,
                    server: Some(names.services.of(place.server).shown),
                    client: None,
                    route: Some(names.route(place)),
                    before,
                    after,
                    captured: None,
                    chance: chance(strength),
                },
            });
        };
        let share = |side: &Side| (small(side.errors()), small(side.count));
        let strength = g_test(share(now), share(then));
        if strength >= LEAST_STRENGTH {
            let is_worse = ratio(now.errors(), now.count) > ratio(then.errors(), then.count);
            push(u8::from(!is_worse) * 4, strength, "errors", (counts_of(then), counts_of(now)));
        }
        let z = rank_sum(&then.latencies, &now.latencies);
        if let (Some(was), Some(is)) = (then.latencies.quantile(50), now.latencies.quantile(50)) {
            let (was, is) = (float(was), float(is));
            let is_shift = is > was * LATENCY_RATIO || was > is * LATENCY_RATIO;
            if z * z >= LEAST_STRENGTH && is_shift {
                let told = (latency_of(then), latency_of(now));
                push(if is > was { 2 } else { 4 }, z * z, "latency", told);
            }
        }
        let rates = (float(then.count) / length_before, float(now.count) / length_after);
        let strength = rate_test((then.count, length_before), (now.count, length_after));
        let is_shift = rates.1 > rates.0 * RATE_RATIO || rates.0 > rates.1 * RATE_RATIO;
        if strength >= LEAST_STRENGTH && is_shift {
            let told = (format!("{:.2}/s", rates.0), format!("{:.2}/s", rates.1));
            push(5, strength, "rate", told);
        }
    }
    found
}

fn counts_of(side: &Side) -> String {
    let kinds = side.worst().map_or_else(String::new, |kind| {
        format!(", most of them {}", outcome::failure(kind))
    });
    match side.errors() {
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

/// How much speaks against `count` events in one time and none in the other being chance (as chi-squared).
fn absence(count: u64, own_s: f64, other_s: f64) -> f64 {
    2.0 * float(count) * ((own_s + other_s) / own_s).ln()
}

/// The same of two counts (the likelihood ratio of two Poisson rates).
fn rate_test((a, length_a): (u64, f64), (b, length_b): (u64, f64)) -> f64 {
    let all = float(a + b);
    let term = |count: u64, length: f64| {
        if count == 0 {
            return 0.0;
        }
        let expected = all * length / (length_a + length_b);
        float(count) * (float(count) / expected).ln()
    };
    2.0 * (term(a, length_a) + term(b, length_b))
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
        let tied = a + b;
        ranks += b * (below + f64::midpoint(tied, 1.0));
        ties += tied * (tied * tied - 1.0);
        below += tied;
    }
    let u = ranks - n2 * (n2 + 1.0) / 2.0;
    let variance = n1 * n2 / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance <= 0.0 {
        return 0.0;
    }
    (u - n1 * n2 / 2.0) / variance.sqrt()
}

/// What chance makes of a statistic that is distributed as chi-squared with one degree of freedom.
fn chance(strength: f64) -> Option<&'static str> {
    let levels = [
        (23.9, "<1e-6"),
        (19.5, "<1e-5"),
        (15.1, "<1e-4"),
        (10.8, "<0.001"),
        (6.6, "<0.01"),
    ];
    levels.into_iter().find(|(least, _)| strength >= *least).map(|(_, words)| words)
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

fn length(window: Window) -> f64 {
    (float(window.until_ns.saturating_sub(window.since_ns)) / 1e9).max(1e-3)
}

fn ratio(part: u64, whole: u64) -> f64 {
    float(part) / float(whole.max(1))
}

fn small(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts and times that are told with few digits")]
fn float(number: u64) -> f64 {
    number as f64
}

/// What appears or vanishes by chance less than once in a hundred.
const LEAST_ABSENCE: f64 = 6.6;
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
        assert!(rank_sum(&fast, &latencies(&[(140, 3)])).abs() < 1e-9, "too few");
        let all_alike = latencies(&[(100, 50)]);
        assert!(rank_sum(&all_alike, &all_alike).abs() < 1e-9, "no variance");
    }

    #[test]
    fn rates_and_absences() {
        assert!(rate_test((100, 10.0), (100, 10.0)).abs() < 1e-9);
        assert!(rate_test((100, 10.0), (300, 30.0)).abs() < 1e-9, "of other lengths");
        assert!(rate_test((10, 10.0), (60, 10.0)) > LEAST_STRENGTH);
        assert!(absence(3, 60.0, 60.0) < LEAST_ABSENCE);
        assert!(absence(7, 60.0, 60.0) > LEAST_ABSENCE);
        // A long time before that had none says more.
        assert!(absence(3, 60.0, 3_600.0) > LEAST_ABSENCE);
        assert_eq!((chance(30.0), chance(7.0), chance(1.0)), (Some("<1e-6"), Some("<0.01"), None));
    }

    #[test]
    fn the_time_before_is_as_long_and_ends_where_the_window_begins() {
        let window = Window { since_ns: 1_000, until_ns: 1_400 };
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
