//! However a conversation is cut into pieces, and whether or not DATA is there, the same exchanges come of it.

use headwater_protocols::http1::{Direction, Skip};
use headwater_protocols::http2::Limits;

use crate::conversation::{C, FIN_C, FIN_S, Recorder, S, Step, assert_once, line, play, timed};
use crate::samples;

fn told(steps: &[(u64, Step)]) -> (Vec<String>, Vec<String>) {
    let (connection, recorder) = play(Limits::default(), false, steps);
    assert_once(&recorder);
    let heads = recorder.exchanges.iter().map(|exchange| {
        format!(
            "{:?} {:?} {:?} {}",
            exchange.request, exchange.response, exchange.interim, exchange.end_ns
        )
    });
    let facts = [Direction::ToServer, Direction::ToClient].map(|to| connection.facts(to));
    let heads = heads.chain([format!("{facts:?}")]).collect();
    (recorder.lines(), heads)
}

fn ended(steps: &[Step]) -> Vec<(u64, Step)> {
    let mut steps = timed(steps);
    steps.extend([(99, FIN_C), (99, FIN_S)]);
    steps
}

#[test]
fn every_split_in_two() {
    for (name, steps) in samples::all() {
        let whole = ended(&steps);
        let expected = told(&whole);
        for (at, (at_ns, step)) in whole.iter().enumerate() {
            let (C(bytes) | S(bytes)) = step else {
                continue;
            };
            for cut in 1..bytes.len() {
                let (first, second) = bytes.split_at(cut);
                let pieces = [first, second].map(|piece| (*at_ns, like(step, piece)));
                let mut split = whole.clone();
                split.splice(at..=at, pieces);
                assert_eq!(told(&split), expected, "{name}: step {at} cut at {cut}");
            }
        }
    }
}

#[test]
fn byte_by_byte() {
    for (name, steps) in samples::all() {
        let whole = ended(&steps);
        let bytes: Vec<_> = whole
            .iter()
            .flat_map(|(at_ns, step)| match step {
                C(bytes) | S(bytes) => bytes
                    .chunks(1)
                    .map(|byte| (*at_ns, like(step, byte)))
                    .collect(),
                other => vec![(*at_ns, other.clone())],
            })
            .collect();
        assert_eq!(told(&bytes), told(&whole), "{name}");
    }
}

/// The frames of one sender in a row are one piece.
#[test]
fn many_frames_in_a_piece() {
    for (name, steps) in samples::all() {
        let separate: Vec<_> = steps.iter().map(|step| (1, step.clone())).collect();
        let mut joined: Vec<(u64, Step)> = Vec::new();
        for step in &steps {
            match (joined.last_mut(), step) {
                (Some((_, C(before))), C(bytes)) | (Some((_, S(before))), S(bytes)) => {
                    before.extend(bytes);
                }
                _ => joined.push((1, step.clone())),
            }
        }
        assert_eq!(told(&joined), told(&separate), "{name}");
    }
}

/// Every prefix is a conversation too: whatever was begun comes to an end, once.
#[test]
fn every_prefix() {
    for (_, steps) in samples::all() {
        for at in 0..steps.len() {
            let (C(bytes) | S(bytes)) = &steps[at] else {
                continue;
            };
            for cut in 0..=bytes.len() {
                let mut prefix = steps[..at].to_vec();
                prefix.extend([like(&steps[at], &bytes[..cut]), FIN_C, FIN_S]);
                let (connection, recorder) = play(Limits::default(), false, &timed(&prefix));
                assert_eq!(connection.open().count(), 0);
                assert_once(&recorder);
            }
        }
    }
}

/// As the probes see it: each frame is marked, of DATA there is the header and, where it may be that of a message of
/// gRPC, five bytes more.
pub(crate) fn live(steps: &[(u64, Step)]) -> Vec<(u64, Step)> {
    let mut seen = Vec::new();
    for (at_ns, step) in steps {
        let (direction, bytes) = match step {
            C(bytes) => (Direction::ToServer, bytes),
            S(bytes) => (Direction::ToClient, bytes),
            other => {
                seen.push((*at_ns, other.clone()));
                continue;
            }
        };
        let is_data = bytes[0] != b'P' && bytes[3] == 0;
        let copied = match bytes.get(9) {
            Some(0 | 1) if is_data => bytes.len().min(14),
            Some(_) if is_data => 9,
            _ => bytes.len(),
        };
        seen.push((*at_ns, Step::Mark(direction)));
        seen.push((*at_ns, like(step, &bytes[..copied])));
        let left = (bytes.len() - copied) as u64;
        seen.push((*at_ns, Step::Skip(direction, left, Skip::NotCopied)));
    }
    seen
}

