//! One connection: both directions and the exchanges between them.
//!
//! Owns: the public face, and the walk of a piece through the states. Refuses: to reorder: pieces of one direction come
//! in the order of the stream, and those of both in the order in which they passed.

use super::chunked::Walk;
use super::exchanges::{Begun, Exchanges};
use super::lane::{Began, Lane, State};
use super::start_line::looks_like_head;
use super::{Direction, Gaps, Limits, Observer, OpenExchange, Outcome, Verdict};

/// Turns of a stream joined in the middle that may pass without a head before it is taken for something else.
const TURNS_WITHOUT_HEAD: u8 = 64;

/// The HTTP/1.x of one connection.
#[derive(Debug)]
pub struct Connection<O: Observer> {
    pub(super) limits: Limits,
    pub(super) to_server: Lane,
    pub(super) to_client: Lane,
    pub(super) exchanges: Exchanges<O::Request, O::Response>,
    pub(super) phase: Phase,
    pub(super) joined_midstream: bool,
    /// The observer wants the body of the response that is passing.
    pub(super) shows_body: bool,
    /// Why requests may have passed unseen since the latest that was seen.
    pub(super) requests_unseen: Gaps,
    /// Turns so far of a connection on which no head was seen.
    turns_without_head: u8,
    /// The first bytes to the server were no request. The answer tells whether that was a bad one or another protocol.
    pub(super) first_request_malformed: bool,
    /// Bytes of the piece that took another protocol's place behind the last head.
    unread: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It may be HTTP, or is.
    Open,
    /// It is not.
    NotHttp,
    /// It was, until a tunnel began.
    Upgraded,
    /// Nothing comes any more.
    Closed,
}

/// A piece of one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub(super) direction: Direction,
    pub(super) began: Began,
}

impl<O: Observer> Connection<O> {
    /// A connection seen from its beginning, or `joined_midstream`: then anything may pass before the first head.
    pub fn new(limits: Limits, joined_midstream: bool) -> Self {
        let state = if joined_midstream {
            State::NOWHERE
        } else {
            State::Head
        };
        Self {
            limits,
            to_server: Lane::new(state),
            to_client: Lane::new(state),
            exchanges: Exchanges::new(),
            phase: Phase::Open,
            joined_midstream,
            shows_body: false,
            requests_unseen: Gaps::default(),
            turns_without_head: 0,
            first_request_malformed: false,
            unread: 0,
        }
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
        if self.phase != Phase::Open || data.is_empty() {
            return;
        }
        let fresh_turn = std::mem::take(&mut self.lane(direction).fresh_turn);
        let mut piece = Piece {
            direction,
            began: Began {
                at_ns,
                tag,
                fresh_turn,
            },
        };
        if self.begins_anew(piece, data) {
            self.infer_end(direction, at_ns, observer);
            if direction == Direction::ToClient {
                self.exchanges.settle_doubt(at_ns, observer);
            }
            self.lane(direction).state = State::Head;
        }
        self.lane(direction).last_ns = at_ns;
        let mut rest = data;
        while !rest.is_empty() && self.phase == Phase::Open {
            let used = self.step(piece, rest, observer).max(1);
            rest = rest.get(used..).unwrap_or_default();
            piece.began.fresh_turn = false;
        }
        if self.phase == Phase::Upgraded {
            self.unread = rest.len();
        }
    }

    /// Bytes at the end of the piece given last that are another protocol's: an upgrade or a tunnel began before them.
    pub fn unread(&self) -> usize {
        self.unread
    }

    /// The next bytes in this direction begin a new turn: bytes of the other side passed and were acknowledged in
    /// between. Not called in a replay.
    pub fn turn(&mut self, direction: Direction) {
        self.lane(direction).fresh_turn = true;
        if self.joined_midstream && self.phase == Phase::Open && !self.head_seen() {
            self.turns_without_head += 1;
            if self.turns_without_head >= TURNS_WITHOUT_HEAD {
                self.leave(Phase::NotHttp);
            }
        }
    }

