//! The bodies of the fuzz targets, on the committed corpora and on random bytes.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use std::fs;
use std::path::PathBuf;

use headwater_protocols::fuzzing::{TARGETS, run};

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

#[test]
fn corpora() {
    for (target, body) in TARGETS {
        let folder = fuzz().join("corpus").join(target);
        let inputs: Vec<_> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for input in inputs {
            // Seen only when the body panics.
            println!("{}", input.display());
            body(&fs::read(&input).unwrap());
        }
    }
}

#[test]
fn each_target_has_its_file_and_each_file_its_target() {
    let mut files: Vec<_> = fs::read_dir(fuzz().join("fuzz_targets"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    // The bodies of these are other packages', which replay their corpora.
    files.retain(|file| file != "pipeline" && file != "sites");
    files.sort_unstable();
    let targets: Vec<_> = TARGETS.iter().map(|(target, _)| *target).collect();
    assert_eq!(files, targets);
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        let name = format!("name = \"{target}\"");
        assert!(
            manifest.contains(&name),
            "{target} is not in fuzz/Cargo.toml"
        );
        run(target, b"");
    }
}

/// Xorshift: the same bytes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Mostly bytes that mean something to one parser or another.
    fn byte(&mut self) -> u8 {
        const WORDS: &[u8] =
            b"\0\0\0\x01\x02\x05\x80\x81\x82\x88\x89\x8a\x7e\x7f\r\n\n\r:data: GET /HTTP/1.1 ";
        match self.below(4) {
            0 => self.0.to_le_bytes()[3],
            _ => WORDS[usize::try_from(self.below(WORDS.len() as u64)).unwrap()],
        }
    }
}

#[test]
fn random_bytes() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    for _ in 0..200_000 {
        let length = random.below(64);
        let data: Vec<_> = (0..length).map(|_| random.byte()).collect();
        let target = usize::try_from(random.below(TARGETS.len() as u64)).unwrap();
        TARGETS[target].1(&data);
    }
}
