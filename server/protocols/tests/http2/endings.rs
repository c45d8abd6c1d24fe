//! How exchanges end when the connection does: as in HTTP/1.

use headwater_protocols::http1::{Direction, End, Verdict};

use crate::conversation::{C, FIN_C, FIN_S, S, Step, check, observe, opened};
use crate::frames::{END_STREAM, data, get, headers, post, status};

const RESET_C: Step = Step::End(Direction::ToServer, End::Reset);
const RESET_S: Step = Step::End(Direction::ToClient, End::Reset);

fn timed_out(direction: Direction) -> Step {
    Step::End(direction, End::TimedOut)
}

fn evicted(direction: Direction) -> Step {
    Step::End(direction, End::Evicted)
}

#[test]
fn before_and_within_the_response() {
    let (c, s) = (Direction::ToServer, Direction::ToClient);
    let cases: [(&[Step], &str); 11] = [
        (&[FIN_S], "ServerClosed"),
        (&[FIN_S, FIN_C], "ServerClosed"),
        (&[FIN_C, FIN_S], "ClientGaveUp"),
        (&[RESET_C], "ClientGaveUp"),
        (&[RESET_S], "ServerReset"),
        (&[FIN_C, RESET_S], "ServerReset"),
        (&[FIN_C, RESET_C, FIN_S], "ClientGaveUp"),
        (&[timed_out(c)], "TimedOut"),
        (&[timed_out(s)], "TimedOut"),
        (&[evicted(c)], "Truncated"),
        (&[FIN_C, evicted(s)], "Truncated"),
    ];
    for (ends, outcome) in cases {
        let asked = [
            C(headers(1, END_STREAM, &get("/"))),
            C(headers(3, END_STREAM, &get("/3"))),
        ];
        check(
            &[&asked[..], ends].concat(),
            &[
                &format!("1: GET / +0 -> - {outcome}"),
                &format!("3: GET /3 +0 -> - {outcome}"),
            ],
        );
        let begun = [S(headers(1, 0, &status("200"))), S(data(1, 0, b"x"))];
        check(
            &[&asked[..1], &begun, ends].concat(),
            &[&format!("1: GET / +0 -> 200 +1… {outcome}")],
        );
    }
}

#[test]
fn within_the_request() {
    let cases: [(&[Step], &str); 4] = [
        (&[FIN_S], "ServerClosed"),
        (&[FIN_C, FIN_S], "ClientGaveUp"),
        (&[FIN_C, RESET_S], "ClientGaveUp"),
        (&[RESET_S], "ServerReset"),
    ];
    for (ends, outcome) in cases {
        let asked = [C(headers(1, 0, &post("/"))), C(data(1, 0, b"abc"))];
        check(
            &[&asked[..], ends].concat(),
            &[&format!("1: POST / +3… -> - {outcome}")],
        );
    }
}

#[test]
fn a_half_close_gives_up_nothing() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            FIN_C,
            S(headers(1, 0, &status("200"))),
            S(data(1, END_STREAM, b"late")),
            FIN_S,
        ],
        &["1: GET / +0 -> 200 +4 Complete"],
    );
}

#[test]
fn a_request_after_the_server_closed() {
    for end in [FIN_C, RESET_C] {
        check(
            &[
                C(headers(1, END_STREAM, &get("/1"))),
                FIN_S,
                C(headers(3, END_STREAM, &get("/3"))),
                end,
            ],
            &[
                "1: GET /1 +0 -> - ServerClosed",
                "3: GET /3 +0 -> - ServerClosed",
            ],
        );
    }
    check(
        &[FIN_S, C(headers(1, END_STREAM, &get("/1"))), RESET_S],
        &["1: GET /1 +0 -> - ServerReset"],
    );
}

#[test]
fn nothing_comes_after_the_end() {
    let (connection, recorder) = observe(&opened(&[
        C(headers(1, END_STREAM, &get("/1"))),
        RESET_C,
        C(headers(3, END_STREAM, &get("/3"))),
        S(headers(1, END_STREAM, &status("200"))),
        Step::Mark(Direction::ToClient),
        FIN_S,
        RESET_S,
    ]));
    assert_eq!(recorder.lines(), ["1: GET /1 +0 -> - ClientGaveUp"]);
    assert_eq!(connection.open().count(), 0);
}

#[test]
fn what_is_no_http2() {
    let (connection, recorder) = observe(&[
        S(headers(2, 0, &status("200"))),
        C(b"PRI * HTTP/2.1\r\n".to_vec()),
        C(headers(1, END_STREAM, &get("/1"))),
        FIN_C,
        FIN_S,
    ]);
    assert_eq!(
        recorder.lines(),
        [
            "2: - -> 200 +0… RequestNotSeen",
            "malformed ToClient Preface",
            "malformed ToServer Preface",
        ]
    );
    assert_eq!(connection.verdict(), Verdict::No);
}
