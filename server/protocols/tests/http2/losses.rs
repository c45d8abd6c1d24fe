//! Records that were lost: what is known is right, and what is not known is said.

use headwater_protocols::http1::{Direction, Gaps, Outcome, Skip};
use headwater_protocols::http2::Limits;

use crate::conversation::{C, FIN_C, FIN_S, S, Step, assert_once, check, observe, play, timed};
use crate::frames::{
    END_HEADERS, END_STREAM, continuation, data, frame, get, headers, status, window_update,
};
use crate::joins::marked;
use crate::samples;
use crate::witness::Truth;

/// `steps` without those in `lost`, which are skipped over, one by one or each sender's in one.
fn without(steps: &[Step], lost: std::ops::Range<usize>, at_once: bool) -> Vec<Step> {
    let mut seen = Vec::new();
    let mut left = [0; 2];
    for (at, step) in steps.iter().enumerate() {
        if at == lost.end {
            flush(&mut left, &mut seen);
        }
        match step {
            C(bytes) if lost.contains(&at) => left[0] += bytes.len() as u64,
            S(bytes) if lost.contains(&at) => left[1] += bytes.len() as u64,
            step => seen.push(step.clone()),
        }
        if !at_once {
            flush(&mut left, &mut seen);
        }
    }
    flush(&mut left, &mut seen);
    seen
}

fn flush(left: &mut [u64; 2], seen: &mut Vec<Step>) {
    for (length, direction) in left
        .iter_mut()
        .zip([Direction::ToServer, Direction::ToClient])
    {
        if *length > 0 {
            seen.push(Step::Skip(direction, *length, Skip::RecordsLost));
        }
        *length = 0;
    }
}

#[test]
fn whole_frames() {
    for (name, steps) in samples::all() {
        let truth = Truth::new(&observe(&[&steps[..], &[FIN_C, FIN_S]].concat()).1);
        for first in 0..steps.len() {
            for count in 1..8.min(steps.len() - first + 1) {
                for at_once in [true, false] {
                    let seen = without(&steps, first..first + count, at_once);
                    let seen = [marked(&seen), vec![FIN_C, FIN_S]].concat();
                    let (connection, recorder) = play(Limits::default(), false, &timed(&seen));
                    let what = format!("{name} without {first} and {count} in all");
                    assert_once(&recorder);
                    assert_eq!(recorder.malformed, [], "{what}");
                    let found = truth.check(&recorder);
                    let lost = [Direction::ToServer, Direction::ToClient]
                        .map(|to| connection.facts(to).blocks_lost);
                    assert!(lost != [0, 0], "{what}");
                    for stream in truth.streams() {
                        let is_there = found.contains(&stream);
                        assert!(is_there || lost[0] + lost[1] > 0, "{what}: {stream}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_response_that_may_have_been_lost() {
    let asked = C(headers(1, END_STREAM, &get("/")));
    let answer = headers(1, END_STREAM, &status("200"));
    let lost = Step::Skip(Direction::ToClient, answer.len() as u64, Skip::CaptureHole);
    check(
        &[asked.clone(), lost.clone(), FIN_S],
        &["1: GET / +0 -> - Truncated capture_hole"],
    );
    // It had not ended before the loss.
    check(
        &[
            asked,
            lost,
            Step::Mark(Direction::ToClient),
            S(headers(1, 0, &status("200"))),
            FIN_S,
        ],
        &["1: GET / +0 -> 200 +0… ServerClosed capture_hole"],
    );
}

#[test]
fn a_loss_within_data_loses_nothing_else() {
    let frame = data(1, END_STREAM, b"hello world");
    let (connection, recorder) = observe(&crate::conversation::opened(&[
        C(headers(1, END_STREAM, &get("/"))),
        S(headers(1, 0, &status("200"))),
        S(frame[..12].to_vec()),
        Step::Skip(Direction::ToClient, 8, Skip::RecordsLost),
    ]));
    assert_eq!(
        recorder.lines(),
        ["1: GET / +0 -> 200 +11 Complete records_lost"]
    );
    assert_eq!(connection.facts(Direction::ToClient).blocks_lost, 0);
}

/// The end of a frame that is lost along with what is behind it is still its end.
#[test]
fn a_loss_beyond_a_frame() {
    let frame = data(1, END_STREAM, b"hello world");
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            C(headers(3, END_STREAM, &get("/3"))),
            S(headers(1, 0, &status("200"))),
            S(frame[..12].to_vec()),
            Step::Skip(Direction::ToClient, 50, Skip::RecordsLost),
            FIN_S,
        ],
        &[
            "1: GET / +0 -> 200 +11 Complete records_lost",
            "3: GET /3 +0 -> - Truncated records_lost",
        ],
    );
}

/// A mark where none is due: something is missing, and nobody said so.
#[test]
fn a_mark_within_a_frame() {
    let frame = data(1, 0, b"hello world");
    let (_, recorder) = observe(&crate::conversation::opened(&[
        C(headers(1, END_STREAM, &get("/"))),
        S(headers(1, 0, &status("200"))),
        S(frame[..12].to_vec()),
        Step::Mark(Direction::ToClient),
        S(data(1, END_STREAM, b"end")),
    ]));
    let exchange = &recorder.exchanges[0];
    assert_eq!(exchange.outcome, Outcome::Complete);
    assert!(exchange.gaps.contains(Gaps::RECORDS_LOST));
}

/// What let a sender go on may have been lost: no time is made up for the wait.
#[test]
fn windows_that_may_have_been_opened() {
    let update = window_update(1, 100);
    let lost = Step::Skip(Direction::ToServer, update.len() as u64, Skip::RecordsLost);
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            S(headers(1, 0, &status("200"))),
            S(data(1, 0, &vec![0; 65_535])),
            lost.clone(),
            S(data(1, 0, b"x")),
            Step::Mark(Direction::ToServer),
            C(window_update(1, 100)),
            S(data(1, END_STREAM, b"x")),
        ],
        &["1: GET / +0 -> 200 +65537 Complete records_lost stalls 1 0 ns"],
    );
    // The first size of windows may have been set in what was lost.
    check(
        &[
            lost,
            Step::Mark(Direction::ToServer),
            C(headers(1, END_STREAM, &get("/"))),
            S(headers(1, 0, &status("200"))),
            S(data(1, 0, &vec![0; 65_535])),
            C(window_update(1, 100)),
            C(window_update(0, 100)),
            S(data(1, END_STREAM, b"x")),
        ],
        &["1: GET / +0 -> 200 +65536 Complete"],
    );
}

/// Bytes that are passed over because no frame is found in them may have held a response.
#[test]
fn bytes_passed_over() {
    let lost = Step::Skip(Direction::ToClient, 5, Skip::RecordsLost);
    check(
        &[
            lost,
            C(headers(1, END_STREAM, &get("/"))),
            S(b"no frame here".to_vec()),
            FIN_S,
        ],
        &["1: GET / +0 -> - Truncated records_lost"],
    );
}

#[test]
fn a_loss_within_a_continuation() {
    let block = get("/pieces");
    let last = continuation(1, END_HEADERS, &block[5..]);
    let (seen, rest) = last.split_at(12);
    check(
        &[
            C(frame(1, END_STREAM, 1, &block[..5])),
            C(seen.to_vec()),
            Step::Skip(Direction::ToServer, rest.len() as u64, Skip::CaptureHole),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: ? ?~ +0 -> 200 +0 Complete request_head_cut capture_hole"],
    );
}
