//! Traits of requests and responses that came or went: header names and values, statuses, processes, addresses.
//!
//! Owns: the samples, some hundreds of exchanges spread over each window.

use std::collections::{BTreeMap, BTreeSet};

use crate::QueryError;
use crate::answer::Window;
use crate::chance;
use crate::integer::{signed, unsigned};
use crate::names::ServiceNames;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::traits::{self, Aspect, Difference, Sample};

use super::{Change, Ranked};

/// Server, route and method.
type Place = (i64, i64, String);

pub(super) fn read(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    (baseline, window): (Window, Window),
    servers: Option<&BTreeSet<i64>>,
) -> Result<Vec<Ranked>, QueryError> {
    let before = samples(snapshot, segments, baseline, servers)?;
    let after = samples(snapshot, segments, window, servers)?;
    // The same difference on many routes of a server is one.
    let mut found: BTreeMap<(i64, Aspect, String), (Difference, bool, usize)> = BTreeMap::new();
    for (place, now) in &after {
        snapshot.check()?;
        let Some(then) = before.get(place) else {
            continue;
        };
        let (now, then): (Vec<&Sample>, Vec<&Sample>) =
            (now.iter().collect(), then.iter().collect());
        let came = traits::differences(&now, &then)
            .into_iter()
            .map(|it| (it, true));
        let went = traits::differences(&then, &now)
            .into_iter()
            .map(|it| (it, false));
        // That a header is missing is told by what went.
        let is_told = |aspect| {
            !matches!(
                aspect,
                Aspect::NoRequestHeader | Aspect::NoResponseHeader | Aspect::PathSegment
            )
        };
        for (difference, has_come) in came.chain(went).filter(|(it, _)| is_told(it.aspect)) {
            let key = (place.0, difference.aspect, difference.captured.clone());
            let known = found
                .entry(key)
                .or_insert_with(|| (difference.clone(), has_come, 0));
            known.2 += 1;
            if difference.chance < known.0.chance {
                (known.0, known.1) = (difference, has_come);
            }
        }
    }
    let names = ServiceNames::load(snapshot, found.keys().map(|(server, ..)| *server).collect())?;
    let ranked = found
        .into_iter()
        .map(|((server, ..), (difference, has_come, routes))| {
            let ((some, of_some), (others, of_others)) = (difference.of_some, difference.of_others);
            let (many, few) = (
                format!("{some} of {of_some}"),
                format!("{others} of {of_others}"),
            );
            let words = difference.aspect.words();
            let on = if routes > 1 {
                format!(", and so on {routes} routes")
            } else {
                String::new()
            };
            let (before, after) = if has_come { (few, many) } else { (many, few) };
            Ranked {
                rank: 3,
                chance: difference.chance,
                change: Change {
                    what: "requests",
                    server: Some(names.of(server).shown),
                    client: None,
                    route: None,
                    before: format!("{before} sampled have {words}"),
                    after: format!("{after}{on}"),
                    captured: Some(difference.captured).filter(|text| !text.is_empty()),
                    chance: chance::words(difference.chance),
                },
            }
        });
    Ok(ranked.collect())
}

/// Spread over the window.
fn samples(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    servers: Option<&BTreeSet<i64>>,
) -> Result<BTreeMap<Place, Vec<Sample>>, QueryError> {
    let chunks = segments::chunks(snapshot, segments, window, 10)?;
    let many: u64 = chunks.iter().map(|chunk| chunk.ids).sum();
    let step = signed(many.div_ceil(MOST_SAMPLES).max(1));
    let mut ids: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    // Of a chunk that is passed without one, the next takes over what it counted.
    let mut until_next = 0_i64;
    for chunk in chunks {
        let of_segment = ids.entry(chunk.segment).or_default();
        let mut next = chunk.first_id.saturating_add(until_next);
        while next <= chunk.last_id {
            of_segment.push(next);
            next = next.saturating_add(step);
        }
        until_next = next - chunk.last_id - 1;
    }
    let mut found: BTreeMap<Place, Vec<Sample>> = BTreeMap::new();
    for (segment, ids) in ids {
        for sample in traits::read(snapshot, segment, &ids, true)? {
            let is_within =
                (window.since_ns..=window.until_ns).contains(&unsigned(sample.start_ns));
            let is_wanted = servers.is_none_or(|servers| servers.contains(&sample.place.0));
            if is_within && is_wanted {
                found.entry(sample.place.clone()).or_default().push(sample);
            }
        }
    }
    Ok(found)
}

const MOST_SAMPLES: u64 = 1_500;
