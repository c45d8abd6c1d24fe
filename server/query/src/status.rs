//! `status`: what is recorded, since when, until when, how much, what was lost.
//!
//! Owns: the answer when there is no store. Invariant: every count is read from a few rows, whatever the store's size.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::answer::Emptiness;
use crate::coverage::{About, Framed};
use crate::db::{Cell, Row, query, query_scalar};
use crate::integer::unsigned;
use crate::open::beside;
use crate::recorder::{self, Runs};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::unopened::Unopened;
use crate::{Answer, QueryError, Recorder};

/// Whether there is a store, and what to do when there is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// Open and readable.
    Readable,
    /// No file at the path.
    Missing,
    /// There, and this user may not read it.
    NotReadable,
    /// Written by an older program; readable.
    Older,
    /// Written by a newer program; not readable.
    Newer,
    /// Not a store.
    Damaged,
}

/// The state of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Path of the store.
    pub path: String,
    /// Its state.
    pub state: StoreState,
    /// What to do about the state, in words made by Headwater; `None` when all is well.
    pub cure: Option<String>,
    /// Now.
    pub now_ns: u64,
    /// Start of the oldest exchange kept.
    pub oldest_ns: Option<u64>,
    /// Start of the newest.
    pub newest_ns: Option<u64>,
    /// Exchanges kept.
    pub exchanges: u64,
    /// Connections kept.
    pub connections: u64,
    /// DNS exchanges kept.
    pub dns_exchanges: u64,
    /// UDP flows kept, but for those of DNS.
    pub udp_flows: u64,
    /// Services known.
    pub services: u64,
    /// Bytes of the store's files.
    pub store_bytes: u64,
    /// When the newest recorder started, and its version.
    pub recorder_started_ns: Option<u64>,
    /// Version of that recorder.
    pub recorder_version: Option<String>,
    /// live or replay.
    pub source: Option<String>,
    /// Settings of that recorder: cap, filter, kept headers (JSON text written by the recorder).
    pub settings: Option<String>,
    /// Packets that the kernel dropped while that recorder ran, the most frequent reasons first; at most eight.
    pub kernel_drops: Vec<(String, u64)>,
}

/// The answer when the store cannot be read.
pub(crate) fn without_store(path: &Path, problem: &Unopened) -> Answer<Status> {
    if let Unopened::Failed(error) = problem {
        tracing::warn!(%error, "the store cannot be opened");
    }
    let now_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    Answer {
        value: Status {
            path: path.display().to_string(),
            state: problem.state(),
            cure: Some(format!("{} {}", problem.why(), problem.cure())),
            now_ns: u64::try_from(now_ns).unwrap_or(u64::MAX),
            oldest_ns: None,
            newest_ns: None,
            exchanges: 0,
            connections: 0,
            dns_exchanges: 0,
            udp_flows: 0,
            services: 0,
            store_bytes: bytes(path),
            recorder_started_ns: None,
            recorder_version: None,
            source: None,
            settings: None,
            kernel_drops: Vec::new(),
        },
        window: None,
        as_of_ns: 0,
        recorder: Recorder::Never,
        coverage: Vec::new(),
        emptiness: Some(Emptiness::NotSeen { why: problem.why() }),
        next_cursor: None,
    }
}

/// The answer from a store.
pub(crate) fn answer(snapshot: &mut Snapshot, path: &Path) -> Result<Answer<Status>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let counts = query(
        "SELECT (SELECT COALESCE(MAX(id), 0) FROM connection), (SELECT COALESCE(MIN(id), 1) FROM connection), \
         (SELECT COUNT(*) FROM service)",
    )
    .fetch_one(snapshot.connection())?;
    let newest_run = query(
        "SELECT started_ns, version, source, settings FROM recorder_run ORDER BY source = 'live' DESC, id DESC LIMIT 1",
    )
    .fetch_optional(snapshot.connection())?;
    let run = newest_run.as_ref();
    let (last, first): (i64, i64) = (counts.try_get(0)?, counts.try_get(1)?);
    let older = snapshot.opened.older;
    let value = Status {
        path: path.display().to_string(),
        state: if older {
            StoreState::Older
        } else {
            StoreState::Readable
        },
        cure: cure(older, &runs),
        now_ns: snapshot.now_ns,
        oldest_ns: recorder::oldest_ns(snapshot)?,
        newest_ns: recorder::newest_ns(snapshot)?,
        exchanges: exchanges(snapshot, &segments)?,
        connections: unsigned(last - first + 1),
        dns_exchanges: ids(snapshot, &segments, DNS_IDS)?,
        udp_flows: ids(snapshot, &segments, UDP_IDS)?,
        services: unsigned(counts.try_get(2)?),
        store_bytes: bytes(path),
        recorder_started_ns: column::<i64>(run, 0)?.map(unsigned),
        recorder_version: column(run, 1)?,
        source: column(run, 2)?,
        settings: column(run, 3)?,
        kernel_drops: kernel_drops(snapshot)?,
    };
    let window = recorder::everything(snapshot, &runs)?;
    let empty = value.exchanges == 0 && value.dns_exchanges == 0;
    Framed {
        about: About::Everything,
        value,
        empty,
        window,
        next_cursor: None,
        remarks: Vec::new(),
    }
    .finish(snapshot, &runs, &segments)
}

