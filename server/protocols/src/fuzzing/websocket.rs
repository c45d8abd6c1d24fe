//! WebSocket: cuts change nothing, skips make lower bounds, what is found again stays within what passed, and a reader
//! that has the whole stream counts the same.

use super::script::{Kind, Script};
use crate::websocket::{Direction, Event, Frames, Tally};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let start = || {
        let direction = if script.switches & 1 == 0 {
            Direction::ToServer
        } else {
            Direction::ToClient
        };
        let frames = if script.switches & 2 == 0 {
            Frames::new(direction)
        } else {
            Frames::joined_midstream(direction)
        };
        if script.switches & 4 == 0 {
            frames
        } else {
            frames.without_compression()
        }
    };
    let (whole, whole_events) = play(start(), &script, Play::Whole);
    let (cut, cut_events) = play(start(), &script, Play::Cut);
    assert_eq!(cut_events, whole_events);
    assert_eq!(cut.tally(), whole.tally());
    assert_eq!(cut.is_exact(), whole.is_exact());

    if script.switches & 2 == 0 {
        let tally = whole.tally();
        let simple = [tally.close, tally.ping, tally.pong, tally.payload_bytes];
        assert_eq!(simple, read(script.stream));
    }

    let (hidden, hidden_events) = play(start(), &script, Play::Hidden);
    let (lower, truth) = (counts(hidden.tally()), counts(whole.tally()));
    assert!(
        lower
            .iter()
            .zip(truth)
            .all(|(lower, truth)| *lower <= truth)
    );
    assert!(!hidden.is_exact() || lower == truth);
    assert!(!hidden.is_exact() || hidden_events.len() == whole_events.len());

    let (found, _) = play(start(), &script, Play::HiddenWithPackets);
    let tally = found.tally();
    let frames = tally.text + tally.binary + tally.continuation_frames + tally.ping + tally.pong;
    assert!(tally.payload_bytes + 2 * frames <= script.stream.len() as u64 + 2 * tally.fragmented);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Play {
    Whole,
    Cut,
    Hidden,
    HiddenWithPackets,
}

/// The direction behind the script, and what it said on the way.
fn play(mut frames: Frames, script: &Script<'_>, how: Play) -> (Frames, Vec<String>) {
    let mut events = Vec::new();
    let mut each = |event: Event<'_>| events.push(format!("{event:?}"));
    if how == Play::Whole {
        frames.bytes(0, script.stream, &mut each);
    } else {
        for step in &script.steps {
            match (how, step.kind) {
                (Play::HiddenWithPackets, Kind::Mark) => frames.packet(),
                (Play::Hidden | Play::HiddenWithPackets, Kind::Hidden)
                    if !step.bytes.is_empty() =>
                {
                    frames.skipped(0, step.bytes.len() as u64, &mut each);
                }
                _ => frames.bytes(0, step.bytes, &mut each),
            }
        }
    }
    (frames, events)
}

fn counts(tally: Tally) -> [u64; 10] {
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
        tally.malformed,
    ]
}

/// Close frames, pings, pongs and bytes of payload in a stream, up to a length that cannot be.
fn read(mut stream: &[u8]) -> [u64; 4] {
    let mut counts = [0; 4];
    let [closes, asked, answered, payload_bytes] = &mut counts;
    while let Some((first, length, payload)) = read_header(stream) {
        let here = length.min(payload.len() as u64);
        *payload_bytes += here;
        if here < length {
            break;
        }
        match first & 0xf {
            8 => *closes += 1,
            9 => *asked += 1,
            10 => *answered += 1,
            _ => {}
        }
        stream = usize::try_from(length)
            .ok()
            .and_then(|length| payload.get(length..))
            .unwrap_or_default();
    }
    counts
}

/// First byte, length, and what is behind the header; `None` at the end, and where the length cannot be.
fn read_header(stream: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (&[first, second], rest) = stream.split_first_chunk()?;
    let length_bytes = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let (length, rest) = rest.split_at_checked(length_bytes)?;
    let length = match length {
        [] => u64::from(second & 0x7f),
        bytes => bytes
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let payload = rest.get(usize::from(second >> 7) * 4..)?;
    (length >> 63 == 0).then_some((first, length, payload))
}
