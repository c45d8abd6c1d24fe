//! What a group of failures is known by.

use sha2::{Digest, Sha256};

use super::Place;
use crate::QueryError;
use crate::id::GroupId;

/// A hash of service, route, method and kind, as the store numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of((server, route, method): &Place, kind: i64) -> Self {
        let mut hash = Sha256::new();
        for number in [*server, *route, kind] {
            hash.update(number.to_be_bytes());
        }
        hash.update(method.as_bytes());
        let hash = hash.finalize();
        let begin = hash.iter().take(BYTES);
        Self(begin.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub(super) fn printed(self, tag: &str) -> String {
        GroupId(self.0).printed(tag)
    }

    /// That of a printed id, if it has the form of one.
    ///
    /// # Errors
    /// `Foreign` when another store printed it.
    pub(crate) fn parse(tag: &str, text: &str) -> Result<Option<Self>, QueryError> {
        match GroupId::parse("id", tag, text) {
            Ok(GroupId(number)) => Ok(Some(Self(number))),
            Err(error @ QueryError::Foreign { .. }) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// So many digits are typed without mistakes, and a store has no two groups with one fingerprint but once in a million.
const BYTES: usize = 5;
