//! DNS: each query is handed over once and each message counted, what waits is bounded; a message that is cut says what
//! the whole one does or less; a stream cut into pieces holds the same messages, and with octets hidden no more of them.
//!
//! Steps are messages of either way; of hidden ones only the half was copied; at a mark, time passes, and at one of the other
//! side the network gives back the last query.

use super::script::{Kind, Script, Step};
use crate::dns::{
    Counts, Exchange, Limits, Outcome, Pairing, Reading, Standing, Stream, Transport, Way,
    looks_like_message, read,
};

const LIMITS: Limits = Limits {
    max_waiting: 3,
    timeout_ns: 10,
};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    for step in &script.steps {
        cuts(step.bytes);
    }
    pair(&script);
    stream(&script);
}

fn cuts(bytes: &[u8]) {
    looks_like_message(bytes);
    let whole = read(bytes, bytes.len());
    assert!(!matches!(whole, Reading::Cut));
    // All places of short messages, some of long ones.
    for at in (0..bytes.len()).step_by(1 + bytes.len() / 64) {
        let seen = bytes.get(..at).unwrap_or_default();
        let cut = read(seen, bytes.len());
        match (&whole, &cut) {
            (Reading::Message(whole), Reading::Message(cut)) => {
                assert_eq!(
                    (whole.id, whole.flags, &whole.question),
                    (cut.id, cut.flags, &cut.question)
                );
            }
            (Reading::Message(_), other) => assert_eq!(*other, Reading::Cut),
            (_, Reading::Message(_)) => panic!("{whole:?} when whole, {cut:?} when cut"),
            _ => {}
        }
    }
}

fn pair(script: &Script<'_>) {
    let mut pairing = Pairing::new(LIMITS);
    let mut tally = Tally::default();
    let mut messages = 0;
    let mut at_ns = 0;
    let mut last_id = 0;
    for step in &script.steps {
        at_ns += 1;
        if step.kind == Kind::Mark {
            at_ns += 5;
            pairing.tick(at_ns, &mut |exchange| tally.add(&exchange));
            if step.side {
                let add = &mut |exchange| tally.add(&exchange);
                pairing.undelivered(0, Way::ToServer, last_id, at_ns, add);
            }
            continue;
        }
        messages += 1;
        if let Some(id) = step.bytes.first_chunk() {
            last_id = u16::from_be_bytes(*id);
        }
        let copied = match step.kind {
            Kind::Hidden => step.bytes.len() / 2,
            Kind::Bytes | Kind::Mark => step.bytes.len(),
        };
        let transport = if script.switches & 2 == 0 {
            Transport::Udp
        } else {
            Transport::Tcp
        };
        pairing.message(
            0,
            way(*step),
            at_ns,
            transport,
            step.bytes.get(..copied).unwrap_or_default(),
            step.bytes.len(),
            &mut |exchange| tally.add(&exchange),
        );
        assert!(pairing.waiting() <= LIMITS.max_waiting);
    }
    pairing.finish(at_ns, &mut |exchange| tally.add(&exchange));
    assert_eq!(pairing.waiting(), 0);
    tally.check(messages, pairing.counts());
}

fn way(step: Step<'_>) -> Way {
    if step.side {
        Way::ToClient
    } else {
        Way::ToServer
    }
}

/// Exchanges, by what is in them.
#[derive(Default)]
struct Tally {
    queries: u64,
    answers: u64,
}

impl Tally {
    fn add(&mut self, exchange: &Exchange<u8>) {
        // A late answer's query was handed over before.
        let first = exchange.outcome != Outcome::AnsweredLate;
        self.queries += u64::from(exchange.query.is_some() && first);
        self.answers += u64::from(exchange.answer.is_some());
        let alone = exchange.outcome == Outcome::AnswerOnly;
        assert_eq!(exchange.query.is_none(), alone);
    }

    fn check(&self, messages: u64, counts: Counts) {
        assert_eq!(self.queries, counts.queries - counts.retries);
        let unanswering = counts.duplicates + counts.continued + counts.mismatched;
        assert_eq!(self.answers, counts.responses - unanswering);
        let paired = counts.queries + counts.responses;
        let others = counts.others + counts.malformed + counts.cut + counts.not_dns;
        assert_eq!(messages, paired + others);
    }
}

fn stream(script: &Script<'_>) {
    let max_bytes = if script.switches & 4 == 0 { 65_535 } else { 20 };
    let (whole, standing) = messages(max_bytes, script, false, &[script.stream]);
    let pieces: Vec<_> = script.steps.iter().map(|step| step.bytes).collect();
    assert_eq!(
        messages(max_bytes, script, false, &pieces),
        (whole.clone(), standing)
    );
    let (seen, _) = messages(max_bytes, script, true, &pieces);
    assert!(seen.len() <= whole.len());
    for ((seen, seen_length), (whole, length)) in seen.iter().zip(&whole) {
        assert!(whole.starts_with(seen) && seen_length == length);
    }
}

/// The messages of a stream, with their lengths.
type Messages = (Vec<(Vec<u8>, usize)>, Standing);

fn messages(max_bytes: usize, script: &Script<'_>, hides: bool, pieces: &[&[u8]]) -> Messages {
    let mut stream = Stream::new(max_bytes);
    let mut found = Vec::new();
    let mut each = |bytes: &[u8], length: usize| {
        assert!(bytes.len() <= max_bytes.min(length));
        found.push((bytes.to_vec(), length));
    };
    for (piece, step) in pieces.iter().zip(&script.steps) {
        if hides && step.kind == Kind::Hidden {
            stream.skipped(piece.len() as u64, &mut each);
        } else {
            stream.bytes(piece, &mut each);
        }
    }
    let standing = stream.standing();
    stream.end(&mut each);
    (found, standing)
}
