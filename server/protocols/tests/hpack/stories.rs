//! The stories of the hpack-test-case corpus: header blocks of real sites, by several encoders.

use std::path::PathBuf;

use headwater_protocols::hpack::{Decoder, Limits};
use serde_json::Value;

use crate::blocks::{bytes, from_start, joined};
use crate::witness::Witness;

struct Case {
    block: Vec<u8>,
    /// The SETTINGS_HEADER_TABLE_SIZE in force.
    table_size: Option<u32>,
    fields: Vec<(String, String)>,
}

/// Every story of the corpus, by name.
fn stories() -> Vec<(String, Vec<Case>)> {
    let folder = PathBuf::from(std::env::var_os("HEADWATER_CORPORA").expect(
        "HEADWATER_CORPORA names the folder of corpora; --skip corpus_ leaves these tests out",
    ));
    let mut stories = Vec::new();
    for encoder in ["nghttp2", "go-hpack"] {
        for number in 0..32 {
            let name = format!("hpack/{encoder}/story_{number:02}.json");
            let text = std::fs::read(folder.join(&name)).expect(&name);
            let story: Value = serde_json::from_slice(&text).unwrap();
            let cases = story["cases"].as_array().unwrap().iter().map(case);
            stories.push((name, cases.collect()));
        }
    }
    stories
}

fn case(case: &Value) -> Case {
    let field = |field: &Value| {
        let field = field.as_object().unwrap();
        let (name, value) = field.iter().next().unwrap();
        (name.clone(), value.as_str().unwrap().to_owned())
    };
    Case {
        block: bytes(case["wire"].as_str().unwrap()),
        table_size: case["header_table_size"]
            .as_u64()
            .map(|size| size.try_into().unwrap()),
        fields: case["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(field)
            .collect(),
    }
}

fn see(decoder: &mut Decoder, case: &Case, witness: &mut Witness) {
    let mut fields = case.fields.iter();
    let end = decoder.decode(&case.block, |field| {
        let (name, value) = fields.next().unwrap();
        witness.check(field, name.as_bytes(), value.as_bytes());
    });
    assert_eq!((end.map(drop), fields.next()), (Ok(()), None));
}

#[test]
fn corpus_every_story_is_decoded() {
    for (name, cases) in stories() {
        let mut decoder = from_start();
        let mut witness = Witness::default();
        for case in &cases {
            if let Some(size) = case.table_size {
                decoder.set_max_table_size(size);
            }
            see(&mut decoder, case, &mut witness);
        }
        assert_eq!(
            (witness.unknown_names, witness.unknown_values),
            (0, 0),
            "{name}"
        );
        assert!(witness.known > 0 && decoder.is_reliable(), "{name}");
    }
}

#[test]
fn corpus_every_join_is_exact() {
    all_joins("joined", |_, _| joined());
}

#[test]
fn corpus_every_join_with_the_table_size_known_is_exact() {
    all_joins("joined, size known", |_, from| {
        let mut decoder = joined();
        decoder.set_max_table_size(from.table_size.unwrap_or(4096));
        decoder
    });
}

#[test]
fn corpus_every_join_with_little_memory_is_exact() {
    all_joins("joined, 500 bytes held", |_, _| {
        let limits = Limits {
            max_held_bytes: 500,
            ..Limits::default()
        };
        Decoder::new(limits, true)
    });
}

#[test]
fn corpus_every_loss_is_survived() {
    all_joins("block missed", |seen, _| {
        let mut decoder = from_start();
        let Some((_, before)) = seen.split_last() else {
            return decoder;
        };
        for case in before {
            see(&mut decoder, case, &mut Witness::default());
        }
        decoder.lost();
        decoder
    });
}

/// Begins at every block of every story, with what `begin` makes of the blocks before and the first one.
fn all_joins(what: &str, begin: impl Fn(&[Case], &Case) -> Decoder) {
    let (mut all, mut joins) = (Witness::default(), 0);
    for (_, cases) in stories() {
        for at in 0..cases.len() {
            let (before, behind) = cases.split_at(at);
            let mut decoder = begin(before, &behind[0]);
            let mut witness = Witness::default();
            for case in behind {
                see(&mut decoder, case, &mut witness);
            }
            all.add(&witness);
            joins += 1;
        }
    }
    let values = all.known + all.unknown_values;
    println!(
        "{what}: {joins} joins, {values} values, {} unknown, and {} names",
        all.unknown_values, all.unknown_names
    );
    assert!(all.known > all.unknown_values);
}
