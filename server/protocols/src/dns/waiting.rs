//! The queries that wait for an answer, and those that were lately given up: an answer may come late.
//!
//! Owns: finding a query by flow, direction, id and question; the order of age; the bounds. Serial numbers are given in
//! the order of the last try, so the first of a queue is the oldest. Refuses: to say what becomes of a query that leaves.
//!
//! A query stays at its place from its first try until it is answered or forgotten.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

use foldhash::fast::RandomState;
use slab::Slab;

use super::{QueryPart, Question, Transport, Way};

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

/// Where a query is, until it is forgotten.
pub(super) type Place = usize;

/// What a message's slot and question led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Waiting(Place),
    GivenUp(Place),
    /// Queries wait there, but they ask something else.
    Mismatch,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Table<K> {
    queries: Slab<Query<K>>,
    /// The newest query of a slot: the others follow from it.
    first: HashMap<Slot<K>, Place, RandomState>,
    waiting: Queue,
    given_up: Queue,
    next_serial: u64,
    max_waiting: usize,
}

#[derive(Debug)]
struct Query<K> {
    entry: Entry<K>,
    /// Until when it is remembered that it was given up. `None` while it waits.
    given_up: Option<u64>,
    serial: u64,
    /// The next of its slot.
    next: Option<Place>,
}

/// Queries in the order of their serials. Those that left, or have another serial by now, go when they are met.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<(u64, Place)>,
    /// How many are still in it.
    count: usize,
}

impl Queue {
    /// The oldest.
    fn first<K>(&mut self, queries: &Slab<Query<K>>) -> Option<Place> {
        while let Some(&(serial, place)) = self.order.front() {
            if is_at(queries, serial, place) {
                return Some(place);
            }
            self.order.pop_front();
        }
        None
    }

    /// Takes in a query whose serial is the newest.
    fn push<K>(&mut self, queries: &Slab<Query<K>>, serial: u64, place: Place) {
        if self.order.len() > 2 * self.count + SPARE {
            self.order
                .retain(|&(serial, place)| is_at(queries, serial, place));
        }
        self.order.push_back((serial, place));
        self.count += 1;
    }
}

fn is_at<K>(queries: &Slab<Query<K>>, serial: u64, place: Place) -> bool {
    let query = queries.get(place);
    query.is_some_and(|query| query.serial == serial)
}

