//! Messages: what a head begins.
//!
//! Owns: showing the head to the observer, giving it its exchange, starting its body. Refuses: to read heads (`heads`,
//! `head`) and to end bodies (`connection`, `adrift`).

use super::connection::Phase;
use super::framing::{Announcement, Framing, Method};
use super::lane::{Began, State};
use super::repeats::RequestFacts;
use super::{
    Connection, Direction, Gaps, MalformedElement, Observer, Outcome, RequestPart, ResponsePart,
};

impl<O: Observer> Connection<O> {
    /// `value` is asked for what the observer makes of the head.
    pub(super) fn begin_request(
        &mut self,
        began: Began,
        facts: RequestFacts,
        length: usize,
        gaps: Gaps,
        observer: &mut O,
        value: impl FnOnce(&mut O) -> O::Request,
    ) {
        let at_ns = self.to_server.last_ns;
        if began.fresh_turn {
            self.infer_response_end(at_ns, observer);
        }
        let part = RequestPart {
            value: value(observer),
            header_bytes: length as u64,
            body_bytes: 0,
            first_byte_ns: began.at_ns,
            last_byte_ns: None,
            first_tag: began.tag,
        };
        let gaps = gaps.with(self.joined_gap());
        let RequestFacts {
            method,
            mut framing,
        } = facts;
        if self.exchanges.has_room(self.limits.max_pipelined) {
            self.to_server.message = Some(self.exchanges.begin(method, part, gaps));
            if method == Method::Connect && !matches!(framing, Framing::Unseen { .. }) {
                framing = Framing::Tunnel;
            }
        } else {
            self.exchanges.pass_on(part, gaps, at_ns, observer);
            self.to_server.message = None;
        }
        self.to_server.head_seen = true;
        self.requests_unseen = Gaps::default();
        self.begin_body(Direction::ToServer, framing, observer);
    }

    /// As above; not asked for an interim response.
    pub(super) fn begin_response(
        &mut self,
        began: Began,
        announcement: Announcement,
        length: usize,
        gaps: Gaps,
        observer: &mut O,
        value: impl FnOnce(&mut O) -> O::Response,
    ) {
        let joined = self.joined_gap();
        if self.is_doubted() {
            observer.malformed(Direction::ToServer, MalformedElement::RequestLine);
            self.exchanges.begin_malformed();
        }
        self.to_client.head_seen = true;
        let status = announcement.status;
        if matches!(status, 100..=199) && status != 101 {
            if let Some(exchange) = self.exchanges.awaiting() {
                exchange.interim.push(status);
                exchange.gaps.add(gaps);
            }
            let framing = announcement.framing(Method::Unseen);
            return self.begin_body(Direction::ToClient, framing, observer);
        }
        let part = ResponsePart {
            value: value(observer),
            header_bytes: length as u64,
            body_bytes: 0,
            first_byte_ns: began.at_ns,
            last_byte_ns: None,
            first_tag: began.tag,
        };
        self.shows_body = observer.wants_body(&part.value);
        if self.exchanges.awaiting().is_none() {
            self.exchanges.answer_unkept();
            self.exchanges
                .begin_unseen(joined.with(self.requests_unseen));
        }
        let Some(exchange) = self.exchanges.awaiting() else {
            return;
        };
        exchange.response = Some(part);
        exchange.gaps.add(gaps);
        let (ordinal, method) = (exchange.ordinal, exchange.method);
        self.to_client.message = Some(ordinal);
        let framing = announcement.framing(method);
        if method == Method::Connect && framing != Framing::Tunnel {
            self.refuse_tunnel();
        }
        self.begin_body(Direction::ToClient, framing, observer);
    }

    fn begin_body(&mut self, direction: Direction, framing: Framing, observer: &mut O) {
        let lane = self.lane(direction);
        let at_ns = lane.last_ns;
        lane.state = match framing {
            Framing::Length(0) => return self.end_message(direction, at_ns, observer),
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(super::chunked::Chunks::start()),
            Framing::UntilClose => State::UntilClose,
            Framing::Unseen { chunked } => State::Adrift { chunked },
            Framing::Faulty(element) => {
                lane.state = State::Adrift {
                    chunked: Some(false),
                };
                return observer.malformed(direction, element);
            }
            Framing::Tunnel => return self.begin_tunnel(direction, at_ns, observer),
        };
    }

    /// A CONNECT has no body, and what follows it waits for the answer. The answer ends HTTP on this connection.
    fn begin_tunnel(&mut self, direction: Direction, at_ns: u64, observer: &mut O) {
        self.end_message(direction, at_ns, observer);
        match direction {
            Direction::ToServer => self.to_server.state = State::Tunnel { spoken: false },
            Direction::ToClient => {
                self.exchanges.finish_answered(at_ns, observer);
                self.close(Phase::Upgraded, Outcome::Truncated, at_ns, observer);
            }
        }
    }

    fn refuse_tunnel(&mut self) {
        if let State::Tunnel { spoken } = self.to_server.state {
            self.to_server.state = if spoken { State::NOWHERE } else { State::Head };
        }
    }

    /// The first message of a stream joined in the middle: its counterpart may not be the right one.
    fn joined_gap(&self) -> Gaps {
        if self.joined_midstream && !self.head_seen() {
            Gaps::JOINED_MIDSTREAM
        } else {
            Gaps::default()
        }
    }
}
