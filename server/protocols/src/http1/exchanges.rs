//! The exchanges of a connection that have begun and not ended, in order.
//!
//! Owns: the pairing. A response belongs to the first request that has none (RFC 9112, 9.3.2). Refuses: to guess where
//! that order may be broken: exchanges whose response may have passed unseen are *doubtful*, and a response that could
//! belong to one of several is given to none.

use std::collections::VecDeque;

use super::framing::Method;
use super::{Direction, Exchange, Gaps, Interim, Observer, Outcome, RequestPart, ResponsePart};

/// An exchange that has begun.
#[derive(Debug)]
pub(super) struct Begun<Q, S> {
    pub(super) ordinal: u32,
    pub(super) request: Option<RequestPart<Q>>,
    /// The request is at its end, or was not seen at all.
    pub(super) request_ended: bool,
    pub(super) response: Option<ResponsePart<S>>,
    pub(super) response_ended: bool,
    pub(super) method: Method,
    pub(super) interim: Interim,
    pub(super) gaps: Gaps,
    /// Its response may have passed unseen.
    pub(super) doubtful: bool,
}

impl<Q, S> Begun<Q, S> {
    fn new(ordinal: u32, method: Method, request: Option<RequestPart<Q>>) -> Self {
        Self {
            ordinal,
            request_ended: request.is_none(),
            request,
            response: None,
            response_ended: false,
            method,
            interim: Interim::default(),
            gaps: Gaps::default(),
            doubtful: false,
        }
    }

    /// Counts bytes behind the head of one of its messages.
    pub(super) fn body(&mut self, direction: Direction, bytes: u64) {
        let counter = match direction {
            Direction::ToServer => self.request.as_mut().map(|part| &mut part.body_bytes),
            Direction::ToClient => self.response.as_mut().map(|part| &mut part.body_bytes),
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(bytes);
        }
    }

    /// Ends one of its messages.
    pub(super) fn end(&mut self, direction: Direction, at_ns: u64) {
        match direction {
            Direction::ToServer => {
                self.request_ended = true;
                if let Some(part) = &mut self.request {
                    part.last_byte_ns = Some(at_ns);
                }
            }
            Direction::ToClient => {
                self.response_ended = true;
                if let Some(part) = &mut self.response {
                    part.last_byte_ns = Some(at_ns);
                }
            }
        }
    }

    /// Its outcome if `otherwise` is what kept its response from ending.
    fn outcome(&self, otherwise: Outcome) -> Outcome {
        match (&self.request, self.method) {
            (None, Method::Malformed) => Outcome::Malformed,
            (None, _) => Outcome::RequestNotSeen,
            (Some(_), _) if self.response_ended => Outcome::Complete,
            (Some(_), _) if self.doubtful => Outcome::Truncated,
            (Some(_), _) => otherwise,
        }
    }
}

#[derive(Debug)]
pub(super) struct Exchanges<Q, S> {
    pub(super) begun: VecDeque<Begun<Q, S>>,
    next_ordinal: u32,
    /// Requests behind those in `begun` that were handed over already since there was no room; their responses come
    /// behind those of `begun`, so while there are any nothing new is kept.
    unkept: u64,
}

impl<Q, S> Exchanges<Q, S> {
    pub(super) fn new() -> Self {
        Self {
            begun: VecDeque::new(),
            next_ordinal: 0,
            unkept: 0,
        }
    }

    /// Begins an exchange with its request.
    pub(super) fn begin(&mut self, method: Method, request: RequestPart<Q>, gaps: Gaps) -> u32 {
        self.push(method, Some(request), gaps)
    }

    /// Begins an exchange for a response without a request.
    pub(super) fn begin_unseen(&mut self, gaps: Gaps) {
        self.push(Method::Unseen, None, gaps);
    }

    /// Begins an exchange for the answer (400) to bytes that are no request, so that it finds its place.
    pub(super) fn begin_malformed(&mut self) {
        self.push(Method::Malformed, None, Gaps::default());
    }

    fn push(&mut self, method: Method, request: Option<RequestPart<Q>>, gaps: Gaps) -> u32 {
        let ordinal = self.next_ordinal;
        self.next_ordinal = ordinal.wrapping_add(1);
        self.begun.push_back(Begun {
            gaps,
            ..Begun::new(ordinal, method, request)
        });
        ordinal
    }

    pub(super) fn has_room(&self, max: usize) -> bool {
        self.unkept == 0 && self.begun.len() < max
    }

