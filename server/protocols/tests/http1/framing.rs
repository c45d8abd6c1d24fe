//! Where bodies end (RFC 9112, 6 and 7).

use headwater_protocols::http1::{Direction, Verdict};

use crate::conversation::{C, FIN_C, FIN_S, S, check, check_verdict};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[track_caller]
fn check_response(response: &[u8], expected: &[&str]) {
    check(&[C(GET), S(response), FIN_S, FIN_C], expected);
}

#[track_caller]
fn check_request(request: &[u8], expected: &[&str]) {
    check(&[C(request), S(OK), FIN_S, FIN_C], expected);
}

#[test]
fn content_length() {
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        &["GET / +0 -> 200 +5 Complete"],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        &["GET / +0 -> 200 +4… ServerClosed"],
    );
    check_response(
        b"HTTP/1.1 200 OK\r\ncontent-length:005 \r\n\r\nhello",
        &["GET / +0 -> 200 +5 Complete"],
    );
    check_request(
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
        &["POST / +3 -> 200 +0 Complete"],
    );
}

#[test]
fn equal_content_lengths_are_one() {
    let twice = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok";
    check_response(twice, &["GET / +0 -> 200 +2 Complete"]);
    check_response(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        &["GET / +0 -> 200 +2 Complete"],
    );
}

#[test]
fn contradicting_content_lengths_frame_nothing() {
    for lengths in [
        "2, 3",
        "-2",
        "+2",
        "",
        "2a",
        "99999999999999999999999",
        "2,",
        "0x2",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {lengths}\r\n\r\nok!");
        let expected = [
            "GET / +0 -> 200 +3 Complete end_inferred",
            "malformed ToClient ContentLength",
        ];
        check_response(response.as_bytes(), &expected);
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {lengths}\r\n\r\nok!");
        let expected = [
            "POST / +3 -> 200 +0 Complete end_inferred",
            "malformed ToServer ContentLength",
        ];
        check_request(request.as_bytes(), &expected);
    }
}

#[test]
fn chunked() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("0\r\n\r\n", "+5 Complete"),
        ("5\r\nhello\r\n0\r\n\r\n", "+15 Complete"),
        (
            "5;name=value;other=\"q;\"\r\nhello\r\n0;last\r\n\r\n",
            "+42 Complete",
        ),
        ("5 \r\nhello\r\n000\r\n\r\n", "+18 Complete"),
        (
            "A\r\n0123456789\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n",
            "+42 Complete",
        ),
        ("5\nhello\n0\n\n", "+11 Complete"),
        (
            "00000000000000000000000005\r\nhello\r\n0\r\n\r\n",
            "+40 Complete",
        ),
        ("5\r\nhel", "+6… ServerClosed"),
        ("5\r\nhello\r\n0\r\nTrailer: a\r\n", "+25… ServerClosed"),
    ];
    for (body, expected) in cases {
        check_response(
            format!("{head}{body}").as_bytes(),
            &[&format!("GET / +0 -> 200 {expected}")],
        );
    }
}

#[test]
fn broken_chunks() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let cases = [
        ("10000000000000000\r\n", "+16… Malformed", "ChunkSize"),
        ("\r\nhello", "+0… Malformed", "ChunkSize"),
        ("-5\r\nhello", "+0… Malformed", "ChunkSize"),
        ("5\r\nhello!\r\n", "+8… Malformed", "ChunkEnd"),
        ("5\r\nhello\rX", "+9… Malformed", "ChunkEnd"),
    ];
    for (body, expected, element) in cases {
        let expected = format!("GET / +0 -> 200 {expected}");
        let malformed = format!("malformed ToClient {element}");
        check_response(format!("{head}{body}").as_bytes(), &[&expected, &malformed]);
    }
    let request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    check_request(
        request,
        &[
            "POST / +4 -> 200 +0 Complete end_inferred",
            "malformed ToServer ChunkSize",
        ],
    );
}

#[test]
fn transfer_encoding_wins_over_content_length() {
    let response =
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check_response(response, &["GET / +0 -> 200 +5 Complete"]);
    let request = b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 99\r\n\r\n1\r\na\r\n0\r\n\r\n";
    check_request(request, &["POST / +11 -> 200 +0 Complete"]);
}

#[test]
fn codings_without_chunked_at_their_end() {
    let response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n more";
    check_response(response, &["GET / +0 -> 200 +10 Complete"]);
    let apart = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check_response(apart, &["GET / +0 -> 200 +5 Complete"]);
    let request = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\nabc";
    let expected = [
        "POST / +3 -> 200 +0 Complete end_inferred",
        "malformed ToServer TransferEncoding",
    ];
    check_request(request, &expected);
}

#[test]
fn transfer_encoding_in_http_1_0_is_faulty() {
    let response = b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let expected = [
        "GET / +0 -> 200 +5 Complete end_inferred",
        "malformed ToClient TransferEncoding",
    ];
    check_response(response, &expected);
    let request = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let expected = [
        "POST / +5 -> 200 +0 Complete end_inferred",
        "malformed ToServer TransferEncoding",
    ];
    check_request(request, &expected);
}

#[test]
fn close_ends_a_body_without_length() {
    check_response(
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        &["GET / +0 -> 200 +5 Complete"],
    );
    check_response(b"HTTP/1.0 200 OK\r\n\r\n", &["GET / +0 -> 200 +0 Complete"]);
}

#[test]
fn responses_without_body() {
    let head = b"HEAD / HTTP/1.1\r\n\r\n";
    let length = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n";
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        &[C(head), S(length), C(head), S(chunked)],
        &["HEAD / +0 -> 200 +0 Complete"; 2],
    );
    let unchanged = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n";
    let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
    check(
        &[C(GET), S(unchanged), C(GET), S(empty)],
        &["GET / +0 -> 304 +0 Complete", "GET / +0 -> 204 +0 Complete"],
    );
}

#[test]
fn connect_opens_a_tunnel() {
    let connect = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n";
    let established = b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n";
    let steps = [
        C(connect),
        C(b"\x16\x03\x01"),
        S(established),
        C(b"\x16\x03\x01"),
        S(GET),
        FIN_S,
        FIN_C,
    ];
    check(&steps, &["CONNECT h:443 +0 -> 200 +0 Complete"]);
    check_verdict(&steps, Direction::ToServer, Verdict::Upgraded);
    let refused = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 2\r\n\r\nno";
    let expected = [
        "CONNECT h:443 +0 -> 407 +2 Complete",
        "CONNECT h:443 +0 -> 200 +0 Complete",
    ];
    check(
        &[C(connect), S(refused), C(connect), S(established)],
        &expected,
    );
}

#[test]
fn upgrade_ends_http() {
    let ask = b"GET /chat HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello";
    let steps = [C(ask), S(switch), C(GET), S(b"\x81\x00"), FIN_S];
    check(&steps, &["GET /chat +0 -> 101 +0 Complete"]);
    check_verdict(&steps, Direction::ToClient, Verdict::Upgraded);
}

#[test]
fn interim_responses() {
    let post = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    check(
        &[C(post), S(go_on), C(b"abc"), S(OK)],
        &["POST / +3 -> [100] 200 +0 Complete"],
    );
    let hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    check(
        &[C(GET), S(hints), S(hints), S(OK)],
        &["GET / +0 -> [103, 102, 103, 102] 200 +0 Complete"],
    );
    let many: Vec<u8> = go_on.repeat(20);
    let expected = ["GET / +0 -> [100, 100, 100, 100, 100, 100, 100, 100] 200 +0 Complete"];
    check(&[C(GET), S(&many), S(OK)], &expected);
}
