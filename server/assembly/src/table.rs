//! The table of conversations: bounded, found by socket and by addresses.
//!
//! Owns: places and their generations, the map from cookies to flows, the map from addresses (within one network namespace)
//! to conversations, and the choice of what to evict. Does not look inside a conversation beyond when it was last used.

use std::net::SocketAddr;

use crate::{End, Identity, conversation::Conversation};

/// What is known of one socket.
#[derive(Default)]
pub(crate) struct Flow {
    /// Its addresses, once seen.
    pub(crate) end: Option<End>,
    /// Its owner, once learned.
    pub(crate) identity: Option<Identity>,
    /// Its conversation and its party there.
    pub(crate) place: Option<(usize, usize)>,
    /// When it was last heard of.
    pub(crate) at_ns: u64,
    /// The interval of the counts in which it was last counted as one that cannot be followed; 0 when in none.
    pub(crate) unfollowed_in: u64,
}

/// Addresses as one end sees them, in one namespace.
pub(crate) type Addresses = (u32, SocketAddr, SocketAddr);

/// A hash map with a fast, seeded hash.
pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// The same for a set.
pub(crate) type FastSet<K> = std::collections::HashSet<K, foldhash::fast::RandomState>;

/// All conversations.
pub(crate) struct Table {
    places: Vec<Option<Conversation>>,
    free: Vec<usize>,
    generations: u64,
    hand: usize,
    limit: usize,
    /// What conversations hold, as far as counted.
    held_bytes: usize,
    pub(crate) flows: FastMap<u64, Flow>,
    pub(crate) by_addresses: FastMap<Addresses, (usize, usize)>,
}

impl Table {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            generations: 0,
            hand: 0,
            limit,
            held_bytes: 0,
            flows: FastMap::default(),
            by_addresses: FastMap::default(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Whether a conversation more needs one less.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut Conversation> {
        self.places.get_mut(place)?.as_mut()
    }

    /// The generation of the conversation in a place.
    pub(crate) fn generation(&self, place: usize) -> Option<u64> {
        let conversation = self.places.get(place)?.as_ref()?;
        Some(conversation.generation)
    }

    /// The places in use.
    pub(crate) fn in_use(&self) -> Vec<usize> {
        self.places
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_some())
            .map(|(place, _)| place)
            .collect()
    }

    /// Puts a conversation in and gives it its generation.
    pub(crate) fn insert(&mut self, mut conversation: Conversation) -> usize {
        self.generations += 1;
        conversation.generation = self.generations;
        if let Some(place) = self.free.pop()
            && let Some(slot) = self.places.get_mut(place)
        {
            *slot = Some(conversation);
            return place;
        }
        self.places.push(Some(conversation));
        self.places.len() - 1
    }

    /// Takes a conversation out, with all that leads to it.
    pub(crate) fn remove(&mut self, place: usize) -> Option<Conversation> {
        let conversation = self.places.get_mut(place)?.take()?;
        self.free.push(place);
        self.held_bytes = self.held_bytes.saturating_sub(conversation.held_counted);
        for party in &conversation.parties {
            if let Some(cookie) = party.cookie {
                self.flows.remove(&cookie);
            }
            let addresses = (party.netns, party.address, party.peer);
            if self
                .by_addresses
                .get(&addresses)
                .is_some_and(|(at, _)| *at == place)
            {
                self.by_addresses.remove(&addresses);
            }
        }
        Some(conversation)
    }

    /// The place of a conversation that has not been used for a while: a clock hand passes and spares, once, whatever was
    /// used since it last came by.
    pub(crate) fn victim(&mut self) -> Option<usize> {
        for _ in 0..self.places.len().saturating_mul(2) {
            self.hand = (self.hand + 1) % self.places.len().max(1);
            let hand = self.hand;
            if let Some(conversation) = self.get_mut(hand) {
                if !conversation.used {
                    return Some(hand);
                }
                conversation.used = false;
            }
        }
        None
    }

    /// What all conversations hold in pieces, heads and tables.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Counts what a conversation holds now in place of what it held before, and says how much.
    pub(crate) fn count_held(&mut self, place: usize) -> usize {
        let Some(conversation) = self.places.get_mut(place).and_then(Option::as_mut) else {
            return 0;
        };
        let now = conversation.held_bytes();
        let before = std::mem::replace(&mut conversation.held_counted, now);
        self.held_bytes = (self.held_bytes + now).saturating_sub(before);
        now
    }

    /// The places of conversations that hold something, those heard of longest ago first.
    pub(crate) fn holders(&self) -> Vec<usize> {
        let mut found: Vec<_> = self
            .places
            .iter()
            .enumerate()
            .filter_map(|(place, slot)| Some((place, slot.as_ref()?)))
            .filter(|(_, conversation)| conversation.held_counted > 0 || conversation.has_open())
            .map(|(place, conversation)| (conversation.last_ns, place))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, place)| place).collect()
    }

    /// Whether there are as many flows as there may be: twice as many as conversations have, and half of that again.
    pub(crate) fn flows_are_full(&self) -> bool {
        self.flows.len() >= self.limit.saturating_mul(3)
    }

    /// Drops the older half of the flows that belong to no conversation, and says how many.
    pub(crate) fn forget_older_strays(&mut self) -> u64 {
        let strays = self.flows.values().filter(|flow| flow.place.is_none());
        let mut times: Vec<_> = strays.map(|flow| flow.at_ns).collect();
        let middle = times.len() / 2;
        let Some((_, newest_old, _)) =
            (!times.is_empty()).then(|| times.select_nth_unstable(middle))
        else {
            return 0;
        };
        let (newest_old, before) = (*newest_old, self.flows.len());
        self.flows
            .retain(|_, flow| flow.place.is_some() || flow.at_ns > newest_old);
        (before - self.flows.len()) as u64
    }

    /// Drops flows that belong to no conversation and were last heard of before `before_ns`.
    pub(crate) fn forget_strays(&mut self, before_ns: u64) {
        self.flows
            .retain(|_, flow| flow.place.is_some() || flow.at_ns >= before_ns);
    }
}
