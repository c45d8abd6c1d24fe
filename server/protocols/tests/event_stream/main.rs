//! Server-sent events, through the public face only.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

use headwater_protocols::event_stream::{Events, Tally, is_event_stream};

/// Streams with the events and comments in them. The first four are WHATWG HTML's, 9.2.6.
const SAMPLES: &[(&[u8], u64, u64)] = &[
    (b"data: YHOO\ndata: +2\ndata: 10\n\n", 1, 0),
    (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n", 2, 1),
    (b"data\n\ndata\ndata\n\ndata:", 2, 0),
    (b"data:test\n\ndata: test\n\n", 2, 0),
    (b"", 0, 0),
    (b"\n\n\n", 0, 0),
    (b"event: ping\n\n", 0, 0),
    (b"event: x\r\ndata: y\r\n\r\n:keep-alive\r\n\r\n:\r\n\r\n", 1, 2),
    (b"data: a\r\ndata: b\r\n\r\n", 1, 0),
    (b"data: a\r\rdata: b\r\n\rdata: c\n\r", 3, 0),
    (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", 1, 0),
    (b"\xef\xbbdata: a\n\n", 0, 0),
    (b"\xef\xbb\xbf\n:c\n", 0, 1),
    (b"database: a\n\ndat: b\n\nData: c\n\n data: d\n\n", 0, 0),
    (b"data: a\n\ndata: unfinished\n", 1, 0),
    (b"retry: 10\nid: 1\ndata: \xff\0\nevent: x\n\n", 1, 0),
];

#[derive(Clone, Copy)]
enum Step<'a> {
    Bytes(&'a [u8]),
    Skip(u64),
}
use Step::{Bytes, Skip};

/// All steps pass at one time, so that only bytes make a difference.
fn observe(steps: &[Step<'_>]) -> (Tally, bool) {
    let mut events = Events::new();
    for step in steps {
        match *step {
            Bytes(bytes) => events.bytes(7, bytes),
            Skip(length) => events.skipped(length),
        }
    }
    (events.tally(), events.is_exact())
}

#[test]
fn events_and_comments() {
    for (stream, events, comments) in SAMPLES {
        let (tally, exact) = observe(&[Bytes(stream)]);
        assert_eq!(
            (tally.events, tally.comments),
            (*events, *comments),
            "{}",
            stream.escape_ascii()
        );
        assert_eq!((tally.bytes, exact), (stream.len() as u64, true));
    }
}

#[test]
fn every_split_in_two_and_byte_by_byte() {
    for (stream, ..) in SAMPLES {
        let whole = observe(&[Bytes(stream)]);
        for at in 0..=stream.len() {
            let (first, second) = stream.split_at(at);
            assert_eq!(
                observe(&[Bytes(first), Bytes(second)]),
                whole,
                "split at {at}"
            );
        }
        let bytes: Vec<_> = stream.chunks(1).map(Bytes).collect();
        assert_eq!(observe(&bytes), whole, "byte by byte");
    }
}

/// Every prefix, and every skip of every sample: at most the truth.
#[test]
fn every_skip_leaves_lower_bounds() {
    for (stream, events, comments) in SAMPLES {
        let check = |steps: &[Step<'_>], exactly: bool| {
            let (lower, exact) = observe(steps);
            assert!(lower.events <= *events && lower.comments <= *comments);
            assert_eq!(exact, exactly);
        };
        for from in 0..=stream.len() {
            check(&[Bytes(&stream[..from])], true);
            check(
                &[Bytes(&stream[..from]), Skip(0), Bytes(&stream[from..])],
                false,
            );
            for to in from + 1..=stream.len() {
                let skip = Skip(u64::try_from(to - from).unwrap());
                check(&[Bytes(&stream[..from]), skip, Bytes(&stream[to..])], false);
            }
        }
    }
}

#[test]
fn what_stays_behind_a_skip() {
    let cases: &[(&[Step<'_>], u64, u64)] = &[
        // The line may be a field's rest, so its line end is all that it is good for.
        (&[Skip(9), Bytes(b"data: a\n\ndata: b\n\n")], 1, 0),
        // An event with data ended in the skip, or ends here.
        (&[Bytes(b"data: a\n"), Skip(5), Bytes(b"x\n\n")], 1, 0),
        (&[Bytes(b"data: a"), Skip(5), Bytes(b"x\n\n")], 0, 0),
        (&[Skip(3), Bytes(b":\n:c\n\n")], 0, 1),
        // The CR and this LF are not neighbours.
        (&[Bytes(b"data: a\r"), Skip(5), Bytes(b"\n\n")], 1, 0),
    ];
    for (steps, events, comments) in cases {
        let (tally, _) = observe(steps);
        assert_eq!((tally.events, tally.comments), (*events, *comments));
    }
}

#[test]
fn times_are_those_of_the_blank_lines() {
    let mut events = Events::new();
    for (at_ns, piece) in [
        (10, b"data: a\n".as_slice()),
        (20, b"\r\ndata: b\r\n\r"),
        (30, b"\n"),
        (40, b": alive\n\n"),
    ] {
        events.bytes(at_ns, piece);
    }
    let tally = events.tally();
    assert_eq!(
        (tally.first_event_ns, tally.last_event_ns, tally.events),
        (Some(20), Some(20), 2)
    );
    events.bytes(50, b"data: c\n\n");
    assert_eq!(
        (events.tally().first_event_ns, events.tally().last_event_ns),
        (Some(20), Some(50))
    );
}

#[test]
fn content_types() {
    for (value, expected) in [
        ("text/event-stream", true),
        ("Text/Event-Stream; charset=utf-8", true),
        ("text/event-stream ;x", true),
        ("text/event-streams", false),
        ("application/json", false),
        ("", false),
    ] {
        assert_eq!(is_event_stream(value.as_bytes()), expected, "{value}");
    }
}
