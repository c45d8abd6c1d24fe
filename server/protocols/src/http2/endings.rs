//! How exchanges end: by themselves, with the connection, or for want of room.

use super::connection::Connection;
use super::{MalformedElement, Observer};
use crate::exchange::{Gaps, Outcome};
use crate::passive::{Direction, End, Verdict};

impl<O: Observer> Connection<O> {
    /// `direction` ended. A reset, a time-out and an eviction end both directions.
    pub fn end(&mut self, direction: Direction, at_ns: u64, how: End, observer: &mut O) {
        if self.closed {
            return;
        }
        let by = self.meant(direction);
        let peer_ended = self.lane(direction.opposite()).ended;
        let lane = self.lane(direction);
        (lane.ended, lane.block, lane.held) = (true, None, Vec::new());
        if (how, by, peer_ended) == (End::Fin, Direction::ToServer, false) {
            // A half-close: responses may still come.
            return;
        }
        while let Some(stream_id) = self.streams.oldest() {
            let request_ended = self
                .streams
                .get(stream_id)
                .is_some_and(|stream| stream.request_ended);
            let outcome = outcome(how, by, peer_ended, request_ended);
            self.cut(stream_id, outcome, at_ns, observer);
        }
        // A client that does not know yet that the server closed may still ask.
        if (how, by, peer_ended) != (End::Fin, Direction::ToClient, false) {
            self.close();
        }
    }

    /// It is no HTTP/2.
    pub(super) fn fail(&mut self, at_ns: u64, observer: &mut O) {
        self.verdict = Verdict::No;
        while let Some(stream_id) = self.streams.oldest() {
            self.finish(stream_id, Outcome::Malformed, at_ns, observer);
        }
        self.close();
    }

    /// A message has ended; with the response, its exchange.
    pub(super) fn end_message(
        &mut self,
        meant: Direction,
        stream_id: u32,
        at_ns: u64,
        observer: &mut O,
    ) {
        let may_lack = self.lane_of(Direction::ToClient).may_lack();
        let Some(stream) = self.streams.get(stream_id) else {
            return;
        };
        if meant == Direction::ToServer {
            if let Some(request) = &mut stream.request
                && !stream.request_ended
            {
                request.last_byte_ns = Some(at_ns);
            }
            stream.request_ended = true;
            return;
        }
        let outcome = match &mut stream.response {
            Some(response) => {
                response.last_byte_ns = Some(at_ns);
                Outcome::Complete
            }
            None if may_lack => {
                stream.gaps.add(Gaps::RESPONSE_HEAD_CUT);
                Outcome::Truncated
            }
            None => Outcome::Malformed,
        };
        if outcome == Outcome::Malformed {
            observer.malformed(Direction::ToClient, MalformedElement::PseudoHeader);
        }
        self.finish(stream_id, outcome, at_ns, observer);
    }

    /// Makes room for a stream.
    pub(super) fn make_room(&mut self, at_ns: u64, observer: &mut O) {
        while self.streams.len() >= self.limits.max_streams
            && let Some(oldest) = self.streams.oldest()
        {
            let lane = self.lane_of(Direction::ToServer);
            lane.facts.streams_evicted = lane.facts.streams_evicted.saturating_add(1);
            self.finish(oldest, Outcome::Truncated, at_ns, observer);
        }
    }

    /// Ends an exchange from outside: what it had come to before that is not known where its end may have been missed.
    fn cut(&mut self, stream_id: u32, outcome: Outcome, at_ns: u64, observer: &mut O) {
        let may_have_ended = self
            .streams
            .get(stream_id)
            .is_some_and(|stream| stream.may_have_ended);
        let outcome = if may_have_ended {
            Outcome::Truncated
        } else {
            outcome
        };
        self.finish(stream_id, outcome, at_ns, observer);
    }

    /// Hands an exchange over.
    pub(super) fn finish(
        &mut self,
        stream_id: u32,
        outcome: Outcome,
        at_ns: u64,
        observer: &mut O,
    ) {
        if let Some(stream) = self.streams.close(stream_id)
            && (stream.request.is_some() || stream.response.is_some())
        {
            observer.exchange(stream.ended(outcome, at_ns));
        }
    }
}

/// The same as in HTTP/1: who ended first is whose doing it was.
fn outcome(how: End, by: Direction, peer_ended: bool, request_ended: bool) -> Outcome {
    match (how, by) {
        (End::Evicted, _) => Outcome::Truncated,
        (End::TimedOut, _) => Outcome::TimedOut,
        (End::Fin | End::Reset, Direction::ToServer) if peer_ended => Outcome::ServerClosed,
        (End::Fin | End::Reset, Direction::ToServer) => Outcome::ClientGaveUp,
        (End::Fin, Direction::ToClient) if peer_ended => Outcome::ClientGaveUp,
        (End::Fin, Direction::ToClient) => Outcome::ServerClosed,
        (End::Reset, Direction::ToClient) if peer_ended && !request_ended => Outcome::ClientGaveUp,
        (End::Reset, Direction::ToClient) => Outcome::ServerReset,
    }
}
