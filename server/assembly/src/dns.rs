//! From the pairing's words to the model's.
//!
//! Owns: the translation of an exchange, with its names redacted, and DNS over TCP as a dialect of a conversation. Does not
//! know who the ends are: whoever does adds them.

use headwater_model::{DnsAnswer, DnsOutcome, DnsQuestion, IcmpError};
use headwater_protocols::dns::{
    Exchange, Flags, Limits, Outcome, Pairing, Stream, Transport, Way, looks_like_message,
};
use headwater_protocols::http1::Direction;
use headwater_redact::Redactor;

/// The port that servers of DNS have (RFC 1035, 4.2).
pub(crate) const PORT: u16 = 53;
/// NetBIOS names (RFC 1002): their messages look alike and are none.
const NETBIOS: u16 = 137;
/// Stub resolvers try again after five seconds; what comes after six is late.
pub(crate) const TIMEOUT_NS: u64 = 6_000_000_000;
/// Bytes kept of a message over TCP.
const MAX_MESSAGE: usize = 4096;
/// Queries that may wait on one connection.
const MAX_WAITING: usize = 64;

/// Whether a port rules DNS out, whatever the bytes look like.
pub(crate) fn is_never(port: u16) -> bool {
    port == NETBIOS
}

/// The parts of an exchange that the messages tell.
pub(crate) struct Told {
    pub(crate) id: u16,
    pub(crate) question: Option<DnsQuestion>,
    pub(crate) start_ns: u64,
    pub(crate) retries: u32,
    pub(crate) query_bytes: u32,
    pub(crate) answer: Option<DnsAnswer>,
    pub(crate) outcome: DnsOutcome,
    /// The message of ICMP by which the query came back.
    pub(crate) icmp: Option<Box<IcmpError>>,
}

/// Translates an exchange that ended at `now_ns`.
pub(crate) fn told<K>(exchange: Exchange<K>, now_ns: u64, redactor: &mut Redactor) -> Told {
    let outcome = match exchange.outcome {
        Outcome::AnswerOnly => DnsOutcome::QueryNotSeen,
        Outcome::Answered => DnsOutcome::Answered,
        Outcome::AnsweredLate => DnsOutcome::AnsweredLate,
        Outcome::NoAnswer => DnsOutcome::NoAnswer,
        Outcome::Undelivered => DnsOutcome::Unreachable,
        Outcome::Unfinished => DnsOutcome::Unfinished,
    };
    // Resolvers mix the case on purpose, and compare without it (RFC 4343).
    let mut host = |name: &str| {
        if name.bytes().any(|octet| octet.is_ascii_uppercase()) {
            redactor.host(name.to_ascii_lowercase().as_bytes())
        } else {
            redactor.host(name.as_bytes())
        }
    };
    let question = exchange.question.map(|question| DnsQuestion {
        name: host(question.name.as_str()),
        kind: question.kind.0,
        class: question.class.0,
    });
    let query = exchange.query;
    let answer = exchange.answer.map(|answer| DnsAnswer {
        at_ns: answer.at_ns,
        rcode: answer.rcode.0,
        authoritative: answer.flags.contains(Flags::AUTHORITATIVE),
        truncated: answer.flags.contains(Flags::TRUNCATED),
        aliases: answer
            .answers
            .aliases
            .iter()
            .map(|name| host(name.as_str()))
            .collect(),
        addresses: answer.answers.addresses,
        address_count: answer.answers.address_count,
        other_count: answer
            .answers
            .others
            .iter()
            .fold(answer.answers.uncounted, |sum, (_, count)| {
                sum.saturating_add(*count)
            }),
        minimum_ttl_s: answer.answers.minimum_ttl_s,
        bytes: u32::try_from(answer.wire_length).unwrap_or(u32::MAX),
        is_cut: answer.answers_cut,
    });
    let asked_ns = query.as_ref().map(|query| query.at_ns);
    let answered_ns = answer.as_ref().map(|answer| answer.at_ns);
    Told {
        id: exchange.id,
        question,
        start_ns: asked_ns.or(answered_ns).unwrap_or(now_ns),
        retries: query.as_ref().map_or(0, |query| query.retries),
        query_bytes: query.map_or(0, |query| {
            u32::try_from(query.wire_length).unwrap_or(u32::MAX)
        }),
        answer,
        outcome,
        icmp: None,
    }
}

