//! One connection: its public face, and the walk of a piece through the frames.
//!
//! Owns: the direction that is meant. Joined in the middle, the caller may have taken the server for the client; the first
//! head tells ([`Connection::is_reversed`]).

use super::facts::Facts;
use super::frame::{FrameHeader, HEADER_BYTES, PREFACE};
use super::lane::{Began, Lane, State};
use super::streams::Streams;
use super::window::Window;
use super::{Limits, MalformedElement, Observer};
use crate::exchange::{Gaps, OpenExchange, RequestPart};
use crate::passive::{Direction, Verdict};

/// The HTTP/2 of one connection.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, true or false by itself"
)]
pub struct Connection<O: Observer> {
    pub(super) limits: Limits,
    /// By the direction that the caller names.
    lanes: [Lane; 2],
    pub(super) streams: Streams<O::Request, O::Response>,
    joined_midstream: bool,
    /// What the caller takes for the client is the server.
    reversed: bool,
    /// Which end is which is known.
    pub(super) roles_known: bool,
    pub(super) verdict: Verdict,
    /// Nothing that follows is looked at.
    pub(super) closed: bool,
}

impl<O: Observer> Connection<O> {
    /// A connection seen from its beginning, or `joined_midstream`.
    pub fn new(limits: Limits, joined_midstream: bool) -> Self {
        let states = if joined_midstream {
            [State::Adrift, State::Adrift]
        } else {
            [State::Preface(0), State::Header(0)]
        };
        Self {
            limits,
            lanes: states.map(|state| Lane::new(state, limits)),
            streams: Streams::new(),
            joined_midstream,
            reversed: false,
            roles_known: !joined_midstream,
            verdict: Verdict::Unknown,
            closed: false,
        }
    }

    /// A connection that an HTTP/1.1 request asked to go on as HTTP/2 (RFC 7540, 3.2, which RFC 9113 has dropped): that
    /// request is the one of stream 1.
    pub fn upgraded(limits: Limits, request: RequestPart<O::Request>) -> Self {
        let mut connection = Self::new(limits, false);
        // The client's HTTP2-Settings field has set some already (RFC 7540, 3.2.1).
        let server = connection.lane(Direction::ToClient);
        server.stream_window = Window::UNKNOWN;
        server.hpack.set_max_table_size(u32::MAX);
        connection.begin(1);
        connection.streams.reach(1);
        if let Some(stream) = connection.streams.get(1) {
            stream.request = Some(request);
            stream.request_ended = true;
        }
        connection
    }

    /// Bytes passed at `at_ns`. `tag` is the caller's: a message that begins in them carries it.
    pub fn bytes(
        &mut self,
        direction: Direction,
        at_ns: u64,
        tag: u64,
        data: &[u8],
        observer: &mut O,
    ) {
        let began = Began { at_ns, tag };
        let mut rest = data;
        if self.closed {
            return;
        }
        self.find_frames(direction, data);
        while !rest.is_empty() && !self.closed {
            let used = self.step(direction, began, rest, observer);
            rest = rest.get(used..).unwrap_or_default();
        }
        self.keep_within_limit();
    }

    /// Bytes of memory in blocks, frames and tables of both directions.
    pub fn held_bytes(&self) -> usize {
        self.lanes.iter().map(Lane::held_bytes).sum()
    }

