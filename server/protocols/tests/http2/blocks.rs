//! Header blocks: in pieces, padded, cut, too long, interrupted.

use headwater_protocols::http1::{Direction, Skip};
use headwater_protocols::http2::{Connection, Limits};

use crate::conversation::{C, FIN_C, FIN_S, Recorder, S, Step, check, opened, play, timed};
use crate::frames::{
    END_HEADERS, END_STREAM, Encoder, PADDED, PRIORITY, continuation, data, frame, get, headers,
    literals, settings, status,
};

const OK: &str = "200";

fn lost(connection: &Connection<Recorder>) -> u32 {
    connection.facts(Direction::ToServer).blocks_lost
}

#[test]
fn padded_and_prioritised() {
    let padded = [&[2][..], &get("/padded"), &[0, 0]].concat();
    let prioritised = [&[0x80, 0, 0, 1, 9][..], &get("/prioritised")].concat();
    let both = [&[1][..], &[0, 0, 0, 1, 9], &get("/both"), &[0]].concat();
    check(
        &[
            C(headers(1, END_STREAM | PADDED, &padded)),
            C(headers(3, END_STREAM | PRIORITY, &prioritised)),
            C(headers(5, END_STREAM | PADDED | PRIORITY, &both)),
            S(headers(1, END_STREAM, &status(OK))),
            S(headers(3, END_STREAM, &status(OK))),
            S(headers(5, END_STREAM, &status(OK))),
        ],
        &[
            "1: GET /padded +0 -> 200 +0 Complete",
            "3: GET /prioritised +0 -> 200 +0 Complete",
            "5: GET /both +0 -> 200 +0 Complete",
        ],
    );
}

#[test]
fn in_pieces() {
    let block = get("/pieces");
    check(
        &[
            C(frame(1, END_STREAM, 1, b"")),
            C(continuation(1, 0, &block[..7])),
            C(continuation(1, 0, b"")),
            C(continuation(1, END_HEADERS, &block[7..])),
            S(headers(1, END_STREAM, &status(OK))),
        ],
        &["1: GET /pieces +0 -> 200 +0 Complete"],
    );
}

#[test]
fn padding_and_priority_that_do_not_fit() {
    let connection = check(
        &[
            C(headers(1, END_STREAM | PADDED, b"\x05abc")),
            C(headers(1, END_STREAM | PADDED, b"")),
            C(headers(1, END_STREAM | PRIORITY, b"\0\0\0\x01")),
            C(headers(3, END_STREAM, &get("/"))),
            S(headers(3, END_STREAM, &status(OK))),
        ],
        &[
            "3: GET / +0 -> 200 +0 Complete",
            "malformed ToServer Padding",
            "malformed ToServer Padding",
            "malformed ToServer FrameHeader",
        ],
    );
    assert_eq!(lost(&connection), 3);
}

#[test]
fn not_hpack() {
    let mut client = Encoder::new();
    let ask = [(":method", "GET"), (":scheme", "http"), (":path", "/x")];
    let first = client.block(&ask);
    let again = client.block(&ask);
    let broken = [&literals(&[(":method", "GET")])[..], &[0x80]].concat();
    let connection = check(
        &[
            C(headers(1, END_STREAM, &first)),
            C(headers(3, END_STREAM, &broken)),
            // The table that this refers to is not known any more.
            C(headers(5, END_STREAM, &again)),
            FIN_S,
            FIN_C,
        ],
        &[
            "1: GET /x +0 -> - ServerClosed",
            "3: GET ?~ +0 -> - ServerClosed request_head_cut",
            "5: GET ? +0 -> - ServerClosed fields_unknown",
            "malformed ToServer HeaderBlock",
        ],
    );
    assert_eq!(lost(&connection), 1);
}

