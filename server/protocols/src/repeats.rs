//! Heads seen before and what was made of them: pollers, health checks, small endpoints and calls of one method send the same
//! bytes again and again, and to compare costs a fifth of reading anew.
//!
//! Owns: the table. What is put there, and when that is right, is its user's to know. Direct-mapped, of a fixed size and
//! with a random hash: hostile traffic makes it useless, never large or slow.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

/// Longer heads are read each time.
pub(crate) const LONGEST: usize = 1024;
/// With heads of that length they hold a quarter of a MiB.
const PLACES: usize = 256;

/// A table of `T` by heads and what they depend on besides their bytes.
pub(crate) struct Table<T> {
    entries: Vec<Option<Entry<T>>>,
    hash: RandomState,
}

struct Entry<T> {
    head: Vec<u8>,
    context: u64,
    known: T,
}

/// A head's place in the table.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    hash: u64,
    /// What the meaning of its bytes depends on; 0 where that is nothing.
    context: u64,
    pub(crate) head: &'a [u8],
}

impl Spot<'_> {
    /// The place of the same head where it means something else.
    pub(crate) fn within(self, context: u64) -> Self {
        Self { context, ..self }
    }

    fn place(self) -> Option<usize> {
        usize::try_from(self.hash.wrapping_add(self.context) % PLACES as u64).ok()
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            entries: std::iter::repeat_with(|| None).take(PLACES).collect(),
            hash: RandomState::default(),
        }
    }
}

impl<T> Table<T> {
    /// Where `head` belongs, of no more than [`LONGEST`] bytes.
    pub(crate) fn spot<'a>(&self, head: &'a [u8]) -> Option<Spot<'a>> {
        (head.len() <= LONGEST).then(|| Spot {
            hash: self.hash.hash_one(head),
            context: 0,
            head,
        })
    }

    pub(crate) fn get(&self, spot: Spot<'_>) -> Option<&T> {
        let entry = self.entries.get(spot.place()?)?.as_ref()?;
        (entry.context == spot.context && entry.head == spot.head).then_some(&entry.known)
    }

    /// In the place of another.
    pub(crate) fn keep(&mut self, spot: Spot<'_>, known: T) {
        let Some(entry) = spot.place().and_then(|place| self.entries.get_mut(place)) else {
            return;
        };
        let mut head = entry.take().map_or_else(Vec::new, |entry| entry.head);
        head.clear();
        head.extend_from_slice(spot.head);
        *entry = Some(Entry {
            head,
            context: spot.context,
            known,
        });
    }
}
