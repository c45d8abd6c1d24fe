//! What texts became when they were last seen: hosts, phrases and targets repeat from message to message.
//!
//! Holds only what came out readable as a whole, so no secret stays in memory here. Direct-mapped and of a fixed size:
//! hostile traffic makes it useless, never large or slow.

/// A table from texts to what they became.
pub(crate) struct Memo<T> {
    entries: Vec<Option<(Vec<u8>, T)>>,
}

impl<T: Clone> Memo<T> {
    /// A table with so many places.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            entries: std::iter::repeat_with(|| None).take(places).collect(),
        }
    }

    /// What `raw` becomes by `redact`, remembered when `is_readable` allows it.
    pub(crate) fn of(
        &mut self,
        raw: &[u8],
        redact: impl FnOnce() -> T,
        is_readable: impl FnOnce(&T) -> bool,
    ) -> T {
        if raw.len() > LONGEST {
            return redact();
        }
        let place = place(&[raw], self.entries.len());
        let entry = self.entries.get_mut(place);
        if let Some(Some((known, value))) = &entry
            && known == raw
        {
            return value.clone();
        }
        let value = redact();
        if is_readable(&value)
            && let Some(entry) = entry
        {
            let mut known = entry.take().map_or_else(Vec::new, |(known, _)| known);
            known.clear();
            known.extend_from_slice(raw);
            *entry = Some((known, value.clone()));
        }
        value
    }
}

/// Mixes eight bytes at a time, down to one of so many places.
pub(crate) fn place(texts: &[&[u8]], places: usize) -> usize {
    let mut state = 0_u64;
    for text in texts {
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
    usize::try_from(state % (places as u64).max(1)).unwrap_or_default()
}

/// Longer texts are redacted each time.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_as_without_and_nothing_unreadable_is_kept() {
        let mut memo = Memo::new(2);
        for round in 0..3 {
            for text in ["a", "b", "c", "{x}", "d", ""] {
                let mut asked = false;
                let value = memo.of(
                    text.as_bytes(),
                    || {
                        asked = true;
                        text.to_owned()
                    },
                    |value| !value.contains('{'),
                );
                assert_eq!(value, text);
                assert!(asked || (round > 0 && text != "{x}"), "{text}");
            }
        }
        assert!(
            memo.entries
                .iter()
                .flatten()
                .all(|(known, _)| known != b"{x}")
        );
    }
}
