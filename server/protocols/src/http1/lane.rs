//! One direction of a connection: where in which message it is.
//!
//! Owns: the states and what is held between two pieces. Refuses: to decide; `messages`, `skips`, `adrift` and
//! `endings` do that.

use super::chunked::Chunks;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) state: State,
    /// The beginning of a head whose end did not come yet; empty in every state but [`State::Head`]. At most
    /// `Limits::max_head_bytes` long.
    pub(super) partial: Vec<u8>,
    /// No head ends in `partial` before this, so that a head that comes byte by byte is searched once.
    pub(super) searched: usize,
    /// When and where the head in `partial` began.
    pub(super) began: Began,
    /// The exchange whose message is passing; `None` between messages, and in one that belongs to no exchange.
    pub(super) message: Option<u32>,
    /// A turn began, and none of its bytes came yet.
    pub(super) fresh_turn: bool,
    /// When the latest piece passed.
    pub(super) last_ns: u64,
    /// A head was read in this direction.
    pub(super) head_seen: bool,
    /// Its sender sent a FIN.
    pub(super) ended: bool,
}

/// The piece in which a message begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Began {
    pub(super) at_ns: u64,
    pub(super) tag: u64,
    /// It is the first piece of a turn, and the message begins at its start.
    pub(super) fresh_turn: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// A head is due.
    Head,
    /// In a body of which so many bytes, never 0, are to come.
    Length(u64),
    /// In a chunked body.
    Chunked(Chunks),
    /// In a body that the end of the connection ends.
    UntilClose,
    /// In bytes whose end cannot be counted: a message's if `Lane::message` is set, else whatever. `chunked` tells whether
    /// that message is chunked; `None` when its head did not say.
    Adrift { chunked: Option<bool> },
    /// Behind a CONNECT that is not answered yet. `spoken`: bytes passed in it already.
    Tunnel { spoken: bool },
}

impl State {
    /// Between messages, at a place that is not known.
    pub(super) const NOWHERE: Self = Self::Adrift {
        chunked: Some(false),
    };
}

impl Lane {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            partial: Vec::new(),
            searched: 0,
            began: Began::default(),
            message: None,
            fresh_turn: false,
            last_ns: 0,
            head_seen: false,
            ended: false,
        }
    }

    /// Whether its bytes belong to no message that is known.
    pub(super) fn is_nowhere(&self) -> bool {
        matches!(self.state, State::Adrift { .. }) && self.message.is_none()
    }
}
