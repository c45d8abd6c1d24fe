//! Frames as bytes, and what a direction says as lines of text.
//!
//! A message is a line such as `text 5` or `binary 12 in 3 frames compressed`, a close frame `close 1000 "bye"`.

use headwater_protocols::websocket::{Close, Direction, Event, Frames, Opcode, Tally};

pub(crate) const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;

/// A server's frame; `first` is FIN, RSV bits and opcode.
pub(crate) fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..126), _) => bytes.push(short),
        (_, Ok(long)) => {
            bytes.push(126);
            bytes.extend(long.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// A client's frame.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = plain(first, payload);
    bytes[1] |= 0x80;
    bytes.truncate(bytes.len() - payload.len());
    bytes.extend(KEY);
    bytes.extend(
        payload
            .iter()
            .zip(KEY.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
    bytes
}

/// The frame as `direction` would send it.
pub(crate) fn frame(direction: Direction, first: u8, payload: &[u8]) -> Vec<u8> {
    match direction {
        Direction::ToServer => masked(first, payload),
        Direction::ToClient => plain(first, payload),
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Step<'a> {
    Bytes(&'a [u8]),
    Skip(u64),
    Packet,
}

/// Step `i` passes at `i + 1` ns.
pub(crate) fn play(frames: &mut Frames, steps: &[Step<'_>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut each = |event: Event<'_>| lines.push(line(event));
    for (at_ns, step) in (1..).zip(steps) {
        match *step {
            Step::Bytes(bytes) => frames.bytes(at_ns, bytes, &mut each),
            Step::Skip(length) => frames.skipped(at_ns, length, &mut each),
            Step::Packet => frames.packet(),
        }
    }
    lines
}

pub(crate) fn observe(direction: Direction, steps: &[Step<'_>]) -> (Vec<String>, Tally, bool) {
    let mut frames = Frames::new(direction);
    let lines = play(&mut frames, steps);
    (lines, frames.tally(), frames.is_exact())
}

/// The bytes, seen whole, must say exactly this, and leave the place known.
#[track_caller]
pub(crate) fn check(direction: Direction, bytes: &[u8], expected: &[&str]) {
    let (lines, _, exact) = observe(direction, &[Step::Bytes(bytes)]);
    assert_eq!(lines, expected);
    assert!(exact);
}

/// The counts that must be bounds, in an order of no matter.
pub(crate) fn counts(tally: Tally) -> [u64; 9] {
    [
        tally.text,
        tally.binary,
        tally.continuation_frames,
        tally.ping,
        tally.pong,
        tally.close,
        tally.payload_bytes,
        tally.fragmented,
        tally.compressed,
    ]
}

pub(crate) fn line(event: Event<'_>) -> String {
    match event {
        Event::Message(message) => {
            let kind = if message.opcode == Opcode::Text {
                "text"
            } else {
                "binary"
            };
            let frames = match message.frames {
                1 => String::new(),
                frames => format!(" in {frames} frames"),
            };
            let compressed = if message.compressed {
                " compressed"
            } else {
                ""
            };
            format!("{kind} {}{frames}{compressed}", message.payload_bytes)
        }
        Event::Ping => "ping".to_owned(),
        Event::Pong => "pong".to_owned(),
        Event::Close(close) => close_line(close),
        Event::Malformed(element) => format!("malformed {element:?}"),
        Event::PlaceLost => "lost".to_owned(),
        Event::PlaceFound => "found".to_owned(),
    }
}

fn close_line(close: Close<'_>) -> String {
    let code = close.code.map_or("-".to_owned(), |code| code.0.to_string());
    let reason = close.reason.escape_ascii();
    match close.reason_bytes {
        bytes if bytes == close.reason.len() as u64 => format!("close {code} \"{reason}\""),
        bytes => format!("close {code} \"{reason}\" of {bytes}"),
    }
}
