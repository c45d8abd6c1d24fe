//! Joined in the middle: what is known is right, whichever end the caller takes for the client.

use headwater_protocols::http1::{Direction, Verdict};
use headwater_protocols::http2::{Connection, Limits};

use crate::conversation::{
    C, FIN_C, FIN_S, Recorder, S, Step, assert_once, check_joined, observe, play, step, timed,
};
use crate::frames::{
    END_STREAM, Encoder, continuation, data, get, headers, literals, post, settings, status,
};
use crate::samples;
use crate::splits::like;
use crate::witness::Truth;

fn truth(steps: &[Step]) -> Truth {
    Truth::new(&observe(&[steps, &[FIN_C, FIN_S]].concat()).1)
}

fn direction(step: &Step) -> Direction {
    match step {
        C(_) => Direction::ToServer,
        S(_) => Direction::ToClient,
        Step::Skip(direction, ..) | Step::Mark(direction) | Step::End(direction, _) => *direction,
    }
}

/// What a caller says who takes the server for the client.
fn reversed(step: &Step) -> Step {
    let other = |direction: Direction| match direction {
        Direction::ToServer => Direction::ToClient,
        Direction::ToClient => Direction::ToServer,
    };
    match step.clone() {
        C(bytes) => S(bytes),
        S(bytes) => C(bytes),
        Step::Skip(direction, length, why) => Step::Skip(other(direction), length, why),
        Step::Mark(direction) => Step::Mark(other(direction)),
        Step::End(direction, how) => Step::End(other(direction), how),
    }
}

/// Each frame is announced.
pub(crate) fn marked(steps: &[Step]) -> Vec<Step> {
    steps
        .iter()
        .flat_map(|step| match step {
            C(_) | S(_) => vec![Step::Mark(direction(step)), step.clone()],
            other => vec![other.clone()],
        })
        .collect()
}

/// What comes of the steps from `at` on, and the same reversed.
fn join(steps: &[Step], truth: &Truth, what: &str) -> Vec<u32> {
    let steps = [steps, &[FIN_C, FIN_S]].concat();
    let (connection, recorder) = play(Limits::default(), true, &timed(&steps));
    assert_once(&recorder);
    assert_eq!(recorder.malformed, [], "{what}");
    let found = truth.check(&recorder);
    let turned: Vec<_> = steps.iter().map(reversed).collect();
    let (other, told) = play(Limits::default(), true, &timed(&turned));
    assert_eq!(told.lines(), recorder.lines(), "{what}, reversed");
    assert_eq!(
        (connection.is_reversed(), other.is_reversed()),
        (false, connection.verdict() == Verdict::Yes),
        "{what}"
    );
    found
}

#[test]
fn at_every_frame_with_marks() {
    for (name, steps) in samples::all() {
        let truth = truth(&steps);
        for at in 0..steps.len() {
            let found = join(&marked(&steps[at..]), &truth, &format!("{name} from {at}"));
            if at < 2 {
                assert_eq!(found.len(), truth.streams().count(), "{name} from {at}");
            }
        }
    }
}

#[test]
fn at_every_packet_without_marks() {
    for (name, steps) in samples::all() {
        let truth = truth(&steps);
        for frames in 1..4 {
            let packets = packets(&steps, frames);
            for at in 0..packets.len() {
                join(&packets[at..], &truth, &format!("{name} from packet {at}"));
            }
        }
    }
}

/// At most so many frames of one sender in a row make one piece.
fn packets(steps: &[Step], most: usize) -> Vec<Step> {
    let mut packets: Vec<(usize, Step)> = Vec::new();
    for step in steps {
        match (packets.last_mut(), step) {
            (Some((count, C(before))), C(bytes)) | (Some((count, S(before))), S(bytes))
                if *count < most =>
            {
                before.extend(bytes);
                *count += 1;
            }
            _ => packets.push((1, step.clone())),
        }
    }
    packets.into_iter().map(|(_, step)| step).collect()
}

/// Anywhere, within frames, without marks.
#[test]
fn at_every_byte() {
    for (name, steps) in samples::all() {
        let truth = truth(&steps);
        for at in 0..steps.len() {
            let (C(bytes) | S(bytes)) = &steps[at] else {
                continue;
            };
            for cut in 1..bytes.len() {
                let mut rest = vec![like(&steps[at], &bytes[cut..])];
                rest.extend_from_slice(&steps[at + 1..]);
                rest.extend([FIN_C, FIN_S]);
                let (_, recorder) = play(Limits::default(), true, &timed(&rest));
                assert_once(&recorder);
                truth.check(&recorder);
                assert_eq!(recorder.malformed, [], "{name} from {cut} in {at}");
            }
        }
    }
}

