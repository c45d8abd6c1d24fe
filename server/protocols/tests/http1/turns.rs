//! What can be known when only the first bytes of each turn are there, or when some are lost.

use headwater_protocols::http1::{Direction, Skip, Tail, Verdict};

use crate::conversation::{
    C, FIN_C, FIN_S, S, Step, TurnC, TurnS, check, check_joined, observe, uncopied_c, uncopied_s,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const NEXT: &[u8] = b"GET /next HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
const LONG: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin";
const CHUNKS: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nbegin";
const NEXT_DONE: &str = "GET /next +0 -> 200 +0 Complete";

fn lost_s(count: u64) -> Step<'static> {
    Step::Skip(Direction::ToClient, count, Skip::CaptureHole, Tail::Unknown)
}

fn lost_c(count: u64) -> Step<'static> {
    Step::Skip(Direction::ToServer, count, Skip::RecordsLost, Tail::Unknown)
}

#[test]
fn an_uncopied_body_of_known_length() {
    let steps = [
        C(GET),
        S(LONG),
        uncopied_s(500),
        uncopied_s(495),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    check(&steps, &["GET / +0 -> 200 +1000 Complete", NEXT_DONE]);
    let upload = b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n";
    let steps = [
        C(upload),
        uncopied_c(60),
        TurnS,
        S(b"HTTP/1.1 100 C\r\n\r\n"),
        TurnC,
        C(b"abcd"),
        uncopied_c(36),
        S(OK),
    ];
    check(&steps, &["POST / +100 -> [100] 200 +0 Complete"]);
}

#[test]
fn bytes_behind_an_uncopied_body() {
    let steps = [
        C(GET),
        S(LONG),
        uncopied_s(1100),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    check(
        &steps,
        &["GET / +0 -> 200 +1000 Complete behind_body", NEXT_DONE],
    );
    let upload = b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n";
    let steps = [
        C(upload),
        uncopied_c(200),
        TurnS,
        S(OK),
        S(OK),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    let expected = [
        "POST / +100 -> 200 +0 Complete behind_body",
        "- -> 200 +0 RequestNotSeen behind_body",
        NEXT_DONE,
    ];
    check(&steps, &expected);
    // Two bytes are an empty line, which some clients send.
    check(
        &[C(upload), uncopied_c(102), S(OK)],
        &["POST / +100 -> 200 +0 Complete"],
    );
}

#[test]
fn responses_behind_an_uncopied_one_are_given_up() {
    let both = [GET, GET].concat();
    let steps = [
        C(&both),
        S(LONG),
        uncopied_s(1100),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    let expected = [
        "GET / +0 -> 200 +1000 Complete behind_body",
        "GET / +0 -> - Truncated behind_body",
        NEXT_DONE,
    ];
    check(&steps, &expected);
}

#[test]
fn uncopied_bytes_inside_one_chunk() {
    let steps = [
        C(GET),
        S(CHUNKS),
        uncopied_s(50),
        TurnS,
        S(b"end of chunk!"),
        FIN_S,
    ];
    check(
        &steps,
        &[
            "GET / +0 -> 200 +68… Malformed",
            "malformed ToClient ChunkEnd",
        ],
    );
    let steps = [
        C(GET),
        S(CHUNKS),
        uncopied_s(59),
        TurnS,
        S(b"\r\n0\r\n\r\n"),
    ];
    check(&steps, &["GET / +0 -> 200 +75 Complete"]);
}

#[test]
fn uncopied_chunks_end_with_their_last() {
    let last = Step::Skip(Direction::ToClient, 5000, Skip::NotCopied, Tail::LastChunk);
    let steps = [
        C(GET),
        S(CHUNKS),
        uncopied_s(100),
        TurnS,
        S(b"some more"),
        last,
        C(NEXT),
        S(OK),
    ];
    check(&steps, &["GET / +0 -> 200 +5118 Complete", NEXT_DONE]);
}

#[test]
fn uncopied_chunks_end_with_what_follows() {
    let inferred = "GET / +0 -> 200 +109 Complete end_inferred trailers_unseen";
    check(
        &[
            C(GET),
            S(CHUNKS),
            uncopied_s(100),
            TurnC,
            C(NEXT),
            TurnS,
            S(OK),
        ],
        &[inferred, NEXT_DONE],
    );
    check(
        &[C(GET), S(CHUNKS), uncopied_s(100), FIN_S, FIN_C],
        &[inferred],
    );
    // The request alone ends it: its row need not wait for the next response.
    let (_, recorder) = observe(&[C(GET), S(CHUNKS), uncopied_s(100), TurnC, C(NEXT)]);
    assert_eq!(recorder.lines(), [inferred]);
    assert_eq!(
        recorder.exchanges[0]
            .response
            .as_ref()
            .unwrap()
            .last_byte_ns,
        Some(3)
    );
}

#[test]
fn an_uncopied_chunked_request_ends_with_its_response() {
    let upload = b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n";
    let steps = [
        C(upload),
        uncopied_c(1000),
        TurnS,
        S(OK),
        TurnC,
        C(b"rest of it"),
        TurnC,
        C(NEXT),
        S(OK),
    ];
    check(
        &steps,
        &[
            "PUT / +1004 -> 200 +0 Complete end_inferred trailers_unseen",
            NEXT_DONE,
        ],
    );
}

#[test]
fn a_cut_response_head() {
    let steps = [
        C(GET),
        S(b"HTTP/1.1 200 OK\r\nSet-Cookie: "),
        uncopied_s(3000),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    check(
        &steps,
        &[
            "GET / +0 -> 200~ +3000 Complete response_head_cut end_inferred",
            NEXT_DONE,
        ],
    );
}

#[test]
fn a_turn_that_begins_with_a_head_is_believed() {
    // The rest of the body went missing without a word.
    let steps = [C(GET), S(LONG), TurnC, C(NEXT), TurnS, S(OK)];
    check(
        &steps,
        &["GET / +0 -> 200 +5 Complete end_inferred", NEXT_DONE],
    );
    // Not without a reason: here nothing was asked.
    let steps = [
        C(GET),
        S(b"HTTP/1.1 200 OK\r\nContent-Length: 38\r\n\r\n"),
        TurnS,
        S(OK),
    ];
    check(&steps, &["GET / +0 -> 200 +38 Complete"]);
    // A response to a HEAD that was not seen.
    let steps = [
        S(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        TurnC,
        C(NEXT),
        TurnS,
        S(OK),
    ];
    check_joined(
        &steps,
        &[
            "- -> 200 +0 RequestNotSeen end_inferred joined_midstream",
            NEXT_DONE,
        ],
    );
}

#[test]
fn holes_in_bodies() {
    check(
        &[C(GET), S(LONG), lost_s(995), C(NEXT), S(OK)],
        &["GET / +0 -> 200 +1000 Complete capture_hole", NEXT_DONE],
    );
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n";
    check(
        &[C(GET), S(until_close), lost_s(7), FIN_S],
        &["GET / +0 -> 200 +7 Complete capture_hole"],
    );
    let steps = [
        C(GET),
        S(CHUNKS),
        lost_s(500),
        S(b"\r\nany bytes"),
        C(NEXT),
        S(OK),
    ];
    check(
        &steps,
        &[
            "GET / +0 -> 200 +520 Complete end_inferred trailers_unseen capture_hole",
            NEXT_DONE,
        ],
    );
    let steps = [C(GET), S(LONG), lost_s(0), S(b"any bytes"), C(NEXT), S(OK)];
    check(
        &steps,
        &[
            "GET / +0 -> 200 +14 Complete end_inferred capture_hole",
            NEXT_DONE,
        ],
    );
}

#[test]
fn holes_in_place_of_heads() {
    // The whole response was lost.
    let expected = ["GET / +0 -> - Truncated capture_hole", NEXT_DONE];
    check(&[C(GET), lost_s(500), C(NEXT), S(OK)], &expected);
    check(
        &[C(GET), lost_s(500), S(b"rest"), C(NEXT), S(OK)],
        &expected,
    );
    check(
        &[C(GET), lost_s(500), FIN_S],
        &["GET / +0 -> - Truncated capture_hole"],
    );
    // Something was lost, but not the response.
    check(
        &[C(GET), lost_s(5), S(OK)],
        &["GET / +0 -> 200 +0 Complete capture_hole"],
    );
    // One of two responses was lost: there is no telling which.
    let both = [GET, NEXT].concat();
    let expected = [
        "GET / +0 -> - Truncated capture_hole",
        "GET /next +0 -> - Truncated capture_hole",
        "- -> 200 +0 RequestNotSeen",
    ];
    check(&[C(&both), lost_s(500), S(OK)], &expected);
    // The request was lost.
    let expected = ["- -> 200 +0 RequestNotSeen records_lost", NEXT_DONE];
    check(
        &[C(GET), S(OK), lost_c(50), S(OK), C(NEXT), S(OK)],
        &[&["GET / +0 -> 200 +0 Complete"], &expected[..]].concat(),
    );
}

#[test]
fn a_hole_in_a_head() {
    let steps = [
        C(b"GET /a HTTP/1.1\r\nA: b\r\nC:"),
        lost_c(10),
        C(b"more\r\n\r\n"),
        S(OK),
        C(NEXT),
        S(OK),
    ];
    check(
        &steps,
        &[
            "GET /a~ +18 -> 200 +0 Complete request_head_cut records_lost end_inferred",
            NEXT_DONE,
        ],
    );
}

#[test]
fn a_stream_joined_in_the_middle_is_given_up_at_last() {
    let turns: Vec<_> = (0..40)
        .flat_map(|_| [TurnC, C(b"\x17\x03\x03"), TurnS, S(b"\x17\x03\x03")])
        .collect();
    let (connection, _) = observe(&turns);
    assert_eq!(connection.is_http(Direction::ToServer), Verdict::No);
    check_joined(&turns, &[]);
}
