//! Bytes that are not here: nothing is lost within a payload, the place is lost with a header, and found at the start of
//! a packet or not at all.

use headwater_protocols::websocket::Direction::{self, ToClient, ToServer};
use headwater_protocols::websocket::{Event, Frames};

use crate::frame::{
    BINARY, CLOSE, FIN, PING, Step, TEXT, counts, frame, line, masked, observe, plain, play,
};
use crate::splits::samples;

/// Every skip of every sample: the counts are at most the truth, and the truth where they claim to be.
#[test]
fn every_skip_leaves_lower_bounds() {
    for direction in [ToServer, ToClient] {
        for sample in samples(direction) {
            let (lines, truth, _) = observe(direction, &[Step::Bytes(&sample)]);
            for from in 0..=sample.len() {
                for to in from + 1..=sample.len() {
                    let length = u64::try_from(to - from).unwrap();
                    let (first, rest) = (&sample[..from], &sample[to..]);
                    let steps = [Step::Bytes(first), Step::Skip(length), Step::Bytes(rest)];
                    let (seen, lower, exact) = observe(direction, &steps);
                    assert!(
                        counts(lower)
                            .iter()
                            .zip(counts(truth))
                            .all(|(lower, truth)| *lower <= truth)
                    );
                    if exact {
                        assert_eq!((lower, seen.len()), (truth, lines.len()), "{from}..{to}");
                    }
                }
            }
        }
    }
}

