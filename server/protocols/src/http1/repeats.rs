//! Heads seen before and what was made of them: pollers, health checks and small endpoints send the same bytes again and
//! again, and to compare costs a fifth of reading anew.
//!
//! Owns: the table, and the rule that only what was read whole and without a flaw is in it; what may be kept besides is
//! the observer's to say. Direct-mapped, of a fixed size and with a random hash: hostile traffic makes it useless, never
//! large or slow.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use memchr::memmem::Finder;

use super::framing::{Announcement, Framing, Method};

/// Longer heads are read each time.
const LONGEST: usize = 1024;
/// With heads of that length they hold a quarter of a MiB.
const PLACES: usize = 256;

/// A table of heads.
pub struct Repeats<Q, S> {
    entries: Vec<Option<Entry<Q, S>>>,
    hash: RandomState,
    end: Finder<'static>,
}

struct Entry<Q, S> {
    head: Vec<u8>,
    known: Known<Q, S>,
}

enum Known<Q, S> {
    Request(Q, RequestFacts),
    Response(S, Announcement),
}

/// What the parser needs of a request's head besides the observer's value.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestFacts {
    pub(super) method: Method,
    pub(super) framing: Framing,
}

/// Where a head has its place in the table.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    place: usize,
    /// Bytes of the head.
    pub(super) length: usize,
}

impl<Q, S> Default for Repeats<Q, S> {
    fn default() -> Self {
        Self {
            entries: std::iter::repeat_with(|| None).take(PLACES).collect(),
            hash: RandomState::default(),
            end: Finder::new(b"\r\n\r\n"),
        }
    }
}

impl<Q: Clone, S: Clone> Repeats<Q, S> {
    /// Where the head that `bytes` begin with belongs; `None` when it has no end there or is too long.
    pub(super) fn spot(&self, bytes: &[u8]) -> Option<Spot> {
        let window = bytes.get(..LONGEST).unwrap_or(bytes);
        let length = self.end.find(window)? + 4;
        let hash = self.hash.hash_one(window.get(..length)?);
        let place = usize::try_from(hash % PLACES as u64).ok()?;
        Some(Spot { place, length })
    }

    pub(super) fn request(&self, spot: Spot, bytes: &[u8]) -> Option<(Q, RequestFacts)> {
        match self.known(spot, bytes)? {
            Known::Request(value, facts) => Some((value.clone(), *facts)),
            Known::Response(..) => None,
        }
    }

    pub(super) fn response(&self, spot: Spot, bytes: &[u8]) -> Option<(S, Announcement)> {
        match self.known(spot, bytes)? {
            Known::Response(value, announcement) => Some((value.clone(), *announcement)),
            Known::Request(..) => None,
        }
    }

    pub(super) fn keep_request(
        &mut self,
        spot: Spot,
        bytes: &[u8],
        value: &Q,
        facts: RequestFacts,
    ) {
        self.keep(spot, bytes, Known::Request(value.clone(), facts));
    }

    pub(super) fn keep_response(
        &mut self,
        spot: Spot,
        bytes: &[u8],
        value: &S,
        announcement: Announcement,
    ) {
        self.keep(spot, bytes, Known::Response(value.clone(), announcement));
    }

    fn known(&self, spot: Spot, bytes: &[u8]) -> Option<&Known<Q, S>> {
        let entry = self.entries.get(spot.place)?.as_ref()?;
        (entry.head.as_slice() == bytes.get(..spot.length)?).then_some(&entry.known)
    }

    /// In the place of another.
    fn keep(&mut self, spot: Spot, bytes: &[u8], known: Known<Q, S>) {
        let (Some(entry), Some(bytes)) =
            (self.entries.get_mut(spot.place), bytes.get(..spot.length))
        else {
            return;
        };
        let mut head = entry.take().map_or_else(Vec::new, |entry| entry.head);
        head.clear();
        head.extend_from_slice(bytes);
        *entry = Some(Entry { head, known });
    }
}
