//! What is handed over: a query with its answer, or the lack of one.
//!
//! Owns: the shape of an exchange and the names of its outcomes. Refuses: to say what an outcome means for the program
//! that asked.

use super::{Answers, Flags, Malformed, Question, Rcode, Transport, Way, records::Edns};

/// A query with its answer, or the lack of one, or an answer without its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange<K> {
    /// The caller's key.
    pub flow: K,
    /// Which way the query went, or would have gone.
    pub asked: Way,
    /// What carried it.
    pub transport: Transport,
    /// The id that both messages have.
    pub id: u16,
    /// What was asked, as the query wrote it; as the answer repeats it when the query was not seen.
    pub question: Option<Question>,
    /// The query, when it was seen.
    pub query: Option<QueryPart>,
    /// The answer, when there was one.
    pub answer: Option<AnswerPart>,
    /// How it ended.
    pub outcome: Outcome,
}

impl<K> Exchange<K> {
    /// From the first try to the answer.
    pub fn latency_ns(&self) -> Option<u64> {
        let (query, answer) = (self.query.as_ref()?, self.answer.as_ref()?);
        Some(answer.at_ns.saturating_sub(query.at_ns))
    }

    /// Whether the answer says that it did not fit (TC): the client will ask again over TCP.
    pub fn truncated(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|answer| answer.flags.contains(Flags::TRUNCATED))
    }
}

/// A query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPart {
    /// When it passed first.
    pub at_ns: u64,
    /// When it passed last: the same as `at_ns` unless it was tried again.
    pub last_at_ns: u64,
    /// How often the same query passed again before an answer did.
    pub retries: u32,
    /// Octets of the first one, without the length that TCP puts before it.
    pub wire_length: usize,
    /// Its flags.
    pub flags: Flags,
    /// What it says about EDNS.
    pub edns: Option<Edns>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerPart {
    /// When it passed.
    pub at_ns: u64,
    /// Octets of it, without the length that TCP puts before it.
    pub wire_length: usize,
    /// How the server answered.
    pub rcode: Rcode,
    /// Its flags.
    pub flags: Flags,
    /// What its answer section holds.
    pub answers: Answers,
    /// Whether there was more of it than was looked at.
    pub answers_cut: bool,
    /// What it says about EDNS.
    pub edns: Option<Edns>,
    /// What was wrong behind its question.
    pub flaw: Option<Malformed>,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// An answer without its query: that was not seen.
    AnswerOnly,
    /// The answer came. What it says is another matter.
    Answered,
    /// The answer came when the query had been handed over as [`Outcome::NoAnswer`] or [`Outcome::Undelivered`] already, and
    /// there is no exchange of it with both but this.
    AnsweredLate,
    /// No answer within the time-out behind the last try.
    NoAnswer,
    /// The network gave the query back: it did not arrive.
    Undelivered,
    /// No answer so far, and the observer waits no longer, for its own reasons (no room, end of the recording).
    Unfinished,
}
