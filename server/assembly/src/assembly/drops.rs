//! Packets that the kernel dropped, noted where their connection is known.
//!
//! Owns: whose they were. A SYN that a filter takes before the probe at its socket sees it (netfilter's OUTPUT) is an attempt
//! all the same, and begins one here.

use super::Assembly;
use crate::{Dropped, End, Identities, Way};

impl<I: Identities> Assembly<I> {
    pub(super) fn dropped(&mut self, dropped: &Dropped<'_>) {
        // A RST that did its work.
        if dropped.reason == "TCP_RESET" {
            return;
        }
        let end = &dropped.end;
        let opens = end.flags.syn && !end.flags.ack && end.way == Way::Egress && end.cookie != 0;
        if opens && self.is_unseen(end) {
            self.syn(end);
            if let Some((place, _)) = self.place_of_cookie(end.cookie)
                && let Some(conversation) = self.table.get_mut(place)
            {
                conversation.drops_mut().has_unseen_syns = true;
            }
        }
        let Some((place, sender)) = self.sender_of(end) else {
            return;
        };
        if let Some(conversation) = self.table.get_mut(place) {
            conversation
                .drops_mut()
                .note(sender, dropped.reason, end.at_ns);
            conversation.changed = true;
        }
    }

    /// Whether nothing else tells of this SYN: none of its socket's was seen, or all of them were dropped in the same way.
    fn is_unseen(&mut self, end: &End) -> bool {
        let Some((place, _)) = self.place_of_cookie(end.cookie) else {
            return true;
        };
        self.table.get_mut(place).is_none_or(|conversation| {
            conversation.has_ended()
                || conversation
                    .drops
                    .as_ref()
                    .is_some_and(|drops| drops.has_unseen_syns)
        })
    }

    fn place_of_cookie(&self, cookie: u64) -> Option<(usize, usize)> {
        self.table.flows.get(&cookie)?.place
    }

    /// The conversation of a packet, and the party that sent it.
    fn sender_of(&self, end: &End) -> Option<(usize, usize)> {
        let at = |local, remote| {
            let key = (end.netns, local, remote);
            self.table.by_addresses.get(&key).copied()
        };
        // A listener's cookie has no place.
        let (place, party) = self
            .place_of_cookie(end.cookie)
            .or_else(|| at(end.local, end.remote))
            .or_else(|| at(end.remote, end.local).map(|(place, peer)| (place, 1 - peer)))?;
        Some(match end.way {
            Way::Egress => (place, party),
            Way::Ingress => (place, 1 - party),
        })
    }
}