#[test]
fn live_is_the_same() {
    for (name, steps) in samples::all() {
        let whole = ended(&steps);
        assert_eq!(told(&live(&whole)), told(&whole), "{name}");
        assert_eq!(told(&in_runs(&whole)), told(&whole), "{name}");
    }
}

/// As the probes see packets with several frames: of those that follow each other and are copied whole the first alone is marked, with
/// what is behind them.
fn in_runs(steps: &[(u64, Step)]) -> Vec<(u64, Step)> {
    let (mut seen, mut open) = (Vec::new(), None);
    for (at_ns, step) in live(steps) {
        match &step {
            Step::Mark(direction) if open == Some(*direction) => continue,
            Step::Mark(direction) => open = Some(*direction),
            Step::Skip(_, 0, _) => continue,
            C(_) | S(_) => {}
            _ => open = None,
        }
        seen.push((at_ns, step));
    }
    seen
}

pub(crate) fn like(step: &Step, bytes: &[u8]) -> Step {
    match step {
        C(_) => C(bytes.to_vec()),
        S(_) => S(bytes.to_vec()),
        other => other.clone(),
    }
}

#[test]
fn samples_are_what_they_should_be() {
    let mut all = Vec::new();
    for (_, steps) in samples::all() {
        let (connection, recorder): (_, Recorder) = play(Limits::default(), false, &ended(&steps));
        assert_eq!(recorder.malformed, []);
        for to in [Direction::ToServer, Direction::ToClient] {
            assert_eq!(connection.facts(to).blocks_lost, 0);
        }
        all.extend(recorder.exchanges.iter().map(line));
    }
    let expected = [
        "1: GET /a +0 -> 200 +11 Complete",
        "1: GET /item/0 +0 -> [103] 404 +4 Complete",
        "3: PUT /upload +6 {x-checksum: abc, x-round: 0} -> 201 +2 {x-took: 1 ms} Complete",
        "5: GET /item/1 +0 -> [103] 404 +4 Complete",
        "7: PUT /upload +6 {x-checksum: abc, x-round: 1} -> 201 +2 {x-took: 1 ms} Complete",
        "9: GET /item/2 +0 -> [103] 404 +4 Complete",
        "11: PUT /upload +6 {x-checksum: abc, x-round: 2} -> 201 +2 {x-took: 1 ms} Complete",
        "13: GET /item/3 +0 -> [103] 404 +4 Complete",
        "15: PUT /upload +6 {x-checksum: abc, x-round: 3} -> 201 +2 {x-took: 1 ms} Complete",
        "1: POST /pkg.Service/Method +30 -> 200 +22 {grpc-status: 0, grpc-message: } Complete asked 2/20 answered 2/12",
        "3: POST /pkg.Service/Method +30 -> 200 +22 {grpc-status: 0, grpc-message: } Complete asked 2/20 answered 2/12",
        "5: POST /pkg.Service/Method +30 -> 200 +22 {grpc-status: 0, grpc-message: } Complete asked 2/20 answered 2/12",
        "1: GET /padded +0 -> 200 +10 Complete",
        "2: GET /pushed +0 -> 200 +5 Complete pushed",
        "5: GET /reset +0… -> - ClientGaveUp ToServer 8",
        "3: GET /in/three/pieces +0 -> - ServerReset ToClient 2",
        "7: GET /refused +0 -> - ServerReset ToClient goaway 0",
        "1: GET /1 +0 -> 204 +0 Complete",
        "3: GET /1 +0 -> 204 +0 Complete",
        "5: GET /2 +0 -> 204 +0 Complete",
        "7: GET /2 +0 -> 204 +0 Complete",
        "9: GET /3 +0 -> 204 +0 Complete",
    ];
    assert_eq!(all, expected);
}
