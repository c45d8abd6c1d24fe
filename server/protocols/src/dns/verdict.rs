//! What messages were, one by one and in sum.
//!
//! Owns: the names. Whatever does not end as an [`Exchange`](super::Exchange) is in one of the counts.

use super::{Malformed, Opcode};

/// What a message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Too little of it was copied to say more.
    Cut,
    /// Its header is one; its question is not.
    Malformed(Malformed),
    /// It cannot be DNS: no header, or an opcode that nobody has assigned.
    NotDns,
    /// A message that asks or answers nothing (NOTIFY, UPDATE, …): counted, and not paired.
    Other(Opcode),
    /// A query.
    Query,
    /// A response.
    Response,
}

/// What passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Queries, retries included.
    pub queries: u64,
    /// Of these, those that repeat one that waits.
    pub retries: u64,
    /// Responses to queries.
    pub responses: u64,
    /// Of these, those that answer a query that was answered already.
    pub duplicates: u64,
    /// Of these, those that carry on with the transfer of a zone, which takes several (RFC 5936, 2.2).
    pub continued: u64,
    /// Of these, those that have the id of a query that waits, and another question: not handed over.
    pub mismatched: u64,
    /// Messages with something wrong behind their question.
    pub flawed: u64,
    /// Queries that had to make room for others, and ended [`Unfinished`](super::Outcome::Unfinished).
    pub evicted: u64,
    /// [`Verdict::Other`].
    pub others: u64,
    /// [`Verdict::Malformed`].
    pub malformed: u64,
    /// [`Verdict::Cut`].
    pub cut: u64,
    /// [`Verdict::NotDns`].
    pub not_dns: u64,
}
