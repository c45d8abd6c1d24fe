//! The lives of recorders: whether one runs, how far the data reaches, and when none ran.

use crate::answer::{Recorder, Window};
use crate::db::{query, query_scalar};
use crate::integer::{signed, unsigned};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::{Reference, rfc3339};
use crate::{CoverageItem, QueryError};

/// One life of a recorder.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) live: bool,
    pub(crate) started_ns: u64,
    pub(crate) heartbeat_ns: u64,
    pub(crate) stopped_ns: Option<u64>,
    /// It went silent without saying so.
    pub(crate) killed: bool,
}

/// All lives that the store knows, oldest first.
#[derive(Debug)]
pub(crate) struct Runs {
    runs: Vec<Run>,
    now_ns: u64,
}

/// The last commit, for waiting.
pub(crate) fn last_commit(snapshot: &mut Snapshot) -> Result<u64, QueryError> {
    let last: Option<i64> =
        query_scalar("SELECT heartbeat_ns FROM recorder_run ORDER BY id DESC LIMIT 1")
            .fetch_optional(snapshot.connection())?;
    Ok(unsigned(last.unwrap_or(0)))
}

impl Runs {
    /// Reads them.
    pub(crate) fn load(snapshot: &mut Snapshot) -> Result<Self, QueryError> {
        let now_ns = snapshot.now_ns;
        let rows = query(
            "SELECT source, started_ns, heartbeat_ns, stopped_ns, stop_reason FROM recorder_run ORDER BY id",
        )
        .fetch_all(snapshot.connection())?;
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let heartbeat_ns = unsigned(row.try_get(2)?);
            let stopped_ns: Option<i64> = row.try_get(3)?;
            let reason: Option<&str> = row.try_get(4)?;
            let silent = stopped_ns.is_none() && heartbeat_ns.saturating_add(SILENCE_NS) < now_ns;
            runs.push(Run {
                live: row.try_get::<&str>(0)? != "replay",
                started_ns: unsigned(row.try_get(1)?),
                heartbeat_ns,
                stopped_ns: stopped_ns.map(unsigned),
                killed: silent || reason == Some("killed"),
            });
        }
        Ok(Self { runs, now_ns })
    }

    /// Whether somebody is recording.
    pub(crate) fn recorder(&self) -> Recorder {
        match self.runs.iter().rev().find(|run| run.live) {
            None => Recorder::Never,
            Some(run) if run.killed => Recorder::Killed {
                last_seen_ns: run.heartbeat_ns,
            },
            Some(Run {
                stopped_ns: Some(at_ns),
                ..
            }) => Recorder::Stopped { at_ns: *at_ns },
            Some(_) => Recorder::Running,
        }
    }

    /// How far the data reaches, as of the last commit. Not the greatest time: the clock may have been set back.
    pub(crate) fn as_of_ns(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.heartbeat_ns)
    }

    /// What absent and relative times refer to.
    pub(crate) fn reference(&self, snapshot: &mut Snapshot) -> Result<Reference, QueryError> {
        let end_ns = match self.recorder() {
            Recorder::Running => self.now_ns,
            _ => newest_ns(snapshot)?.unwrap_or_else(|| self.as_of_ns()),
        };
        Ok(Reference {
            now_ns: self.now_ns,
            end_ns: if end_ns == 0 { self.now_ns } else { end_ns },
        })
    }

    /// How much of the window a recorder ran and is kept; in a store of replayed captures, of which nobody can say the one, what is
    /// kept.
    pub(crate) fn recorded_ns(&self, window: Window, segments: &[Segment]) -> u64 {
        let oldest_ns = segments::oldest_ns(segments).unwrap_or(0);
        let window = Window {
            since_ns: window.since_ns.max(oldest_ns).min(window.until_ns),
            ..window
        };
        let until_ns = window.until_ns.min(self.now_ns);
        let whole = until_ns.saturating_sub(window.since_ns);
        let gaps = self.gaps(window).unwrap_or_default();
        let silent = gaps
            .iter()
            .map(|(from_ns, until_ns, _)| until_ns - from_ns)
            .sum();
        whole.saturating_sub(silent)
    }

    /// The parts of the window in which no recorder ran. None are told of a store that holds replayed captures only.
    pub(crate) fn silence(&self, window: Window) -> Option<CoverageItem> {
        let until_ns = window.until_ns.min(self.now_ns);
        let gaps = self.gaps(window)?;
        let (first, last) = (gaps.first().copied()?, gaps.last().copied()?);
        Some(CoverageItem {
            kind: "not_recorded".to_owned(),
            from_ns: first.0,
            until_ns: last.1,
            count: u64::try_from(gaps.len()).unwrap_or(u64::MAX),
            explanation: explain(
                &gaps,
                last.1 == until_ns && until_ns + SILENCE_NS > self.as_of_ns(),
            ),
        })
    }

    /// From, until, and whether the recorder before it was killed; `None` where none ever ran here.
    fn gaps(&self, window: Window) -> Option<Vec<(u64, u64, bool)>> {
        let until_ns = window.until_ns.min(self.now_ns);
        let mut gaps: Vec<(u64, u64, bool)> = Vec::new();
        let (mut covered_ns, mut killed) = (window.since_ns, false);
        let mut live: Vec<&Run> = self.runs.iter().filter(|run| run.live).collect();
        if live.is_empty() {
            return None;
        }
        live.sort_by_key(|run| run.started_ns);
        for run in live {
            if run.started_ns > covered_ns && covered_ns < until_ns {
                gaps.push((covered_ns, run.started_ns.min(until_ns), killed));
            }
            if run.end_ns(self.now_ns) >= covered_ns {
                covered_ns = run.end_ns(self.now_ns);
                killed = run.killed;
            }
        }
        if covered_ns < until_ns {
            gaps.push((covered_ns, until_ns, killed));
        }
        Some(gaps)
    }

    /// Whether only replayed captures are stored.
    pub(crate) fn replay_only(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| !run.live)
    }
}

