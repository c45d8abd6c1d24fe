//! Heads of HTTP/1 seen before, and what was made of them.
//!
//! Owns: the rule that only what was read whole and without a flaw is remembered; what may be kept besides is the observer's
//! to say.

use memchr::memmem::Finder;

use super::framing::{Announcement, Framing, Method};
use crate::repeats::{LONGEST, Spot, Table};

/// A table of heads.
pub struct Repeats<Q, S> {
    heads: Table<Known<Q, S>>,
    end: Finder<'static>,
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

impl<Q, S> Default for Repeats<Q, S> {
    fn default() -> Self {
        Self {
            heads: Table::default(),
            end: Finder::new(b"\r\n\r\n"),
        }
    }
}

impl<Q: Clone, S: Clone> Repeats<Q, S> {
    /// Where the head that `bytes` begin with belongs; `None` when it has no end there or is too long.
    pub(super) fn spot<'a>(&self, bytes: &'a [u8]) -> Option<Spot<'a>> {
        let window = bytes.get(..LONGEST).unwrap_or(bytes);
        let length = self.end.find(window)? + 4;
        // A head of HTTP/1 depends on its bytes alone.
        self.heads.spot(window.get(..length)?)
    }

    pub(super) fn request(&self, spot: Spot<'_>) -> Option<(Q, RequestFacts)> {
        match self.heads.get(spot)? {
            Known::Request(value, facts) => Some((value.clone(), *facts)),
            Known::Response(..) => None,
        }
    }

    pub(super) fn response(&self, spot: Spot<'_>) -> Option<(S, Announcement)> {
        match self.heads.get(spot)? {
            Known::Response(value, announcement) => Some((value.clone(), *announcement)),
            Known::Request(..) => None,
        }
    }

    pub(super) fn keep_request(&mut self, spot: Spot<'_>, value: &Q, facts: RequestFacts) {
        self.heads.keep(spot, Known::Request(value.clone(), facts));
    }

    pub(super) fn keep_response(&mut self, spot: Spot<'_>, value: &S, announcement: Announcement) {
        self.heads
            .keep(spot, Known::Response(value.clone(), announcement));
    }
}
