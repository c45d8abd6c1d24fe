//! Windows that are used up, and how long a sender waited. Step `i` passes at `i + 1` ns, the first of each test at 3 ns.

use crate::conversation::{C, S, Step, check};
use crate::frames::{END_STREAM, data, get, headers, settings, status, window_update};

const FULL: usize = 65_535;

fn begun() -> Vec<Step> {
    vec![
        C(headers(1, END_STREAM, &get("/"))),
        S(headers(1, 0, &status("200"))),
    ]
}

/// `steps` begin at 5 ns.
#[track_caller]
fn told(steps: &[Step], expected: &str) {
    check(&[&begun()[..], steps].concat(), &[expected]);
}

#[test]
fn a_window_that_is_not_used_up() {
    told(
        &[
            S(data(1, 0, &vec![0; FULL - 1])),
            C(window_update(0, 9)),
            S(data(1, END_STREAM, b"x")),
        ],
        "1: GET / +0 -> 200 +65535 Complete",
    );
}

#[test]
fn the_streams_window() {
    told(
        &[
            C(window_update(0, 100_000)),
            S(data(1, 0, &vec![0; FULL])), // 6 ns
            C(window_update(0, 10)),
            C(window_update(3, 10)),
            C(window_update(1, 10)), // 9 ns
            C(window_update(1, 10)),
            S(data(1, 0, b"x")),
            S(data(1, END_STREAM, b"x")),
        ],
        "1: GET / +0 -> 200 +65537 Complete stalls 1 3 ns",
    );
}

#[test]
fn the_connections_window() {
    told(
        &[
            C(window_update(1, 100_000)),
            S(data(1, 0, &vec![0; FULL])), // 6 ns
            C(window_update(1, 10)),
            C(window_update(0, 10)), // 8 ns
            C(window_update(0, 10)),
            S(data(1, END_STREAM, b"x")),
        ],
        "1: GET / +0 -> 200 +65536 Complete stalls 1 2 ns",
    );
}

#[test]
fn both_windows() {
    told(
        &[
            S(data(1, 0, &vec![0; FULL])), // 5 ns
            C(window_update(0, 10)),
            C(window_update(1, 10)),      // 7 ns
            S(data(1, 0, b"0123456789")), // 8 ns
            C(window_update(1, 10)),
            C(window_update(0, 10)), // 10 ns
            S(data(1, END_STREAM, b"x")),
        ],
        "1: GET / +0 -> 200 +65546 Complete stalls 2 4 ns",
    );
}

#[test]
fn the_initial_window() {
    // Lowered below what was sent, and raised again.
    told(
        &[
            C(settings(&[(4, 100)])),
            S(data(1, 0, &[0; 100])), // 6 ns
            C(settings(&[(4, 50)])),
            C(window_update(1, 50)),  // 0 left
            C(settings(&[(4, 200)])), // 9 ns
            S(data(1, END_STREAM, b"x")),
        ],
        "1: GET / +0 -> 200 +101 Complete stalls 1 3 ns",
    );
    // Of streams to come.
    check(
        &[
            C(settings(&[(4, 3)])),
            C(headers(1, END_STREAM, &get("/"))),
            S(headers(1, 0, &status("200"))),
            S(data(1, 0, b"abc")),  // 6 ns
            C(window_update(1, 1)), // 7 ns
            S(data(1, END_STREAM, b"d")),
        ],
        &["1: GET / +0 -> 200 +4 Complete stalls 1 1 ns"],
    );
}

#[test]
fn an_end_needs_no_window() {
    told(
        &[
            S(data(1, 0, &vec![0; FULL])),
            C(window_update(1, 10)),
            S(data(1, END_STREAM, b"")),
        ],
        "1: GET / +0 -> 200 +65535 Complete",
    );
}

#[test]
fn uploads_too() {
    check(
        &[
            S(settings(&[(4, 3)])),
            C(headers(1, 0, &get("/"))),
            C(data(1, 0, b"abc")),  // 5 ns
            S(window_update(1, 5)), // 6 ns
            C(data(1, END_STREAM, b"d")),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: GET / +4 -> 200 +0 Complete stalls 1 1 ns"],
    );
}
