//! The dynamic table (RFC 7541, 2.3.2 and 4) as far as it was seen.
//!
//! Owns: the newest entries and their texts, in a run without gaps up to the newest of all; whether there may be older
//! ones; and an upper bound of the table's maximum size. Refuses: to guess. What it holds may be more than what the
//! encoder's table holds, never other.
//!
//! **Invariant**: the entry at a position that a correct encoder refers to is right, or unknown by its own number.
//! A position counts from the newest entry, so neither the entries below the run nor the maximum size shift it; only an
//! insertion does, and each one is seen. Operation by operation:
//!
//! - *Eviction* (4.4) takes the oldest entries. While the bound is not below the encoder's maximum, what is evicted here
//!   is evicted there. What is evicted there only, the encoder does not refer to any more.
//! - *An entry larger than the table* (4.4) empties it and is not inserted. When it is above the bound, it is above the
//!   maximum: the same happens here. When it is between the two, it is inserted here and not there: then all that is
//!   there was inserted afterwards, and positions of these count from the newest as ever. Those of the large entry and
//!   of the older ones are beyond the encoder's table, so it does not refer to them.
//! - *A size update* (6.3) gives the maximum itself, whatever was known before.
//! - *An unknown name* has no known length. Its entry counts with the least size that it may have, so that the sum is
//!   not above that of the encoder, and eviction happens here no earlier than there.
//! - *Forgetting* the oldest entries, where their texts would fill more than may be held, makes them part of what is
//!   below the run. Their numbers go on counting from the newest.

use std::collections::VecDeque;

use super::Malformed;
use super::text::{Text, Unknown};

/// What an entry counts beyond its texts (RFC 7541, 4.1): the size of the smallest one.
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// Bytes of texts that nothing refers to any more, which are worth no compaction.
const SLACK: usize = 1024;

pub(super) struct DynamicTable {
    /// The newest first, as positions count.
    entries: VecDeque<Entry>,
    /// Texts of entries, some of entries that are gone. A new entry may share the name of an older one, so that a
    /// reference of two bytes does not copy four thousand.
    texts: Vec<u8>,
    /// The sum of the least sizes of `entries`; at most `max_size` and `max_held_bytes`.
    size: usize,
    /// Not below the encoder's maximum size; `usize::MAX` when nothing is known of it.
    max_size: usize,
    /// What `max_size` becomes when sight is lost. The encoder cannot go beyond it.
    limit: usize,
    /// A bound of our own.
    max_held_bytes: usize,
    /// Whether the encoder may refer to entries older than `entries`.
    has_older: bool,
    /// How many of `entries` have an unknown name.
    nameless: usize,
    /// Insertions of this generation.
    inserted: i64,
    generation: u32,
    /// Entries that had to go for `max_held_bytes`.
    forgotten: u64,
    /// The caller's, for what it holds now.
    mark: Option<u64>,
}

#[derive(Clone, Copy)]
struct Entry {
    name: Name,
    value: Span,
}

/// The name of an entry.
#[derive(Clone, Copy)]
pub(super) enum Name {
    Static(&'static [u8]),
    Held(Span),
    Unknown(Unknown),
}

/// The name of an entry that is inserted.
#[derive(Clone, Copy)]
pub(super) enum NewName<'a> {
    /// The name of an entry that is in the table now, or of a static one.
    Of(Name),
    Literal(&'a [u8]),
}

/// A place in `texts`.
#[derive(Clone, Copy)]
pub(super) struct Span {
    from: usize,
    to: usize,
}

impl DynamicTable {
    pub(super) fn new(max_held_bytes: usize, limit: usize, has_older: bool) -> Self {
        Self {
            entries: VecDeque::new(),
            texts: Vec::new(),
            size: 0,
            max_size: limit,
            limit,
            max_held_bytes,
            has_older,
            nameless: 0,
            inserted: 0,
            generation: 0,
            forgotten: 0,
            mark: None,
        }
    }

    /// Name and value of the entry at `position`, 0 being the newest.
    #[inline]
    pub(super) fn field(&self, position: u32) -> Result<(Text<'_>, Text<'_>), Malformed> {
        match self.entry(position) {
            Some(entry) => Ok((self.text(entry.name), Text::Known(self.bytes(entry.value)))),
            None => self
                .older(position)
                .map(|entry| (Text::Unknown(entry), Text::Unknown(entry))),
        }
    }

    /// The name of the entry at `position`.
    #[inline]
    pub(super) fn name(&self, position: u32) -> Result<Name, Malformed> {
        match self.entry(position) {
            Some(entry) => Ok(entry.name),
            None => self.older(position).map(Name::Unknown),
        }
    }

    #[inline]
    pub(super) fn text(&self, name: Name) -> Text<'_> {
        match name {
            Name::Static(bytes) => Text::Known(bytes),
            Name::Held(span) => Text::Known(self.bytes(span)),
            Name::Unknown(entry) => Text::Unknown(entry),
        }
    }

