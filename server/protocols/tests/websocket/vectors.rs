//! RFC 6455, 5.7, one test for each example, and RFC 7692, 7.2.3.

use headwater_protocols::websocket::Direction::{ToClient, ToServer};
use headwater_protocols::websocket::Frames;

use crate::frame::{Step, check, observe, play};

#[test]
fn single_frame_unmasked_text() {
    check(ToClient, b"\x81\x05Hello", &["text 5"]);
}

#[test]
fn single_frame_masked_text() {
    check(
        ToServer,
        b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        &["text 5"],
    );
}

#[test]
fn fragmented_unmasked_text() {
    check(ToClient, b"\x01\x03Hel\x80\x02lo", &["text 5 in 2 frames"]);
}

#[test]
fn unmasked_ping_and_masked_pong() {
    check(ToClient, b"\x89\x05Hello", &["ping"]);
    check(
        ToServer,
        b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        &["pong"],
    );
}

#[test]
fn binary_of_256_bytes() {
    let bytes = [b"\x82\x7e\x01\x00".as_slice(), &[7; 256]].concat();
    check(ToClient, &bytes, &["binary 256"]);
}

#[test]
fn binary_of_64_kib() {
    let bytes = [
        b"\x82\x7f\0\0\0\0\0\x01\0\0".as_slice(),
        vec![7; 65536].as_slice(),
    ]
    .concat();
    check(ToClient, &bytes, &["binary 65536"]);
}

/// RFC 7692, 7.2.3.1: "Hello" in one compressed frame, and in two.
#[test]
fn compressed_text() {
    check(
        ToClient,
        b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
        &["text 7 compressed"],
    );
    check(
        ToClient,
        b"\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00",
        &["text 7 in 2 frames compressed"],
    );
}

#[test]
fn control_frames_stand_between_fragments() {
    let bytes = b"\x01\x03Hel\x89\x00\x00\x00\x8a\x01x\x80\x02lo";
    check(ToClient, bytes, &["ping", "pong", "text 5 in 3 frames"]);
    let (_, tally, _) = observe(ToClient, &[Step::Bytes(bytes)]);
    assert_eq!(
        (
            tally.text,
            tally.continuation_frames,
            tally.fragmented,
            tally.payload_bytes
        ),
        (1, 2, 1, 6)
    );
}

#[test]
fn a_message_has_the_times_of_its_pieces() {
    let mut frames = Frames::new(ToClient);
    let mut times = Vec::new();
    for (at_ns, piece) in [
        (10, b"\x01\x03H".as_slice()),
        (20, b"el"),
        (30, b"\x80\x02l"),
        (40, b"o"),
    ] {
        frames.bytes(at_ns, piece, &mut |event| {
            if let headwater_protocols::websocket::Event::Message(message) = event {
                times.push((message.first_ns, message.last_ns));
            }
        });
    }
    assert_eq!(times, [(10, 40)]);
    assert!(play(&mut frames, &[]).is_empty());
}