    /// Hands over a request that there is no room for.
    pub(super) fn pass_on<O>(
        &mut self,
        request: RequestPart<Q>,
        gaps: Gaps,
        end_ns: u64,
        observer: &mut O,
    ) where
        O: Observer<Request = Q, Response = S>,
    {
        self.unkept += 1;
        let mut exchange = Begun::new(self.next_ordinal, Method::Other, Some(request));
        exchange.gaps = gaps;
        self.next_ordinal = self.next_ordinal.wrapping_add(1);
        hand_over(exchange, Outcome::Truncated, end_ns, observer);
    }

    pub(super) fn find(&mut self, ordinal: u32) -> Option<&mut Begun<Q, S>> {
        // Nearly always the first; and the caller's limit bounds the rest.
        self.begun
            .iter_mut()
            .find(|exchange| exchange.ordinal == ordinal)
    }

    /// The exchange that the next final response belongs to.
    pub(super) fn awaiting(&mut self) -> Option<&mut Begun<Q, S>> {
        self.begun
            .iter_mut()
            .find(|exchange| exchange.response.is_none())
    }

    /// The next response answers a request that was not kept; only asked when nothing is awaiting.
    pub(super) fn answer_unkept(&mut self) {
        self.unkept = self.unkept.saturating_sub(1);
    }

    pub(super) fn doubt_awaiting(&mut self, gaps: Gaps) {
        for exchange in self
            .begun
            .iter_mut()
            .filter(|exchange| exchange.response.is_none())
        {
            exchange.doubtful = true;
            exchange.gaps.add(gaps);
        }
    }

    /// Ends the doubt before a response whose place was lost. One that is alone gets the response, since there is no
    /// other request that it could answer. Else the doubtful ones are given up: a later request was sent, most likely,
    /// after their responses had passed, and among several doubtful ones there is no telling.
    pub(super) fn settle_doubt<O>(&mut self, end_ns: u64, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        let awaiting = self
            .begun
            .iter()
            .filter(|exchange| exchange.response.is_none())
            .count();
        if awaiting == 1 {
            self.begun
                .iter_mut()
                .for_each(|exchange| exchange.doubtful = false);
        }
        while let Some(at) = self.begun.iter().position(|exchange| exchange.doubtful) {
            self.remove(at, Outcome::Truncated, end_ns, observer);
        }
    }

    /// Hands over the exchange at `ordinal`, if both its messages are at their end.
    pub(super) fn finish_if_ended<O>(&mut self, ordinal: u32, end_ns: u64, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        let over = |exchange: &Begun<Q, S>| exchange.request_ended && exchange.response_ended;
        if let Some(at) = self
            .begun
            .iter()
            .position(|exchange| exchange.ordinal == ordinal && over(exchange))
        {
            self.remove(at, Outcome::Complete, end_ns, observer);
        }
    }

    /// Hands over the exchange at `ordinal` whatever is missing.
    pub(super) fn finish<O>(
        &mut self,
        ordinal: u32,
        outcome: Outcome,
        end_ns: u64,
        observer: &mut O,
    ) where
        O: Observer<Request = Q, Response = S>,
    {
        if let Some(at) = self
            .begun
            .iter()
            .position(|exchange| exchange.ordinal == ordinal)
        {
            self.remove(at, outcome, end_ns, observer);
        }
    }

    /// Hands over all exchanges.
    pub(super) fn finish_all<O>(
        &mut self,
        outcome: impl Fn(&Begun<Q, S>) -> Outcome,
        end_ns: u64,
        observer: &mut O,
    ) where
        O: Observer<Request = Q, Response = S>,
    {
        while let Some(first) = self.begun.front() {
            let outcome = outcome(first);
            self.remove(0, outcome, end_ns, observer);
        }
    }

    /// Hands over the exchanges whose response has ended.
    pub(super) fn finish_answered<O>(&mut self, end_ns: u64, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        while let Some(at) = self
            .begun
            .iter()
            .position(|exchange| exchange.response_ended)
        {
            self.remove(at, Outcome::Complete, end_ns, observer);
        }
    }

    fn remove<O>(&mut self, at: usize, otherwise: Outcome, end_ns: u64, observer: &mut O)
    where
        O: Observer<Request = Q, Response = S>,
    {
        let Some(exchange) = self.begun.remove(at) else {
            return;
        };
        // Bytes that were no request and got no answer are counted as malformed and nothing else.
        if exchange.request.is_some() || exchange.response.is_some() {
            let outcome = exchange.outcome(otherwise);
            hand_over(exchange, outcome, end_ns, observer);
        }
    }
}

fn hand_over<O: Observer>(
    exchange: Begun<O::Request, O::Response>,
    outcome: Outcome,
    end_ns: u64,
    observer: &mut O,
) {
    let Begun {
        ordinal,
        request,
        response,
        interim,
        gaps,
        ..
    } = exchange;
    observer.exchange(Exchange {
        ordinal,
        request,
        response,
        interim,
        outcome,
        end_ns,
        gaps,
        stream: None,
    });
}