fn column<'r, T: Cell<'r>>(row: Option<&'r Row>, index: usize) -> Result<Option<T>, QueryError> {
    Ok(row.map(|row| row.try_get(index)).transpose()?)
}

fn cure(older: bool, runs: &Runs) -> Option<String> {
    if older {
        return Some(
            "An older recorder wrote this store; restart it after the update and it migrates it."
                .to_owned(),
        );
    }
    match runs.recorder() {
        Recorder::Running => None,
        Recorder::Stopped { .. } => {
            Some("The recorder stopped. Start it again: sudo headwater record (or up).".to_owned())
        }
        Recorder::Killed { .. } => Some(
            "The recorder was killed or crashed. Start it again: sudo headwater record (or up)."
                .to_owned(),
        ),
        Recorder::Never if runs.replay_only() => None,
        Recorder::Never => {
            Some("Nothing was recorded yet: sudo headwater record (or up).".to_owned())
        }
    }
}

/// Of the newest recorder's run.
fn kernel_drops(snapshot: &mut Snapshot) -> Result<Vec<(String, u64)>, QueryError> {
    let rows = query(
        "SELECT reason, count FROM kernel_drop WHERE run_id = (SELECT MAX(id) FROM recorder_run WHERE source = 'live') \
         ORDER BY count DESC, reason LIMIT 8",
    )
    .fetch_all(snapshot.connection())?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, unsigned(row.try_get(1)?))))
        .collect()
}

/// Exchanges kept: counted by the writer, and for the segment being written from its blocks of ids.
fn exchanges(snapshot: &mut Snapshot, segments: &[Segment]) -> Result<u64, QueryError> {
    let mut sum = 0_u64;
    for segment in segments {
        let mut rows = segment.row_count;
        if !segment.closed {
            let sql = "SELECT SUM(last_id - first_id + 1) FROM exchange_block WHERE segment_id = ?";
            let sum: Option<i64> = query_scalar(sql)
                .bind(segment.number)
                .fetch_one(snapshot.connection())?;
            rows = rows.max(sum.map_or(0, unsigned));
        }
        sum = sum.saturating_add(rows);
    }
    Ok(sum)
}

/// Rows of tables of segments, by their first and last id: at most so many.
fn ids(snapshot: &mut Snapshot, segments: &[Segment], parts: &str) -> Result<u64, QueryError> {
    let mut sum = 0_u64;
    for segment in segments {
        let parts = parts.replace("{N}", &segment.number.to_string());
        let sql = format!("SELECT MAX(last) - MIN(first) + 1 FROM ({parts})");
        let rows: Option<i64> = query_scalar(sql).fetch_one(snapshot.connection())?;
        sum = sum.saturating_add(rows.map_or(0, unsigned));
    }
    Ok(sum)
}

/// The store's file and its write-ahead log.
fn bytes(path: &Path) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    length(path).saturating_add(length(&beside(path, "-wal")))
}

/// First and last ids of DNS exchanges,
const DNS_IDS: &str = "SELECT (SELECT MIN(id) FROM dns_exchange_{N}) AS first, (SELECT MAX(id) FROM dns_exchange_{N}) AS last UNION ALL \
    SELECT (SELECT first_id FROM dns_exchange_pack_{N} ORDER BY last_id LIMIT 1), (SELECT MAX(last_id) FROM dns_exchange_pack_{N})";
/// and of UDP flows.
const UDP_IDS: &str = "SELECT (SELECT MIN(id) FROM udp_flow_{N}) AS first, (SELECT MAX(id) FROM udp_flow_{N}) AS last";
