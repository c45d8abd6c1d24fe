//! Octets from strangers: no panic, bounded memory, every query once.

use std::collections::HashMap;

use headwater_protocols::dns::{
    Exchange, Limits, Outcome, Pairing, Reading, Stream, Transport, Way, looks_like_message, read,
};

use crate::vectors::{MALFORMED, VECTORS};

/// Xorshift: the same octets in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// A vector with a few changes.
fn mutated(random: &mut Random) -> Vec<u8> {
    let all = VECTORS.len() + MALFORMED.len();
    let (_, vector, _) = VECTORS
        .iter()
        .chain(MALFORMED)
        .nth(random.below(all))
        .unwrap();
    let mut bytes = vector.to_vec();
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.octet()),
            2 => bytes.extend_from_within(at..),
            // A pointer to somewhere.
            3 => drop(bytes.splice(at.., [0xc0, random.octet(), 0, 5, 0, 1])),
            _ => {
                if let Some(octet) = bytes.get_mut(at) {
                    *octet = random.octet();
                }
            }
        }
    }
    bytes
}

#[test]
fn random_changes() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let limits = Limits {
        max_waiting: 16,
        timeout_ns: 90,
    };
    let mut pairing = Pairing::new(limits);
    let mut outcomes: HashMap<Outcome, u64> = HashMap::new();
    let mut ended = |exchange: Exchange<u8>| {
        let alone = exchange.outcome == Outcome::AnswerOnly;
        assert_eq!(exchange.query.is_none(), alone);
        *outcomes.entry(exchange.outcome).or_default() += 1;
    };
    let mut recognised = 0;
    for at_ns in 0..200_000 {
        let bytes = mutated(&mut random);
        let cut = bytes
            .len()
            .saturating_sub(random.below(9).saturating_sub(7) * random.below(20));
        let wire_length = bytes.len() + random.below(9).saturating_sub(7);
        recognised += u32::from(looks_like_message(&bytes[..cut]));
        if let Reading::Message(message) = read(&bytes[..cut], wire_length)
            && let Some(question) = message.question
        {
            let name = question.name.as_str();
            assert!(name.len() <= 1020 && name.bytes().all(|octet| octet.is_ascii_graphic()));
        }
        let flow = u8::try_from(random.below(3)).unwrap();
        let way = [Way::ToServer, Way::ToClient][random.below(8) / 7];
        let way = if bytes.get(2).is_some_and(|octet| octet & 0x80 != 0) {
            way.opposite()
        } else {
            way
        };
        pairing.message(
            flow,
            way,
            at_ns,
            Transport::Udp,
            &bytes[..cut],
            wire_length,
            &mut ended,
        );
        assert!(pairing.waiting() <= limits.max_waiting);
        if random.below(10) == 0 {
            pairing.tick(at_ns, &mut ended);
        }
    }
    pairing.finish(200_000, &mut ended);
    assert_eq!(pairing.waiting(), 0);
    let counts = pairing.counts();
    let ended = |which: &[Outcome]| -> u64 {
        which
            .iter()
            .filter_map(|outcome| outcomes.get(outcome))
            .sum()
    };
    let once = ended(&[Outcome::Answered, Outcome::NoAnswer, Outcome::Unfinished]);
    assert_eq!(counts.queries, counts.retries + once, "every query once");
    let answers = ended(&[
        Outcome::Answered,
        Outcome::AnsweredLate,
        Outcome::AnswerOnly,
    ]);
    let counted = counts.duplicates + counts.continued + counts.mismatched;
    assert_eq!(counts.responses, answers + counted, "every response once");
    assert!(
        recognised > 1000
            && outcomes.len() == 5
            && outcomes.values().all(|count| *count > 100)
            && counts.evicted > 100,
        "the octets are too random to be of use: {recognised} {outcomes:?} {counts:?}"
    );
}

#[test]
fn random_streams() {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    for _ in 0..20_000 {
        let mut stream = Stream::new(64);
        let mut messages = 0_usize;
        let mut message = |bytes: &[u8], wire_length: usize| {
            assert!(bytes.len() <= 64 && bytes.len() <= wire_length && wire_length >= 12);
            messages += 1;
        };
        for _ in 0..random.below(12) {
            match random.below(6) {
                0 => drop(stream.skipped([1, 20, 70_000, u64::MAX][random.below(4)], &mut message)),
                1 => drop(stream.bytes(&[random.octet(), random.octet()], &mut message)),
                _ => {
                    let bytes = mutated(&mut random);
                    stream.bytes(
                        &u16::try_from(bytes.len()).unwrap().to_be_bytes(),
                        &mut message,
                    );
                    stream.bytes(&bytes, &mut message);
                }
            }
        }
        stream.end(&mut message);
        assert!(messages <= 13);
    }
}
