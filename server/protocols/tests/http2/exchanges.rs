//! Requests and responses in every order and shape that frames allow.

use crate::conversation::{C, FIN_C, FIN_S, S, check, observe, open_line, opened};
use crate::frames::{
    END_STREAM, data, frame, get, goaway, headers, literals, post, push_promise, reset, status,
};

#[test]
fn get_and_post() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/a"))),
            S(headers(1, 0, &status("200"))),
            S(data(1, 0, b"hel")),
            S(data(1, END_STREAM, b"lo")),
            C(headers(3, 0, &post("/b"))),
            C(data(3, 0, b"abc")),
            C(data(3, END_STREAM, b"")),
            S(headers(3, END_STREAM, &status("204"))),
        ],
        &[
            "1: GET /a +0 -> 200 +5 Complete",
            "3: POST /b +3 -> 204 +0 Complete",
        ],
    );
}

#[test]
fn times_tags_and_sizes() {
    let block = get("/a");
    let (connection, recorder) = observe(&opened(&[
        C(headers(1, 0, &block)),
        C(data(1, END_STREAM, b"x")),
        S(headers(1, 0, &status("103"))),
        S(headers(1, 0, &status("200"))),
        S(data(1, END_STREAM, b"x")),
    ]));
    assert_eq!(connection.open().count(), 0);
    let exchange = &recorder.exchanges[0];
    let request = exchange.request.as_ref().unwrap();
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(request.header_bytes, block.len() as u64);
    let times = [request.first_byte_ns, request.last_byte_ns.unwrap()];
    assert_eq!((times, request.first_tag), ([3, 4], 3));
    let times = [response.first_byte_ns, response.last_byte_ns.unwrap()];
    assert_eq!((times, response.first_tag, exchange.end_ns), ([6, 7], 6, 7));
}

#[test]
fn trailers_of_both() {
    check(
        &[
            C(headers(1, 0, &post("/"))),
            C(data(1, 0, b"abc")),
            C(headers(1, END_STREAM, &literals(&[("x-sum", "1")]))),
            S(headers(1, 0, &status("200"))),
            S(data(1, 0, b"abcd")),
            S(headers(1, END_STREAM, &literals(&[("x-took", "2")]))),
        ],
        &["1: POST / +3 {x-sum: 1} -> 200 +4 {x-took: 2} Complete"],
    );
}

#[test]
fn interim_responses() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            S(headers(1, 0, &status("100"))),
            S(headers(1, 0, &status("103"))),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: GET / +0 -> [100, 103] 200 +0 Complete"],
    );
}

#[test]
fn interleaved_streams() {
    check(
        &[
            C(headers(1, 0, &post("/1"))),
            C(headers(3, END_STREAM, &get("/3"))),
            C(data(1, 0, b"a")),
            C(headers(5, END_STREAM, &get("/5"))),
            S(headers(5, 0, &status("205"))),
            S(headers(3, 0, &status("203"))),
            S(data(5, 0, b"55")),
            C(data(1, END_STREAM, b"a")),
            S(data(3, END_STREAM, b"333")),
            S(headers(1, END_STREAM, &status("201"))),
            S(data(5, END_STREAM, b"555")),
        ],
        &[
            "3: GET /3 +0 -> 203 +3 Complete",
            "1: POST /1 +2 -> 201 +0 Complete",
            "5: GET /5 +0 -> 205 +5 Complete",
        ],
    );
}

#[test]
fn the_response_ends_before_the_request() {
    check(
        &[
            C(headers(1, 0, &post("/"))),
            C(data(1, 0, b"abc")),
            S(headers(1, END_STREAM, &status("413"))),
            S(reset(1, 0)),
            C(data(1, 0, b"abc")),
            C(headers(1, END_STREAM, &literals(&[("x-sum", "1")]))),
        ],
        &["1: POST / +3… -> 413 +0 Complete"],
    );
}

#[test]
fn resets_by_either_side() {
    let asked = C(headers(1, END_STREAM, &get("/")));
    let answered = S(headers(1, 0, &status("200")));
    let line = "1: GET / +0 -> - ClientGaveUp ToServer 8";
    check(&[asked.clone(), C(reset(1, 8))], &[line]);
    let line = "1: GET / +0 -> - ServerReset ToClient 7";
    check(&[asked.clone(), S(reset(1, 7))], &[line]);
    let line = "1: GET / +0 -> 200 +1… ServerReset ToClient 2";
    let half = S(data(1, 0, b"x"));
    check(
        &[asked.clone(), answered.clone(), half, S(reset(1, 2))],
        &[line],
    );
    // It has all that was promised, and does not wait for the end, which comes in a frame of its own.
    for (told, body, line) in [
        (
            &["2"][..],
            "ab",
            "1: GET / +0 -> 200 +2 Complete ToServer 5",
        ),
        (
            &["2"],
            "a",
            "1: GET / +0 -> 200 +1… ClientGaveUp ToServer 5",
        ),
        (
            &["+2"],
            "ab",
            "1: GET / +0 -> 200 +2… ClientGaveUp ToServer 5",
        ),
        (
            &["2", "3"],
            "ab",
            "1: GET / +0 -> 200 +2… ClientGaveUp ToServer 5",
        ),
    ] {
        let lengths: Vec<_> = told
            .iter()
            .map(|length| ("content-length", *length))
            .collect();
        let promised = [status("200"), literals(&lengths)].concat();
        check(
            &[
                asked.clone(),
                S(headers(1, 0, &promised)),
                S(data(1, 0, body.as_bytes())),
                C(reset(1, 5)),
            ],
            &[line],
        );
    }
    // Behind the end it says nothing, and what comes then is late.
    check(
        &[
            asked,
            C(reset(1, 8)),
            answered,
            S(data(1, END_STREAM, b"x")),
            S(reset(1, 0)),
        ],
        &["1: GET / +0 -> - ClientGaveUp ToServer 8"],
    );
}

