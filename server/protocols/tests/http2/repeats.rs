//! Heads that are remembered: which are, and how often they are read. That the same is told of each conversation with and without is
//! checked wherever one is played (`conversation`).

use headwater_protocols::http2::{Limits, Repeats};

use crate::conversation::{C, Head, Recorder, S, Step, once, opened, timed};
use crate::frames::{END_STREAM, get, headers, literals, status};

/// The newest entry of the table (RFC 7541, 6.1 and 2.3.3).
const NEWEST: u8 = 0x80 + 62;
/// A value of `server`, to be inserted (6.2.1, appendix A).
const SERVER: u8 = 0x40 + 54;

/// Says what is told with `repeats`, and checks how often a request's head and a response's was read.
#[track_caller]
fn told(steps: &[Step], repeats: Repeats<Head, Head>, read: (usize, usize)) -> Recorder {
    let steps = timed(&opened(steps));
    let (_, recorder) = once(Limits::default(), false, &steps, Some(repeats));
    assert_eq!((recorder.requests, recorder.responses), read);
    recorder
}

fn exchange(stream: u32, ask: &[u8], answer: &[u8]) -> [Step; 2] {
    [
        C(headers(stream, END_STREAM, ask)),
        S(headers(stream, END_STREAM, answer)),
    ]
}

/// As nginx answers: literals that are inserted, and never referred to.
fn inserting(code: u8, server: &str) -> Vec<u8> {
    let mut block = vec![0x80 | code, SERVER];
    block.push(u8::try_from(server.len()).unwrap());
    block.extend(server.bytes());
    block
}

#[test]
fn blocks_that_refer_to_nothing_are_known_on_every_connection() {
    let steps = [
        exchange(1, &get("/a"), &status("200")),
        exchange(3, &get("/a"), &status("200")),
    ]
    .concat();
    let first = told(&steps, Repeats::default(), (1, 1));
    let lines = [
        "1: GET /a +0 -> 200 +0 Complete",
        "3: GET /a +0 -> 200 +0 Complete",
    ];
    assert_eq!(first.lines(), lines);
    let second = told(&steps, first.repeats.unwrap(), (0, 0));
    assert_eq!(second.lines(), lines);
}

#[test]
fn what_a_known_block_inserts_is_inserted() {
    let ask = [0x82, 0x84];
    // Of the newest entry, which is the `server` of the answer before.
    let refers = [0x88, NEWEST];
    let answers: [&[u8]; 6] = [
        &inserting(8, "one"),
        &inserting(8, "two"),
        &inserting(8, "one"),
        &refers,
        &inserting(8, "two"),
        &refers,
    ];
    let steps: Vec<_> = (0..)
        .zip(answers)
        .flat_map(|(place, answer)| exchange(2 * place + 1, &ask, answer))
        .collect();
    // Those that insert for the first time, and those that refer to what was inserted meanwhile.
    let recorder = told(&steps, Repeats::default(), (1, 4));
    let servers: Vec<_> = recorder
        .exchanges
        .iter()
        .map(|exchange| {
            exchange.response.as_ref().unwrap().value.fields[0]
                .1
                .clone()
        })
        .map(Option::unwrap)
        .collect();
    assert_eq!(servers, ["one", "two", "one", "one", "two", "two"]);
}

#[test]
fn indexes_are_known_as_long_as_the_table_is_the_same() {
    let insert = |path: &str| {
        let mut block = vec![0x82, 0x40 | 4, u8::try_from(path.len()).unwrap()];
        block.extend(path.bytes());
        block
    };
    let newest = vec![0x82, NEWEST];
    let asked = [
        insert("/a"),
        newest.clone(),
        newest.clone(),
        insert("/b"),
        newest.clone(),
        newest,
    ];
    let steps: Vec<_> = (0..)
        .zip(&asked)
        .flat_map(|(place, ask)| exchange(2 * place + 1, ask, &status("200")))
        .collect();
    let recorder = told(&steps, Repeats::default(), (4, 1));
    assert_eq!(
        recorder.lines(),
        [
            "1: GET /a +0 -> 200 +0 Complete",
            "3: GET /a +0 -> 200 +0 Complete",
            "5: GET /a +0 -> 200 +0 Complete",
            "7: GET /b +0 -> 200 +0 Complete",
            "9: GET /b +0 -> 200 +0 Complete",
            "11: GET /b +0 -> 200 +0 Complete",
        ]
    );
}

/// The same bytes as a head, and as trailers.
#[test]
fn a_known_head_is_no_trailers() {
    let ask = literals(&[(":method", "GET"), (":path", "/a"), ("x", "1")]);
    let twice = |stream| {
        [
            C(headers(stream, 0, &ask)),
            C(headers(stream, END_STREAM, &ask)),
            S(headers(stream, END_STREAM, &status("200"))),
        ]
    };
    let recorder = told(&[twice(1), twice(3)].concat(), Repeats::default(), (1, 1));
    assert_eq!(
        recorder.lines(),
        [
            "1: GET /a +0 {x: 1} -> 200 +0 Complete",
            "3: GET /a +0 {x: 1} -> 200 +0 Complete",
        ]
    );
}