impl<K: Hash + Eq + Copy> Table<K> {
    pub(super) fn new(max_waiting: usize) -> Self {
        Self {
            queries: Slab::new(),
            first: HashMap::default(),
            waiting: Queue::default(),
            given_up: Queue::default(),
            next_serial: 0,
            max_waiting: max_waiting.max(1),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.count
    }

    /// Finds the query that asks `question`. An answer that repeats no question (`any`) belongs to the only query there.
    pub(super) fn find(&self, slot: &Slot<K>, question: Option<&Question>, any: bool) -> Found {
        let (mut waiting, mut waiting_count) = (None, 0);
        // Of those that were given up the newest, and the one that asks this.
        let (mut newest, mut asked) = (None, None);
        for (place, query) in self.of_slot(slot) {
            let asks = query.entry.question.as_ref() == question;
            match query.given_up {
                None if asks => return Found::Waiting(place),
                None => (waiting, waiting_count) = (Some(place), waiting_count + 1),
                Some(_) => {
                    if newest.is_none_or(|(serial, _)| serial < query.serial) {
                        newest = Some((query.serial, place));
                    }
                    if asks {
                        asked = Some((query.serial, place));
                    }
                }
            }
        }
        let given_up = match (waiting, waiting_count) {
            (Some(only), 1) if any => return Found::Waiting(only),
            (None, _) if any => newest,
            _ => asked,
        };
        match (given_up, waiting) {
            (Some((_, place)), _) => Found::GivenUp(place),
            (None, Some(_)) => Found::Mismatch,
            (None, None) => Found::Nothing,
        }
    }

    /// A new query waits. What must leave for it is returned.
    pub(super) fn push(&mut self, entry: Entry<K>) -> Vec<Entry<K>> {
        let mut left = Vec::new();
        while self.waiting.count >= self.max_waiting {
            left.extend(self.pop());
        }
        if self.of_slot(&entry.slot).count() >= MAX_SAME_ID {
            let oldest = self
                .of_slot(&entry.slot)
                .min_by_key(|(_, query)| query.serial);
            if let Some((oldest, is_waiting)) =
                oldest.map(|(place, query)| (place, query.given_up.is_none()))
            {
                left.extend(self.take(oldest).filter(|_| is_waiting));
            }
        }
        let serial = self.serial();
        let slot = entry.slot;
        let place = self.queries.insert(Query {
            entry,
            given_up: None,
            serial,
            next: None,
        });
        let next = self.first.insert(slot, place);
        if let Some(query) = self.queries.get_mut(place) {
            query.next = next;
        }
        self.waiting.push(&self.queries, serial, place);
        left
    }

    /// The same query again.
    pub(super) fn retry(&mut self, place: Place, at_ns: u64) {
        let serial = self.serial();
        let Some(query) = self.queries.get_mut(place) else {
            return;
        };
        let tries = &mut query.entry.query;
        tries.retries = tries.retries.saturating_add(1);
        tries.last_at_ns = tries.last_at_ns.max(at_ns);
        query.serial = serial;
        self.waiting.count -= 1;
        self.waiting.push(&self.queries, serial, place);
    }

    /// A query waits no longer, and is remembered until `until_ns`: its answer may come late.
    pub(super) fn give_up(&mut self, place: Place, until_ns: u64) -> Option<Entry<K>> {
        while self.given_up.count >= self.max_waiting
            && let Some(oldest) = self.given_up.first(&self.queries)
        {
            self.take(oldest);
        }
        let serial = self.serial();
        let query = self.queries.get_mut(place)?;
        (query.given_up, query.serial) = (Some(until_ns), serial);
        let entry = query.entry.clone();
        self.waiting.count -= 1;
        self.given_up.push(&self.queries, serial, place);
        Some(entry)
    }

    /// Drops what need not be remembered at `now_ns`.
    pub(super) fn forget_until(&mut self, now_ns: u64) {
        while let Some(place) = self.given_up.first(&self.queries)
            && let Some(until_ns) = self.queries.get(place).and_then(|query| query.given_up)
            && until_ns <= now_ns
        {
            self.take(place);
        }
    }

    /// The oldest query that waits.
    pub(super) fn oldest(&mut self) -> Option<(Place, &Entry<K>)> {
        let place = self.waiting.first(&self.queries)?;
        Some((place, &self.queries.get(place)?.entry))
    }

    /// Takes the oldest query that waits.
    pub(super) fn pop(&mut self) -> Option<Entry<K>> {
        let place = self.waiting.first(&self.queries)?;
        self.take(place)
    }

    /// The queries of a slot.
    fn of_slot(&self, slot: &Slot<K>) -> impl Iterator<Item = (Place, &Query<K>)> {
        let mut next = self.first.get(slot).copied();
        std::iter::from_fn(move || {
            let place = next?;
            let query = self.queries.get(place)?;
            next = query.next;
            Some((place, query))
        })
    }

    fn serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = serial.wrapping_add(1);
        serial
    }

    /// Takes a query out.
    pub(super) fn take(&mut self, place: Place) -> Option<Entry<K>> {
        let query = self.queries.try_remove(place)?;
        let queue = if query.given_up.is_none() {
            &mut self.waiting
        } else {
            &mut self.given_up
        };
        queue.count -= 1;
        let std::collections::hash_map::Entry::Occupied(mut first) =
            self.first.entry(query.entry.slot)
        else {
            return Some(query.entry);
        };
        match query.next {
            None if *first.get() == place => drop(first.remove()),
            Some(next) if *first.get() == place => drop(first.insert(next)),
            next => {
                let mut before = Some(*first.get());
                while let Some(other) = before.and_then(|other| self.queries.get_mut(other)) {
                    if other.next == Some(place) {
                        other.next = next;
                        break;
                    }
                    before = other.next;
                }
            }
        }
        Some(query.entry)
    }
}

/// Entries of a queue that are over and are not looked for.
const SPARE: usize = 64;
