//! Heads: what is read of them, whole, odd and cut.

use headwater_protocols::http1::{Connection, Direction, Limits, Verdict};

use crate::conversation::{
    C, FIN_C, FIN_S, Head, Recorder, S, check, check_verdict, observe, play, uncopied_c,
};

const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn request(bytes: &[u8]) -> Head {
    let (_, mut recorder) = observe(&[C(bytes), S(OK), FIN_S, FIN_C]);
    recorder.exchanges.remove(0).request.unwrap().value
}

fn response(bytes: &[u8]) -> Head {
    let (_, mut recorder) = observe(&[C(GET), S(bytes), FIN_S, FIN_C]);
    recorder.exchanges.remove(0).response.unwrap().value
}

#[track_caller]
fn check_fields(head: &Head, expected: &[(&str, &str)]) {
    let fields: Vec<_> = head
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn targets_and_methods() {
    let cases = [
        "GET /a/b?c=d#e",
        "OPTIONS *",
        "GET http://user@host:80/p?q",
        "CONNECT host:443",
        "get /lower",
        "M-SEARCH *",
        "!#$%&'*+-.^_`|~ /token",
        "GET /%00",
        "GET /a\"b<>{}|^`",
    ];
    for case in cases {
        assert_eq!(
            request(format!("{case} HTTP/1.1\r\n\r\n").as_bytes()).start,
            case.as_bytes().escape_ascii().to_string()
        );
    }
    assert_eq!(
        request(b"GET /\xe4\xff HTTP/1.1\r\n\r\n").start,
        "GET /\\xe4\\xff"
    );
    assert_eq!(request(b"GET /a b c HTTP/1.0\r\n\r\n").start, "GET /a b c");
    assert_eq!(
        request(b"GET   /wide   HTTP/1.1\r\n\r\n").start,
        "GET /wide"
    );
}

#[test]
fn fields_are_in_order_and_as_received() {
    let head = request(b"GET / HTTP/1.1\r\nhOST: h\r\nX-Empty:\r\nx-empty: \t \r\nA:  b c \t\r\nHost: \xff\r\n\r\n");
    let expected = [
        ("hOST", "h"),
        ("X-Empty", ""),
        ("x-empty", ""),
        ("A", "b c"),
        ("Host", "\\xff"),
    ];
    check_fields(&head, &expected);
}

#[test]
fn bare_line_feeds_and_empty_lines_before_a_request() {
    check_fields(
        &request(b"\r\n\n\r\nGET / HTTP/1.1\nA: b\nC: d\n\n"),
        &[("A", "b"), ("C", "d")],
    );
    check_fields(
        &response(b"HTTP/1.1 200\nContent-Length: 0\n\n"),
        &[("Content-Length", "0")],
    );
    let two = [
        C(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx\r\n"),
        S(OK),
        C(b"GET / HTTP/1.1\r\n\r\n"),
        S(OK),
    ];
    check(
        &two,
        &[
            "POST / +1 -> 200 +0 Complete",
            "GET / +0 -> 200 +0 Complete",
        ],
    );
}

#[test]
fn folded_lines_keep_their_line_ends() {
    let fields = b"A: b\r\n c\r\n\td\r\nE: f\r\n\r\n";
    let expected = [("A", "b\\r\\n c\\r\\n\\td"), ("E", "f")];
    check_fields(
        &request(&[b"GET / HTTP/1.1\r\n", &fields[..]].concat()),
        &expected,
    );
    check_fields(
        &response(&[b"HTTP/1.1 204 No\r\n", &fields[..]].concat()),
        &expected,
    );
}

#[test]
fn what_a_strict_parser_refuses_is_shown_and_counted() {
    let cases: [(&[u8], &str); 10] = [
        (b"no colon", "FieldName"),
        (b": no name", "FieldName"),
        (b"two words: x", "FieldName"),
        (b"A: \x01", "FieldValue"),
        (b"A: \x0c", "FieldValue"),
        (b"A: b\rc", "FieldValue"),
        (b"A: b\r", "FieldValue"),
        (b"A : b", "FieldName"),
        (b"A\r\n : b", "FieldName"),
        (b"A: b\r\n \r\n\tc", "none"),
    ];
    for (line, element) in cases {
        let bytes = [
            b"GET / HTTP/1.1\r\nHost: h\r\n",
            line,
            b"\r\nLast: l\r\n\r\n",
        ]
        .concat();
        let (_, recorder) = observe(&[C(&bytes), S(OK)]);
        let head = &recorder.exchanges[0].request.as_ref().unwrap().value;
        assert_eq!(
            head.fields.first().unwrap(),
            &("Host".to_owned(), "h".to_owned())
        );
        assert_eq!(
            head.fields.last().unwrap(),
            &("Last".to_owned(), "l".to_owned())
        );
        let malformed: Vec<_> = recorder
            .malformed
            .iter()
            .map(|(_, element)| format!("{element:?}"))
            .collect();
        assert_eq!(
            malformed.first().map_or("none", String::as_str),
            element,
            "{}",
            line.escape_ascii()
        );
    }
}

#[test]
fn reasons_and_space_before_the_colon() {
    assert_eq!(response(b"HTTP/1.1 200\r\n\r\n").start, "200");
    assert_eq!(response(b"HTTP/1.1 404 \r\n\r\n").start, "404");
    assert_eq!(response(b"HTTP/1.1  500  Oh\xe9\r\n\r\n").start, "500");
    check_fields(
        &response(b"HTTP/1.1 204 No\r\nA : b\r\n\r\n"),
        &[("A", "b")],
    );
    check_fields(&request(b"GET / HTTP/1.1\r\nA : b\r\n\r\n"), &[("A", "b")]);
}

#[test]
fn what_splits_or_smuggles_a_head_is_shown_and_counted() {
    let first = b"GET / HTTP/1.1\r\n Host: h\r\nA: b\r\n\r\n";
    check_fields(&request(first), &[("Host", "h"), ("A", "b")]);
    check_fields(
        &request(b"GET / HTTP/1.1\r\nA: \x0c\r\n\r\n"),
        &[("A", "\\x0c")],
    );
    check_fields(
        &request(b"GET / HTTP/1.1\r\nA: \rB: c\r\n\r\n"),
        &[("A", "\\rB: c")],
    );
    let reason = b"HTTP/1.1 200 OK\rA: b\r\nContent-Length: 0\r\n\r\n";
    for (bytes, answer, expected) in [
        (&first[..], OK, "malformed ToServer FieldName"),
        (GET, &reason[..], "malformed ToClient StatusLine"),
    ] {
        let (_, recorder) = observe(&[C(bytes), S(answer)]);
        assert_eq!(recorder.lines(), ["GET / +0 -> 200 +0 Complete", expected]);
    }
}

#[test]
fn more_fields_than_fit_on_the_stack() {
    let fields: Vec<String> = (0..500)
        .map(|number| format!("N{number}: {number}\r\n"))
        .collect();
    let fields = fields.concat();
    let head = request(format!("GET / HTTP/1.1\r\n{fields}\r\n").as_bytes());
    assert_eq!((head.fields.len(), head.cut), (500, false));
}

#[test]
fn a_head_over_the_limit_is_cut() {
    let mut connection = Connection::new(
        Limits {
            max_head_bytes: 64,
            max_pipelined: 4,
        },
        false,
    );
    let bytes = format!(
        "GET / HTTP/1.1\r\nA: b\r\nLong: {}\r\nC: d\r\n\r\n",
        "x".repeat(100)
    );
    let mut recorder = Recorder::default();
    for piece in bytes.as_bytes().chunks(50) {
        play(&mut connection, &mut recorder, &[C(piece)]);
    }
    play(&mut connection, &mut recorder, &[S(OK)]);
    assert_eq!(
        recorder.lines(),
        ["GET /~ +74 -> 200 +0 Complete request_head_cut end_inferred"]
    );
    check_fields(
        &recorder.exchanges[0].request.as_ref().unwrap().value,
        &[("A", "b")],
    );
}

#[test]
fn a_head_over_the_cap_is_cut() {
    let steps = [
        C(b"GET /a HTTP/1.1\r\nA: b\r\nB: c\r\n d\r\nC: "),
        uncopied_c(50),
        S(OK),
    ];
    check(
        &steps,
        &["GET /a~ +50 -> 200 +0 Complete request_head_cut end_inferred"],
    );
    let (_, recorder) = observe(&steps);
    let head = &recorder.exchanges[0].request.as_ref().unwrap().value;
    check_fields(head, &[("A", "b"), ("B", "c\\r\\n d")]);
    let target = [C(b"GET /long?target="), uncopied_c(5000), S(OK)];
    check(
        &target,
        &["GET /long?target=~ +5000 -> 200 +0 Complete request_head_cut end_inferred"],
    );
}

#[test]
fn sizes_times_and_tags() {
    let steps = [
        C(b"POST / HTTP/1.1\r\nContent-"),
        C(b"Length: 4\r\n\r\nab"),
        C(b"cd"),
        S(b"HTTP/1.1 2"),
        S(b"00 OK\r\n\r\n"),
        S(b"x"),
        FIN_S,
    ];
    let (_, recorder) = observe(&steps);
    let exchange = &recorder.exchanges[0];
    let request = exchange.request.as_ref().unwrap();
    assert_eq!((request.header_bytes, request.body_bytes), (38, 4));
    assert_eq!(
        (
            request.first_byte_ns,
            request.last_byte_ns,
            request.first_tag
        ),
        (1, Some(3), 1)
    );
    let response = exchange.response.as_ref().unwrap();
    assert_eq!((response.header_bytes, response.body_bytes), (19, 1));
    assert_eq!(
        (
            response.first_byte_ns,
            response.last_byte_ns,
            response.first_tag
        ),
        (4, Some(6), 4)
    );
    assert_eq!((exchange.ordinal, exchange.end_ns), (0, 7));
}

#[test]
fn what_is_not_http() {
    let cases: [&[u8]; 9] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"GET /\r\n",
        b"GET / HTTP/3.0\r\n\r\n",
        b"\0\0\0",
        b"EHLO mail\r\n",
        &[b'A'; 300],
    ];
    for case in cases {
        for pieces in [1, 7, case.len()] {
            let steps: Vec<_> = case
                .chunks(pieces)
                .map(C)
                .chain([C(GET), S(b"\x15\x03\x01"), S(OK), FIN_S, FIN_C])
                .collect();
            check(&steps, &[]);
            check_verdict(&steps, Direction::ToServer, Verdict::No);
            check_verdict(&steps[..steps.len() - 4], Direction::ToServer, Verdict::No);
        }
    }
    check_verdict(
        &[S(b"220 mail ESMTP\r\n")],
        Direction::ToServer,
        Verdict::No,
    );
    check_verdict(&[C(b"GE")], Direction::ToServer, Verdict::Unknown);
    check_verdict(&[C(GET)], Direction::ToServer, Verdict::Yes);
    check_verdict(&[C(GET)], Direction::ToClient, Verdict::Unknown);
    check_verdict(&[C(GET), S(OK)], Direction::ToClient, Verdict::Yes);
}

/// A server that answers with a status took the bytes for a request, however bad.
#[test]
fn an_answer_tells_that_the_first_bytes_were_a_request() {
    const BAD: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    for bytes in [
        &b"GET HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\x16\x03\x01\x02",
        b"\xdd GET / HTTP/1.1\r\n\r\n",
    ] {
        let expected = "- -> 400 +0 Malformed";
        let malformed = "malformed ToServer RequestLine";
        check(&[C(bytes), S(BAD), FIN_S, FIN_C], &[expected, malformed]);
        check_verdict(&[C(bytes), S(BAD)], Direction::ToClient, Verdict::Yes);
        // The client may well go on with a good one.
        check(
            &[C(bytes), S(BAD), C(GET), S(BAD)],
            &[expected, "GET / +0 -> 400 +0 Complete", malformed],
        );
    }
}

/// Alone it may be another protocol's; behind a head it is a request of HTTP/0.9 (RFC 1945, 5.1).
#[test]
fn a_request_without_a_version_is_one_where_http_was_seen() {
    const SIMPLE: &[u8] = b"GET /old\r\n";
    let twice = [SIMPLE, GET].concat();
    for pieces in [1, 3, twice.len()] {
        let steps: Vec<_> = [C(GET), S(OK)]
            .into_iter()
            .chain(twice.chunks(pieces).map(C))
            .chain([S(OK), S(OK)])
            .collect();
        check(
            &steps,
            &[
                "GET / +0 -> 200 +0 Complete",
                "GET /old +0 -> 200 +0 Complete",
                "GET / +0 -> 200 +0 Complete",
            ],
        );
    }
    for no_request in [
        &b"GET\r\n"[..],
        b"GET old\r\n",
        b"GET /old HTTP/3\r\n",
        b"PUT /old\r\n",
    ] {
        check(
            &[C(GET), S(OK), C(no_request)],
            &[
                "GET / +0 -> 200 +0 Complete",
                "malformed ToServer RequestLine",
            ],
        );
    }
}
