//! `compare`: what is different in one time from another: destinations and routes that appeared or vanished, failures,
//! latencies, rates, header fields, and addresses that names mean.
//!
//! Owns: the two windows, which differences are told, and their order: what got worse first. Differences that chance would
//! make as well are left out.

mod counted;
mod latency;
mod names;
mod sampled;

use std::collections::{BTreeMap, BTreeSet};

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::integer::float;
use crate::names::{ServiceNames, filtered, method_and_route, routes};
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
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    query: &CompareQuery,
) -> Result<Answer<Comparison>, QueryError> {
    let limit = checked_limit(query.limit)?;
    let runs = Runs::load(snapshot)?;
    let reference = runs.reference(snapshot)?;
    let window = query.window.resolve(reference)?;
    let baseline = baseline(&query.baseline, window, reference.now_ns)?;
    let segments = segments::all(snapshot)?;
    let servers = filtered(snapshot, query.service.as_deref())?;
    let before = Counted::read(snapshot, &segments, baseline, servers.as_ref())?;
    let after = Counted::read(snapshot, &segments, window, servers.as_ref())?;
    let recorded = [&before, &after].map(|counted| {
        let parts = counted.parts.iter();
        let ns: u64 = parts.map(|part| runs.recorded_ns(*part, &segments)).sum();
        float(ns.max(1)) / 1e9
    });
    let whole = Window {
        since_ns: baseline.since_ns.min(window.since_ns),
        until_ns: window.until_ns.max(baseline.until_ns),
    };
    let counts = (before.total(), after.total());
    let is_limited = before.is_limited || after.is_limited;
    let is_partial = [baseline, window].into_iter().any(|window| {
        runs.recorded_ns(window, &segments) < (window.until_ns - window.since_ns) / 10 * 9
    });
    let mut remarks = remarks(whole, counts, (is_limited, is_partial));
    let names = Names::load(snapshot, &before, &after)?;
    let lengths = (recorded[0], recorded[1]);
    let mut found = destinations(&before, &after, lengths, &names);
    found.extend(of_routes(&before, &after, lengths, &names));
    found.extend(sampled::read(
        snapshot,
        &segments,
        (baseline, window),
        servers.as_ref(),
    )?);
    // Names are not a service's.
    if servers.is_none() {
        match names::read(snapshot, &segments, (baseline, window))? {
            Some(renamed) => found.extend(renamed),
            None => remarks.push(remark(
                whole,
                "names_not_compared",
                "So many names were asked for that it was not looked whether they mean other addresses: take shorter times.",
            )),
        }
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
}

/// What bears on the whole comparison.
fn remarks(
    whole: Window,
    counts: (u64, u64),
    (is_limited, is_partial): (bool, bool),
) -> Vec<CoverageItem> {
    let told = [
        (
            counts.0 == 0,
            "baseline_empty",
            "Nothing that is kept happened in the time before: give baseline_since and baseline_until for another, or see list_services and \
             find_errors.",
        ),
        (
            counts.1 == 0,
            "window_empty",
            "Nothing that is kept happened in the window: give since and until for another.",
        ),
        (
            is_limited,
            "compared_by_slots",
            "So much happened that the two times are compared by their whole slots of ten seconds; what is at their ends, up to ten seconds, \
             is left out.",
        ),
        (
            is_partial,
            "compared_in_part",
            "A recorder ran in part of one of the two times only, or not all of it is kept: rates and chances are of that part, and what it held \
             else is not known.",
        ),
    ];
    let holds = told.into_iter().filter(|(holds, ..)| *holds);
    holds
        .map(|(_, kind, words)| remark(whole, kind, words))
        .collect()
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
    fn load(
        snapshot: &mut Snapshot,
        before: &Counted,
        after: &Counted,
    ) -> Result<Self, QueryError> {
        let places = || before.sides.keys().chain(after.sides.keys());
        let services = places().flat_map(|place| [place.server, place.client]);
        let services = ServiceNames::load(snapshot, services.collect())?;
        let routes = routes(snapshot, places().map(|place| place.route).collect())?;
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
            let servers: BTreeSet<i64> = there.keys().map(|place| place.server).collect();
            for (place, side) in here.iter().filter(|(place, _)| !there.contains_key(*place)) {
                // A route of a server that is new itself is not told apart.
                if !by_pair && !servers.contains(&place.server) {
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
            let share = |side: &Side| (count(side), side.count);
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
        if let Some((chance, is_slower)) = latency::shift(&then.latencies, &now.latencies) {
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

/// Of what appears or vanishes.
const MOST_OF_ABSENCE: f64 = 0.01;
const RATE_RATIO: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

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
