//! The body of the fuzz target `pipeline`, on its committed corpus and on random bytes.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use std::path::Path;

use headwater::fuzzing::run;

#[test]
fn corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/pipeline");
    let inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(inputs.len() > 4, "a corpus in {}", folder.display());
    for input in inputs {
        // Seen only when the body panics.
        println!("{}", input.display());
        run(&std::fs::read(&input).unwrap());
    }
}

#[test]
fn random_bytes() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        // Xorshift: the same bytes in every run.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    for _ in 0..2_000 {
        let [length, ..] = random();
        let mut data = Vec::new();
        for _ in 0..length {
            let [code, word, which, byte, ..] = random();
            // Mostly words and flags: plain bytes seldom mean anything.
            match which % 4 {
                0 | 1 => data.extend([0xe0 | code & 0x1c, word]),
                2 => data.push(code & 0xfc | 2),
                _ => data.extend([code, 2, byte, word]),
            }
        }
        run(&data);
    }
}
