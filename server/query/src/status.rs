//! `status`: what is recorded, since when, until when, how much, what was lost.

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
}
