//! gRPC messages and fields, through the public face only.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use headwater_protocols::grpc::{
    ContentType, Kind, Messages, Protocol, Status, Tally, content_type, kind_seen, split_path,
    timeout_ns,
};

fn message(flags: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&[flags], length.to_be_bytes().as_slice(), bytes].concat()
}

fn samples() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        [
            message(0, b"hello"),
            message(1, b"compressed"),
            message(0, b""),
        ]
        .concat(),
        [
            message(0, &[7; 300]),
            message(1, b""),
            b"\0\0\0\0\x09cut".to_vec(),
        ]
        .concat(),
        [message(0, b"a"), message(2, b"b"), message(0, b"c")].concat(),
        b"\0\xff\xff\xff\xffx".to_vec(),
    ]
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Bytes(&'a [u8]),
    Skip(u64),
}
use Step::{Bytes, Skip};

fn observe(steps: &[Step<'_>]) -> (Tally, bool, bool) {
    let mut messages = Messages::new();
    for step in steps {
        match *step {
            Bytes(bytes) => messages.bytes(bytes),
            Skip(length) => messages.skipped(length),
        }
    }
    (messages.tally(), messages.is_exact(), messages.is_within())
}

/// Messages, bytes, compressed and malformed; exact; within.
type Expected = ([u64; 4], bool, bool);

fn counts(tally: Tally) -> [u64; 4] {
    [
        tally.messages,
        tally.message_bytes,
        tally.compressed,
        tally.malformed,
    ]
}

#[track_caller]
fn check(steps: &[Step<'_>], expected: Expected) {
    let (tally, exact, within) = observe(steps);
    assert_eq!((counts(tally), exact, within), expected);
}

#[test]
fn messages() {
    let expected: &[Expected] = &[
        ([0, 0, 0, 0], true, false),
        ([3, 15, 1, 0], true, false),
        ([2, 303, 1, 0], true, true),
        ([1, 1, 0, 1], false, false),
        ([0, 1, 0, 0], true, true),
    ];
    for (sample, expected) in samples().iter().zip(expected) {
        check(&[Bytes(sample)], *expected);
    }
    check(&[Bytes(b"\0\0")], ([0, 0, 0, 0], true, true));
}

#[test]
fn skips() {
    let two = [message(1, b"abc"), message(0, b"de")].concat();
    check(
        &[Bytes(&two[..5]), Skip(3), Bytes(&two[8..])],
        ([2, 5, 1, 0], true, false),
    );
    check(
        &[Bytes(&two[..6]), Skip(1), Bytes(&two[7..])],
        ([2, 5, 1, 0], true, false),
    );
    check(
        &[Bytes(&two[..5]), Skip(4), Bytes(&two[9..])],
        ([1, 3, 1, 0], false, false),
    );
    check(
        &[Bytes(&two[..6]), Skip(0), Bytes(&two[8..])],
        ([0, 1, 0, 0], false, false),
    );
    check(&[Skip(1), Bytes(&two)], ([0, 0, 0, 0], false, false));
    check(
        &[Bytes(&two[..5]), Skip(u64::MAX)],
        ([1, 3, 1, 0], false, false),
    );
}

#[test]
fn web_trailers_are_no_message() {
    let stream = [message(0, b"abc"), message(0x80, b"grpc-status:0\r\n")].concat();
    let mut messages = Messages::web();
    messages.bytes(&stream);
    assert_eq!(
        (counts(messages.tally()), messages.is_exact()),
        ([1, 3, 0, 0], true)
    );
    check(&[Bytes(&stream)], ([1, 3, 0, 1], false, false));
}

#[test]
fn every_split_in_two_and_byte_by_byte() {
    for sample in samples() {
        let whole = observe(&[Bytes(&sample)]);
        for at in 0..=sample.len() {
            let (first, second) = sample.split_at(at);
            assert_eq!(
                observe(&[Bytes(first), Bytes(second)]),
                whole,
                "split at {at}"
            );
        }
        let bytes: Vec<_> = sample.chunks(1).map(Bytes).collect();
        assert_eq!(observe(&bytes), whole, "byte by byte");
    }
}

/// Every prefix, and every skip of every sample: at most the truth, and the truth where it claims to be.
#[test]
fn every_skip_leaves_lower_bounds() {
    for sample in samples() {
        let (truth, ..) = observe(&[Bytes(&sample)]);
        let at_most = |lower: Tally| {
            counts(lower)
                .iter()
                .zip(counts(truth))
                .all(|(lower, truth)| *lower <= truth)
        };
        for from in 0..=sample.len() {
            assert!(at_most(observe(&[Bytes(&sample[..from])]).0));
            for to in from + 1..=sample.len() {
                let skip = Skip(u64::try_from(to - from).unwrap());
                let (lower, exact, _) =
                    observe(&[Bytes(&sample[..from]), skip, Bytes(&sample[to..])]);
                assert!(at_most(lower));
                assert!(!exact || lower == truth, "{from}..{to}");
            }
        }
    }
}

#[test]
fn kinds() {
    let cases = [
        (0, 0, Kind::Unary, "unary"),
        (1, 1, Kind::Unary, "unary"),
        (2, 1, Kind::ClientStreaming, "client_streaming"),
        (1, 2, Kind::ServerStreaming, "server_streaming"),
        (2, 2, Kind::Bidirectional, "bidi"),
    ];
    for (requests, responses, kind, name) in cases {
        assert_eq!(kind_seen(requests, responses), kind);
        assert_eq!(kind.name(), name);
    }
}

#[test]
fn statuses() {
    for number in 0..17 {
        let name = Status(number).name().unwrap();
        assert_eq!(Status::from_name(name), Some(Status(number)));
        assert_eq!(
            Status::from_field(number.to_string().as_bytes()),
            Some(Status(number))
        );
    }
    assert_eq!(
        (Status::OK.name(), Status(16).name(), Status(17).name()),
        (Some("OK"), Some("UNAUTHENTICATED"), None)
    );
    assert_eq!(Status::from_name("ok"), None);
    for value in ["", "-1", "+1", "OK", "4294967296", "1 "] {
        assert_eq!(Status::from_field(value.as_bytes()), None, "{value}");
    }
}

#[test]
fn timeouts() {
    let cases = [
        ("1n", Some(1)),
        ("20u", Some(20_000)),
        ("300m", Some(300_000_000)),
        ("5S", Some(5_000_000_000)),
        ("2M", Some(120_000_000_000)),
        ("1H", Some(3_600_000_000_000)),
        ("99999999H", Some(u64::MAX)),
        ("5000000H", Some(18_000_000_000_000_000_000)),
        ("123456789n", None),
        ("S", None),
        ("", None),
        ("1", None),
        ("1s", None),
        ("-1S", None),
        ("1.5S", None),
    ];
    for (value, expected) in cases {
        assert_eq!(timeout_ns(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn paths() {
    let cases = [
        (
            "/helloworld.Greeter/SayHello",
            Some(("helloworld.Greeter", "SayHello")),
        ),
        (
            "/grpc.health.v1.Health/Check",
            Some(("grpc.health.v1.Health", "Check")),
        ),
        ("/S/m_1", Some(("S", "m_1"))),
        ("S/M", None),
        ("/S", None),
        ("/S/", None),
        ("//M", None),
        ("/a..S/M", None),
        ("/.S/M", None),
        ("/S/M/x", None),
        ("/S/M?x=y", None),
        ("/1S/M", None),
        ("/S/M\u{202e}", None),
    ];
    for (path, expected) in cases {
        assert_eq!(split_path(path.as_bytes()), expected, "{path}");
    }
    assert_eq!(split_path(b"/S/\xff"), None);
}

#[test]
fn content_types() {
    let is = |protocol, format: Option<&'static str>| {
        Some(ContentType {
            protocol,
            format: format.map(str::as_bytes),
        })
    };
    let cases = [
        ("application/grpc", is(Protocol::Grpc, None)),
        ("application/grpc+proto", is(Protocol::Grpc, Some("proto"))),
        (
            "Application/GRPC+json ; charset=utf-8",
            is(Protocol::Grpc, Some("json")),
        ),
        ("application/grpc-web", is(Protocol::Web, None)),
        (
            "application/grpc-web+proto",
            is(Protocol::Web, Some("proto")),
        ),
        (
            "application/grpc-web-text+proto",
            is(Protocol::WebText, Some("proto")),
        ),
        ("application/grpcx", None),
        ("application/grpc+", None),
        ("application/json", None),
        ("text/grpc", None),
        ("", None),
    ];
    for (value, expected) in cases {
        assert_eq!(content_type(value.as_bytes()), expected, "{value}");
    }
}