/// Said to be joined, but in time: everything is known.
#[test]
fn at_the_very_beginning() {
    for (name, steps) in samples::all() {
        let whole = observe(&steps).1.lines();
        for steps in [steps.clone(), marked(&steps)] {
            let (_, recorder) = play(Limits::default(), true, &timed(&steps));
            let lines: Vec<_> = recorder.lines();
            assert_eq!(lines, whole, "{name}");
        }
        let bytes: Vec<_> = steps
            .iter()
            .flat_map(|step| match step {
                C(bytes) | S(bytes) => bytes.chunks(1).map(|byte| like(step, byte)).collect(),
                other => vec![other.clone()],
            })
            .collect();
        let (_, recorder) = play(Limits::default(), true, &timed(&bytes));
        assert_eq!(recorder.lines(), whole, "{name} byte by byte");
    }
}

#[test]
fn the_caller_turns_round() {
    let (_, steps) = &samples::all()[1];
    let steps = marked(steps);
    let whole = play(Limits::default(), true, &timed(&steps)).1.lines();
    let mut connection = Connection::new(Limits::default(), true);
    let mut recorder = Recorder::default();
    for (at_ns, each) in timed(&steps) {
        let turned = connection.is_reversed();
        if turned {
            connection.turn_round();
            assert!(!connection.is_reversed());
            step(&mut connection, &mut recorder, at_ns, &each);
            connection.turn_round();
        } else if connection.verdict() == Verdict::Yes {
            panic!("not seen to be reversed");
        } else {
            step(&mut connection, &mut recorder, at_ns, &reversed(&each));
        }
        // From the preface on.
        assert_eq!(connection.is_reversed(), at_ns > 1);
    }
    assert_eq!(recorder.lines(), whole);
}

#[test]
fn a_response_whose_request_was_not_seen() {
    check_joined(
        &[
            Step::Mark(Direction::ToClient),
            S(headers(1, 0, &status("200"))),
            S(data(1, END_STREAM, b"page")),
        ],
        &["1: - -> 200 +4 RequestNotSeen joined_midstream"],
    );
}

#[test]
fn trailers_of_what_was_not_seen() {
    check_joined(
        &[
            // The client's settle nothing, and are no head.
            C(headers(1, END_STREAM, &literals(&[("x-sum", "1")]))),
            S(headers(1, END_STREAM, &literals(&[("grpc-status", "5")]))),
            C(headers(3, END_STREAM, &literals(&[("x-sum", "1")]))),
            C(headers(5, 0, &post("/5"))),
            S(headers(5, END_STREAM, &literals(&[("x-took", "2")]))),
        ],
        &[
            "1: - -> ?~ +0 {grpc-status: 5} RequestNotSeen response_head_cut joined_midstream",
            "5: POST /5 +0… -> ?~ +0 {x-took: 2} Complete response_head_cut",
        ],
    );
}

#[test]
fn a_body_whose_head_was_not_seen() {
    check_joined(
        &[
            C(headers(5, END_STREAM, &get("/5"))),
            Step::Mark(Direction::ToClient),
            S(data(5, 0, b"abc")),
            S(data(5, END_STREAM, b"abc")),
        ],
        &["5: GET /5 +0 -> - Truncated response_head_cut"],
    );
}

/// An interim response of unknown status is not the final one.
#[test]
fn interim_responses_of_unknown_status() {
    let mut server = Encoder::new();
    let early = [(":status", "103"), ("link", "x")];
    server.block(&early);
    check_joined(
        &[
            C(headers(5, END_STREAM, &get("/5"))),
            Step::Mark(Direction::ToClient),
            S(headers(5, 0, &server.block(&early))),
            S(headers(5, 0, &status("200"))),
            S(data(5, END_STREAM, b"abc")),
        ],
        &["5: GET /5 +0 -> 200 +3 Complete fields_unknown"],
    );
}

#[test]
fn within_a_block() {
    let connection = check_joined(
        &[
            Step::Mark(Direction::ToServer),
            C(continuation(1, 0, b"abc")),
            C(continuation(1, 0, b"abc")),
            C(continuation(1, 4, b"abc")),
            C(headers(3, END_STREAM, &get("/3"))),
            S(headers(3, END_STREAM, &status("200"))),
        ],
        &["3: GET /3 +0 -> 200 +0 Complete"],
    );
    assert_eq!(connection.facts(Direction::ToServer).blocks_lost, 1);
}

/// Nothing before the join is forgotten that SETTINGS say after it.
#[test]
fn settings_after_the_join() {
    let connection = check_joined(
        &[
            Step::Mark(Direction::ToClient),
            S(settings(&[(4, 3)])),
            C(headers(5, 0, &post("/5"))),
            C(data(5, 0, b"abc")),
            S(crate::frames::window_update(5, 1)),
            C(data(5, END_STREAM, b"d")),
            S(headers(5, END_STREAM, &status("200"))),
        ],
        &["5: POST /5 +4 -> 200 +0 Complete stalls 1 1 ns"],
    );
    let settings = connection.facts(Direction::ToClient).settings;
    assert_eq!(settings.initial_window_size, Some(3));
}
