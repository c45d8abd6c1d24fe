//! Fields seen before and how they were written: most of a connection's fields repeat from message to message.
//!
//! Holds only fields that came out readable as a whole, so no secret stays in memory here. Direct-mapped and of a
//! fixed size: hostile traffic makes it useless, never large or slow.

use crate::memo::place;

/// A table of fields and their template entries.
pub(super) struct Seen(Vec<Entry>);

#[derive(Default, Clone)]
struct Entry {
    name: Vec<u8>,
    value: Vec<u8>,
    written: Vec<u8>,
    holes: Vec<u8>,
}

impl Default for Seen {
    fn default() -> Self {
        Self(vec![Entry::default(); PLACES])
    }
}

impl Seen {
    /// The template entry of a field and what fills its holes, if this very field was remembered.
    pub(super) fn find(&self, name: &[u8], value: &[u8]) -> Option<(&[u8], &[u8])> {
        let entry = self.0.get(place(&[name, value], PLACES))?;
        let same = entry.value == value && entry.name == name && !entry.written.is_empty();
        same.then_some((&*entry.written, &*entry.holes))
    }
    /// Remembers a field, in the place of another.
    pub(super) fn remember(&mut self, (name, value): (&[u8], &[u8]), written: &[u8], holes: &[u8]) {
        let Some(entry) = self.0.get_mut(place(&[name, value], PLACES)) else {
            return;
        };
        for (to, from) in [
            (&mut entry.name, name),
            (&mut entry.value, value),
            (&mut entry.written, written),
            (&mut entry.holes, holes),
        ] {
            to.clear();
            to.extend_from_slice(from);
        }
    }
}

/// With values of at most 256 bytes this is at most 150 KiB.
const PLACES: usize = 256;