#[test]
fn goaway_refuses_what_is_beyond() {
    let connection = check(
        &[
            C(headers(1, END_STREAM, &get("/1"))),
            C(headers(3, END_STREAM, &get("/3"))),
            C(headers(5, END_STREAM, &get("/5"))),
            S(goaway(0x7fff_ffff, 0)),
            S(goaway(3, 11)),
            // It had not reached the client yet.
            C(headers(7, END_STREAM, &get("/7"))),
            S(headers(1, END_STREAM, &status("200"))),
            FIN_S,
            FIN_C,
        ],
        &[
            "5: GET /5 +0 -> - ServerReset ToClient goaway 11",
            "7: GET /7 +0 -> - ServerReset ToClient goaway 11",
            "1: GET /1 +0 -> 200 +0 Complete",
            "3: GET /3 +0 -> - ServerClosed",
        ],
    );
    let goaway = connection
        .facts(headwater_protocols::http1::Direction::ToClient)
        .goaway
        .unwrap();
    assert_eq!(
        (goaway.code, goaway.last_stream_id, goaway.at_ns),
        (11, 3, 7)
    );
}

#[test]
fn the_clients_goaway_refuses_nothing() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/1"))),
            C(goaway(0, 0)),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: GET /1 +0 -> 200 +0 Complete"],
    );
}

#[test]
fn pushed_streams() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            S(push_promise(1, 2, &get("/style"))),
            S(push_promise(1, 4, &get("/script"))),
            S(headers(1, END_STREAM, &status("200"))),
            C(reset(4, 8)),
            S(headers(2, 0, &status("200"))),
            S(data(2, END_STREAM, b"css")),
        ],
        &[
            "1: GET / +0 -> 200 +0 Complete",
            "4: GET /script +0 -> - ClientGaveUp ToServer 8 pushed",
            "2: GET /style +0 -> 200 +3 Complete pushed",
        ],
    );
}

#[test]
fn extended_connect() {
    let connect = literals(&[
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "h"),
    ]);
    let steps = opened(&[
        C(headers(1, 0, &connect)),
        S(headers(1, 0, &status("200"))),
        C(data(1, 0, b"\x81\x80abcd")),
        S(data(1, 0, b"\x81\x00")),
    ]);
    let (connection, recorder) = observe(&steps);
    let open: Vec<_> = connection.open().collect();
    assert_eq!(open_line(&open[0]), "1: CONNECT /chat");
    assert!(recorder.exchanges.is_empty());
    let head = &open[0].request.unwrap().value;
    assert!(
        head.pseudo
            .contains(&(":protocol", Some("websocket".into())))
    );
    check(
        &[&steps[2..], &[FIN_C, FIN_S]].concat(),
        &["1: CONNECT /chat +6… -> 200 +2… ClientGaveUp"],
    );
}

#[test]
fn what_comes_for_closed_streams_is_ignored() {
    check(
        &[
            C(headers(5, END_STREAM, &get("/5"))),
            S(headers(5, END_STREAM, &status("200"))),
            C(headers(5, END_STREAM, &get("/again"))),
            C(headers(3, END_STREAM, &get("/below"))),
            S(headers(5, END_STREAM, &status("500"))),
            S(headers(3, END_STREAM, &status("500"))),
        ],
        &["5: GET /5 +0 -> 200 +0 Complete"],
    );
}

#[test]
fn what_comes_behind_the_end_of_a_request_is_ignored() {
    check(
        &[
            C(headers(1, END_STREAM, &get("/"))),
            C(data(1, END_STREAM, b"more")),
            C(headers(1, END_STREAM, &literals(&[("x-sum", "1")]))),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: GET / +0 -> 200 +0 Complete"],
    );
}

#[test]
fn streams_of_the_wrong_side() {
    check(
        &[
            C(headers(2, END_STREAM, &get("/even"))),
            C(push_promise(1, 4, &get("/client"))),
            S(push_promise(1, 3, &get("/odd"))),
            S(headers(0x7fff_ffff, END_STREAM, &status("200"))),
            S(headers(0x7fff_ffff, END_STREAM, &status("200"))),
            C(headers(1, END_STREAM, &get("/still"))),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &[
            "2147483647: - -> 200 +0 RequestNotSeen",
            "1: GET /still +0 -> 200 +0 Complete",
            "malformed ToServer FrameHeader",
            "malformed ToServer FrameHeader",
            "malformed ToClient FrameHeader",
        ],
    );
}

#[test]
fn heads_that_are_none() {
    check(
        &[
            C(headers(1, END_STREAM, &literals(&[("a", "b")]))),
            S(headers(1, END_STREAM, &literals(&[("a", "b")]))),
            C(headers(3, END_STREAM, &get("/"))),
            S(data(3, END_STREAM, b"no head")),
        ],
        &[
            "1: ? ? +0 -> ? +0 Complete",
            "3: GET / +0 -> - Malformed",
            "malformed ToServer PseudoHeader",
            "malformed ToClient PseudoHeader",
            "malformed ToClient PseudoHeader",
        ],
    );
}

#[test]
fn unknown_frames_are_passed_over() {
    check(
        &[
            C(frame(0xb, 0xff, 0, b"grease")),
            C(headers(1, END_STREAM, &get("/"))),
            S(frame(0xfa, 0, 1, b"")),
            S(frame(16, 0, 0, b"\0\0\0\x01u=1")),
            S(headers(1, END_STREAM, &status("200"))),
        ],
        &["1: GET / +0 -> 200 +0 Complete"],
    );
}
