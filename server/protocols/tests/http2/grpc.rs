//! Calls of gRPC: both ways at once, and how their messages are counted.

use headwater_protocols::http1::{Direction, Skip};

use crate::conversation::{C, FIN_C, FIN_S, S, Step, check};
use crate::frames::{END_STREAM, PADDED, data, headers, literals, reset};
use crate::samples::message;

fn call() -> Vec<u8> {
    literals(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a.B/C"),
        ("content-type", "application/grpc+proto"),
    ])
}

fn answer() -> Vec<u8> {
    literals(&[(":status", "200"), ("content-type", "application/grpc")])
}

fn end() -> Vec<u8> {
    literals(&[("grpc-status", "0")])
}

#[test]
fn both_ways_at_once() {
    check(
        &[
            C(headers(1, 0, &call())),
            S(headers(1, 0, &answer())),
            C(data(1, 0, &message(b"one"))),
            S(data(1, 0, &message(b"1"))),
            C(data(1, 0, &message(b"two"))),
            S(data(1, 0, &message(b"2"))),
            S(data(1, 0, &message(b"3"))),
            C(data(1, END_STREAM, b"")),
            S(headers(1, END_STREAM, &end())),
        ],
        &["1: POST /a.B/C +16 -> 200 +18 {grpc-status: 0} Complete asked 2/6 answered 3/3"],
    );
}

#[test]
fn only_trailers() {
    let only = literals(&[
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("grpc-status", "12"),
    ]);
    check(
        &[
            C(headers(1, 0, &call())),
            C(data(1, END_STREAM, &message(b"one"))),
            S(headers(1, END_STREAM, &only)),
        ],
        &["1: POST /a.B/C +8 -> 200 +0 Complete asked 1/3 answered 0/0"],
    );
}

#[test]
fn a_page_about_an_error_has_no_messages() {
    let page = literals(&[(":status", "502"), ("content-type", "text/html")]);
    check(
        &[
            C(headers(1, END_STREAM, &call())),
            S(headers(1, 0, &page)),
            S(data(1, END_STREAM, b"<html>")),
        ],
        &["1: POST /a.B/C +0 -> 502 +6 Complete asked 0/0"],
    );
}

/// A message over several frames, several messages in a frame, and what of that can be told of uncopied payload.
#[test]
fn uncopied_payload() {
    let both = [message(b"one"), message(b"two")].concat();
    check(
        &[
            C(headers(1, 0, &call())),
            C(data(1, 0, &both[..3])),
            C(data(1, END_STREAM, &both[3..])),
            S(headers(1, 0, &answer())),
            S(headers(1, END_STREAM, &end())),
        ],
        &["1: POST /a.B/C +16 -> 200 +0 {grpc-status: 0} Complete asked 2/6 answered 0/0"],
    );
    let skip = |length| Step::Skip(Direction::ToServer, length, Skip::NotCopied);
    let long = message(&[7; 100]);
    let (first, second) = (data(1, 0, &long[..50]), data(1, END_STREAM, &long[50..]));
    check(
        &[
            C(headers(1, 0, &call())),
            C(first[..14].to_vec()),
            skip(45),
            C(second[..9].to_vec()),
            skip(55),
            FIN_C,
            FIN_S,
        ],
        &["1: POST /a.B/C +105 -> - ClientGaveUp asked 1/100 answered 0/0"],
    );
    let frame = data(1, END_STREAM, &both);
    check(
        &[
            C(headers(1, 0, &call())),
            C(frame[..14].to_vec()),
            skip(11),
            FIN_C,
            FIN_S,
        ],
        &["1: POST /a.B/C +16 -> - ClientGaveUp asked at least 1/3 answered 0/0"],
    );
}

#[test]
fn padded_messages_are_a_lower_bound() {
    let padded = [&[2][..], &message(b"one"), &[0, 0]].concat();
    check(
        &[
            C(headers(1, 0, &call())),
            C(data(1, PADDED, &padded)),
            C(reset(1, 8)),
        ],
        &["1: POST /a.B/C +11… -> - ClientGaveUp ToServer 8 asked at least 0/0 answered 0/0"],
    );
}
