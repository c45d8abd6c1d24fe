//! Floods, and streams without end: what is held is bounded, and each exchange is handed over.

use headwater_protocols::http1::{Direction, Outcome, Skip};
use headwater_protocols::http2::{Connection, Limits};

use crate::conversation::{C, FIN_C, Recorder, S, Step, opened, play, step, timed};
use crate::frames::{
    END_HEADERS, END_STREAM, PREFACE, continuation, data, frame, get, headers, reset, settings,
    status,
};

fn begun() -> (Connection<Recorder>, Recorder) {
    play(Limits::default(), false, &timed(&opened(&[])))
}

#[test]
fn rapid_reset() {
    let (mut connection, mut recorder) = begun();
    let block = get("/");
    for stream in (1..200_001).step_by(2) {
        let both = [headers(stream, END_STREAM, &block), reset(stream, 8)].concat();
        step(&mut connection, &mut recorder, 1, &C(both));
        assert_eq!(connection.open().count(), 0);
    }
    assert_eq!(recorder.exchanges.len(), 100_000);
    assert!(
        recorder
            .exchanges
            .iter()
            .all(|exchange| exchange.outcome == Outcome::ClientGaveUp)
    );
    assert_eq!(connection.facts(Direction::ToServer).resets, 100_000);
}

#[test]
fn streams_without_end() {
    let (mut connection, mut recorder) = begun();
    let block = get("/");
    for stream in (1..20_001).step_by(2) {
        step(
            &mut connection,
            &mut recorder,
            1,
            &C(headers(stream, 0, &block)),
        );
        assert!(connection.open().count() <= 256);
    }
    let evicted = 10_000 - 256;
    assert_eq!(recorder.exchanges.len(), evicted);
    assert!(
        recorder
            .exchanges
            .iter()
            .all(|exchange| exchange.outcome == Outcome::Truncated)
    );
    let facts = connection.facts(Direction::ToServer);
    assert_eq!(facts.streams_evicted as usize, evicted);
    step(&mut connection, &mut recorder, 1, &FIN_C);
    step(
        &mut connection,
        &mut recorder,
        1,
        &crate::conversation::FIN_S,
    );
    assert_eq!(recorder.exchanges.len(), 10_000);
}

/// The stream that is there already needs no room.
#[test]
fn a_full_table_and_a_late_request() {
    let limits = Limits {
        max_streams: 1,
        ..Limits::default()
    };
    let steps = opened(&[
        S(headers(1, 0, &status("200"))),
        C(headers(1, END_STREAM, &get("/"))),
        S(data(1, END_STREAM, b"x")),
    ]);
    let (_, recorder) = play(limits, false, &timed(&steps));
    assert_eq!(recorder.lines(), ["1: GET / +0 -> 200 +1 Complete"]);
}

#[test]
fn continuation_flood() {
    let (mut connection, mut recorder) = begun();
    step(
        &mut connection,
        &mut recorder,
        1,
        &C(frame(1, END_STREAM, 1, &get("/"))),
    );
    let fragment = continuation(1, 0, &[0x90; 1000]);
    for _ in 0..50_000 {
        step(&mut connection, &mut recorder, 1, &C(fragment.clone()));
    }
    for _ in 0..50_000 {
        step(
            &mut connection,
            &mut recorder,
            1,
            &C(continuation(1, 0, b"")),
        );
    }
    step(
        &mut connection,
        &mut recorder,
        1,
        &C(continuation(1, END_HEADERS, b"")),
    );
    step(
        &mut connection,
        &mut recorder,
        1,
        &S(headers(1, END_STREAM, &status("200"))),
    );
    assert_eq!(
        recorder.lines(),
        ["1: GET /~ +0 -> 200 +0 Complete request_head_cut"]
    );
    assert_eq!(
        recorder.exchanges[0].request.as_ref().unwrap().header_bytes,
        16 * 1024
    );
}

#[test]
fn floods_of_small_frames() {
    let (mut connection, mut recorder) = begun();
    let floods = [
        settings(&[(1, 100), (4, 7)]),
        frame(4, 1, 0, b""),
        frame(6, 0, 0, b"pingping"),
        frame(2, 0, 1, b"12345"),
        frame(8, 0, 1, b"\0\0\0\x01"),
        data(1, 0, b""),
        continuation(1, END_HEADERS, b"abc"),
        reset(1, 8),
    ];
    for flood in &floods {
        let piece = flood.repeat(100);
        for _ in 0..300 {
            step(&mut connection, &mut recorder, 1, &C(piece.clone()));
        }
    }
    let facts = connection.facts(Direction::ToServer);
    assert_eq!(
        [
            facts.settings_frames,
            facts.pings,
            facts.resets,
            facts.blocks_lost
        ],
        [30_001, 30_000, 30_000, 30_000]
    );
    assert!(recorder.exchanges.is_empty());
}

