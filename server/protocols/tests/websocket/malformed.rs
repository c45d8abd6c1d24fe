//! What RFC 6455 forbids is told, counted, and followed as far as its length is known.

use headwater_protocols::websocket::Direction::{ToClient, ToServer};
use headwater_protocols::websocket::Frames;

use crate::frame::{Step, check, observe, play};

#[test]
fn each_element() {
    let cases: &[(&[u8], &[&str])] = &[
        (
            b"\x91\x01a\x81\x01b",
            &["malformed ReservedBits", "text 1", "text 1"],
        ),
        (b"\xc9\x01a", &["malformed ReservedBits", "ping"]),
        (
            b"\x01\x01a\xc0\x01b",
            &["malformed ReservedBits", "text 2 in 2 frames"],
        ),
        (
            b"\x83\x01a\x81\x01b",
            &["malformed ReservedOpcode", "text 1"],
        ),
        (b"\x8b\x01a", &["malformed ReservedOpcode"]),
        (
            b"\x81\x81\x37\xfa\x21\x3d\x7f",
            &["malformed Mask", "text 1"],
        ),
        (b"\x81\x7e\0\x01a", &["malformed LengthEncoding", "text 1"]),
        (
            b"\x81\x7f\0\0\0\0\0\0\0\x01a",
            &["malformed LengthEncoding", "text 1"],
        ),
        (b"\x09\x01a", &["malformed ControlFragmented", "ping"]),
        (b"\x80\x01a", &["malformed Continuation"]),
        (
            b"\x01\x01a\x81\x01b",
            &["malformed MessageUnfinished", "text 1"],
        ),
        (b"\x88\x01a", &["malformed CloseLength", "close 1005 \"\""]),
        (
            b"\x88\x00\x81\x01a",
            &["close 1005 \"\"", "malformed BehindClose", "text 1"],
        ),
    ];
    for (bytes, expected) in cases {
        check(ToClient, bytes, expected);
        let (_, tally, _) = observe(ToClient, &[Step::Bytes(bytes)]);
        assert_eq!(tally.malformed, 1);
    }
    check(ToServer, b"\x81\x01a", &["malformed Mask", "text 1"]);
}

#[test]
fn a_long_control_frame() {
    let long = [b"\x89\x7e\0\x7e".as_slice(), &[0; 126], b"\x81\x01a"].concat();
    check(
        ToClient,
        &long,
        &["malformed ControlLength", "ping", "text 1"],
    );
    let close = [b"\x88\x7e\0\x80\x03\xe8".as_slice(), &[b'x'; 126]].concat();
    let expected = format!("close 1000 \"{}\" of 126", "x".repeat(123));
    check(ToClient, &close, &["malformed ControlLength", &expected]);
}

#[test]
fn nothing_is_found_behind_a_length_with_the_top_bit() {
    let bytes = b"\x82\x7f\x80\0\0\0\0\0\0\x01a\x81\x01b";
    let (lines, tally, exact) = observe(ToClient, &[Step::Bytes(bytes)]);
    assert_eq!(lines, ["malformed LengthTopBit", "lost"]);
    assert_eq!((tally.binary, tally.payload_bytes, exact), (0, 0, false));
}

#[test]
fn rsv1_without_compression() {
    let mut frames = Frames::new(ToClient).without_compression();
    let lines = play(&mut frames, &[Step::Bytes(b"\xc1\x01a")]);
    assert_eq!(lines, ["malformed ReservedBits", "text 1 compressed"]);
}
