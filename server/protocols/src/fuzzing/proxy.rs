//! The PROXY protocol: a beginning is undecided until one answer is reached, which more bytes do not change.

use crate::proxy::{Beginning, begins};

pub(super) fn run(data: &[u8]) {
    let mut decided = None;
    // The longest that is looked at byte by byte: what is behind the first hundreds is values of one kind.
    for length in 0..=data.len().min(600) {
        let Some(part) = data.get(..length) else {
            return;
        };
        let now = begins(part);
        if let Beginning::Header(_, length) = now {
            assert!(length <= part.len());
        }
        match (decided, now) {
            (None, Beginning::Undecided) => {}
            (None, now) => decided = Some(now),
            (Some(before), now) => assert_eq!(before, now),
        }
    }
    let _ = begins(data);
}
