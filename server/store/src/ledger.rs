//! A map that can be taken back to what it was when the last transaction was committed.
//!
//! Owns: the undo log. Rows of a batch that was rolled back must not be believed, so every map from a recorder's key to
//! the id of a row is one of these. Surprising: `forget` goes around the log, for what retention and age take away.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

/// A hash map with a fast, seeded hash.
pub(crate) type FastMap<K, V> = HashMap<K, V, RandomState>;

/// The map and its undo log.
#[derive(Debug)]
pub(crate) struct Ledger<K, V> {
    map: FastMap<K, V>,
    /// What stood under a key before each change since the last `confirm`, oldest first.
    undo: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Ledger<K, V> {
    fn default() -> Self {
        Self {
            map: FastMap::default(),
            undo: Vec::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V: Copy> Ledger<K, V> {
    /// The value under `key`.
    pub(crate) fn get(&self, key: K) -> Option<V> {
        self.map.get(&key).copied()
    }
    /// Sets the value under `key`.
    pub(crate) fn set(&mut self, key: K, value: V) {
        self.undo.push((key, self.map.insert(key, value)));
    }
    /// Removes `key`.
    pub(crate) fn remove(&mut self, key: K) {
        if let Some(before) = self.map.remove(&key) {
            self.undo.push((key, Some(before)));
        }
    }
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
    /// All values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.map.values()
    }
    /// Keeps what `keep` says, for good. Only between transactions.
    pub(crate) fn forget(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        self.map.retain(|key, value| keep(key, value));
    }
    /// Removes one key for good. Only between transactions.
    pub(crate) fn forget_one(&mut self, key: K) {
        self.map.remove(&key);
    }
    /// The transaction is committed.
    pub(crate) fn confirm(&mut self) {
        self.undo.clear();
        self.undo.shrink_to(1 << 12);
    }
    /// The transaction is rolled back. Gives what had been removed in it, as it stands again.
    pub(crate) fn restore(&mut self) -> Vec<(K, V)> {
        let map = &self.map;
        let removed: Vec<K> = self
            .undo
            .iter()
            .filter(|(key, _)| !map.contains_key(key))
            .map(|(key, _)| *key)
            .collect();
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(value) => self.map.insert(key, value),
                None => self.map.remove(&key),
            };
        }
        removed
            .into_iter()
            .filter_map(|key| self.get(key).map(|value| (key, value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restores_what_was_confirmed() {
        let mut ledger = Ledger::default();
        ledger.set(1, 'a');
        ledger.set(2, 'b');
        ledger.confirm();
        ledger.set(1, 'x');
        ledger.set(1, 'y');
        ledger.remove(2);
        ledger.set(3, 'c');
        ledger.remove(3);
        ledger.set(2, 'z');
        ledger.set(4, 'n');
        assert_eq!(ledger.restore(), []);
        ledger.remove(1);
        assert_eq!(ledger.restore(), [(1, 'a')]);
        assert_eq!(ledger.get(1), Some('a'));
        assert_eq!(ledger.get(2), Some('b'));
        assert_eq!(ledger.get(3), None);
        assert_eq!(ledger.len(), 2);
    }
}
