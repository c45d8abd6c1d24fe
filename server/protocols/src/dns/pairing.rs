//! Which answer belongs to which query.
//!
//! Owns: the pairing by flow, direction, id and question (name without case, type, class), the time-out, and the counts
//! of all that is not handed over. Refuses: to give an answer to a query that asks something else, whoever sent it: a
//! forged answer differs in just that. An answer that repeats no question (servers that could not read it send such) is
//! given to the only query of its flow and id, and counted as mismatched when there are several.
//!
//! An answer that passes the observer before its query is not found: the query then ends without one.

use std::hash::Hash;

use super::{
    AnswerPart, Counts, Exchange, Malformed, Message, Opcode, Outcome, QueryPart, Reading,
    Transport, Type, Verdict, Way,
    answered::Answered,
    read,
    waiting::{Entry, Found, Slot, Table},
};

/// Bounds of what a [`Pairing`] may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Queries that wait, as many that were given up and whose answers may come late, and (at sixteen octets each) as many
    /// that were answered and may be again. The oldest makes room. One takes a few hundred octets; 1.3 KB when its name is
    /// as long as can be.
    pub max_waiting: usize,
    /// How long an answer is waited for behind the last try; past queries are remembered for as long again. Stub
    /// resolvers wait 5 s.
    pub timeout_ns: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_waiting: 4096,
            timeout_ns: 10_000_000_000,
        }
    }
}

/// Queries that wait for an answer. `K` is the caller's key of a flow: one for both ways.
#[derive(Debug)]
pub struct Pairing<K> {
    table: Table<K>,
    answered: Answered,
    timeout_ns: u64,
    counts: Counts,
}

impl<K: Hash + Eq + Copy> Pairing<K> {
    /// Nothing waits.
    pub fn new(limits: Limits) -> Self {
        Self {
            table: Table::new(limits.max_waiting),
            answered: Answered::new(limits.max_waiting),
            timeout_ns: limits.timeout_ns,
            counts: Counts::default(),
        }
    }

