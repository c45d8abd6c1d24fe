use super::*;

fn piece(offset: u64, bytes: &[u8], number: u32, new_turn: bool) -> Piece<'_> {
    Piece {
        at_ns: offset,
        tag: 0,
        offset,
        payload_length: u32::try_from(bytes.len()).unwrap(),
        number: Some(number),
        place: if new_turn {
            Place::NewTurn
        } else {
            Place::SameTurn
        },
        previous_ns: 1,
        previous_last_chunk: false,
        other_end: false,
        bytes,
    }
}

fn file(offset: u64, bytes: &[u8]) -> Piece<'_> {
    Piece {
        number: None,
        place: Place::File,
        ..piece(offset, bytes, 0, false)
    }
}

fn check(pieces: &[Piece<'_>], expected: &str) {
    let mut stream = Stream::default();
    let mut got = Vec::new();
    for piece in pieces {
        stream.take(piece, &mut |stretch| got.push(show(stretch)));
    }
    assert_eq!(got.join(" "), expected);
}

fn show(stretch: Stretch<'_>) -> String {
    match stretch {
        Stretch::Bytes { data, .. } => String::from_utf8_lossy(data).into_owned(),
        Stretch::Hole {
            length,
            why: Missing::Lost,
            ..
        } => format!("lost:{length}"),
        Stretch::Hole { length, .. } => format!("skipped:{length}"),
        Stretch::Frame => "#".to_owned(),
        Stretch::Turn => "|".to_owned(),
    }
}

#[test]
fn in_order() {
    check(
        &[
            piece(0, b"ab", 0, true),
            piece(2, b"cd", 1, false),
            piece(4, b"ef", 2, true),
        ],
        "| ab cd | ef",
    );
}

#[test]
fn a_retransmission_is_dropped_and_an_overlap_trimmed() {
    check(
        &[
            piece(0, b"abcd", 0, true),
            piece(0, b"abcd", 1, false),
            piece(2, b"cdef", 2, false),
        ],
        "| abcd ef",
    );
}

/// What was known of it goes on, where it was in a frame as well.
#[test]
fn a_mark_of_what_is_known_already_is_none() {
    let frame = |offset, bytes, number| Piece {
        place: Place::Frame,
        ..piece(offset, bytes, number, false)
    };
    check(
        &[
            frame(0, b"abc", 0),
            frame(0, b"abcdef", 1),
            frame(6, b"gh", 2),
        ],
        "# abc def # gh",
    );
}

#[test]
fn the_rest_of_a_turn_was_not_copied() {
    check(
        &[piece(0, b"ab", 0, true), piece(100, b"cd", 1, true)],
        "| ab skipped:98 | cd",
    );
}

#[test]
fn missing_records_are_a_loss() {
    check(
        &[piece(0, b"ab", 0, true), piece(100, b"cd", 3, true)],
        "| ab lost:98 | cd",
    );
}

#[test]
fn packets_that_changed_places_are_put_back() {
    check(
        &[
            piece(0, b"ab", 0, true),
            piece(4, b"ef", 1, false),
            piece(2, b"cd", 2, false),
        ],
        "| ab cd ef",
    );
    check(
        &[
            file(0, b"ab"),
            file(6, b"gh"),
            file(4, b"ef"),
            file(2, b"cd"),
        ],
        "ab cd ef gh",
    );
}

#[test]
fn a_gap_that_the_peer_has_acknowledged_is_given_up() {
    let mut stream = Stream::default();
    let mut got = Vec::new();
    stream.take(&file(0, b"ab"), &mut |s| got.push(show(s)));
    stream.take(&file(4, b"ef"), &mut |s| got.push(show(s)));
    stream.acknowledged(3, &mut |s| got.push(show(s)));
    assert_eq!(got.join(" "), "ab");
    stream.acknowledged(6, &mut |s| got.push(show(s)));
    assert_eq!(got.join(" "), "ab lost:2 ef");
}

#[test]
fn what_is_held_is_bounded() {
    let mut stream = Stream::default();
    stream.take(&file(0, b"a"), &mut |_| ());
    let big = vec![b'x'; 1400];
    for i in 0..10_000u64 {
        stream.take(&file(10 + i * 2800, &big), &mut |_| ());
        assert!(stream.held_bytes <= MAX_HELD_BYTES && stream.held.len() <= MAX_HELD_PIECES);
    }
}