/// The same with a packet behind each skip: in samples without mimicry what is found again is true.
#[test]
fn every_skip_up_to_a_packet_leaves_lower_bounds() {
    for direction in [ToServer, ToClient] {
        for sample in &samples(direction)[..3] {
            let (_, truth, _) = observe(direction, &[Step::Bytes(sample)]);
            for from in 0..=sample.len() {
                for to in from + 1..=sample.len() {
                    let length = u64::try_from(to - from).unwrap();
                    let (first, rest) = (&sample[..from], &sample[to..]);
                    let steps = [
                        Step::Bytes(first),
                        Step::Skip(length),
                        Step::Packet,
                        Step::Bytes(rest),
                    ];
                    let (_, lower, _) = observe(direction, &steps);
                    assert!(
                        counts(lower)
                            .iter()
                            .zip(counts(truth))
                            .all(|(lower, truth)| *lower <= truth),
                        "{from}..{to}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_payload_may_be_skipped() {
    let steps = [
        Step::Bytes(b"\x82\x7e\x10\0ab"),
        Step::Skip(4094),
        Step::Bytes(b"\x81\x01a"),
    ];
    let (lines, _, exact) = observe(ToClient, &steps);
    assert_eq!(
        (lines, exact),
        (vec!["binary 4096".to_owned(), "text 1".to_owned()], true)
    );
}

#[test]
fn a_skip_of_unknown_length_loses_the_place() {
    let (lines, tally, exact) = observe(
        ToClient,
        &[
            Step::Bytes(b"\x82\x05ab"),
            Step::Skip(0),
            Step::Bytes(b"cde"),
        ],
    );
    assert_eq!(
        (lines, tally.payload_bytes, exact),
        (vec!["lost".to_owned()], 2, false)
    );
}

#[test]
fn a_skip_behind_a_payload_ends_its_message() {
    let (lines, ..) = observe(ToClient, &[Step::Bytes(b"\x82\x05ab"), Step::Skip(9)]);
    assert_eq!(lines, ["binary 5", "lost"]);
}

#[test]
fn the_reason_of_a_close_frame_may_be_cut() {
    let cases: &[(&[u8], u64, &[u8], &str)] = &[
        (b"\x88\x07\x03\xe9go", 3, b"", "close 1001 \"go\" of 5"),
        (b"\x88\x07\x03\xe9go", 1, b"ne", "close 1001 \"go\" of 5"),
        (b"\x88\x07\x03", 6, b"", "close - \"\" of 5"),
        (b"\x88\x07", 7, b"", "close - \"\" of 5"),
    ];
    for (first, length, second, expected) in cases {
        let steps = [Step::Bytes(first), Step::Skip(*length), Step::Bytes(second)];
        let (lines, _, exact) = observe(ToClient, &steps);
        assert_eq!(
            (lines.as_slice(), exact),
            ([(*expected).to_owned()].as_slice(), true)
        );
    }
}

fn lost(direction: Direction, packets: &[&[u8]]) -> (Vec<String>, Frames) {
    let mut frames = Frames::joined_midstream(direction);
    let mut lines = Vec::new();
    for packet in packets {
        frames.packet();
        frames.bytes(1, packet, &mut |event| lines.push(line(event)));
    }
    (lines, frames)
}

#[test]
fn a_frame_that_ends_where_a_packet_begins_is_a_place() {
    for direction in [ToServer, ToClient] {
        let (one, two) = (
            frame(direction, FIN | TEXT, b"one"),
            frame(direction, FIN | BINARY, b"second"),
        );
        let (lines, frames) = lost(direction, &[&one, &two]);
        assert_eq!(lines, ["found", "binary 6"]);
        assert!(!frames.is_exact());
        let (lines, _) = lost(direction, &[b"payload, no header", &one, &two]);
        assert_eq!(lines, ["found", "binary 6"]);
        let (lines, _) = lost(direction, &[&[one.as_slice(), &one].concat(), &two]);
        assert_eq!(lines, ["found", "binary 6"]);
    }
}

#[test]
fn four_headers_in_a_row_are_a_place() {
    for direction in [ToServer, ToClient] {
        let frames: Vec<_> = [b"one".as_slice(), b"two", b"three", b"fourth"]
            .iter()
            .flat_map(|payload| frame(direction, FIN | TEXT, payload))
            .collect();
        let (lines, _) = lost(direction, &[&frames]);
        assert_eq!(lines, ["found", "text 6"]);
    }
}

/// In a place that was found, a header that is none says that it was none of the place.
#[test]
fn a_place_that_was_found_is_lost_with_the_first_doubt() {
    let (one, two) = (plain(FIN | TEXT, b"one"), plain(FIN | BINARY, b"second"));
    let (lines, frames) = lost(ToClient, &[&one, &two, b"GET", &one, &two]);
    assert_eq!(lines, ["found", "binary 6", "lost", "found", "binary 6"]);
    assert_eq!(frames.tally().malformed, 0);
}

/// Packets of a compressed or encrypted payload look like anything; nearly none may look like frames.
#[test]
fn random_packets_are_no_place() {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut packet = [0; 1400];
    for direction in [ToServer, ToClient] {
        let mut found = 0;
        let mut frames = Frames::joined_midstream(direction);
        for at_ns in 0..20_000 {
            for byte in &mut packet {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = state.to_le_bytes()[3];
            }
            frames.packet();
            frames.bytes(at_ns, &packet, &mut |event| {
                found += u32::from(event == Event::PlaceFound);
            });
        }
        assert!(found <= 2, "{found}");
    }
}

#[test]
fn one_header_is_none() {
    let one = plain(FIN | TEXT, b"one");
    for packets in [
        &[one.as_slice()] as &[&[u8]],
        &[&one, b"xy"],
        &[&[one.as_slice(), &one, &one].concat()],
        &[&masked(FIN | TEXT, b"one"), &masked(FIN | TEXT, b"two")],
        &[b"\x81\x7e\0\x01a", &one],
        &[b"\x09\x01a", &one],
    ] {
        let (lines, frames) = lost(ToClient, packets);
        assert_eq!((lines.len(), frames.tally().text), (0, 0));
    }
}

#[test]
fn a_piece_that_begins_no_packet_is_no_place() {
    let two = plain(FIN | TEXT, b"one").repeat(4);
    let mut frames = Frames::joined_midstream(ToClient);
    assert!(play(&mut frames, &[Step::Bytes(&two)]).is_empty());
    assert!(
        play(
            &mut frames,
            &[Step::Packet, Step::Skip(4), Step::Bytes(&two)]
        )
        .is_empty()
    );
    assert!(!play(&mut frames, &[Step::Packet, Step::Bytes(&two)]).is_empty());
}

#[test]
fn a_close_frame_that_fills_a_packet_speaks_for_itself() {
    for direction in [ToServer, ToClient] {
        let (lines, _) = lost(direction, &[&frame(direction, FIN | CLOSE, b"\x03\xe8bye")]);
        assert_eq!(lines, ["found", "close 1000 \"bye\""]);
        let (lines, _) = lost(direction, &[&frame(direction, FIN | CLOSE, b"\x00\x07bye")]);
        assert!(lines.is_empty());
        let (lines, _) = lost(
            direction,
            &[&frame(direction, FIN | CLOSE, b"\x03\xe8\xff")],
        );
        assert!(lines.is_empty());
    }
}

/// What was begun before the loss is neither continued nor held against what follows.
#[test]
fn a_message_across_a_loss_is_not_counted() {
    let behind = [
        plain(FIN | PING, b"").repeat(3),
        plain(FIN, b"rest"),
        plain(FIN | TEXT, b"new"),
    ]
    .concat();
    let steps = [
        Step::Bytes(b"\x01\x03Hel"),
        Step::Skip(1),
        Step::Packet,
        Step::Bytes(&behind),
    ];
    let (lines, tally, _) = observe(ToClient, &steps);
    assert_eq!(lines, ["lost", "found", "text 3"]);
    assert_eq!(
        (tally.continuation_frames, tally.fragmented, tally.malformed),
        (1, 0, 0)
    );
}

/// No byte of what was joined to it is held anywhere: a direction has one size.
#[test]
fn a_direction_is_small() {
    assert!(size_of::<Frames>() <= 384, "{}", size_of::<Frames>());
}
