//! DNS: one question with its answer, or the lack of one; and what an answer says of a later connection.

use std::net::IpAddr;

use headwater_redact::Text;

use crate::{ConnectionEnd, ConnectionKey, IcmpError};

/// Names a DNS exchange while the recorder lives; the store gives it its lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsKey(pub u64);

/// How a DNS exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DnsOutcome {
    /// The answer came. What it says is another matter.
    Answered,
    /// The answer came after the query had been told as `NoAnswer` or `Unreachable`.
    AnsweredLate,
    /// No answer came in time.
    NoAnswer,
    /// The answer was seen and its query was not.
    QueryNotSeen,
    /// No answer was seen until the recorder stopped to look, for its own reasons.
    Unfinished,
    /// ICMP told that the query did not arrive.
    Unreachable,
}

/// What carried a DNS message: `network.transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsQuestion {
    /// `dns.question.name`, redacted as a host name, in lower case.
    pub name: Text,
    /// The type's number (IANA).
    pub kind: u16,
    /// The class's number.
    pub class: u16,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsAnswer {
    /// When.
    pub at_ns: u64,
    /// Response code, with the upper bits of EDNS.
    pub rcode: u16,
    /// The server is an authority for the name (AA).
    pub authoritative: bool,
    /// The answer did not fit (TC): the client is to ask over TCP.
    pub truncated: bool,
    /// Addresses in order, at most sixteen.
    pub addresses: Vec<IpAddr>,
    /// How many addresses there were.
    pub address_count: u16,
    /// What the aliases (CNAME) stand for, in order, at most sixteen; redacted as host names.
    pub aliases: Vec<Text>,
    /// Records of other types.
    pub other_count: u16,
    /// The least time to live of all records, in seconds.
    pub minimum_ttl_s: Option<u32>,
    /// Bytes of the message.
    pub bytes: u32,
    /// There was more of it than was looked at.
    pub is_cut: bool,
}

/// One DNS exchange, given to the store once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsExchange {
    /// Its name in this recorder's life.
    pub key: DnsKey,
    /// Who asked.
    pub client: ConnectionEnd,
    /// Who was asked.
    pub server: ConnectionEnd,
    /// What carried it.
    pub transport: Transport,
    /// The connection, over TCP.
    pub connection: Option<ConnectionKey>,
    /// The id in the messages.
    pub id: u16,
    /// What was asked, where the message said so.
    pub question: Option<DnsQuestion>,
    /// When the query passed first or, unseen, when the answer did.
    pub start_ns: u64,
    /// How often the query was sent again.
    pub retries: u32,
    /// Bytes of the query; 0 when it was not seen.
    pub query_bytes: u32,
    /// The answer, when there was one.
    pub answer: Option<DnsAnswer>,
    /// How it ended.
    pub outcome: DnsOutcome,
    /// The message of ICMP by which it is `Unreachable`.
    pub icmp: Option<Box<IcmpError>>,
    /// When that was decided.
    pub end_ns: u64,
}

impl DnsExchange {
    /// From the first try to the answer.
    pub fn latency_ns(&self) -> Option<u64> {
        let answer = self.answer.as_ref()?;
        (self.outcome != DnsOutcome::QueryNotSeen)
            .then(|| answer.at_ns.saturating_sub(self.start_ns))
    }
}

/// The name that a connection's address was learned by: the newest answer before it that held the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The exchange.
    pub exchange: DnsKey,
    /// The name that was asked for.
    pub name: Text,
    /// From the answer to the connection's start.
    pub before_ns: u64,
    /// Who asked for it.
    pub asked_by: AskedBy,
}

/// Who asked for a name, of those who may have asked on a client's behalf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// The client's own process.
    Process,
    /// Somebody in its network namespace: itself through a resolver's daemon, or another.
    Namespace,
    /// Somebody at its address, which is all that a capture file knows.
    Address,
}

impl Resolution {
    /// Whether the server may be called by the name. Two processes may mean two names by one address, so only the client's
    /// own question tells.
    pub fn names_its_server(&self) -> bool {
        self.asked_by == AskedBy::Process
    }
}