    /// Entries of HPACK's tables that were forgotten for want of room so far. What refers to them is unknown.
    pub fn entries_forgotten(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.hpack.forgotten()).sum()
    }

    /// Blocks are bounded by themselves, and tables give way to them.
    fn keep_within_limit(&mut self) {
        let mut held = self.held_bytes();
        while held > self.limits.max_held_bytes {
            let largest = self
                .lanes
                .iter_mut()
                .max_by_key(|lane| lane.hpack.held_bytes());
            if let Some(lane) = largest {
                lane.hpack.make_room();
            }
            let before = std::mem::replace(&mut held, self.held_bytes());
            if held >= before {
                return;
            }
        }
    }

    /// The exchanges that have begun and not ended, oldest first.
    pub fn open(&self) -> impl Iterator<Item = OpenExchange<'_, O::Request, O::Response>> {
        self.streams
            .iter()
            .filter(|stream| stream.request.is_some() || stream.response.is_some())
            .map(|stream| OpenExchange {
                ordinal: stream.ordinal,
                request: stream.request.as_ref(),
                response: stream.response.as_ref(),
                interim: stream.interim,
                gaps: stream.gaps,
                stream: Some(&stream.facts),
            })
    }

    /// Whether this is HTTP/2, as far as that is known.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the caller's directions are the wrong way round. It may turn them ([`Connection::turn_round`]) or not.
    pub fn is_reversed(&self) -> bool {
        self.reversed
    }

    /// From now on the caller means the other direction.
    pub fn turn_round(&mut self) {
        self.lanes.swap(0, 1);
        self.reversed = !self.reversed;
    }

    /// What the sender of a direction has announced and done.
    pub fn facts(&self, direction: Direction) -> &Facts {
        let [first, second] = &self.lanes;
        match direction {
            Direction::ToServer => &first.facts,
            Direction::ToClient => &second.facts,
        }
    }

    /// Takes some of `data`, and says how much.
    fn step(&mut self, direction: Direction, began: Began, data: &[u8], observer: &mut O) -> usize {
        let lane = self.lane(direction);
        match lane.state {
            State::Adrift => data.len(),
            State::Preface(seen) => self.preface(direction, seen, began.at_ns, data, observer),
            State::Header(have) => {
                if have == 0 {
                    lane.began = began;
                }
                let room = lane.header.get_mut(have..).unwrap_or_default();
                let used = room.len().min(data.len());
                for (place, byte) in room.iter_mut().zip(data) {
                    *place = *byte;
                }
                if have + used < HEADER_BYTES {
                    lane.state = State::Header(have + used);
                    return used;
                }
                let frame = FrameHeader::read(lane.header);
                used + self.begin_frame(
                    direction,
                    frame,
                    began.at_ns,
                    data.get(used..).unwrap_or_default(),
                    observer,
                )
            }
            State::Payload {
                frame,
                left,
                broken,
            } => {
                let whole = usize::try_from(left).unwrap_or(usize::MAX);
                let used = whole.min(data.len());
                let here = data.get(..used).unwrap_or_default();
                lane.state = State::Payload {
                    frame,
                    left: left.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX)),
                    broken,
                };
                self.pass(direction, frame, here);
                if used == whole {
                    self.end_frame(direction, began.at_ns, observer);
                }
                used
            }
        }
    }

    fn preface(
        &mut self,
        direction: Direction,
        seen: usize,
        at_ns: u64,
        data: &[u8],
        observer: &mut O,
    ) -> usize {
        let expected = PREFACE.get(seen..).unwrap_or_default();
        let used = expected.len().min(data.len());
        if data.get(..used) != expected.get(..used) {
            if self.joined_midstream {
                // What looked like a beginning was none.
                self.lose_frames(direction, Gaps::JOINED_MIDSTREAM);
                self.lose_frames(direction.opposite(), Gaps::JOINED_MIDSTREAM);
            } else {
                observer.malformed(self.meant(direction), MalformedElement::Preface);
                self.fail(at_ns, observer);
            }
            return data.len();
        }
        if used == expected.len() {
            self.verdict = Verdict::Yes;
            if !self.roles_known {
                self.settle_roles(self.meant(direction) == Direction::ToClient);
            }
            self.lane(direction).state = State::Header(0);
        } else {
            self.lane(direction).state = State::Preface(seen + used);
        }
        used
    }

    pub(super) fn begin(&mut self, stream_id: u32) {
        let windows = [
            self.lane_of(Direction::ToServer).stream_window,
            self.lane_of(Direction::ToClient).stream_window,
        ];
        self.streams.begin(stream_id, windows);
    }

    /// Nothing that follows is looked at.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for lane in &mut self.lanes {
            lane.block = None;
            lane.held = Vec::new();
        }
    }

    /// What the preface or the first head has shown.
    pub(super) fn settle_roles(&mut self, reversed: bool) {
        self.roles_known = true;
        self.reversed ^= reversed;
    }

    /// The direction that is meant by the caller's.
    pub(super) fn meant(&self, direction: Direction) -> Direction {
        if self.reversed {
            direction.opposite()
        } else {
            direction
        }
    }

    /// By the caller's direction.
    pub(super) fn lane(&mut self, direction: Direction) -> &mut Lane {
        let [first, second] = &mut self.lanes;
        match direction {
            Direction::ToServer => first,
            Direction::ToClient => second,
        }
    }

    /// By the direction that is meant.
    pub(super) fn lane_of(&mut self, meant: Direction) -> &mut Lane {
        let direction = self.meant(meant);
        self.lane(direction)
    }
}
