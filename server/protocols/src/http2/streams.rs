//! The streams of a connection that have begun and not ended.
//!
//! Owns: their table, ordered by stream. Refuses: to grow beyond its limit: the oldest stream makes room.

use super::facts::StreamFacts;
use super::window::Window;
use crate::exchange::{Exchange, Gaps, Interim, Outcome, RequestPart, ResponsePart};
use crate::grpc::Messages;
use crate::passive::Direction;

/// A stream's exchange so far.
#[derive(Debug)]
pub(super) struct Stream<Q, S> {
    pub(super) ordinal: u32,
    pub(super) request: Option<RequestPart<Q>>,
    pub(super) request_ended: bool,
    pub(super) response: Option<ResponsePart<S>>,
    /// What its head says of its length (RFC 9110 section 8.6); not where more passes than that, as padding.
    pub(super) response_length: Option<u64>,
    pub(super) interim: Interim,
    pub(super) gaps: Gaps,
    pub(super) facts: StreamFacts,
    /// What client and server may send.
    pub(super) windows: [Window; 2],
    /// Since when each of them has no window left.
    pub(super) shut_ns: [Option<u64>; 2],
    /// Frames of it, its end among them, may have passed unseen.
    pub(super) may_have_ended: bool,
    /// The response's status is not known: the head may have been that of an interim one.
    pub(super) may_be_interim: bool,
}

/// The place of a direction in pairs.
pub(super) fn place(direction: Direction) -> usize {
    match direction {
        Direction::ToServer => 0,
        Direction::ToClient => 1,
    }
}

impl<Q, S> Stream<Q, S> {
    fn new(stream_id: u32, ordinal: u32, windows: [Window; 2]) -> Self {
        Self {
            ordinal,
            request: None,
            request_ended: false,
            response: None,
            interim: Interim::default(),
            gaps: Gaps::default(),
            facts: StreamFacts {
                stream_id,
                ..StreamFacts::default()
            },
            windows,
            shut_ns: [None; 2],
            may_have_ended: false,
            may_be_interim: false,
            response_length: None,
        }
    }

    /// What of gRPC a direction of it carries.
    pub(super) fn messages(&mut self, meant: Direction) -> &mut Option<Messages> {
        match meant {
            Direction::ToServer => &mut self.facts.request_messages,
            Direction::ToClient => &mut self.facts.response_messages,
        }
    }

    /// The exchange as it ends.
    pub(super) fn ended(self, outcome: Outcome, at_ns: u64) -> Exchange<Q, S> {
        let outcome = if self.request.is_none() {
            Outcome::RequestNotSeen
        } else {
            outcome
        };
        Exchange {
            ordinal: self.ordinal,
            request: self.request,
            response: self.response,
            interim: self.interim,
            outcome,
            end_ns: at_ns,
            gaps: self.gaps,
            stream: Some(Box::new(self.facts)),
        }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Streams<Q, S> {
    /// In the order of their ids.
    open: Vec<(u32, Box<Stream<Q, S>>)>,
    next_ordinal: u32,
    /// The last ones that ended: what comes for them is late, not new.
    closed: [u32; CLOSED],
    next_closed: usize,
    /// The greatest id of each initiator: servers have the even ones.
    greatest: [u32; 2],
}

impl<Q, S> Streams<Q, S> {
    pub(super) fn new() -> Self {
        Self {
            open: Vec::new(),
            next_ordinal: 0,
            closed: [0; CLOSED],
            next_closed: 0,
            greatest: [0; 2],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get(&mut self, stream_id: u32) -> Option<&mut Stream<Q, S>> {
        let at = self.find(stream_id).ok()?;
        self.open.get_mut(at).map(|(_, stream)| &mut **stream)
    }

    /// Begins a stream, unless it is there.
    pub(super) fn begin(&mut self, stream_id: u32, windows: [Window; 2]) {
        let Err(at) = self.find(stream_id) else {
            return;
        };
        let ordinal = self.next_ordinal;
        self.next_ordinal = ordinal.wrapping_add(1);
        let stream = Box::new(Stream::new(stream_id, ordinal, windows));
        self.open.insert(at, (stream_id, stream));
    }

    /// Its initiator has begun a stream: those below it are not new any more (RFC 9113, 5.1.1).
    pub(super) fn reach(&mut self, stream_id: u32) {
        if let Some(greatest) = self.greatest.get_mut(initiator(stream_id)) {
            *greatest = stream_id.max(*greatest);
        }
    }

    /// Takes a stream out.
    pub(super) fn close(&mut self, stream_id: u32) -> Option<Stream<Q, S>> {
        let at = self.find(stream_id).ok()?;
        if let Some(place) = self.closed.get_mut(self.next_closed % CLOSED) {
            *place = stream_id;
        }
        self.next_closed = self.next_closed.wrapping_add(1);
        Some(*self.open.remove(at).1)
    }

    /// The one with the least id.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.open.first().map(|(stream_id, _)| *stream_id)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = u32> {
        self.open.iter().map(|(stream_id, _)| *stream_id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stream<Q, S>> {
        self.open.iter().map(|(_, stream)| &**stream)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream<Q, S>> {
        self.open.iter_mut().map(|(_, stream)| &mut **stream)
    }

    /// Whether nothing was ever seen of a stream. `may_lack`: some of what passed was not seen, so that a stream beside
    /// others may be new too.
    pub(super) fn is_new(&self, stream_id: u32, may_lack: bool) -> bool {
        let beyond = self
            .greatest
            .get(initiator(stream_id))
            .is_some_and(|greatest| stream_id > *greatest);
        (beyond || may_lack) && self.find(stream_id).is_err() && !self.closed.contains(&stream_id)
    }

    fn find(&self, stream_id: u32) -> Result<usize, usize> {
        self.open.binary_search_by_key(&stream_id, |(id, _)| *id)
    }
}

fn initiator(stream_id: u32) -> usize {
    usize::from(stream_id.is_multiple_of(2))
}

/// Ended streams that are remembered.
const CLOSED: usize = 64;
