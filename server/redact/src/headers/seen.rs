//! Fields seen before and how they were written: most of a connection's fields repeat from message to message.
//!
//! Holds only fields that came out readable as a whole, so no secret stays in memory here. Direct-mapped and of a
//! fixed size: hostile traffic makes it useless, never large or slow.

/// A table of fields and their template entries.
pub(super) struct Seen(Vec<Entry>);

#[derive(Default, Clone)]
struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
    written: Vec<u8>,
}

impl Default for Seen {
    fn default() -> Self {
        Self(vec![Entry::default(); PLACES])
    }
}

impl Seen {
    /// The template entry of a field, if this very field was remembered.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<&[u8]> {
        let entry = self.0.get(place(name, value))?;
        let same = entry.value == value && entry.name == name && !entry.written.is_empty();
        same.then_some(&*entry.written)
    }
    /// Remembers a field, in the place of another.
    pub(super) fn remember(&mut self, name: &[u8], value: &[u8], written: &[u8]) {
        let Some(entry) = self.0.get_mut(place(name, value)) else {
            return;
        };
        for (to, from) in [
            (&mut entry.name, name),
            (&mut entry.value, value),
            (&mut entry.written, written),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
    }
}

/// Mixes eight bytes at a time.
fn place(name: &[u8], value: &[u8]) -> usize {
    let mut state = 0_u64;
    for text in [name, value] {
        let (words, rest) = text.as_chunks::<8>();
        let tail = rest
            .iter()
            .fold(text.len() as u64, |sum, byte| sum << 8 | u64::from(*byte));
        for word in words
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .chain([tail])
        {
            state = (state ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            state ^= state >> 32;
        }
    }
    usize::try_from(state % PLACES as u64).unwrap_or_default()
}

/// With values of at most 256 bytes this is at most 150 KiB.
const PLACES: usize = 256;
