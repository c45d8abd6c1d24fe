//! Bytes that passed and are not here.
//!
//! Owns: what can still be said behind them. Within a body of known length or within one chunk nothing is lost; else the
//! place in the stream is, and the gaps of the exchanges concerned say so. Refuses: to guess what the bytes were.

use super::connection::Phase;
use super::lane::State;
use super::{Connection, Direction, Gaps, Observer, Skip, Tail};

/// No message is shorter (`GET / HTTP/1.0` and two line ends), so fewer uncopied bytes behind one are at most an empty
/// line, which some clients send (RFC 9112, 2.2).
const SHORTEST_MESSAGE: u64 = 16;

impl Skip {
    fn gap(self) -> Gaps {
        match self {
            Self::NotCopied => Gaps::default(),
            Self::RecordsLost => Gaps::RECORDS_LOST,
            Self::CaptureHole => Gaps::CAPTURE_HOLE,
        }
    }

    /// The gap of messages that may stand in the bytes behind the one that is passing.
    fn gap_behind(self) -> Gaps {
        match self {
            Self::NotCopied => Gaps::BEHIND_BODY,
            Self::RecordsLost | Self::CaptureHole => self.gap(),
        }
    }
}

impl<O: Observer> Connection<O> {
    /// `count` bytes passed, the last of them at `at_ns`, and are not here. A loss of unknown size has a `count` of 0.
    pub fn skipped(
        &mut self,
        direction: Direction,
        at_ns: u64,
        count: u64,
        why: Skip,
        tail: Tail,
        observer: &mut O,
    ) {
        if self.phase != Phase::Open || (count == 0 && why == Skip::NotCopied) {
            return;
        }
        let lane = self.lane(direction);
        if lane.state == State::Head && !lane.partial.is_empty() {
            let (began, partial) = (lane.began, std::mem::take(&mut lane.partial));
            self.cut_head(direction, began, &partial, Some(why.gap()), observer);
            if self.phase != Phase::Open {
                return;
            }
        }
        self.lane(direction).last_ns = at_ns;
        if let Some(exchange) = self.passing(direction) {
            exchange.gaps.add(why.gap());
        }
        self.hide(direction, count, observer);
        match self.lane(direction).state {
            State::Head => self.skip_between(direction, count, why),
            State::Length(left) if count > 0 => {
                self.skip_length(direction, left, count, why, observer);
            }
            State::Chunked(chunks) => {
                if let Some(chunks) = chunks.skip(count) {
                    self.body(direction, count);
                    self.lane(direction).state = State::Chunked(chunks);
                } else {
                    self.lane(direction).state = State::Adrift {
                        chunked: Some(true),
                    };
                    self.skip_adrift(direction, count, why, tail, observer);
                }
            }
            State::Length(_) => {
                self.lane(direction).state = State::Adrift {
                    chunked: Some(false),
                };
                self.skip_adrift(direction, count, why, tail, observer);
            }
            State::Adrift { .. } => self.skip_adrift(direction, count, why, tail, observer),
            State::UntilClose | State::Tunnel { .. } => self.pass_uncounted(direction, count),
        }
    }

    /// Where a head was due.
    fn skip_between(&mut self, direction: Direction, count: u64, why: Skip) {
        if why == Skip::NotCopied && count < SHORTEST_MESSAGE {
            return;
        }
        self.lane(direction).state = State::NOWHERE;
        self.lose_place(direction, why.gap_behind());
        // The message before these bytes has ended; its exchange, if it still waits for the response, shows the gap.
        if direction == Direction::ToServer
            && let Some(exchange) = self.exchanges.begun.back_mut()
        {
            exchange.gaps.add(why.gap_behind());
        }
    }

    fn skip_length(
        &mut self,
        direction: Direction,
        left: u64,
        count: u64,
        why: Skip,
        observer: &mut O,
    ) {
        let excess = count.saturating_sub(left);
        let behind = excess >= SHORTEST_MESSAGE || (excess > 0 && why != Skip::NotCopied);
        if behind && let Some(exchange) = self.passing(direction) {
            exchange.gaps.add(why.gap_behind());
        }
        self.pass_length(direction, left, count - excess, observer);
        if behind {
            self.lane(direction).state = State::NOWHERE;
            self.lose_place(direction, why.gap_behind());
        }
    }

    fn skip_adrift(
        &mut self,
        direction: Direction,
        count: u64,
        why: Skip,
        tail: Tail,
        observer: &mut O,
    ) {
        self.pass_uncounted(direction, count);
        let lane = self.lane(direction);
        let at_ns = lane.last_ns;
        let may_be_chunked = !matches!(
            lane.state,
            State::Adrift {
                chunked: Some(false)
            }
        );
        if tail == Tail::LastChunk && may_be_chunked && lane.message.is_some() {
            self.end_message(direction, at_ns, observer);
        } else {
            self.lose_place(direction, why.gap_behind());
        }
    }
}
