//! What every parser of a connection is told by whoever observes it, and how it judges.
//!
//! Owns: the words. Refuses: to parse.

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From client to server: requests.
    ToServer,
    /// From server to client: responses.
    ToClient,
}

impl Direction {
    /// The other one.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// Why bytes that passed are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// Counted in the kernel, beyond the cap of a turn.
    NotCopied,
    /// Their records were lost on the way from the kernel ([`Gaps::RECORDS_LOST`](crate::http1::Gaps::RECORDS_LOST)).
    RecordsLost,
    /// Missing in the capture itself: snap length, missing packets ([`Gaps::CAPTURE_HOLE`](crate::http1::Gaps::CAPTURE_HOLE)).
    CaptureHole,
}

/// How a direction, or the sight of it, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The sender of this direction will send no more. The other direction goes on.
    Fin,
    /// The sender of this direction reset the connection.
    Reset,
    /// TCP gave up.
    TimedOut,
    /// The observer stops looking, for its own reasons.
    Evicted,
}

/// Whether a direction carries HTTP/1.x.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No head was seen yet, and none was ruled out.
    Unknown,
    /// A head was seen.
    Yes,
    /// It cannot be HTTP/1.x. Whatever follows is ignored: there is no use in copying it.
    No,
    /// It was HTTP/1.x until an upgrade or a tunnel took over (RFC 9110, 7.8 and 9.3.6). What follows is ignored.
    Upgraded,
}
