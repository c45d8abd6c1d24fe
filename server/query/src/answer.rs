//! What every answer carries besides its value.

/// A window of time, nanoseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// First nanosecond.
    pub since_ns: u64,
    /// Last nanosecond.
    pub until_ns: u64,
}

/// Whether somebody is recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorder {
    /// Its last commit was under five seconds ago.
    Running,
    /// It said that it stopped.
    Stopped {
        /// When.
        at_ns: u64,
    },
    /// It went silent without saying so.
    Killed {
        /// Its last sign of life.
        last_seen_ns: u64,
    },
    /// The store holds replayed captures only.
    Never,
}

/// One line of coverage: something that could not be seen in the answer's window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoverageItem {
    /// `coverage.kind`, snake case.
    pub kind: String,
    /// From when (clipped to the window).
    pub from_ns: u64,
    /// Until when.
    pub until_ns: u64,
    /// How much, summed over the window.
    pub count: u64,
    /// What that means, in words made by Headwater, with the cure where there is one.
    pub explanation: String,
}

/// Why an answer is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Emptiness {
    /// The window was recorded in full and nothing matched.
    NothingMatched {
        /// How many exchanges of any kind the window holds.
        in_window: u64,
    },
    /// Nothing that is stored matched, and more may have happened than is stored.
    NothingMatchedOrNotSeen {
        /// How many exchanges of any kind the window holds.
        in_window: u64,
        /// What could not be seen, in words made by Headwater.
        why: String,
    },
    /// Nothing was recorded in the window, or part of it is not covered.
    NotSeen {
        /// Why, in words made by Headwater.
        why: String,
    },
}

/// An answer with its frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// The window that the answer is about; `None` for look-ups by id.
    pub window: Option<Window>,
    /// The data reaches to here: all that ended before is told.
    pub as_of_ns: u64,
    /// Whether somebody is recording.
    pub recorder: Recorder,
    /// What could not be seen in the window, worst first.
    pub coverage: Vec<CoverageItem>,
    /// Set when the value is empty.
    pub emptiness: Option<Emptiness>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}