impl Run {
    fn end_ns(&self, now_ns: u64) -> u64 {
        match self.stopped_ns {
            _ if self.killed => self.heartbeat_ns,
            Some(stopped_ns) => stopped_ns,
            None => now_ns,
        }
    }
}

fn explain(gaps: &[(u64, u64, bool)], to_the_end: bool) -> String {
    let shown: Vec<String> = gaps
        .iter()
        .rev()
        .take(3)
        .map(|(from, until, killed)| {
            let why = if *killed {
                " (the recorder before was killed or crashed)"
            } else {
                ""
            };
            format!("{} to {}{why}", rfc3339(*from), rfc3339(*until))
        })
        .collect();
    let more = if gaps.len() > shown.len() {
        ", and earlier"
    } else {
        ""
    };
    let cure = if to_the_end {
        " To record again: sudo headwater record (or up)."
    } else {
        ""
    };
    format!(
        "No recorder ran in part of this window: {}{more}. What happened then was not seen.{cure}",
        shown.join(", ")
    )
}

/// Start of the newest exchange that is stored: the latest of those since the clock was last set back.
pub(crate) fn newest_ns(snapshot: &mut Snapshot) -> Result<Option<u64>, QueryError> {
    let newest: Option<i64> = query_scalar(
        "WITH stored (clock_epoch, at) AS (\
         SELECT clock_epoch, max_start_ns FROM segment WHERE max_start_ns IS NOT NULL UNION ALL \
         SELECT clock_epoch, block.max_start_ns FROM (SELECT segment_id, max_start_ns FROM exchange_block \
         ORDER BY first_id DESC LIMIT 64) block JOIN segment ON segment.id = block.segment_id) \
         SELECT at FROM stored ORDER BY clock_epoch DESC, at DESC LIMIT 1",
    )
    .fetch_optional(snapshot.connection())?;
    let newest = newest.max(unsummed(snapshot, "MAX")?);
    Ok(newest.map(unsigned))
}

/// Start of the oldest exchange that is stored.
pub(crate) fn oldest_ns(snapshot: &mut Snapshot) -> Result<Option<u64>, QueryError> {
    let oldest: Option<i64> = query_scalar(
        "SELECT MIN(at) FROM (SELECT MIN(min_start_ns) AS at FROM segment UNION ALL SELECT MIN(min_start_ns) FROM \
         (SELECT min_start_ns FROM exchange_block ORDER BY first_id LIMIT 64))",
    )
    .fetch_one(snapshot.connection())?;
    let others = unsummed(snapshot, "MIN")?;
    let oldest = [oldest, others].into_iter().flatten().min();
    Ok(oldest.map(unsigned))
}

/// The least or greatest start of what is in the segment being written beside exchanges: its row does not tell yet.
fn unsummed(snapshot: &mut Snapshot, which: &str) -> Result<Option<i64>, QueryError> {
    let open: Option<i64> =
        query_scalar("SELECT id FROM segment WHERE closed_ns IS NULL ORDER BY id DESC LIMIT 1")
            .fetch_optional(snapshot.connection())?;
    let Some(open) = open else { return Ok(None) };
    // Each by its index.
    let sql = format!(
        "SELECT {which}(at) FROM (SELECT {which}(start_ns) AS at FROM dns_exchange_{open} \
         UNION ALL SELECT {which}({which}_start_ns) FROM dns_exchange_pack_{open} \
         UNION ALL SELECT {which}(start_ns) FROM udp_flow_{open})"
    );
    let found = query_scalar(sql).fetch_one(snapshot.connection())?;
    Ok(found)
}

/// A window that reaches from the oldest data to the end of time as far as it is known.
pub(crate) fn everything(snapshot: &mut Snapshot, runs: &Runs) -> Result<Window, QueryError> {
    let heard_ns = runs.runs.iter().map(|run| run.heartbeat_ns).max();
    let end_ns = runs.reference(snapshot)?.end_ns;
    let until_ns = end_ns.max(heard_ns.unwrap_or(0));
    // Where no exchange is kept there may be losses all the same.
    let began_ns = runs.runs.iter().map(|run| run.started_ns).min();
    let since_ns = oldest_ns(snapshot)?.or(began_ns).unwrap_or(until_ns);
    let since_ns = since_ns.min(until_ns);
    Ok(Window {
        since_ns,
        until_ns: unsigned(signed(until_ns)),
    })
}

/// A recorder that has committed nothing for so long is not there any more.
pub(crate) const SILENCE_NS: u64 = 5_000_000_000;
