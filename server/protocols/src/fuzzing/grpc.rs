//! gRPC: cuts change nothing, skips make lower bounds, and what the field parsers accept they accept written anew.

use super::script::{Kind, Script};
use crate::grpc::{Messages, Status, Tally, content_type, split_path, timeout_ns};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    let start = if script.switches & 1 == 0 {
        Messages::new()
    } else {
        Messages::web()
    };
    let (mut whole, mut cut, mut hidden) = (start, start, start);
    whole.bytes(script.stream);
    for step in &script.steps {
        cut.bytes(step.bytes);
        match step.kind {
            Kind::Hidden if !step.bytes.is_empty() => hidden.skipped(step.bytes.len() as u64),
            Kind::Bytes | Kind::Hidden | Kind::Mark => hidden.bytes(step.bytes),
        }
    }
    assert_eq!(cut.tally(), whole.tally());
    assert_eq!(cut.is_exact(), whole.is_exact());
    assert_eq!(cut.is_within(), whole.is_within());
    let (lower, truth) = (counts(hidden.tally()), counts(whole.tally()));
    assert!(
        lower
            .iter()
            .zip(truth)
            .all(|(lower, truth)| *lower <= truth)
    );
    assert!(!hidden.is_exact() || lower == truth);
    fields(script.stream);
}

fn counts(tally: Tally) -> [u64; 4] {
    [
        tally.messages,
        tally.message_bytes,
        tally.compressed,
        tally.malformed,
    ]
}

fn fields(value: &[u8]) {
    content_type(value);
    if let Some((service, method)) = split_path(value) {
        assert_eq!(format!("/{service}/{method}").as_bytes(), value);
    }
    if let (Some(timeout_ns), Some((unit, _))) = (timeout_ns(value), value.split_last()) {
        assert!(*unit != b'n' || timeout_ns < 100_000_000);
    }
    if let Some(name) = Status::from_field(value).and_then(Status::name) {
        assert_eq!(Status::from_name(name), Status::from_field(value));
    }
}
