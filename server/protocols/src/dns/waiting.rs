//! The queries that wait for an answer, and those that lately got one or were given up.
//!
//! Owns: finding a query by flow, direction, id and question; the order of age; the bounds. Serial numbers are given in
//! the order of the last try, so the first of a list is the oldest. Refuses: to say what becomes of a query that leaves.

use std::{
    collections::{BTreeMap, HashMap, hash_map},
    hash::Hash,
};

use super::{QueryPart, Question, Transport, Type, Way};

/// Queries of one flow with one id. Clients have one; a stranger must not make others search.
const MAX_SAME_ID: usize = 8;

/// What an answer has in common with its query besides the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot<K> {
    pub(super) flow: K,
    pub(super) asked: Way,
    pub(super) id: u16,
}

/// A query.
#[derive(Debug, Clone)]
pub(super) struct Entry<K> {
    pub(super) slot: Slot<K>,
    pub(super) transport: Transport,
    pub(super) question: Option<Question>,
    pub(super) query: QueryPart,
}

/// What became of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    Answered,
    GivenUp,
}

/// What a message's slot and question led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Waiting(u64),
    Past(u64, Past),
    /// Queries wait there, but they ask something else.
    Mismatch,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Table<K> {
    waiting: BTreeMap<u64, Entry<K>>,
    past: BTreeMap<u64, (Entry<K>, Past, u64)>,
    serials: HashMap<Slot<K>, Vec<u64>>,
    next_serial: u64,
    max_waiting: usize,
}

impl<K: Hash + Eq + Copy> Table<K> {
    pub(super) fn new(max_waiting: usize) -> Self {
        Self {
            waiting: BTreeMap::new(),
            past: BTreeMap::new(),
            serials: HashMap::new(),
            next_serial: 0,
            max_waiting,
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Finds the query that asks `question`. An answer that repeats no question (`any`) belongs to the only query there.
    pub(super) fn find(&self, slot: &Slot<K>, question: Option<&Question>, any: bool) -> Found {
        let serials = self.serials.get(slot).map_or(&[][..], Vec::as_slice);
        let waits = |serial: &&u64| self.waiting.contains_key(*serial);
        let asks = |serial: &&u64| {
            let waiting = self.waiting.get(*serial);
            let entry = waiting.or_else(|| self.past.get(*serial).map(|(entry, ..)| entry));
            entry.is_some_and(|entry| entry.question.as_ref() == question)
        };
        if let Some(serial) = serials.iter().filter(waits).find(asks) {
            return Found::Waiting(*serial);
        }
        let mut waiting = serials.iter().filter(waits);
        match (waiting.next(), waiting.next()) {
            (Some(only), None) if any => return Found::Waiting(*only),
            (None, _) => {}
            // What is not asked now may have been asked before.
            (Some(_), _) => {
                return self
                    .past(serials.iter().find(asks))
                    .unwrap_or(Found::Mismatch);
            }
        }
        let past = serials.iter().rev().find(|serial| any || asks(serial));
        self.past(past).unwrap_or(Found::Nothing)
    }

    fn past(&self, serial: Option<&u64>) -> Option<Found> {
        let serial = serial?;
        let (_, past, _) = self.past.get(serial)?;
        Some(Found::Past(*serial, *past))
    }

    /// A new query waits. What must leave for it is returned.
    pub(super) fn push(&mut self, entry: Entry<K>) -> Vec<Entry<K>> {
        let mut left = Vec::new();
        while self.waiting.len() >= self.max_waiting.max(1) {
            left.extend(self.pop());
        }
        let same = self.serials.get(&entry.slot).map_or(&[][..], Vec::as_slice);
        if same.len() >= MAX_SAME_ID
            && let Some(oldest) = same.iter().min().copied()
        {
            left.extend(self.take(oldest));
            self.forget(oldest);
        }
        let serial = self.serial(entry.slot);
        self.waiting.insert(serial, entry);
        left
    }

    /// The same query again.
    pub(super) fn retry(&mut self, serial: u64, at_ns: u64) {
        let Some(mut entry) = self.take(serial) else {
            return;
        };
        entry.query.retries = entry.query.retries.saturating_add(1);
        entry.query.last_at_ns = entry.query.last_at_ns.max(at_ns);
        let serial = self.serial(entry.slot);
        self.waiting.insert(serial, entry);
    }

    /// A query waits no longer. It is remembered as `past` until `until_ns`.
    pub(super) fn settle(&mut self, serial: u64, past: Past, until_ns: u64) -> Option<Entry<K>> {
        let entry = self.take(serial)?;
        while self.past.len() >= self.max_waiting.max(1) {
            let oldest = *self.past.first_key_value()?.0;
            self.forget(oldest);
        }
        let serial = self.serial(entry.slot);
        self.past.insert(serial, (entry.clone(), past, until_ns));
        Some(entry)
    }

    /// The query that was given up, since its answer came after all.
    pub(super) fn answered_late(&mut self, serial: u64) -> Option<Entry<K>> {
        let (entry, past, _) = self.past.get_mut(&serial)?;
        *past = Past::Answered;
        Some(entry.clone())
    }

    /// What a query that is past asked for.
    pub(super) fn past_kind(&self, serial: u64) -> Option<Type> {
        let (entry, ..) = self.past.get(&serial)?;
        entry.question.as_ref().map(|question| question.kind)
    }

    /// Drops a query that is past from memory.
    pub(super) fn forget(&mut self, serial: u64) {
        if let Some((entry, ..)) = self.past.remove(&serial) {
            self.unlink(entry.slot, serial);
        }
    }

    /// Drops what need not be remembered at `now_ns`.
    pub(super) fn forget_until(&mut self, now_ns: u64) {
        while let Some((serial, (.., until_ns))) = self.past.first_key_value()
            && *until_ns <= now_ns
        {
            let serial = *serial;
            self.forget(serial);
        }
    }

    /// The oldest query that waits.
    pub(super) fn oldest(&self) -> Option<(u64, &Entry<K>)> {
        let (serial, entry) = self.waiting.first_key_value()?;
        Some((*serial, entry))
    }

    /// Takes the oldest query that waits.
    pub(super) fn pop(&mut self) -> Option<Entry<K>> {
        let (serial, _) = self.oldest()?;
        self.take(serial)
    }

    fn take(&mut self, serial: u64) -> Option<Entry<K>> {
        let entry = self.waiting.remove(&serial)?;
        self.unlink(entry.slot, serial);
        Some(entry)
    }

    fn serial(&mut self, slot: Slot<K>) -> u64 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        self.serials.entry(slot).or_default().push(serial);
        serial
    }

    fn unlink(&mut self, slot: Slot<K>, serial: u64) {
        if let hash_map::Entry::Occupied(mut serials) = self.serials.entry(slot) {
            serials.get_mut().retain(|other| *other != serial);
            if serials.get().is_empty() {
                serials.remove();
            }
        }
    }
}
