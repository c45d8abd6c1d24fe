//! HPACK: whatever the blocks are, a decoder that joined, missed some or holds little never says another text than one
//! that saw them all, and what it does not know has one text by each number.
//!
//! Steps are blocks; hidden ones, and those before a mark, the second decoder misses.

use std::collections::HashMap;

use super::script::{Kind, Script};
use crate::hpack::{Decoder, Limits, Malformed, Text, Unknown};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let limits = Limits {
        max_held_bytes: if script.switches & 2 == 0 {
            24 * 1024
        } else {
            100
        },
        max_list_bytes: if script.switches & 4 == 0 {
            64 * 1024
        } else {
            100
        },
        ..Limits::default()
    };
    let mut whole = Decoder::new(Limits::default(), false);
    let mut other = Decoder::new(limits, script.switches & 1 == 0);
    let mut texts = Texts::new();
    // Of an encoder that went wrong there is no truth, only what both decoders read.
    let mut is_true = true;
    for step in &script.steps {
        if step.kind == Kind::Mark {
            other.lost();
            continue;
        }
        let (truth, end) = decode(&mut whole, step.bytes);
        is_true &= end.is_ok();
        if step.kind == Kind::Hidden {
            other.lost();
            continue;
        }
        let (said, other_end) = decode(&mut other, step.bytes);
        for (said, truth) in said.iter().zip(&truth) {
            for (part, (said, truth)) in (0..).zip(said.iter().zip(truth)) {
                compare(said, truth, is_true.then_some((part, &mut texts)));
            }
        }
        if is_true {
            assert!(other_end.is_ok(), "refused: {other_end:?}");
            assert!(said.len() <= truth.len());
        }
        assert!(other.held_bytes() <= 16 * 1024 + 8 * limits.max_held_bytes + 8 * 1024);
    }
}

/// Names, as 0, and values, as 1, by their number.
type Texts = HashMap<(u8, Unknown), Vec<u8>>;

/// A text, or the number of one that is not known.
type Said = Result<Vec<u8>, Unknown>;

fn compare(said: &Said, truth: &Said, texts: Option<(u8, &mut Texts)>) {
    match (said, truth) {
        (Ok(said), Ok(truth)) => assert_eq!(said, truth),
        (Err(unknown), Ok(truth)) => {
            if let Some((part, texts)) = texts {
                let before = texts
                    .entry((part, *unknown))
                    .or_insert_with(|| truth.clone());
                assert_eq!(before, truth, "{unknown}");
            }
        }
        (_, Err(_)) => {}
    }
}

/// Names and values up to the end, or to where it cannot go on.
fn decode(decoder: &mut Decoder, block: &[u8]) -> (Vec<[Said; 2]>, Result<(), Malformed>) {
    let mut fields = Vec::new();
    let end = decoder.decode(block, |field| {
        fields.push([field.name, field.value].map(|text| match text {
            Text::Known(bytes) => Ok(bytes.to_vec()),
            Text::Unknown(unknown) => Err(unknown),
        }));
    });
    (fields, end.map(drop))
}