#[test]
fn interrupted() {
    let block = get("/");
    for interruption in [
        C(data(1, 0, b"x")),
        C(frame(6, 0, 0, b"pingping")),
        C(frame(0xfa, 0, 0, b"")),
        C(continuation(3, END_HEADERS, &block)),
    ] {
        let orphan = matches!(&interruption, C(bytes) if bytes[3] == 9);
        let mut expected = vec![
            "1: GET ?~ +0… -> - ServerClosed request_head_cut",
            "malformed ToServer HeaderBlock",
        ];
        if orphan {
            expected.push("malformed ToServer HeaderBlock");
        }
        if let C(bytes) = &interruption
            && bytes[3] == 0
        {
            expected[0] = "1: GET ?~ +1… -> - ServerClosed request_head_cut";
        }
        let steps = [C(frame(1, 0, 1, &block[..14])), interruption, FIN_S, FIN_C];
        let connection = check(&steps, &expected);
        assert_eq!(lost(&connection), 1 + u32::from(orphan));
    }
}

#[test]
fn over_the_limit() {
    let long = "v".repeat(20_000);
    let block = literals(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/long"),
        ("x-long", &long),
        ("x-behind", "1"),
    ]);
    let expected = ["1: GET /long~ +0 -> 200 +0 Complete request_head_cut"];
    let answer = S(headers(1, END_STREAM, &status(OK)));
    let connection = check(
        &[C(headers(1, END_STREAM, &block)), answer.clone()],
        &expected,
    );
    assert_eq!(lost(&connection), 1);
    let mut steps = vec![C(frame(1, END_STREAM, 1, &block[..10]))];
    for fragment in block[10..].chunks(1000) {
        steps.push(C(continuation(1, 0, fragment)));
    }
    steps.push(C(continuation(1, END_HEADERS, b"")));
    steps.push(answer);
    let connection = check(&steps, &expected);
    assert_eq!(lost(&connection), 1);
}

#[test]
fn a_list_over_the_limit() {
    // One index each: 2000 fields in 2000 octets.
    let block = [get("/"), vec![0x90; 2000]].concat();
    let connection = check(
        &[
            C(headers(1, END_STREAM, &block)),
            S(headers(1, END_STREAM, &status(OK))),
        ],
        &["1: GET /~ +0 -> 200 +0 Complete request_head_cut"],
    );
    let facts = connection.facts(Direction::ToServer);
    assert_eq!((facts.fields_left_out, facts.blocks_lost), (2003 - 1024, 0));
}

/// What is there of a head whose rest was not copied, or lost.
#[test]
fn a_frame_that_was_cut() {
    let block = literals(&[(":method", "GET"), (":path", "/cut"), ("x-long", "value")]);
    let whole = headers(1, END_STREAM, &block);
    let (seen, rest) = whole.split_at(9 + 30);
    for (why, gap) in [
        (Skip::NotCopied, ""),
        (Skip::RecordsLost, " records_lost"),
        (Skip::CaptureHole, " capture_hole"),
    ] {
        let connection = check(
            &[
                C(seen.to_vec()),
                Step::Skip(Direction::ToServer, rest.len() as u64, why),
                C(headers(3, END_STREAM, &get("/next"))),
                S(headers(1, END_STREAM, &status(OK))),
                S(headers(3, END_STREAM, &status(OK))),
            ],
            &[
                &format!("1: GET /cut~ +0 -> 200 +0 Complete request_head_cut{gap}"),
                "3: GET /next +0 -> 200 +0 Complete",
            ],
        );
        assert_eq!(lost(&connection), 1);
    }
    // Padding is no field, though its place is in sight.
    let padded = [&[40][..], &get("/p"), &[0; 40]].concat();
    let whole = headers(1, END_STREAM | PADDED, &padded);
    let (seen, rest) = whole.split_at(whole.len() - 10);
    let (_, recorder) = play(
        Limits::default(),
        false,
        &timed(&opened(&[
            C(seen.to_vec()),
            Step::Skip(Direction::ToServer, rest.len() as u64, Skip::NotCopied),
            C(settings(&[])),
            S(headers(1, END_STREAM, &status(OK))),
        ])),
    );
    let head = &recorder.exchanges[0].request.as_ref().unwrap().value;
    assert_eq!((head.start.as_str(), head.fields.len()), ("GET /p", 0));
}
