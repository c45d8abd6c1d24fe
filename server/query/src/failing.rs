//! Whether the failures of the default window are others than they were, for those who are to be told.
//!
//! Owns: what counts as another: a group that came or went, or another count of one. Groups are those of `find_errors` but the slow
//! ones, which are told by comparing and not by counting. Nothing is read where nothing was committed since.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::recorder::{self, Runs};
use crate::rollup::{self, Selection};
use crate::snapshot::Snapshot;
use crate::{QueryError, WindowArgument, outcome, segments};

/// The failures of the last minutes, as far as it takes to tell whether they changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failing {
    commit_ns: u64,
    digest: u64,
}

impl Failing {
    /// Whether there are any.
    pub fn is_any(&self) -> bool {
        self.digest != 0
    }

    /// Whether these failures are others than those.
    pub fn is_other_than(&self, other: &Self) -> bool {
        self.digest != other.digest
    }
}

/// Answers the question; `before` is the answer that the caller has.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    before: Option<Failing>,
) -> Result<Failing, QueryError> {
    let commit_ns = recorder::last_commit(snapshot)?;
    // Another one, not a later one: the clock may have been set back.
    if let Some(before) = before.filter(|before| before.commit_ns == commit_ns) {
        return Ok(before);
    }
    let runs = Runs::load(snapshot)?;
    let window = WindowArgument::default().resolve(runs.reference(snapshot)?)?;
    let segments = segments::all(snapshot)?;
    let selection = Selection::default();
    let mut groups: BTreeMap<(i64, i64, String, i64), u64> = BTreeMap::new();
    rollup::each(snapshot, &segments, window.snapped(), &selection, |row| {
        if outcome::is_error(row.kind) || outcome::is_client_error(row.kind) {
            let group = (row.server, row.route, row.method, row.kind);
            let count = groups.entry(group).or_default();
            *count = count.saturating_add(row.count);
        }
    })?;
    let digest = if groups.is_empty() {
        0
    } else {
        let mut hasher = DefaultHasher::new();
        groups.hash(&mut hasher);
        hasher.finish()
    };
    Ok(Failing { commit_ns, digest })
}
