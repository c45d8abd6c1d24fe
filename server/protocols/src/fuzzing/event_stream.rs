//! Event streams: cuts change nothing, skips make lower bounds, and a client written as the standard is counts the same.

use super::script::{Kind, Script};
use crate::event_stream::{Events, Tally, is_event_stream};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let mut whole = Events::new();
    whole.bytes(0, script.stream);
    assert!(whole.is_exact());
    assert_eq!(counts(whole.tally()), client(script.stream));

    let (mut cut, mut hidden) = (Events::new(), Events::new());
    for step in &script.steps {
        cut.bytes(0, step.bytes);
        match step.kind {
            Kind::Hidden if !step.bytes.is_empty() => hidden.skipped(step.bytes.len() as u64),
            Kind::Bytes | Kind::Hidden | Kind::Mark => hidden.bytes(0, step.bytes),
        }
    }
    assert_eq!(cut.tally(), whole.tally());
    let (lower, truth) = (counts(hidden.tally()), counts(whole.tally()));
    assert!(lower.0 <= truth.0 && lower.1 <= truth.1);
    assert!(!hidden.is_exact() || lower == truth);
    assert_eq!(hidden.tally().bytes, script.stream.len() as u64);
    is_event_stream(script.stream);
}

fn counts(tally: Tally) -> (u64, u64) {
    (tally.events, tally.comments)
}

/// Events and comments as the standard's algorithm finds them in a whole stream (WHATWG HTML, 9.2.6).
fn client(stream: &[u8]) -> (u64, u64) {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let (mut events, mut comments, mut data) = (0, 0, false);
    let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
    let mut bytes = stream.iter().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, lines.last_mut()) {
            (b'\r' | b'\n', _) => {
                if *byte == b'\r' {
                    bytes.next_if_eq(&&b'\n');
                }
                lines.push(Vec::new());
            }
            (byte, Some(line)) => line.push(*byte),
            (_, None) => {}
        }
    }
    // What follows the last line end is no line.
    lines.pop();
    for line in lines {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        if line.is_empty() {
            events += u64::from(std::mem::take(&mut data));
        } else if name.is_empty() {
            comments += 1;
        } else {
            data |= name == b"data";
        }
    }
    (events, comments)
}
