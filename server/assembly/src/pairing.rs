//! Matching the two ends of a connection between network namespaces of this machine.
//!
//! Owns: a bounded memory of packets that left, by sequence and acknowledgement number. A packet that arrives with the same
//! two numbers within a few seconds is the same packet: address translation changes addresses and ports, never these 64
//! bits, and equal addresses in two namespaces do not meet in them. Does not decide what a match means.

use std::collections::VecDeque;

use crate::table::FastMap;

/// Packets remembered.
const MAX_ENTRIES: usize = 8192;
/// How long a packet can be under way between two namespaces of one machine.
const MAX_AGE_NS: u64 = 5_000_000_000;

/// What is under way for longer than this has most likely left the machine, so that forgetting it loses nothing.
const SOON_NS: u64 = 100_000_000;

/// Where a packet that left belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departed {
    /// The conversation's place in the table.
    pub(crate) conversation: usize,
    /// Its generation there, since places are used again.
    pub(crate) generation: u64,
    /// Which party sent it.
    pub(crate) party: usize,
    at_ns: u64,
}

/// The memory.
#[derive(Default)]
pub(crate) struct Pairing {
    by_numbers: FastMap<(u32, u32), Departed>,
    order: VecDeque<((u32, u32), u64)>,
    /// Packets forgotten for want of room so soon that they might have arrived yet.
    forgotten: u64,
}

impl Pairing {
    /// Remembers a packet that left.
    pub(crate) fn departed(
        &mut self,
        seq: u32,
        ack: u32,
        at_ns: u64,
        conversation: usize,
        generation: u64,
        party: usize,
    ) {
        while self.order.len() >= MAX_ENTRIES {
            if let Some((numbers, at)) = self.order.pop_front()
                && self
                    .by_numbers
                    .get(&numbers)
                    .is_some_and(|entry| entry.at_ns == at)
            {
                self.by_numbers.remove(&numbers);
                self.forgotten += u64::from(at_ns.saturating_sub(at) < SOON_NS);
            }
        }
        self.by_numbers.insert(
            (seq, ack),
            Departed {
                conversation,
                generation,
                party,
                at_ns,
            },
        );
        self.order.push_back(((seq, ack), at_ns));
    }

    /// How many packets were forgotten so soon that they might have arrived yet, since last asked.
    pub(crate) fn news_of_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// The packet that arrives, if it was seen to leave.
    pub(crate) fn arrived(&self, seq: u32, ack: u32, at_ns: u64) -> Option<Departed> {
        let entry = self.by_numbers.get(&(seq, ack))?;
        (at_ns.saturating_sub(entry.at_ns) <= MAX_AGE_NS).then_some(*entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_found_by_its_numbers_while_it_is_fresh() {
        let mut pairing = Pairing::default();
        pairing.departed(1, 2, 1000, 7, 1, 0);
        assert_eq!(pairing.arrived(1, 2, 2000).map(|d| d.conversation), Some(7));
        assert_eq!(pairing.arrived(2, 1, 2000), None);
        assert_eq!(pairing.arrived(1, 2, 1000 + MAX_AGE_NS + 1), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut pairing = Pairing::default();
        for i in 0..50_000u32 {
            pairing.departed(i, 0, u64::from(i), 0, 0, 0);
        }
        assert!(pairing.by_numbers.len() <= MAX_ENTRIES && pairing.order.len() <= MAX_ENTRIES);
        assert!(pairing.arrived(49_999, 0, 50_000).is_some());
        assert_eq!(pairing.news_of_forgotten(), 50_000 - MAX_ENTRIES as u64);
        let later = 50_000 + SOON_NS;
        pairing.departed(0, 0, later, 0, 0, 0);
        assert_eq!(pairing.news_of_forgotten(), 0, "gone for long");
    }
}