/// DNS over one TCP connection.
pub(crate) struct OverTcp {
    streams: [Option<Stream>; 2],
    pairing: Pairing<()>,
    /// Exchanges that ended, and when.
    ended: Vec<(Exchange<()>, u64)>,
}

impl OverTcp {
    pub(crate) fn new() -> Self {
        let limits = Limits {
            max_waiting: MAX_WAITING,
            timeout_ns: TIMEOUT_NS,
        };
        let stream = || Some(Stream::new(MAX_MESSAGE));
        Self {
            streams: [stream(), stream()],
            pairing: Pairing::new(limits),
            ended: Vec::new(),
        }
    }

    pub(crate) fn bytes(&mut self, direction: Direction, at_ns: u64, data: &[u8]) {
        self.with(direction, at_ns, |stream, message| {
            stream.bytes(data, &mut |bytes, length| message(bytes, length));
        });
    }

    pub(crate) fn skipped(&mut self, direction: Direction, at_ns: u64, length: u64) {
        self.with(direction, at_ns, |stream, message| {
            stream.skipped(length, &mut |bytes, length| message(bytes, length));
        });
    }

    fn with(
        &mut self,
        direction: Direction,
        at_ns: u64,
        act: impl FnOnce(&mut Stream, &mut dyn FnMut(&[u8], usize)),
    ) {
        let Self {
            streams,
            pairing,
            ended,
        } = self;
        let (stream, way) = match direction {
            Direction::ToServer => (&mut streams[0], Way::ToServer),
            Direction::ToClient => (&mut streams[1], Way::ToClient),
        };
        let Some(stream) = stream else {
            return;
        };
        act(stream, &mut |bytes, length| {
            pairing.message(
                (),
                way,
                at_ns,
                Transport::Tcp,
                bytes,
                length,
                &mut |found| {
                    ended.push((found, at_ns));
                },
            );
        });
    }

    /// Time passes.
    pub(crate) fn tick(&mut self, now_ns: u64) {
        let ended = &mut self.ended;
        self.pairing
            .tick(now_ns, &mut |found| ended.push((found, now_ns)));
    }

    /// A direction is over: what the server has left unanswered when it closes stays so; what waits when the observer stops
    /// is unfinished.
    pub(crate) fn end(&mut self, at_ns: u64, is_seen: bool) {
        let ended = &mut self.ended;
        self.pairing.finish(at_ns, &mut |mut found| {
            if is_seen {
                found.outcome = Outcome::NoAnswer;
            }
            ended.push((found, at_ns));
        });
    }

    /// Messages that could not be read.
    pub(crate) fn not_read(&self) -> u64 {
        not_read(&self.pairing)
    }

    /// What ended since last asked.
    pub(crate) fn take_ended(&mut self) -> Vec<(Exchange<()>, u64)> {
        std::mem::take(&mut self.ended)
    }
}

/// Messages of a pairing of which nothing, or not the question, is told.
pub(crate) fn not_read<K: std::hash::Hash + Eq + Copy>(pairing: &Pairing<K>) -> u64 {
    let counts = pairing.counts();
    counts.cut + counts.malformed + counts.not_dns + counts.mismatched
}

/// Whether a TCP stream may begin with these bytes when it carries DNS: a length, and a message of that length or its
/// beginning.
pub(crate) fn begins_tcp(data: &[u8]) -> bool {
    let Some((length, message)) = data.split_first_chunk::<2>() else {
        return false;
    };
    let length = usize::from(u16::from_be_bytes(*length));
    length >= 17 && looks_like_message(message.get(..length).unwrap_or(message))
}
