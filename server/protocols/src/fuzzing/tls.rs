//! TLS: cuts change nothing, what is held is bounded whatever is hidden, and once it has been let go of nothing is held.
//!
//! Hidden steps are skipped; marks begin a turn.

use super::script::{Kind, Script};
use crate::http1::Direction;
use crate::tls::{Observer, alert_name, cipher_name, version_name};

pub(super) fn run(data: &[u8]) {
    let script = Script::read(data);
    for hides in [false, true] {
        let whole = play(&script, hides, usize::MAX);
        let cut = play(&script, hides, 1);
        assert_eq!(whole.facts(), cut.facts());
        for has_ended in [false, true] {
            assert_eq!(whole.failure(has_ended), cut.failure(has_ended));
        }
        assert!(whole.failure(false).is_none() || whole.failure(true).is_some());
        let facts = whole.facts();
        let server = facts.server.as_ref();
        let _ = server.map(|server| (version_name(server.version), cipher_name(server.cipher)));
        for (_, description) in facts.alerts.iter().filter_map(|alert| alert.said) {
            let _ = alert_name(description);
        }
    }
}

fn play(script: &Script<'_>, hides: bool, most: usize) -> Observer {
    let mut observer = Observer::default();
    for (at_ns, step) in (1..).zip(&script.steps) {
        let direction = if step.side {
            Direction::ToClient
        } else {
            Direction::ToServer
        };
        match step.kind {
            Kind::Mark if hides => observer.turn(direction),
            Kind::Mark => observer.closed(direction, at_ns),
            Kind::Hidden if hides && !step.bytes.is_empty() => {
                observer.skipped(direction, at_ns, step.bytes.len() as u64);
            }
            Kind::Hidden | Kind::Bytes => {
                let pieces = step.bytes.chunks(most.min(step.bytes.len().max(1)));
                pieces.for_each(|piece| observer.bytes(direction, at_ns, piece));
            }
        }
        assert!(observer.held_bytes() <= 64 << 10);
    }
    observer
}