    /// Inserts an entry (4.4). The name of one that this evicts may be used: its text stays until the entry is there.
    pub(super) fn insert(&mut self, name: NewName<'_>, value: &[u8]) {
        let name_bytes = match name {
            NewName::Literal(bytes) | NewName::Of(Name::Static(bytes)) => bytes.len(),
            NewName::Of(Name::Held(span)) => span.to - span.from,
            NewName::Of(Name::Unknown(_)) => 0,
        };
        let size = name_bytes + value.len() + ENTRY_OVERHEAD;
        self.mark = None;
        if size > self.max_size {
            self.clear();
            self.has_older = false;
            return;
        }
        self.inserted += 1;
        if size > self.max_held_bytes {
            self.forgotten += 1 + self.entries.len() as u64;
            self.clear();
            self.has_older = true;
            return;
        }
        let name = match name {
            NewName::Literal(bytes) => Name::Held(append(&mut self.texts, bytes)),
            NewName::Of(name) => name,
        };
        let value = append(&mut self.texts, value);
        self.nameless += usize::from(matches!(name, Name::Unknown(_)));
        self.entries.push_front(Entry { name, value });
        self.size += size;
        self.settle();
        if self.texts.len() > 2 * self.size + SLACK {
            self.compact(2 * self.size + 2 * SLACK);
        }
    }

    /// A size update (6.3).
    pub(super) fn update_size(&mut self, max_size: usize) {
        self.mark = None;
        self.max_size = max_size;
        self.limit = self.limit.max(max_size);
        self.settle();
    }

    /// The encoder keeps to this from here on, and says so by a size update if its maximum was above (4.2).
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.mark = None;
        self.limit = limit;
        self.max_size = self.max_size.min(limit);
        self.settle();
    }

    /// Any number of insertions and size updates was not seen.
    pub(super) fn lost(&mut self) {
        self.mark = None;
        self.clear();
        self.generation = self.generation.wrapping_add(1);
        self.inserted = 0;
        self.max_size = self.limit;
        self.has_older = true;
        self.settle();
    }

    /// The caller's mark for what it holds, until that changes.
    pub(super) fn mark(&self) -> Option<u64> {
        self.mark
    }

    pub(super) fn set_mark(&mut self, mark: u64) {
        self.mark = Some(mark);
    }

    /// Whether everything that the encoder may refer to is known.
    pub(super) fn is_reliable(&self) -> bool {
        !self.has_older && self.nameless == 0
    }

    /// Forgets the older half, and gives back its memory.
    pub(super) fn halve(&mut self) {
        self.mark = None;
        self.forget_beyond(self.size / 2);
        self.compact(self.size);
        self.entries.shrink_to_fit();
    }

    /// How many entries were forgotten for want of room: what refers to them is unknown.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.texts.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    #[inline]
    fn entry(&self, position: u32) -> Option<&Entry> {
        self.entries.get(usize::try_from(position).ok()?)
    }

    /// The number of an entry below the run, if there is room for as many in the table.
    #[cold]
    fn older(&self, position: u32) -> Result<Unknown, Malformed> {
        let below = usize::try_from(position).map_err(|_| Malformed::Index)? - self.entries.len();
        if !self.has_older || below >= (self.max_size - self.size) / ENTRY_OVERHEAD {
            return Err(Malformed::Index);
        }
        Ok(Unknown {
            generation: self.generation,
            number: self.inserted - 1 - i64::from(position),
        })
    }

    #[inline]
    fn bytes(&self, span: Span) -> &[u8] {
        self.texts.get(span.from..span.to).unwrap_or_default()
    }

    /// Makes true again what is said of `size` and `has_older`.
    #[inline]
    fn settle(&mut self) {
        while self.size > self.max_size {
            // The older ones went before.
            self.has_older = false;
            self.drop_oldest();
        }
        if self.size + ENTRY_OVERHEAD > self.max_size {
            self.has_older = false;
        }
        self.forget_beyond(self.max_held_bytes);
    }

    fn forget_beyond(&mut self, size: usize) {
        while self.size > size {
            self.has_older = true;
            self.forgotten += 1;
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_back() else {
            self.size = 0;
            return;
        };
        self.nameless -= usize::from(matches!(entry.name, Name::Unknown(_)));
        self.size -= self.least_size(entry);
    }

    fn least_size(&self, entry: Entry) -> usize {
        let name = self.text(entry.name).known().map_or(0, <[u8]>::len);
        name + (entry.value.to - entry.value.from) + ENTRY_OVERHEAD
    }

    /// Copies the texts that are in use to `room` bytes. There are at most `size` bytes of them, names that were shared being copied for
    /// each entry; as many were appended at least since the last time, or belonged to entries that are gone.
    #[cold]
    fn compact(&mut self, room: usize) {
        let mut texts = Vec::with_capacity(room);
        for entry in &mut self.entries {
            let mut take = |span: Span| {
                let bytes = self.texts.get(span.from..span.to).unwrap_or_default();
                append(&mut texts, bytes)
            };
            if let Name::Held(span) = entry.name {
                entry.name = Name::Held(take(span));
            }
            entry.value = take(entry.value);
        }
        self.texts = texts;
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.texts.clear();
        self.size = 0;
        self.nameless = 0;
    }
}

#[inline]
fn append(texts: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let from = texts.len();
    texts.extend_from_slice(bytes);
    Span {
        from,
        to: texts.len(),
    }
}