/// Frames of any length are followed, and not held.
#[test]
fn oversized_frames() {
    let (mut connection, mut recorder) = begun();
    let length = (1 << 24) - 1;
    let mut header = frame(1, END_STREAM | END_HEADERS, 1, b"");
    header[..3].copy_from_slice(&[0xff; 3]);
    step(&mut connection, &mut recorder, 1, &C(header.clone()));
    step(&mut connection, &mut recorder, 1, &C(get("/long")));
    let rest = length - get("/long").len();
    for piece in vec![0x90; rest].chunks(60_000) {
        step(&mut connection, &mut recorder, 1, &C(piece.to_vec()));
    }
    header[3] = 0xfa;
    step(&mut connection, &mut recorder, 1, &C(header));
    step(
        &mut connection,
        &mut recorder,
        1,
        &Step::Skip(Direction::ToServer, length as u64, Skip::NotCopied),
    );
    step(
        &mut connection,
        &mut recorder,
        1,
        &C(headers(3, END_STREAM, &get("/3"))),
    );
    let open: Vec<_> = connection
        .open()
        .map(|open| crate::conversation::open_line(&open))
        .collect();
    assert_eq!(open, ["1: GET /long", "3: GET /3"]);
}

/// A settings frame of the largest size, in pieces and whole.
#[test]
fn long_settings() {
    let long = settings(&vec![(3, 7); 4000]);
    let mut told = Vec::new();
    for size in [1000, long.len()] {
        let (mut connection, mut recorder) = begun();
        for piece in long.chunks(size) {
            step(&mut connection, &mut recorder, 1, &C(piece.to_vec()));
        }
        told.push(*connection.facts(Direction::ToServer));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0].settings.max_concurrent_streams, Some(7));
}

#[test]
fn a_preface_in_the_middle_is_data() {
    let (mut connection, mut recorder) = begun();
    step(
        &mut connection,
        &mut recorder,
        1,
        &C(headers(1, 0, &get("/"))),
    );
    let smuggled = [PREFACE, &settings(&[]), &headers(3, END_STREAM, &get("/3"))].concat();
    step(&mut connection, &mut recorder, 1, &C(data(1, 0, &smuggled)));
    assert_eq!(connection.open().count(), 1);
}

/// Tables as large as they may be in both directions, blocks without end beside them: no more than 64 KiB are held, and
/// what had to be forgotten is counted, and unknown, never wrong.
#[test]
fn tables_and_blocks_of_both_directions_together() {
    let limits = Limits::default();
    let (mut connection, mut recorder) = play(limits, false, &timed(&opened(&[])));
    // Both encoders are told that they may have large tables, and say that they do.
    let table_size = settings(&[(1, 1 << 20)]);
    let ack = frame(4, 1, 0, b"");
    for told in [C(table_size.clone()), S(table_size), C(ack.clone()), S(ack)] {
        step(&mut connection, &mut recorder, 1, &told);
    }
    let mut most = 0;
    let mut measure = |connection: &Connection<Recorder>| {
        most = most.max(connection.held_bytes());
        assert!(
            connection.held_bytes() <= 64 << 10,
            "{}",
            connection.held_bytes()
        );
    };
    for stream in (1..4_001_u32).step_by(2) {
        // A size update to 2^20, then a literal that is inserted, of a short or of a long value.
        let mut block = vec![0x3f, 0xe1, 0xff, 0x3f];
        let length = if stream % 8 == 1 { 1_000 } else { 20 };
        let mut literal = vec![0x40, 8];
        literal.extend_from_slice(format!("x-{stream:06}").as_bytes());
        literal.extend_from_slice(&[0x7f]);
        literal.extend_from_slice(&leb(length - 127_usize.min(length)));
        if length < 127 {
            literal.truncate(10);
            literal.push(u8::try_from(length).unwrap());
        }
        literal.resize(literal.len() + length, b'v');
        block.extend_from_slice(&get("/"));
        block.extend_from_slice(&literal);
        let asked = headers(stream, END_STREAM, &block);
        step(&mut connection, &mut recorder, 1, &C(asked));
        measure(&connection);
        let mut block = vec![0x3f, 0xe1, 0xff, 0x3f];
        block.extend_from_slice(&status("200"));
        block.extend_from_slice(&literal);
        let answered = headers(stream, END_STREAM, &block);
        step(&mut connection, &mut recorder, 1, &S(answered));
        measure(&connection);
    }
    assert!(
        connection.entries_forgotten() > 3_000,
        "counted: {}",
        connection.entries_forgotten()
    );
    // Then blocks that do not end, in both directions.
    step(
        &mut connection,
        &mut recorder,
        1,
        &C(frame(1, END_STREAM, 4_001, &get("/"))),
    );
    step(
        &mut connection,
        &mut recorder,
        1,
        &S(frame(1, 0, 3_999, &status("200"))),
    );
    for _ in 0..40 {
        step(
            &mut connection,
            &mut recorder,
            1,
            &C(continuation(4_001, 0, &[0x90; 1_000])),
        );
        measure(&connection);
        step(
            &mut connection,
            &mut recorder,
            1,
            &S(continuation(3_999, 0, &[0x90; 1_000])),
        );
        measure(&connection);
    }
    assert!(most > 48 << 10, "only {most} bytes were tried");
    assert_eq!(recorder.exchanges.len(), 2_000);
    assert!(
        recorder
            .exchanges
            .iter()
            .all(|exchange| exchange.outcome == Outcome::Complete)
    );
}

/// What follows a prefix that is full (RFC 7541, 5.1).
fn leb(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 128 {
        out.push(u8::try_from(number % 128).unwrap() | 0x80);
        number /= 128;
    }
    out.push(u8::try_from(number).unwrap());
    out
}
