//! What could not be seen in a window, told in words, worst first.
//!
//! Owns: the explanation and the cure of every kind of coverage, the frame of every answer, and the decision between
//! "nothing happened" and "nothing could be seen". Words come from `explanation`.

use std::collections::BTreeMap;

use crate::answer::{Emptiness, Window};
use crate::db::query;
use crate::integer::{signed, unsigned};
use crate::recorder::{Runs, SILENCE_NS};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::rfc3339;
use crate::{Answer, CoverageItem, QueryError, explanation};

/// What a question is about: what may be missing from its answer, and what stands for "nothing happened".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Exchanges of HTTP.
    Http,
    /// Exchanges of DNS.
    Dns,
    /// Whatever is recorded.
    Everything,
}

/// An answer's value with all that its frame is made from.
pub(crate) struct Framed<T> {
    pub(crate) value: T,
    pub(crate) about: About,
    pub(crate) empty: bool,
    pub(crate) window: Window,
    pub(crate) next_cursor: Option<String>,
    /// What the question itself could not look at.
    pub(crate) remarks: Vec<CoverageItem>,
}

impl<T> Framed<T> {
    /// Reads the coverage of the window and puts the answer together.
    pub(crate) fn finish(
        self,
        snapshot: &mut Snapshot,
        runs: &Runs,
        segments: &[Segment],
    ) -> Result<Answer<T>, QueryError> {
        let mut coverage = load(snapshot, self.window)?;
        coverage.extend(runs.silence(self.window));
        coverage.extend(self.remarks);
        coverage.sort_by_key(|item| (explanation::rank(&item.kind), item.from_ns));
        let emptiness = if self.empty {
            let place = (segments, self.window);
            Some(emptiness(snapshot, runs, place, self.about, &coverage)?)
        } else {
            None
        };
        Ok(Answer {
            value: self.value,
            window: Some(self.window),
            as_of_ns: runs.as_of_ns(),
            recorder: runs.recorder(),
            coverage,
            emptiness,
            next_cursor: self.next_cursor,
        })
    }
}

/// The stored coverage of a window, merged.
fn load(snapshot: &mut Snapshot, window: Window) -> Result<Vec<CoverageItem>, QueryError> {
    let rows = query(TOLD)
        .bind(signed(window.since_ns))
        .bind(signed(window.until_ns))
        .bind(signed(snapshot.now_ns))
        .bind(signed(snapshot.now_ns.saturating_sub(SILENCE_NS)))
        .fetch_all(snapshot.connection())?;
    let mut merged: BTreeMap<(String, Option<String>), CoverageItem> = BTreeMap::new();
    for row in rows {
        let kind: String = row.try_get(0)?;
        let detail: Option<String> = row.try_get(1)?;
        let item = CoverageItem {
            kind: kind.clone(),
            from_ns: unsigned(row.try_get(2)?).max(window.since_ns),
            until_ns: unsigned(row.try_get(3)?).min(window.until_ns),
            count: unsigned(row.try_get(4)?),
            explanation: String::new(),
        };
        let detail = detail.filter(|_| explanation::tells_detail(&kind));
        merged
            .entry((kind, detail))
            .and_modify(|sum| {
                sum.from_ns = sum.from_ns.min(item.from_ns);
                sum.until_ns = sum.until_ns.max(item.until_ns);
                sum.count = sum.count.saturating_add(item.count);
            })
            .or_insert(item);
    }
    let explained = merged.into_iter().map(|((_, detail), mut item)| {
        item.explanation = explanation::of(&item, detail.as_deref());
        item
    });
    Ok(explained.collect())
}

fn emptiness(
    snapshot: &mut Snapshot,
    runs: &Runs,
    (segments, window): (&[Segment], Window),
    about: About,
    coverage: &[CoverageItem],
) -> Result<Emptiness, QueryError> {
    let reasons: Vec<&str> = coverage
        .iter()
        .filter(|item| explanation::hides(&item.kind, about))
        .map(|item| item.explanation.as_str())
        .take(4)
        .collect();
    let mut in_window = 0;
    if about != About::Dns {
        in_window += segments::count(snapshot, segments, window)?;
    }
    if about != About::Http {
        in_window += segments::count_dns(snapshot, segments, window)?;
    }
    if !reasons.is_empty() {
        let why = reasons.join(" ");
        return Ok(if in_window == 0 {
            Emptiness::NotSeen { why }
        } else {
            Emptiness::NothingMatchedOrNotSeen { in_window, why }
        });
    }
    if in_window == 0 && runs.replay_only() {
        let reach = reach(segments);
        return Ok(Emptiness::NotSeen {
            why: format!(
                "This store holds replayed captures only, and none of them reaches into the window. {reach}"
            ),
        });
    }
    if in_window == 0 && segments.is_empty() && runs.as_of_ns() == 0 {
        return Ok(Emptiness::NotSeen {
            why: "Nothing was recorded in this store yet.".to_owned(),
        });
    }
    Ok(Emptiness::NothingMatched { in_window })
}

fn reach(segments: &[Segment]) -> String {
    let oldest = segments
        .iter()
        .filter_map(|segment| segment.min_start_ns)
        .min();
    let newest = segments
        .iter()
        .filter_map(|segment| segment.max_start_ns)
        .max();
    match (oldest, newest) {
        (Some(oldest), Some(newest)) => {
            format!(
                "They reach from {} to {}.",
                rfc3339(unsigned(oldest)),
                rfc3339(unsigned(newest))
            )
        }
        _ => "They hold no exchange.".to_owned(),
    }
}

/// What cannot be seen at all is told once, at the start of a run, and holds until the run's end; a library that is not read is
/// told when it is met, and holds from then on. For a run that says
/// nothing any more that is its last sign of life, for one that goes on it is now.
const TOLD: &str = "WITH run_end AS (\
    SELECT id, started_ns, COALESCE(stopped_ns, \
    CASE WHEN heartbeat_ns < ?4 THEN heartbeat_ns ELSE MAX(heartbeat_ns, ?3) END) AS until_ns FROM recorder_run), \
    told AS (\
    SELECT kind, detail, from_ns, until_ns, count FROM coverage \
    WHERE until_ns >= ?1 AND from_ns <= ?2 AND kind NOT IN ('unsupported', 'tls_library_not_read') UNION ALL \
    SELECT kind, detail, run.started_ns, run.until_ns, count \
    FROM coverage JOIN run_end run ON run.id = run_id WHERE kind = 'unsupported' UNION ALL \
    SELECT kind, detail, from_ns, run.until_ns, count \
    FROM coverage JOIN run_end run ON run.id = run_id WHERE kind = 'tls_library_not_read') \
    SELECT kind, detail, MIN(from_ns), MAX(until_ns), SUM(count) FROM told \
    WHERE until_ns >= ?1 AND from_ns <= ?2 GROUP BY kind, detail ORDER BY kind, 4 DESC LIMIT 500";