    /// A message of `wire_length` octets passed, of which `bytes`, its beginning, was copied. Over TCP, without the
    /// length before it. Exchanges that end with it are given to `ended`.
    #[expect(
        clippy::too_many_arguments,
        reason = "a message is known by all of these, and they are of different types"
    )]
    pub fn message(
        &mut self,
        flow: K,
        way: Way,
        at_ns: u64,
        transport: Transport,
        bytes: &[u8],
        wire_length: usize,
        ended: &mut impl FnMut(Exchange<K>),
    ) -> Verdict {
        let message = match read(bytes, wire_length) {
            Reading::Message(message) => message,
            Reading::Cut => {
                self.counts.cut += 1;
                return Verdict::Cut;
            }
            Reading::Malformed(Malformed::Header) => {
                self.counts.not_dns += 1;
                return Verdict::NotDns;
            }
            Reading::Malformed(element) => {
                self.counts.malformed += 1;
                return Verdict::Malformed(element);
            }
        };
        if message.opcode.name().is_none() {
            self.counts.not_dns += 1;
            return Verdict::NotDns;
        }
        self.counts.flawed += u64::from(message.flaw.is_some());
        if message.opcode != Opcode::QUERY {
            self.counts.others += 1;
            return Verdict::Other(message.opcode);
        }
        let asked = if message.response {
            way.opposite()
        } else {
            way
        };
        let slot = Slot {
            flow,
            asked,
            id: message.id,
        };
        let passed = Passed {
            at_ns,
            transport,
            wire_length,
        };
        if message.response {
            self.response(slot, passed, message, ended);
            Verdict::Response
        } else {
            self.query(slot, passed, message, ended);
            Verdict::Query
        }
    }

    /// The network said at `at_ns` that it could not deliver the query that `flow` asked with this id: it waits no longer. An
    /// answer that comes all the same is late. False when there is no such query, or several.
    pub fn undelivered(
        &mut self,
        flow: K,
        asked: Way,
        id: u16,
        at_ns: u64,
        ended: &mut impl FnMut(Exchange<K>),
    ) -> bool {
        let slot = Slot { flow, asked, id };
        let Found::Waiting(place) = self.table.find(&slot, None, true) else {
            return false;
        };
        let until_ns = at_ns.saturating_add(self.timeout_ns);
        let Some(entry) = self.table.give_up(place, until_ns) else {
            return false;
        };
        ended(exchange(entry, Outcome::Undelivered, None));
        true
    }

    /// Gives up on queries whose time is over at `now_ns`.
    pub fn tick(&mut self, now_ns: u64, ended: &mut impl FnMut(Exchange<K>)) {
        self.table.forget_until(now_ns);
        while let Some((place, entry)) = self.table.oldest() {
            if entry.query.last_at_ns.saturating_add(self.timeout_ns) > now_ns {
                break;
            }
            let until_ns = now_ns.saturating_add(self.timeout_ns);
            if let Some(entry) = self.table.give_up(place, until_ns) {
                ended(exchange(entry, Outcome::NoAnswer, None));
            }
        }
    }

    /// The observer stops looking at `now_ns`: nothing waits any longer.
    pub fn finish(&mut self, now_ns: u64, ended: &mut impl FnMut(Exchange<K>)) {
        self.tick(now_ns, ended);
        while let Some(entry) = self.table.pop() {
            ended(exchange(entry, Outcome::Unfinished, None));
        }
    }

    /// What passed so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many queries wait.
    pub fn waiting(&self) -> usize {
        self.table.waiting()
    }

    fn query(
        &mut self,
        slot: Slot<K>,
        passed: Passed,
        message: Message,
        ended: &mut impl FnMut(Exchange<K>),
    ) {
        self.counts.queries += 1;
        match self.table.find(&slot, message.question.as_ref(), false) {
            Found::Waiting(place) => {
                self.counts.retries += 1;
                self.table.retry(place, passed.at_ns);
                return;
            }
            // Its answers could not be told from those of the new one.
            Found::GivenUp(place) => drop(self.table.take(place)),
            Found::Mismatch | Found::Nothing => {}
        }
        let query = QueryPart {
            at_ns: passed.at_ns,
            last_at_ns: passed.at_ns,
            retries: 0,
            wire_length: passed.wire_length,
            flags: message.flags,
            edns: message.edns,
        };
        let entry = Entry {
            slot,
            transport: passed.transport,
            question: message.question,
            query,
        };
        for entry in self.table.push(entry) {
            self.counts.evicted += 1;
            ended(exchange(entry, Outcome::Unfinished, None));
        }
    }

    fn response(
        &mut self,
        slot: Slot<K>,
        passed: Passed,
        message: Message,
        ended: &mut impl FnMut(Exchange<K>),
    ) {
        self.counts.responses += 1;
        let any = message.question.is_none();
        let until_ns = passed.at_ns.saturating_add(self.timeout_ns);
        let found = self.table.find(&slot, message.question.as_ref(), any);
        let (place, outcome) = match found {
            Found::Waiting(place) => (Some(place), Outcome::Answered),
            Found::GivenUp(place) => (Some(place), Outcome::AnsweredLate),
            Found::Mismatch | Found::Nothing => (None, Outcome::AnswerOnly),
        };
        let entry = place.and_then(|place| self.table.take(place));
        if let Some(entry) = &entry {
            let question = entry.question.as_ref();
            self.answered.remember(&slot, question, until_ns);
        } else if !(any && found == Found::Mismatch)
            && let Some(kind) = self
                .answered
                .find(&slot, message.question.as_ref(), passed.at_ns)
        {
            return self.again(kind, passed.transport);
        } else if found == Found::Mismatch {
            self.counts.mismatched += 1;
            return;
        }
        let Message {
            question,
            answers,
            flags,
            rcode,
            edns,
            answers_cut,
            flaw,
            ..
        } = message;
        let answer = AnswerPart {
            at_ns: passed.at_ns,
            wire_length: passed.wire_length,
            rcode,
            flags,
            answers,
            answers_cut,
            edns,
            flaw,
        };
        ended(match entry {
            Some(entry) => exchange(entry, outcome, Some(answer)),
            None => Exchange {
                flow: slot.flow,
                asked: slot.asked,
                transport: passed.transport,
                id: slot.id,
                question,
                query: None,
                answer: Some(answer),
                outcome,
            },
        });
    }

    /// An answer to what was answered.
    fn again(&mut self, asked: Type, transport: Transport) {
        let transfer = matches!(asked, Type::AXFR | Type::IXFR) && transport == Transport::Tcp;
        if transfer {
            self.counts.continued += 1;
        } else {
            self.counts.duplicates += 1;
        }
    }
}

/// How a message passed.
#[derive(Clone, Copy)]
struct Passed {
    at_ns: u64,
    transport: Transport,
    wire_length: usize,
}

fn exchange<K>(entry: Entry<K>, outcome: Outcome, answer: Option<AnswerPart>) -> Exchange<K> {
    Exchange {
        flow: entry.slot.flow,
        asked: entry.slot.asked,
        transport: entry.transport,
        id: entry.slot.id,
        question: entry.question,
        query: Some(entry.query),
        answer,
        outcome,
    }
}
