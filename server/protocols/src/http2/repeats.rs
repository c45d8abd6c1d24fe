//! Heads of HTTP/2 seen before, and what was made of them.
//!
//! Owns: what a block's meaning depends on besides its bytes. One that refers to nothing in the table of HPACK means the same on
//! every connection, and inserts the same; one that refers to something and inserts nothing means the same as long as the table
//! holds the same. Others are read each time, and so is what was not whole. What may be kept besides is the observer's to say.

use super::fields::{Fields, Inserted, Traits};
use crate::hpack::{self, Summary};
use crate::repeats::{Spot, Table};

/// A table of heads.
pub struct Repeats<Q, S> {
    heads: Table<Seen<Q, S>>,
    /// The last mark that was given to a table of HPACK.
    last_mark: u64,
}

/// A head that was seen.
pub(super) struct Seen<Q, S> {
    pub(super) known: Known<Q, S>,
    pub(super) traits: Traits,
    inserted: Inserted,
}

/// What an observer made of a head.
#[derive(Clone)]
pub(super) enum Known<Q, S> {
    Request(Q),
    Response(S),
}

/// A block that may be remembered.
#[derive(Clone, Copy)]
pub(super) struct Keep<'a> {
    spot: Spot<'a>,
    /// It has texts, not indexes alone.
    pub(super) in_clear: bool,
}

impl<Q, S> Default for Repeats<Q, S> {
    fn default() -> Self {
        Self {
            heads: Table::default(),
            last_mark: 0,
        }
    }
}

impl<Q, S> Repeats<Q, S> {
    /// What is known of a block that `hpack` is about to read.
    pub(super) fn get(&self, hpack: &hpack::Decoder, block: &[u8]) -> Option<&Seen<Q, S>> {
        let spot = self.heads.spot(block)?;
        let anywhere = self.heads.get(spot);
        anywhere.or_else(|| self.heads.get(spot.within(hpack.mark()?)))
    }

    /// Whether and how a block may be remembered that `hpack` has read as a whole.
    pub(super) fn may_keep<'a>(
        &mut self,
        hpack: &mut hpack::Decoder,
        block: &'a [u8],
        summary: Summary,
    ) -> Option<Keep<'a>> {
        if summary.resizes || (summary.refers && summary.insertions > 0) {
            return None;
        }
        let mut spot = self.heads.spot(block)?;
        if summary.refers {
            // Marks begin with 1.
            spot = spot.within(hpack.mark().unwrap_or_else(|| {
                self.last_mark += 1;
                hpack.set_mark(self.last_mark);
                self.last_mark
            }));
        }
        Some(Keep {
            spot,
            in_clear: summary.literals > 0,
        })
    }

    /// `fields` are those of the block.
    pub(super) fn keep(
        &mut self,
        keep: Keep<'_>,
        fields: Fields<'_>,
        known: Known<Q, S>,
        traits: Traits,
    ) {
        if let Some(inserted) = fields.inserted() {
            let seen = Seen {
                known,
                traits,
                inserted,
            };
            self.heads.keep(keep.spot, seen);
        }
    }
}

impl<Q, S> Seen<Q, S> {
    /// Does to `hpack` what reading the block would do.
    pub(super) fn pass(&self, hpack: &mut hpack::Decoder) {
        self.inserted.insert(hpack);
    }
}
