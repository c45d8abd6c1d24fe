//! How exchanges end when the connection does.

use headwater_protocols::http1::{Direction, End};

use crate::conversation::{C, FIN_C, FIN_S, S, Step, check};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HALF: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no";
const UNTIL_CLOSE: &[u8] = b"HTTP/1.1 200 OK\r\n\r\no";
const RESET_C: Step<'_> = Step::End(Direction::ToServer, End::Reset);
const RESET_S: Step<'_> = Step::End(Direction::ToClient, End::Reset);
const TIMED_OUT: Step<'_> = Step::End(Direction::ToServer, End::TimedOut);
const EVICTED: Step<'_> = Step::End(Direction::ToClient, End::Evicted);

#[test]
fn before_the_response() {
    let cases: [(&[Step<'_>], &str); 8] = [
        (&[FIN_S], "ServerClosed"),
        (&[FIN_S, FIN_C], "ServerClosed"),
        (&[FIN_C, FIN_S], "ClientGaveUp"),
        (&[RESET_C], "ClientGaveUp"),
        (&[RESET_S], "ServerReset"),
        (&[FIN_C, RESET_S], "ServerReset"),
        (&[TIMED_OUT], "TimedOut"),
        (&[EVICTED], "Truncated"),
    ];
    for (ends, outcome) in cases {
        let steps: Vec<_> = [C(GET)].iter().chain(ends).copied().collect();
        check(&steps, &[&format!("GET / +0 -> - {outcome}")]);
    }
}

#[test]
fn in_the_middle_of_the_response() {
    let cases: [(&[Step<'_>], &str, &str); 7] = [
        (&[FIN_S], "+1… ServerClosed", "+1 Complete"),
        (&[FIN_C, FIN_S], "+1… ClientGaveUp", "+1 Complete"),
        (&[RESET_C], "+1… ClientGaveUp", "+1… ClientGaveUp"),
        (&[RESET_S], "+1… ServerReset", "+1… ServerReset"),
        (&[TIMED_OUT], "+1… TimedOut", "+1… TimedOut"),
        (&[EVICTED], "+1… Truncated", "+1… Truncated"),
        (
            &[FIN_C, RESET_C, FIN_S],
            "+1… ClientGaveUp",
            "+1… ClientGaveUp",
        ),
    ];
    for (ends, known_length, until_close) in cases {
        for (response, expected) in [(HALF, known_length), (UNTIL_CLOSE, until_close)] {
            let steps: Vec<_> = [C(GET), S(response)].iter().chain(ends).copied().collect();
            check(&steps, &[&format!("GET / +0 -> 200 {expected}")]);
        }
    }
}

#[test]
fn a_half_close_gives_up_nothing() {
    check(
        &[C(GET), FIN_C, S(OK), FIN_S],
        &["GET / +0 -> 200 +2 Complete"],
    );
    check(
        &[C(GET), FIN_C, S(UNTIL_CLOSE), S(b"k"), FIN_S],
        &["GET / +0 -> 200 +2 Complete"],
    );
}

#[test]
fn in_the_middle_of_the_request() {
    let post = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc";
    check(&[C(post), FIN_S], &["POST / +3… -> - ServerClosed"]);
    check(&[C(post), FIN_C, FIN_S], &["POST / +3… -> - ClientGaveUp"]);
    check(
        &[C(post), FIN_C, RESET_S],
        &["POST / +3… -> - ClientGaveUp"],
    );
    check(&[C(post), RESET_S], &["POST / +3… -> - ServerReset"]);
    check(
        &[C(post), S(OK), RESET_C],
        &["POST / +3… -> 200 +2 Complete"],
    );
}

#[test]
fn in_the_middle_of_a_head() {
    let head = b"GET /a HTTP/1.1\r\nHost: h\r\nAcc";
    check(&[C(head), RESET_C], &["GET /a~ +0… -> - ClientGaveUp"]);
    check(
        &[C(head), EVICTED],
        &["GET /a~ +0… -> - Truncated request_head_cut"],
    );
    let head = b"HTTP/1.1 200 OK\r\nHost: h\r\nAcc";
    check(
        &[C(GET), S(head), FIN_S],
        &["GET / +0 -> 200~ +0… ServerClosed"],
    );
    check(
        &[C(GET), S(head), EVICTED],
        &["GET / +0 -> 200~ +0… Truncated response_head_cut"],
    );
    check(&[C(GET), S(b"HTT"), FIN_S], &["GET / +0 -> - ServerClosed"]);
}

#[test]
fn a_request_after_the_server_closed() {
    check(
        &[C(GET), S(OK), FIN_S, C(GET), FIN_C],
        &["GET / +0 -> 200 +2 Complete", "GET / +0 -> - ServerClosed"],
    );
    check(
        &[C(GET), S(OK), FIN_S, C(GET), RESET_S],
        &["GET / +0 -> 200 +2 Complete", "GET / +0 -> - ServerReset"],
    );
}

#[test]
fn nothing_comes_after_the_end() {
    check(
        &[C(GET), RESET_C, C(GET), S(OK), FIN_S],
        &["GET / +0 -> - ClientGaveUp"],
    );
    check(&[FIN_C, FIN_S], &[]);
}
