//! Where the examples of groups failed first.
//!
//! Owns: how many are looked at: until two agree, for one may have failed by itself while the others were carried away.

use std::path::Path;
use std::time::{Duration, Instant};

use super::ErrorGroup;
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{QueryError, Suspect, correlate};

/// What examples say together.
pub(crate) struct Verdict {
    /// Where most of them failed first, by the newest of these;
    pub(crate) suspect: Suspect,
    /// which of them that is,
    pub(crate) example: usize,
    /// how many they are, of how many that were looked at,
    pub(crate) agreeing: (usize, usize),
    /// and one that failed elsewhere.
    pub(crate) other: Option<usize>,
}

/// Where the examples of each group failed first; says whether there was time for all.
pub(super) fn follow(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    store: &Path,
    groups: &mut [ErrorGroup],
) -> Result<bool, QueryError> {
    let until = Instant::now() + TIME;
    snapshot.hurry(Some(until));
    let mut is_all = true;
    for group in groups {
        let is_exchange = group
            .examples
            .first()
            .is_some_and(|id| id.starts_with("x_"));
        if !is_exchange {
            continue;
        }
        // What is known of the groups is worth more than where one of them began.
        let found = match Instant::now() {
            now if now < until => of_examples(snapshot, segments, store, &group.examples),
            _ => Ok(None),
        };
        match found {
            Ok(Some(verdict)) => {
                group.suspect = Some(verdict.suspect);
                group.agreeing = verdict.agreeing;
            }
            Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
            Ok(None) | Err(_) => is_all = false,
        }
    }
    snapshot.hurry(None);
    Ok(is_all)
}

/// What these exchanges say together, by their printed ids, newest first; `None` where none of them can be followed.
///
/// # Errors
/// Where none of them can be followed, why not the newest.
pub(crate) fn of_examples(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    store: &Path,
    examples: &[String],
) -> Result<Option<Verdict>, QueryError> {
    let mut found: Vec<(usize, Suspect)> = Vec::new();
    let mut wrong = None;
    for (at, example) in examples.iter().enumerate() {
        match correlate::suspect(snapshot, segments, store, example) {
            Ok(Some(suspect)) => found.push((at, suspect)),
            Ok(None) => {}
            Err(QueryError::Cancelled) => return Err(QueryError::Cancelled),
            // What one says is enough where time is up, and another may be easier to follow.
            Err(error) => wrong = wrong.or(Some(error)),
        }
        if most(&found).is_some_and(|(_, count)| count >= ENOUGH) {
            break;
        }
    }
    let Some((place, count)) = most(&found) else {
        return wrong.map_or(Ok(None), Err);
    };
    let looked_at = found.len();
    let other = found.iter().find(|(_, suspect)| suspect.place != place);
    let other = other.map(|(at, _)| *at);
    let newest = found
        .into_iter()
        .find(|(_, suspect)| suspect.place == place);
    Ok(newest.map(|(example, suspect)| Verdict {
        suspect,
        example,
        agreeing: (count, looked_at),
        other,
    }))
}

/// Where most failed, of equals the newest, and how many.
fn most(found: &[(usize, Suspect)]) -> Option<(correlate::SuspectPlace, usize)> {
    let count = |place| {
        found
            .iter()
            .filter(|(_, other)| other.place == place)
            .count()
    };
    found
        .iter()
        .map(|(at, suspect)| (count(suspect.place), std::cmp::Reverse(*at), suspect.place))
        .max_by_key(|(count, at, _)| (*count, *at))
        .map(|(count, _, place)| (place, count))
}

/// So many agree.
const ENOUGH: usize = 2;
/// Then the groups that are left come without one.
const TIME: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_say_counts_and_of_equals_the_newest() {
        let suspect = |service| Suspect {
            hops: 1,
            is_weak: false,
            id: String::new(),
            what: String::new(),
            kind: String::new(),
            place: (service, 1, Some(502), false),
        };
        let of = |services: &[i64]| {
            let found: Vec<_> = services
                .iter()
                .map(|service| suspect(*service))
                .enumerate()
                .collect();
            most(&found).map(|((service, ..), count)| (service, count))
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[1, 2]), Some((1, 1)));
        assert_eq!(of(&[1, 2, 2]), Some((2, 2)));
        assert_eq!(of(&[1, 2, 3]), Some((1, 1)));
    }
}
