//! Messages whose end cannot be counted, and places in a stream that were lost.
//!
//! Owns: what may be inferred, and when. An end is inferred only from bytes that look like a head where the peer's
//! behaviour allows one. Refuses: to search for heads inside a piece: a body may hold one.

use super::connection::Piece;
use super::lane::State;
use super::start_line::looks_like_head;
use super::{Connection, Direction, Gaps, Observer, Outcome};

impl<O: Observer> Connection<O> {
    /// Whether the piece begins a message although the state does not say that one is due.
    pub(super) fn begins_anew(&mut self, piece: Piece, data: &[u8]) -> bool {
        let direction = piece.direction;
        let ignored = direction == Direction::ToServer && self.is_doubted();
        match self.lane(direction).state {
            State::Head | State::Tunnel { .. } => false,
            State::Adrift { .. } => !ignored && looks_like_head(direction, data),
            // Counting says that a body goes on. That is believed, unless a turn begins with a head, and the other side
            // had reason to send one: then bytes have gone missing without a word, or the response was one to a HEAD
            // that was not seen.
            State::Length(_) | State::Chunked(_) | State::UntilClose => {
                piece.began.fresh_turn
                    && self.has_moved_on(direction)
                    && looks_like_head(direction, data)
            }
        }
    }

    fn has_moved_on(&mut self, direction: Direction) -> bool {
        let passing = self.passing(direction);
        match direction {
            Direction::ToServer => passing.is_none_or(|exchange| exchange.response_ended),
            Direction::ToClient => {
                let bodiless = passing.is_none_or(|exchange| {
                    exchange.request.is_none()
                        && exchange
                            .response
                            .as_ref()
                            .is_none_or(|part| part.body_bytes == 0)
                });
                bodiless || self.exchanges.awaiting().is_some()
            }
        }
    }

    /// Ends the message that is passing in `direction` at its latest piece, since something else follows it.
    pub(super) fn infer_end(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        let lane = self.lane(direction);
        let chunked = matches!(
            lane.state,
            State::Chunked(_)
                | State::Adrift {
                    chunked: Some(true)
                }
        );
        lane.state = State::NOWHERE;
        let last_ns = lane.last_ns;
        let Some(ordinal) = lane.message.take() else {
            return;
        };
        if let Some(exchange) = self.exchanges.find(ordinal) {
            exchange.end(direction, last_ns);
            exchange.gaps.add(Gaps::END_INFERRED);
            if chunked {
                exchange.gaps.add(Gaps::TRAILERS_UNSEEN);
            }
        }
        self.finish_if_over(ordinal, at_ns, observer);
    }

    /// Hands over the exchange when both its messages are at their end. A request whose end cannot be counted is over
    /// when its response is: the server read it, or will not.
    pub(super) fn finish_if_over(&mut self, ordinal: u32, at_ns: u64, observer: &mut O) {
        let answered = self
            .exchanges
            .find(ordinal)
            .is_some_and(|exchange| exchange.response_ended);
        if answered
            && self.to_server.message == Some(ordinal)
            && matches!(self.to_server.state, State::Adrift { .. })
        {
            self.infer_end(Direction::ToServer, at_ns, observer);
        } else {
            self.exchanges.finish_if_ended(ordinal, at_ns, observer);
        }
    }

    /// A request begins a turn: a response whose end cannot be counted is over.
    pub(super) fn infer_response_end(&mut self, at_ns: u64, observer: &mut O) {
        if matches!(self.to_client.state, State::Adrift { .. }) && self.to_client.message.is_some()
        {
            self.infer_end(Direction::ToClient, at_ns, observer);
        }
    }

    /// Messages may have passed in `direction` that were not seen: what is due there next is not known.
    pub(super) fn lose_place(&mut self, direction: Direction, gaps: Gaps) {
        match direction {
            Direction::ToServer => self.requests_unseen.add(gaps),
            Direction::ToClient => self.exchanges.doubt_awaiting(gaps),
        }
    }

    /// The chunks of the message in `direction` are none.
    pub(super) fn break_chunks(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        let lane = self.lane(direction);
        lane.state = State::NOWHERE;
        // A server answers a broken request, most likely with 400, so its exchange goes on; a broken response is all
        // that there will be.
        if direction == Direction::ToClient {
            let message = lane.message.take();
            self.lose_place(direction, Gaps::default());
            if let Some(ordinal) = message {
                self.exchanges
                    .finish(ordinal, Outcome::Malformed, at_ns, observer);
            }
        }
    }
}
