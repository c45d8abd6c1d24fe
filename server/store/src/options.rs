//! What the writer is told when it is opened.

use std::path::PathBuf;
use std::time::Duration;

/// Where the events come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// This machine, now.
    Live,
    /// A capture file.
    Replay,
}

impl Source {
    /// `recorder_run.source`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Replay => "replay",
        }
    }
}

/// Why a recorder stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The wall clock was set back; the recorder goes on as another run.
    ClockSetBack,
    /// The capture file is at its end.
    EndOfInput,
    /// Something went wrong.
    Error,
    /// Somebody asked it to.
    Signal,
}

impl StopReason {
    /// `recorder_run.stop_reason`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClockSetBack => "clock_set_back",
            Self::EndOfInput => "end_of_input",
            Self::Error => "error",
            Self::Signal => "signal",
        }
    }
}

/// How to open a store for writing.
#[derive(Debug, Clone)]
pub struct Options {
    /// The database file. Its folder is made when it is missing.
    pub path: PathBuf,
    /// The group that may read it; `None` leaves the group that the files come to by themselves.
    pub group: Option<u32>,
    /// Segments closed longer ago are dropped.
    pub max_age: Duration,
    /// The oldest segments are dropped when the file would hold more.
    pub max_bytes: u64,
    /// A segment with so many exchanges is closed.
    pub segment_rows: u64,
    /// A segment that is so old, and not empty, is closed.
    pub segment_age: Duration,
    /// Memory for pages of the file.
    pub cache_bytes: u64,
    /// Size of a page of a new file. Pages of 8192 were 4 % faster to fill and no smaller on disk; each heartbeat and each
    /// changed row costs one.
    pub page_bytes: u32,
    /// Where the events come from.
    pub source: Source,
    /// The recorder's settings, JSON: cap, filter, kept headers; never secrets.
    pub settings_json: String,
    /// The program's version.
    pub version: String,
    /// `/proc/sys/kernel/random/boot_id`, or anything that tells one boot from another.
    pub boot_id: String,
    /// Of the key that the hashes are made with.
    pub key_fingerprint: [u8; 8],
}

impl Options {
    /// The defaults, for a live recorder that writes to `path` with the key of that fingerprint.
    pub fn new(path: impl Into<PathBuf>, key_fingerprint: [u8; 8]) -> Self {
        Self {
            path: path.into(),
            group: None,
            max_age: Duration::from_hours(7 * 24),
            max_bytes: 1 << 30,
            segment_rows: 250_000,
            segment_age: Duration::from_hours(6),
            cache_bytes: 4 << 20,
            page_bytes: 4096,
            source: Source::Live,
            settings_json: "{}".to_owned(),
            version: String::new(),
            boot_id: String::new(),
            key_fingerprint,
        }
    }
}