    /// Whether `data`, which begins a turn in `direction`, shows that the caller's directions are the wrong way round: joined
    /// in the middle, it may have taken the sender of a body for the client; and who connects may be asked by who listens, if
    /// it says nothing itself. Then it may [`Connection::turn_round`].
    pub fn is_reversed(&self, direction: Direction, data: &[u8]) -> bool {
        let opposite = match direction {
            Direction::ToServer => Direction::ToClient,
            Direction::ToClient => Direction::ToServer,
        };
        let nothing_passed = self.to_server.last_ns == 0 && self.to_client.last_ns == 0;
        (self.joined_midstream || nothing_passed && direction == Direction::ToClient)
            && self.phase == Phase::Open
            && !self.head_seen()
            && looks_like_head(opposite, data)
            && !looks_like_head(direction, data)
    }

    /// From now on the caller means the other direction. Only before the first head: nothing has been told yet.
    pub fn turn_round(&mut self) {
        std::mem::swap(&mut self.to_server, &mut self.to_client);
    }

    /// The exchanges that have begun and not ended, oldest first.
    pub fn open(&self) -> impl Iterator<Item = OpenExchange<'_, O::Request, O::Response>> {
        self.exchanges
            .begun
            .iter()
            .filter(|exchange| exchange.request.is_some() || exchange.response.is_some())
            .map(|exchange| OpenExchange {
                ordinal: exchange.ordinal,
                request: exchange.request.as_ref(),
                response: exchange.response.as_ref(),
                interim: exchange.interim,
                gaps: exchange.gaps,
                stream: None,
            })
    }

    /// Bytes of memory in the beginnings of heads that are held.
    pub fn held_bytes(&self) -> usize {
        self.to_server.partial.capacity() + self.to_client.partial.capacity()
    }

    /// Whether `direction` carries HTTP/1.x, as far as that is known.
    pub fn is_http(&self, direction: Direction) -> Verdict {
        let lane = match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        };
        match self.phase {
            Phase::NotHttp => Verdict::No,
            Phase::Upgraded => Verdict::Upgraded,
            Phase::Open | Phase::Closed if lane.head_seen => Verdict::Yes,
            Phase::Open if self.is_doubted() => Verdict::No,
            Phase::Open | Phase::Closed => Verdict::Unknown,
        }
    }

    /// Takes some of `data`, and says how much.
    fn step(&mut self, piece: Piece, data: &[u8], observer: &mut O) -> usize {
        let direction = piece.direction;
        match self.lane(direction).state {
            State::Head => self.head(piece, data, observer),
            State::Length(left) => {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
                self.show(piece, data.get(..here).unwrap_or_default(), observer);
                self.pass_length(direction, left, here as u64, observer);
                here
            }
            State::Chunked(mut chunks) => {
                match chunks.walk(data, |data| self.show(piece, data, observer)) {
                    Walk::More => {
                        self.lane(direction).state = State::Chunked(chunks);
                        self.body(direction, data.len() as u64);
                        data.len()
                    }
                    Walk::End(used) => {
                        self.body(direction, used as u64);
                        self.end_message(direction, piece.began.at_ns, observer);
                        used
                    }
                    Walk::Malformed(used, element) => {
                        // Only what was framing counts, however the stream was cut into pieces. The rest of a request
                        // still belongs to it, and is counted by the state that it is left in.
                        self.body(direction, used as u64);
                        observer.malformed(direction, element);
                        self.break_chunks(direction, piece.began.at_ns, observer);
                        let rest = data.len().saturating_sub(used) as u64;
                        self.pass_uncounted(direction, rest);
                        data.len()
                    }
                }
            }
            State::UntilClose | State::Adrift { .. } | State::Tunnel { .. } => {
                if self.lane(direction).state == State::UntilClose {
                    self.show(piece, data, observer);
                } else {
                    self.hide(direction, data.len() as u64, observer);
                }
                self.pass_uncounted(direction, data.len() as u64);
                data.len()
            }
        }
    }

    /// Shows bytes of a response's body to an observer who wants them.
    fn show(&mut self, piece: Piece, data: &[u8], observer: &mut O) {
        if piece.direction == Direction::ToClient
            && self.shows_body
            && let Some(response) = self
                .passing(Direction::ToClient)
                .and_then(|exchange| exchange.response.as_mut())
        {
            observer.body(&mut response.value, piece.began.at_ns, data);
        }
    }

    /// Says that bytes of such a body passed which are not shown.
    pub(super) fn hide(&mut self, direction: Direction, length: u64, observer: &mut O) {
        if direction == Direction::ToClient
            && self.shows_body
            && let Some(response) = self
                .passing(Direction::ToClient)
                .and_then(|exchange| exchange.response.as_mut())
        {
            observer.body_skipped(&mut response.value, length);
        }
    }

    /// Passes `bytes`, not more than are `left`, of a body of known length.
    pub(super) fn pass_length(
        &mut self,
        direction: Direction,
        left: u64,
        bytes: u64,
        observer: &mut O,
    ) {
        self.body(direction, bytes);
        let lane = self.lane(direction);
        let at_ns = lane.last_ns;
        match left.saturating_sub(bytes) {
            0 => self.end_message(direction, at_ns, observer),
            left => lane.state = State::Length(left),
        }
    }

    /// Passes bytes in a state that does not count.
    pub(super) fn pass_uncounted(&mut self, direction: Direction, bytes: u64) {
        self.body(direction, bytes);
        let lane = self.lane(direction);
        if let State::Tunnel { spoken } = &mut lane.state {
            *spoken = true;
        }
        // A response may be among these bytes, so what waits for one can no longer be sure to get it.
        if lane.is_nowhere() && direction == Direction::ToClient {
            self.exchanges.doubt_awaiting(Gaps::default());
        }
    }

    /// The message that is passing in `direction` ends here, and a head is due.
    pub(super) fn end_message(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        let lane = self.lane(direction);
        lane.state = State::Head;
        let Some(ordinal) = lane.message.take() else {
            return;
        };
        if let Some(exchange) = self.exchanges.find(ordinal) {
            exchange.end(direction, at_ns);
        }
        self.finish_if_over(ordinal, at_ns, observer);
    }

    /// Counts bytes behind the head of the message that is passing.
    pub(super) fn body(&mut self, direction: Direction, bytes: u64) {
        if let Some(exchange) = self.passing(direction) {
            exchange.body(direction, bytes);
        }
    }

    /// The exchange whose message is passing in `direction`.
    pub(super) fn passing(
        &mut self,
        direction: Direction,
    ) -> Option<&mut Begun<O::Request, O::Response>> {
        let ordinal = self.lane(direction).message?;
        self.exchanges.find(ordinal)
    }

    pub(super) fn lane(&mut self, direction: Direction) -> &mut Lane {
        match direction {
            Direction::ToServer => &mut self.to_server,
            Direction::ToClient => &mut self.to_client,
        }
    }

    pub(super) fn head_seen(&self) -> bool {
        self.to_server.head_seen || self.to_client.head_seen
    }

    /// Whether only a response would show that this is HTTP.
    pub(super) fn is_doubted(&self) -> bool {
        self.first_request_malformed && !self.head_seen()
    }

    /// Ignores what comes from now on, and lets go of what was held for it.
    pub(super) fn leave(&mut self, phase: Phase) {
        self.phase = phase;
        self.to_server.partial = Vec::new();
        self.to_client.partial = Vec::new();
    }

    /// Ends everything with `outcome`, where nothing better is known.
    pub(super) fn close(&mut self, phase: Phase, outcome: Outcome, at_ns: u64, observer: &mut O) {
        self.exchanges.finish_all(|_| outcome, at_ns, observer);
        self.leave(phase);
    }
}
