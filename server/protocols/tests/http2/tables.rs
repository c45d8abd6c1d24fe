//! Sizes of HPACK's tables, set by one end and kept to by the other from its acknowledgement on.

use headwater_protocols::http1::Direction;
use headwater_protocols::http2::Limits;

use crate::conversation::{C, S, Step, check, opened, play, timed};
use crate::frames::{END_STREAM, Encoder, headers, settings, settings_ack};

const ASK: &[(&str, &str)] = &[(":method", "GET"), (":scheme", "http"), (":path", "/x")];
const ANSWER: &[(&str, &str)] = &[(":status", "204")];

/// Every stream asks for `/x`, and is answered.
#[track_caller]
fn all_known(steps: &[Step], streams: &[u32]) {
    let expected: Vec<_> = streams
        .iter()
        .map(|stream| format!("{stream}: GET /x +0 -> 204 +0 Complete"))
        .collect();
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    let connection = check(steps, &expected);
    for to in [Direction::ToServer, Direction::ToClient] {
        assert_eq!(connection.facts(to).blocks_lost, 0);
    }
}

fn exchange(stream: u32, ask: &[u8], answer: &[u8]) -> [Step; 2] {
    [
        C(headers(stream, END_STREAM, ask)),
        S(headers(stream, END_STREAM, answer)),
    ]
}

#[test]
fn lowered() {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = Vec::from(exchange(1, &client.block(ASK), &server.block(ANSWER)));
    steps.extend([S(settings(&[(1, 0)])), C(settings(&[(1, 0)]))]);
    // Not acknowledged yet: the tables are what they were.
    steps.extend(exchange(3, &client.block(ASK), &server.block(ANSWER)));
    steps.extend([S(settings_ack()), C(settings_ack())]);
    let ask = [client.size(0), client.block(ASK)].concat();
    let answer = [server.size(0), server.block(ANSWER)].concat();
    steps.extend(exchange(5, &ask, &answer));
    steps.extend(exchange(7, &client.block(ASK), &server.block(ANSWER)));
    all_known(&steps, &[1, 3, 5, 7]);
}

#[test]
fn raised() {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = vec![
        S(settings(&[(1, 100_000)])),
        C(settings(&[(1, 100_000)])),
        S(settings_ack()),
        C(settings_ack()),
    ];
    steps.extend(exchange(1, &client.block(ASK), &server.block(ANSWER)));
    let ask = [client.size(50_000), client.block(ASK)].concat();
    let answer = [server.size(50_000), server.block(ANSWER)].concat();
    steps.extend(exchange(3, &ask, &answer));
    // More than 4096 bytes of other entries between two uses of one.
    let value = "v".repeat(2000);
    for (stream, name) in [(5, "a"), (7, "b"), (9, "c"), (11, "d")] {
        let ask = client.block(&[ASK, &[(name, &value)]].concat());
        steps.extend(exchange(stream, &ask, &server.block(ANSWER)));
    }
    steps.extend(exchange(13, &client.block(ASK), &server.block(ANSWER)));
    all_known(&steps, &[1, 3, 5, 7, 9, 11, 13]);
}

#[test]
fn shrunk_and_grown_in_one_block() {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = Vec::from(exchange(1, &client.block(ASK), &server.block(ANSWER)));
    let ask = [client.size(0), client.size(4096), client.block(ASK)].concat();
    steps.extend(exchange(3, &ask, &server.block(ANSWER)));
    steps.extend(exchange(5, &client.block(ASK), &server.block(ANSWER)));
    all_known(&steps, &[1, 3, 5]);
}

/// A table that may hold more than is kept of it forgets, and says so.
#[test]
fn more_than_is_kept() {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = vec![S(settings(&[(1, 100_000)])), C(settings_ack())];
    let ask = [client.size(100_000), client.block(ASK)].concat();
    steps.extend(exchange(1, &ask, &server.block(ANSWER)));
    for stream in (3..23).step_by(2) {
        let value = format!("{stream}{}", "v".repeat(2000));
        let ask = client.block(&[ASK, &[("x", &value)]].concat());
        steps.extend(exchange(stream, &ask, &server.block(ANSWER)));
    }
    let (_, recorder) = play(Limits::default(), false, &timed(&opened(&steps)));
    let last = recorder.lines().pop().unwrap();
    assert_eq!(last, "21: GET ? +0 -> 204 +0 Complete fields_unknown");
    assert!(recorder.malformed.is_empty());
}

/// Acknowledgements that are never sent, and some that nobody asked for.
#[test]
fn acknowledgements_that_do_not_match() {
    let (mut client, mut server) = (Encoder::new(), Encoder::new());
    let mut steps = vec![C(settings_ack()), C(settings_ack()), S(settings(&[(1, 0)]))];
    steps.extend(exchange(1, &client.block(ASK), &server.block(ANSWER)));
    steps.push(C(settings_ack()));
    steps.extend(exchange(3, &client.block(ASK), &server.block(ANSWER)));
    steps.extend(vec![S(settings(&[(1, 0)])); 100]);
    steps.extend(exchange(5, &client.block(ASK), &server.block(ANSWER)));
    all_known(&steps, &[1, 3, 5]);
}
