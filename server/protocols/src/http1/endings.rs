//! The end of a direction, or of the sight of it, and what it makes of the exchanges that are open.
//!
//! Owns: the outcomes. A client's FIN decides nothing by itself: it may be a half-close, and the response still comes.
//! Refuses: to call a response incomplete that the end of its connection completes (RFC 9112, 6.3, rule 8).

use super::connection::Phase;
use super::lane::State;
use super::{Connection, Direction, End, Gaps, Observer, Outcome};

impl<O: Observer> Connection<O> {
    /// `direction` ended. A reset, a timeout and an eviction end both directions.
    pub fn end(&mut self, direction: Direction, at_ns: u64, how: End, observer: &mut O) {
        if self.phase != Phase::Open {
            return;
        }
        match how {
            End::Fin => match direction {
                Direction::ToServer => self.client_fin(at_ns, observer),
                Direction::ToClient => self.server_fin(at_ns, observer),
            },
            End::Reset => {
                self.cut_by_end(Direction::ToServer, None, observer);
                self.cut_by_end(Direction::ToClient, None, observer);
                match direction {
                    Direction::ToServer => {
                        self.close(Phase::Closed, Outcome::ClientGaveUp, at_ns, observer);
                    }
                    Direction::ToClient => self.server_reset(at_ns, observer),
                }
            }
            End::TimedOut => self.cut_and_close(None, Outcome::TimedOut, at_ns, observer),
            End::Evicted => {
                self.cut_and_close(Some(Gaps::default()), Outcome::Truncated, at_ns, observer);
            }
        }
    }

    fn client_fin(&mut self, at_ns: u64, observer: &mut O) {
        self.to_server.ended = true;
        if matches!(self.to_server.state, State::Adrift { .. }) {
            self.infer_end(Direction::ToServer, at_ns, observer);
        }
        self.cut_by_end(Direction::ToServer, None, observer);
        // The rest of a request that was answered early will not come.
        self.exchanges.finish_answered(at_ns, observer);
        if self.to_client.ended {
            self.close(Phase::Closed, Outcome::ServerClosed, at_ns, observer);
        }
    }

    fn server_fin(&mut self, at_ns: u64, observer: &mut O) {
        let last_ns = self.to_client.last_ns;
        match self.to_client.state {
            State::UntilClose => {
                if let Some(exchange) = self.passing(Direction::ToClient) {
                    exchange.end(Direction::ToClient, last_ns);
                }
            }
            State::Adrift { .. } => self.infer_end(Direction::ToClient, at_ns, observer),
            State::Head | State::Length(_) | State::Chunked(_) | State::Tunnel { .. } => {}
        }
        self.cut_by_end(Direction::ToClient, None, observer);
        let client_first = self.to_server.ended;
        self.to_client.ended = true;
        self.to_client.message = None;
        let outcome = if client_first {
            Outcome::ClientGaveUp
        } else {
            Outcome::ServerClosed
        };
        self.exchanges.finish_all(|_| outcome, at_ns, observer);
        if client_first {
            self.leave(Phase::Closed);
        }
    }

    /// A server that is left by its client in the middle of a request closes with unread bytes, which makes TCP send a
    /// reset (RFC 9112, 9.6): then it was the client that gave up.
    fn server_reset(&mut self, at_ns: u64, observer: &mut O) {
        let client_first = self.to_server.ended;
        self.exchanges.finish_all(
            |exchange| {
                if client_first && !exchange.request_ended {
                    Outcome::ClientGaveUp
                } else {
                    Outcome::ServerReset
                }
            },
            at_ns,
            observer,
        );
        self.leave(Phase::Closed);
    }

    fn cut_and_close(
        &mut self,
        unseen: Option<Gaps>,
        outcome: Outcome,
        at_ns: u64,
        observer: &mut O,
    ) {
        self.cut_by_end(Direction::ToServer, unseen, observer);
        self.cut_by_end(Direction::ToClient, unseen, observer);
        self.close(Phase::Closed, outcome, at_ns, observer);
    }

    /// Shows the beginning of a head whose end will not come.
    fn cut_by_end(&mut self, direction: Direction, unseen: Option<Gaps>, observer: &mut O) {
        let lane = self.lane(direction);
        if lane.partial.is_empty() {
            return;
        }
        let (began, partial) = (lane.began, std::mem::take(&mut lane.partial));
        self.cut_head(direction, began, &partial, unseen, observer);
    }
}
