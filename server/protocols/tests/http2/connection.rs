//! What ends say of themselves, the prefaces, and an upgrade from HTTP/1.1.

use headwater_protocols::http1::{Direction, RequestPart, Verdict};
use headwater_protocols::http2::{Connection, Limits, error_name};

use crate::conversation::{C, Head, Recorder, S, check, observe, opened, step};
use crate::frames::{
    END_STREAM, PREFACE, frame, get, headers, push_promise, reset, settings, settings_ack, status,
};

#[test]
fn settings_are_kept() {
    let connection = check(
        &[
            C(settings(&[
                (1, 1),
                (2, 0),
                (3, 3),
                (4, 4),
                (5, 5),
                (6, 6),
                (99, 9),
            ])),
            C(settings(&[(3, 33)])),
            C(settings_ack()),
        ],
        &[],
    );
    let facts = connection.facts(Direction::ToServer);
    let set = facts.settings;
    assert_eq!(
        [
            set.header_table_size,
            set.enable_push,
            set.max_concurrent_streams,
            set.initial_window_size,
            set.max_frame_size,
            set.max_header_list_size
        ],
        [Some(1), Some(0), Some(33), Some(4), Some(5), Some(6)]
    );
    assert_eq!(facts.settings_frames, 3);
    let other = connection.facts(Direction::ToClient);
    assert_eq!(other.settings.max_frame_size, None);
    assert_eq!(other.settings_frames, 1);
}

#[test]
fn frames_are_counted() {
    let connection = check(
        &[
            S(frame(6, 0, 0, b"pingping")),
            S(frame(6, 1, 0, b"pingping")),
            S(reset(9, 1)),
            S(push_promise(1, 2, &get("/"))),
            S(reset(2, 1)),
            S(frame(16, 0, 0, b"\0\0\0\x01u=1")),
        ],
        &["2: GET / +0 -> - ServerReset ToClient 1 pushed"],
    );
    let facts = connection.facts(Direction::ToClient);
    let counts = [
        facts.pings,
        facts.resets,
        facts.push_promises,
        facts.priority_updates,
    ];
    assert_eq!(counts, [1, 2, 1, 1]);
}

#[test]
fn the_server_may_speak_first() {
    let (connection, recorder) = observe(&[
        S(settings(&[])),
        C(PREFACE.to_vec()),
        C(settings(&[])),
        C(headers(1, END_STREAM, &get("/"))),
        S(headers(1, END_STREAM, &status("200"))),
    ]);
    assert_eq!(recorder.lines(), ["1: GET / +0 -> 200 +0 Complete"]);
    assert_eq!(connection.verdict(), Verdict::Yes);
}

#[test]
fn the_first_frame_is_settings() {
    let (connection, recorder) = observe(&[
        C(PREFACE.to_vec()),
        C(headers(1, END_STREAM, &get("/"))),
        S(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        crate::conversation::FIN_S,
    ]);
    assert_eq!(
        recorder.lines(),
        [
            "1: GET / +0 -> - ServerClosed",
            "malformed ToServer Preface",
            "malformed ToClient Preface",
        ]
    );
    assert_eq!(connection.open().count(), 0);
}

#[test]
fn illegal_frames_are_passed_over() {
    let illegal = [
        frame(0, 0, 0, b"data on the connection"),
        frame(1, 4, 0, &get("/no")),
        frame(2, 0, 1, b"1234"),
        frame(3, 0, 1, b"12345"),
        frame(4, 0, 0, b"12345"),
        frame(4, 0, 1, b""),
        frame(6, 0, 0, b"1234567"),
        frame(7, 0, 0, b"1234567"),
        frame(8, 0, 0, b"123"),
    ];
    let mut steps: Vec<_> = illegal.iter().cloned().map(C).collect();
    steps.push(C(headers(1, END_STREAM, &get("/"))));
    steps.push(S(headers(1, END_STREAM, &status("200"))));
    let mut expected = vec!["1: GET / +0 -> 200 +0 Complete"];
    expected.extend(vec!["malformed ToServer FrameHeader"; illegal.len()]);
    check(&steps, &expected);
}

#[test]
fn upgraded_from_http1() {
    let request = RequestPart {
        value: Head {
            start: "GET /upgrade".into(),
            ..Head::default()
        },
        header_bytes: 1,
        body_bytes: 0,
        first_byte_ns: 1,
        last_byte_ns: Some(1),
        first_tag: 1,
    };
    let mut connection = Connection::<Recorder>::upgraded(Limits::default(), request);
    let mut recorder = Recorder::default();
    let steps = [
        S(settings(&[])),
        S(headers(1, END_STREAM, &status("200"))),
        C([PREFACE, &settings(&[])].concat()),
        C(headers(3, END_STREAM, &get("/next"))),
        S(headers(3, END_STREAM, &status("200"))),
    ];
    for (at_ns, each) in (1..).zip(&steps) {
        step(&mut connection, &mut recorder, at_ns, each);
    }
    assert_eq!(
        recorder.lines(),
        [
            "1: GET /upgrade +0 -> 200 +0 Complete",
            "3: GET /next +0 -> 200 +0 Complete",
        ]
    );
}

#[test]
fn verdicts() {
    assert_eq!(observe(&[]).0.verdict(), Verdict::Unknown);
    assert_eq!(observe(&opened(&[])).0.verdict(), Verdict::Yes);
    let begun = C(PREFACE[..20].to_vec());
    assert_eq!(observe(&[begun]).0.verdict(), Verdict::Unknown);
    let other = C(b"GET / HTTP/1.1\r\n\r\n".to_vec());
    assert_eq!(observe(&[other]).0.verdict(), Verdict::No);
}

#[test]
fn names_of_errors() {
    assert_eq!(error_name(8), Some("CANCEL"));
    assert_eq!(error_name(14), None);
}
