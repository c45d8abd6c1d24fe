//! Frames derived from h2spec, many of them malformed: whichever end sends them, seen from the start or joined, nothing
//! panics and each exchange is handed over once.

use std::path::PathBuf;

use headwater_protocols::http1::{Direction, Skip};
use headwater_protocols::http2::Limits;

use crate::conversation::{C, FIN_C, FIN_S, S, Step, assert_once, play, timed};
use crate::frames::{END_STREAM, PREFACE, get, headers, settings};

fn seeds() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(std::env::var_os("HEADWATER_CORPORA").expect(
        "HEADWATER_CORPORA names the folder of corpora; --skip corpus_ leaves these tests out",
    ));
    let mut seeds = Vec::new();
    for name in ["h2spec", "nghttp"] {
        let folder = folder.join("http2-frames").join(name);
        for entry in std::fs::read_dir(&folder).expect("http2-frames") {
            seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
    assert!(seeds.len() >= 136, "{} seeds", seeds.len());
    seeds
}

fn sides(seed: &[u8]) -> [Vec<Step>; 2] {
    let seed = seed.strip_prefix(PREFACE).unwrap_or(seed);
    let asked: Vec<_> = (1..10)
        .step_by(2)
        .flat_map(|stream| headers(stream, END_STREAM, &get("/")))
        .collect();
    [
        vec![C(PREFACE.to_vec()), S(settings(&[])), C(seed.to_vec())],
        vec![
            C([PREFACE, &settings(&[]), &asked].concat()),
            S(seed.to_vec()),
        ],
    ]
}

#[track_caller]
fn survives(joined_midstream: bool, steps: &[Step]) -> usize {
    let steps = [steps, &[FIN_C, FIN_S]].concat();
    let (connection, recorder) = play(Limits::default(), joined_midstream, &timed(&steps));
    assert_eq!(connection.open().count(), 0);
    assert_once(&recorder);
    recorder.exchanges.len()
}

#[test]
fn corpus_of_frames_from_the_start() {
    let mut exchanges = 0;
    for seed in seeds() {
        for steps in sides(&seed) {
            let whole = survives(false, &steps);
            exchanges += whole;
            let bytes: Vec<_> = steps
                .iter()
                .flat_map(|step| match step {
                    C(bytes) => bytes.chunks(1).map(|byte| C(byte.to_vec())).collect(),
                    S(bytes) => bytes.chunks(1).map(|byte| S(byte.to_vec())).collect(),
                    other => vec![other.clone()],
                })
                .collect();
            assert_eq!(survives(false, &bytes), whole);
        }
    }
    println!("{exchanges} exchanges");
    assert!(exchanges > 136 * 5);
}

#[test]
fn corpus_of_frames_joined() {
    for seed in seeds() {
        for at in 0..seed.len() {
            let rest = seed[at..].to_vec();
            survives(true, &[C(rest.clone())]);
            survives(true, &[S(rest.clone())]);
            survives(true, &[Step::Mark(Direction::ToClient), S(rest)]);
        }
    }
}

#[test]
fn corpus_of_frames_with_losses() {
    for seed in seeds() {
        for at in 0..seed.len() {
            for length in [1, 9, 30] {
                let (seen, rest) = seed.split_at(at);
                let rest = rest.get(length..).unwrap_or_default();
                let lost = Step::Skip(Direction::ToServer, length as u64, Skip::RecordsLost);
                let steps = [
                    C([PREFACE, seen].concat()),
                    lost,
                    Step::Mark(Direction::ToServer),
                    C(rest.to_vec()),
                ];
                survives(false, &steps);
            }
        }
    }
}
