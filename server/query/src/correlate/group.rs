//! `explain_failure` of a group of failures: which of its examples is explained.
//!
//! Owns: that choice, and what is said of the others.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::QueryError;
use crate::answer::Window;
use crate::errors::{Fingerprint, examples, suspects};
use crate::segments::Segment;
use crate::snapshot::Snapshot;

use super::findings::Finding;

/// A group that is asked about.
pub(super) struct Named {
    /// Printed id of the exchange that stands for it: the newest of those that failed first at the same place.
    pub(super) example: String,
    /// How many of those that were looked at did.
    pub(super) agreement: Option<Finding>,
}

/// The group that a text is the printed id of.
///
/// # Errors
/// `Foreign` when another store printed it, `Argument` where nothing of it is kept, or where none of it came to an exchange.
pub(super) fn named(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    store: &Path,
    text: &str,
) -> Result<Option<Named>, QueryError> {
    let Some(wanted) = Fingerprint::parse(&snapshot.tag(), text)? else {
        return Ok(None);
    };
    // All slots, of which the first begins before what it counts.
    let window = Window {
        since_ns: 0,
        until_ns: i64::MAX.unsigned_abs(),
    };
    let mut found = examples::of_fingerprint(snapshot, segments, window, wanted)?;
    let wrong = |problem: String| QueryError::Argument {
        argument: "id",
        problem,
    };
    let Some(newest) = found.first() else {
        return Err(wrong(
            "nothing of that group is kept; find_errors lists the groups that there are".to_owned(),
        ));
    };
    if !newest.starts_with("x_") {
        let tool = if newest.starts_with("d_") {
            "get_exchange"
        } else {
            "get_connection"
        };
        return Err(wrong(format!(
            "no request of that group came to an exchange; {tool} tells of the newest, {newest}, and what failed for want of it is a \
             group of its own in find_errors"
        )));
    }
    // One of them is to be explained in any case, for which there must be time.
    snapshot.hurry(Some(Instant::now() + TIME));
    let verdict = suspects::of_examples(snapshot, segments, store, &found);
    snapshot.hurry(None);
    if let Err(QueryError::Cancelled) = verdict {
        return Err(QueryError::Cancelled);
    }
    let Ok(Some(verdict)) = verdict else {
        return Ok(Some(Named {
            example: found.swap_remove(0),
            agreement: None,
        }));
    };
    let (agreeing, looked_at) = verdict.agreeing;
    let other = verdict.other.and_then(|at| found.get(at).cloned());
    let but = if other.is_some() {
        "; another, elsewhere"
    } else {
        ""
    };
    Ok(Some(Named {
        agreement: (looked_at > 1).then(|| Finding {
            is: "known",
            after_ns: None,
            what: format!(
                "of the group's {looked_at} newest, {agreeing} failed first in the same service, on the same route and in the same way, and \
                 the newest of these is explained here{but}"
            ),
            id: other,
            captured: None,
        }),
        example: found.swap_remove(verdict.example),
    }))
}

/// For comparing the examples.
const TIME: Duration = Duration::from_secs(2);
