//! HPACK decoding against nghttp2's, by hand: `HEADWATER_CORPORA=… cargo bench -p headwater-protocols --bench hpack`.
//!
//! Loads: the stories of each encoder in the corpus, and requests of twelve fields with a trace and a request id each
//! (the table in use, and turning over). Rounds of both sides take turns; a round of either is many passes over the load
//! with a new decoder for each story, and its CPU time. The same round of ours a second time is the noise floor. nghttp2
//! is Debian's library (libnghttp2-dev), called by `nghttp2_inflate.c`; both sides add up the lengths of all texts, which
//! must agree.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement run by hand"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_protocols::hpack::{Decoder, Limits};

const ROUNDS: usize = 7;
/// Blocks of one round, about.
const ROUND_BLOCKS: usize = 400_000;

/// The blocks of one connection's direction.
type Story = Vec<Vec<u8>>;

fn main() {
    let folder = std::env::temp_dir().join(format!("headwater-hpack-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let peer = Peer::compile(&folder);
    let corpora = std::env::var_os("HEADWATER_CORPORA").map(PathBuf::from);
    let corpora = corpora.expect("HEADWATER_CORPORA names the folder of corpora");
    for encoder in ["nghttp2", "go-hpack"] {
        let file = folder.join(encoder);
        write(&stories(&corpora.join("hpack").join(encoder)), &file);
        compare(encoder, &file, &peer);
    }
    let file = folder.join("requests");
    peer.run(&["make", file.to_str().unwrap()]);
    compare("twelve fields", &file, &peer);
    std::fs::remove_dir_all(folder).unwrap();
}

fn compare(name: &str, file: &Path, peer: &Peer) {
    let stories = read(&std::fs::read(file).unwrap());
    let blocks: usize = stories.iter().map(Vec::len).sum();
    let wire: usize = stories.iter().flatten().map(Vec::len).sum();
    let passes = ROUND_BLOCKS.div_ceil(blocks);
    let (mut ours, mut theirs, mut control, mut fields) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let our = decode(&stories, passes);
        let their = peer.inflate(file, passes);
        assert_eq!(
            (our.fields, our.text_bytes),
            (their.fields, their.text_bytes)
        );
        fields = our.fields / passes;
        ours.push(our.ns);
        theirs.push(their.ns);
        control.push(decode(&stories, passes).ns);
    }
    let (ours, theirs, control) = (median(ours), median(theirs), median(control));
    let blocks_f = blocks as f64;
    println!(
        "{name}: {blocks} blocks of {:.1} fields and {:.0} bytes, medians of {ROUNDS} rounds",
        fields as f64 / blocks_f,
        wire as f64 / blocks_f
    );
    for (name, ns) in [("ours", ours), ("nghttp2", theirs), ("control", control)] {
        let ns_per_block = ns / (passes * blocks) as f64;
        println!(
            "  {name:8} {:.3} µs/block, {:.3} µs/12 fields",
            ns_per_block / 1000.0,
            ns / (passes * fields) as f64 * 12.0 / 1000.0
        );
    }
    println!(
        "  ours / nghttp2 {:.3}, control / ours {:.3}",
        ours / theirs,
        control / ours
    );
}

struct Round {
    ns: f64,
    fields: usize,
    text_bytes: usize,
}

fn decode(stories: &[Story], passes: usize) -> Round {
    let (mut fields, mut text_bytes) = (0, 0);
    let begun = cpu();
    for _ in 0..passes {
        for story in stories {
            let mut decoder = Decoder::new(Limits::default(), false);
            for block in story {
                let end = decoder.decode(block, |field| {
                    fields += 1;
                    text_bytes += field.name.known().map_or(0, <[u8]>::len);
                    text_bytes += field.value.known().map_or(0, <[u8]>::len);
                });
                assert!(end.is_ok_and(|summary| summary.left_out_fields == 0));
            }
        }
    }
    Round {
        ns: cpu() - begun,
        fields,
        text_bytes,
    }
}

/// The program that calls nghttp2.
struct Peer(PathBuf);

impl Peer {
    fn compile(folder: &Path) -> Self {
        let program = folder.join("nghttp2_inflate");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/nghttp2_inflate.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-o"]).args([&program, &source]);
        let status = compiler.arg("-lnghttp2").status().expect("cc: install gcc");
        assert!(status.success(), "install libnghttp2-dev");
        Self(program)
    }

    fn run(&self, words: &[&str]) -> String {
        let output = Command::new(&self.0).args(words).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn inflate(&self, file: &Path, passes: usize) -> Round {
        let told = self.run(&["inflate", file.to_str().unwrap(), &passes.to_string()]);
        let mut numbers = told
            .split_whitespace()
            .map(|word| word.parse::<usize>().unwrap());
        let mut next = || numbers.next().unwrap();
        Round {
            ns: next() as f64,
            fields: next(),
            text_bytes: next(),
        }
    }
}

/// The blocks of the stories in a folder of the corpus.
fn stories(folder: &Path) -> Vec<Story> {
    let block = |case: &serde_json::Value| {
        let digits = case["wire"].as_str().unwrap().as_bytes().chunks(2);
        let byte = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.map(byte).collect()
    };
    let story = |number| {
        let file = folder.join(format!("story_{number:02}.json"));
        let text = std::fs::read(file).expect("a story of the corpus");
        let story: serde_json::Value = serde_json::from_slice(&text).unwrap();
        story["cases"]
            .as_array()
            .unwrap()
            .iter()
            .map(block)
            .collect()
    };
    (0..32).map(story).collect()
}

/// As `nghttp2_inflate.c` says.
fn write(stories: &[Story], file: &Path) {
    let mut bytes = Vec::new();
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    for story in stories {
        bytes.extend(number(story.len()));
        for block in story {
            bytes.extend(number(block.len()));
            bytes.extend(block);
        }
    }
    std::fs::write(file, bytes).unwrap();
}

fn read(mut bytes: &[u8]) -> Vec<Story> {
    fn number(bytes: &mut &[u8]) -> usize {
        let (number, rest) = bytes.split_first_chunk().unwrap();
        *bytes = rest;
        usize::try_from(u32::from_le_bytes(*number)).unwrap()
    }
    let mut stories = Vec::new();
    while !bytes.is_empty() {
        let blocks = number(&mut bytes);
        let block = |_| {
            let length = number(&mut bytes);
            let (block, rest) = bytes.split_at(length);
            bytes = rest;
            block.to_vec()
        };
        stories.push((0..blocks).map(block).collect());
    }
    stories
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// CPU time of this thread in nanoseconds.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}
