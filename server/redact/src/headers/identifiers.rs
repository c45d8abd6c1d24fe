//! The identifiers of a header block: what of it may join its message with others.
//!
//! Owns: the marks behind the holes, and reading digests and marks back out of them without the template. Refuses: to judge
//! which value identifies anything; how rare it is tells.

use super::encode::write_number;
use super::kind;
use super::render::Reader;
use crate::hash::Digest;

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentifierKind {
    /// A trace, in one form for all formats.
    Trace,
    /// The span of the sender, likewise.
    Span,
    /// The span that the sender's was begun by.
    ParentSpan,
    /// Any value that was hashed.
    Value,
}

/// An identifier of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identifier {
    /// What it is.
    pub kind: IdentifierKind,
    /// Its keyed hash.
    pub hash: [u8; 8],
    /// Of a value, the length of its plain form in bytes; else 0.
    pub length: u64,
}

/// What of a block that is being written identifies it beside its hashes: ids of traces and spans, and values that are kept
/// readable.
#[derive(Debug, Default)]
pub(crate) struct Marks(Vec<Identifier>);

impl Marks {
    /// An id of a trace or a span.
    pub(crate) fn add(&mut self, kind: IdentifierKind, hash: [u8; 8]) {
        self.push(Identifier {
            kind,
            hash,
            length: 0,
        });
    }

    /// A value.
    pub(crate) fn add_value(&mut self, digest: &Digest) {
        if digest.length >= SHORTEST {
            self.push(Identifier {
                kind: IdentifierKind::Value,
                hash: digest.hash,
                length: digest.length,
            });
        }
    }

    fn push(&mut self, mark: Identifier) {
        let is_value = mark.kind == IdentifierKind::Value;
        let alike = |other: &&Identifier| (other.kind == IdentifierKind::Value) == is_value;
        if self.0.iter().filter(alike).count() < MOST_MARKS && !self.0.contains(&mark) {
            self.0.push(mark);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Appends them to the holes of their block.
    pub(crate) fn write(&self, holes: &mut Vec<u8>) {
        for mark in &self.0 {
            holes.push(match mark.kind {
                IdentifierKind::Trace => kind::TRACE,
                IdentifierKind::Span => kind::SPAN,
                IdentifierKind::ParentSpan => kind::PARENT_SPAN,
                IdentifierKind::Value => kind::VALUE,
            });
            holes.extend_from_slice(&mark.hash);
            if mark.kind == IdentifierKind::Value {
                write_number(mark.length, holes);
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn take(self) -> impl Iterator<Item = (IdentifierKind, [u8; 8])> {
        self.0.into_iter().map(|mark| (mark.kind, mark.hash))
    }
}

/// The identifiers in the holes of a stored block, as they come. Values shorter than four bytes identify nothing and are
/// left out. Damaged input gives those up to the damage.
pub fn identifiers(holes: &[u8]) -> impl Iterator<Item = Identifier> {
    let mut holes = Reader(holes);
    std::iter::from_fn(move || {
        loop {
            match next(&mut holes)? {
                Hole::Identifier(found) => return Some(found),
                Hole::Other => {}
            }
        }
    })
}

enum Hole {
    Identifier(Identifier),
    /// It identifies nothing.
    Other,
}

/// The next hole; `None` at the end.
fn next(holes: &mut Reader<'_>) -> Option<Hole> {
    let kind = match holes.byte()? {
        kind::TEXT => {
            let length = holes.number()?;
            holes.bytes(length)?;
            return Some(Hole::Other);
        }
        // What a hole of several holds follows as holes.
        kind::NUMBER | kind::DATE | kind::SEVERAL => {
            holes.number()?;
            return Some(Hole::Other);
        }
        kind::UNKNOWN => {
            holes.number()?;
            holes.number()?;
            return Some(Hole::Other);
        }
        kind::TRACE => IdentifierKind::Trace,
        kind::SPAN => IdentifierKind::Span,
        kind::PARENT_SPAN => IdentifierKind::ParentSpan,
        kind::VALUE => IdentifierKind::Value,
        digest if digest >= kind::DIGEST => IdentifierKind::Value,
        _ => return None,
    };
    let hash = *holes.bytes(8)?.as_array()?;
    let length = match kind {
        IdentifierKind::Value => holes.number()?,
        IdentifierKind::Trace | IdentifierKind::Span | IdentifierKind::ParentSpan => 0,
    };
    if kind == IdentifierKind::Value && length < SHORTEST {
        return Some(Hole::Other);
    }
    Some(Hole::Identifier(Identifier { kind, hash, length }))
}

/// Traces and spans of one block, and as many values that are kept readable.
const MOST_MARKS: usize = 64;
/// Bytes of the shortest value that may identify something.
pub(crate) const SHORTEST: u64 = 4;
