//! Which response belongs to which request.

use headwater_protocols::http1::{Connection, Limits, Outcome};

use crate::conversation::{C, FIN_S, Recorder, S, check, check_joined, observe, outcomes, play};

const A: &[u8] = b"GET /a HTTP/1.1\r\n\r\n";
const B: &[u8] = b"POST /b HTTP/1.1\r\nContent-Length: 2\r\n\r\nxy";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
const GONE: &[u8] = b"HTTP/1.1 410 Gone\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";

#[test]
fn keep_alive() {
    let old = b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    let expected = [
        "GET /a +0 -> 200 +1 Complete",
        "POST /b +2 -> 410 +11 Complete",
        "GET /old +0 -> 200 +1 Complete",
    ];
    check(&[C(A), S(OK), C(B), S(GONE), C(old), S(OK)], &expected);
}

#[test]
fn pipelining() {
    let expected = [
        "GET /a +0 -> 200 +1 Complete",
        "POST /b +2 -> 410 +11 Complete",
        "GET /a +0 -> 200 +1 Complete",
    ];
    check(
        &[C(&[A, B, A].concat()), S(&[OK, GONE, OK].concat())],
        &expected,
    );
    check(&[C(A), C(B), S(OK), C(A), S(GONE), S(OK)], &expected);
}

#[test]
fn an_exchange_is_visible_while_open_and_final_at_once() {
    let (connection, recorder) = observe(&[
        C(A),
        C(A),
        S(OK),
        S(b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
    ]);
    assert_eq!(recorder.exchanges.len(), 1);
    let open: Vec<_> = connection.open().collect();
    assert_eq!(open.len(), 1);
    assert_eq!(
        (open[0].ordinal, open[0].interim.as_slice()),
        (1, &[100][..])
    );
    assert_eq!(open[0].response.unwrap().value.start, "200");
}

#[test]
fn more_pipelined_requests_than_the_limit() {
    let mut connection = Connection::new(
        Limits {
            max_head_bytes: 1024,
            max_pipelined: 2,
        },
        false,
    );
    let mut recorder = Recorder::default();
    play(
        &mut connection,
        &mut recorder,
        &[
            C(&A.repeat(4)),
            S(OK),
            C(A),
            S(&OK.repeat(4)),
            C(B),
            S(GONE),
        ],
    );
    let expected = [
        Outcome::Truncated, // the third and fourth request find no room,
        Outcome::Truncated,
        Outcome::Complete,
        Outcome::Truncated, // nor does the fifth, since responses to those are due before its own
        Outcome::Complete,
        Outcome::RequestNotSeen,
        Outcome::RequestNotSeen,
        Outcome::RequestNotSeen,
        Outcome::Complete,
    ];
    assert_eq!(outcomes(&recorder), expected);
    assert_eq!((recorder.requests, recorder.responses), (6, 6));
    assert_eq!(
        recorder
            .exchanges
            .last()
            .unwrap()
            .request
            .as_ref()
            .unwrap()
            .value
            .start,
        "POST /b"
    );
}

#[test]
fn a_response_without_request() {
    let late = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n";
    check(&[S(late), FIN_S], &["- -> 408 +0 RequestNotSeen"]);
    check_joined(
        &[S(b"rest of a body"), S(OK), C(A), S(OK)],
        &[
            "- -> 200 +1 RequestNotSeen joined_midstream",
            "GET /a +0 -> 200 +1 Complete",
        ],
    );
    check_joined(
        &[C(b"\x00\x01"), C(A), S(b"\x16\x03"), S(OK)],
        &["GET /a +0 -> 200 +1 Complete joined_midstream"],
    );
}

#[test]
fn an_early_response() {
    let post = b"POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n123";
    let too_large = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n";
    check(
        &[C(post), S(too_large), FIN_S],
        &["POST /big +3… -> 413 +0 Complete"],
    );
    let goes_on = [C(post), S(too_large), C(b"4567890"), C(A), S(OK)];
    check(
        &goes_on,
        &[
            "POST /big +10 -> 413 +0 Complete",
            "GET /a +0 -> 200 +1 Complete",
        ],
    );
}

#[test]
fn malformed_heads() {
    let steps = [C(A), S(b"oh no\r\n\r\n"), C(A), S(OK)];
    check(
        &steps,
        &[
            "GET /a +0 -> - Malformed",
            "GET /a +0 -> 200 +1 Complete",
            "malformed ToClient StatusLine",
        ],
    );
    let bad = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let steps = [C(A), S(OK), C(b"GET\r\n\r\n"), C(b"more"), S(bad), FIN_S];
    let expected = [
        "GET /a +0 -> 200 +1 Complete",
        "- -> 400 +0 Malformed",
        "malformed ToServer RequestLine",
    ];
    check(&steps, &expected);
    let unanswered = [C(A), S(OK), C(b"\x00\x00"), FIN_S];
    check(
        &unanswered,
        &[
            "GET /a +0 -> 200 +1 Complete",
            "malformed ToServer RequestLine",
        ],
    );
}
