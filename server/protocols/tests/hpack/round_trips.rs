//! What an encoder of our own says, with every kind of decoder: there from the start, joined, cut off now and then, short
//! of memory.

use std::collections::HashMap;

use headwater_protocols::hpack::{Decoder, Limits, Text, Unknown};

use crate::encoder::{Encoder, Sent};
use crate::random::Random;
use crate::witness::Witness;

const NO_LIMITS: Limits = Limits {
    max_held_bytes: usize::MAX,
    max_list_bytes: usize::MAX,
    max_fields: usize::MAX,
};

/// A decoder that missed something, and what it said.
struct Observer {
    decoder: Decoder,
    witness: Witness,
    /// Entries of the encoder by number, since sight was last lost, and the other way round.
    numbers: HashMap<Unknown, usize>,
    unknowns: HashMap<usize, Unknown>,
    /// It forgets nothing.
    holds_all: bool,
}

impl Observer {
    fn join(random: &mut Random) -> Self {
        let limits = Limits {
            max_held_bytes: [0, 100, 1000, 24 * 1024, usize::MAX][random.below(5)],
            ..NO_LIMITS
        };
        Self {
            decoder: Decoder::new(limits, true),
            witness: Witness::default(),
            numbers: HashMap::new(),
            unknowns: HashMap::new(),
            holds_all: limits.max_held_bytes == usize::MAX,
        }
    }

    fn lost(&mut self) {
        self.decoder.lost();
        self.unknowns.clear();
    }

    fn see(&mut self, block: &[u8], sent: &[Sent]) {
        let reliable = self.holds_all && self.decoder.is_reliable();
        let before = self.witness.unknown_names + self.witness.unknown_values;
        let mut sent = sent.iter();
        let end = self.decoder.decode(block, |field| {
            let truth = sent.next().expect("no more fields than were sent");
            self.witness.check(field, &truth.name, &truth.value);
            if let Text::Unknown(unknown) = field.value {
                // Entries that become unknown within a block are those which memory did not hold.
                let number = truth.entry.expect("a literal's value is known");
                assert_eq!(*self.numbers.entry(unknown).or_insert(number), number);
                assert_eq!(*self.unknowns.entry(number).or_insert(unknown), unknown);
            }
        });
        assert!(end.is_ok() && sent.next().is_none(), "{end:?}");
        let unknown = self.witness.unknown_names + self.witness.unknown_values;
        assert!(!reliable || unknown == before, "reliable, and yet unknown");
    }
}

#[test]
fn never_a_wrong_text() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut total = Witness::default();
    for _ in 0..60 {
        let mut encoder = Encoder::new();
        let mut whole = Decoder::new(NO_LIMITS, false);
        let mut observers: Vec<Observer> = Vec::new();
        for _ in 0..200 {
            if random.below(30) == 0 {
                let limit = [0, 64, 200, 4096, 10_000, 65_536][random.below(6)];
                encoder.set_limit(limit);
                let told = u32::try_from(limit).unwrap();
                whole.set_max_table_size(told);
                for observer in &mut observers {
                    observer.decoder.set_max_table_size(told);
                }
            }
            if observers.len() < 12 && random.below(5) == 0 {
                observers.push(Observer::join(&mut random));
            }
            let (block, sent) = encoder.block(&mut random);
            see_whole(&mut whole, &block, &sent);
            for observer in &mut observers {
                match random.below(40) {
                    0 => observer.lost(),
                    1 => {
                        observer.lost();
                        observer.see(&block, &sent);
                    }
                    _ => observer.see(&block, &sent),
                }
            }
        }
        for observer in &observers {
            total.add(&observer.witness);
        }
    }
    println!(
        "{} values known, {} unknown; {} names unknown",
        total.known, total.unknown_values, total.unknown_names
    );
    assert!(
        total.known > 100_000 && total.unknown_values > 10_000,
        "too little was tried"
    );
}

/// One that was there from the start, and holds all of the table, knows everything.
fn see_whole(decoder: &mut Decoder, block: &[u8], sent: &[Sent]) {
    let mut sent = sent.iter();
    let end = decoder.decode(block, |field| {
        let truth = sent.next().expect("no more fields than were sent");
        assert_eq!(field.name, Text::Known(&truth.name));
        assert_eq!(field.value, Text::Known(&truth.value));
    });
    assert!(end.is_ok() && sent.next().is_none() && decoder.is_reliable());
}
