//! How conversations begin, and how a packet finds its own.

use headwater_model::{CloseReason, ConnectionKey};
use headwater_protocols::http1;

use super::Assembly;
use crate::{
    End, Identities, Turn, Way,
    conversation::{Conversation, Party, Phase},
    pairing::Departed,
};

impl<I: Identities> Assembly<I> {
    pub(super) fn syn(&mut self, end: &End) {
        if end.flags.ack {
            return self.syn_ack(end);
        }
        if end.way == Way::Ingress {
            // The listener's cookie says nothing of the connection to come; its addresses do.
            return self.knock(end);
        }
        if let Some((place, _)) = self.flow(end.cookie, end.at_ns).place
            && let Some(conversation) = self.table.get_mut(place)
        {
            if let Some(party) = conversation.parties.first_mut() {
                party.retransmits = party.retransmits.saturating_add(1);
            }
            return;
        }
        // The same addresses again: whatever was there before is over, seen or not.
        if let Some((place, _)) = self
            .table
            .by_addresses
            .get(&(end.netns, end.local, end.remote))
            .copied()
        {
            self.finish(place, end.at_ns, CloseReason::Unknown, http1::End::Evicted);
        }
        self.flow(end.cookie, end.at_ns).end = Some(*end);
        let parties = [
            Party::new(Some(end.cookie), end.local, end.remote, end.netns),
            Party::new(None, end.remote, end.local, 0),
        ];
        let place = self.begin(parties, end.at_ns, false, end.loopback);
        self.settle(end.cookie, place, 0);
        if let Some(conversation) = self.table.get_mut(place) {
            conversation.client = Some(0);
            conversation.phase = Phase::Attempt;
        }
        self.resolve(place);
    }

    pub(super) fn syn_ack(&mut self, end: &End) {
        // Sent by a listener here, or received by the client's own socket.
        let place = match end.way {
            Way::Egress => self
                .table
                .by_addresses
                .get(&(end.netns, end.remote, end.local))
                .map(|(place, _)| *place),
            Way::Ingress => self
                .table
                .flows
                .get(&end.cookie)
                .and_then(|flow| flow.place)
                .map(|(place, _)| place),
        };
        if let Some(conversation) = place.and_then(|place| self.table.get_mut(place)) {
            conversation.phase = Phase::Established;
        }
    }

    /// The conversation of a packet, and the party whose socket told of it. Makes or joins one where there is none.
    pub(super) fn place_of(&mut self, turn: &Turn<'_>) -> Option<(usize, usize)> {
        let flow = self.flow(turn.cookie, turn.at_ns);
        let (place, end) = (flow.place, flow.end);
        if turn.way == Way::Ingress
            && let Some(departed) = self.pairing.arrived(turn.seq, turn.ack, turn.at_ns)
            && let Some(joined) = self.join(turn.cookie, &departed)
        {
            return Some(joined);
        }
        if place.is_some() {
            return place;
        }
        let Some(end) = end else {
            self.count_unfollowed(turn.cookie);
            return None;
        };
        let peer = (end.netns, end.remote, end.local);
        if let Some((place, party)) = self.table.by_addresses.get(&peer).copied()
            && let Some(conversation) = self.table.get_mut(place)
            && let Some(own) = conversation.parties.get_mut(1 - party)
            && own.cookie.is_none()
        {
            *own = Party {
                bytes: own.bytes,
                ..Party::new(Some(turn.cookie), end.local, end.remote, end.netns)
            };
            return self.settle(turn.cookie, place, 1 - party);
        }
        let knock = self.knocks.remove(&(end.netns, end.local, end.remote));
        let parties = [
            Party::new(Some(turn.cookie), end.local, end.remote, end.netns),
            Party::new(None, end.remote, end.local, 0),
        ];
        // A capture file's first packet of a connection is no SYN either when the capture began later.
        let place = self.begin(
            parties,
            knock.unwrap_or(turn.at_ns),
            knock.is_none(),
            end.loopback,
        );
        if knock.is_some()
            && let Some(conversation) = self.table.get_mut(place)
        {
            conversation.client = Some(1);
        }
        self.settle(turn.cookie, place, 0)
    }

    /// Without the record that tells addresses (lost, or evicted since), nothing can be said of the flow but that it spoke.
    pub(super) fn count_unfollowed(&mut self, cookie: u64) {
        let interval = self.interval;
        if let Some(flow) = self.table.flows.get_mut(&cookie)
            && std::mem::replace(&mut flow.unfollowed_in, interval) != interval
        {
            self.tally.unfollowed += 1;
        }
    }

    /// Makes the socket that received a packet the other end of the conversation that it left from.
    pub(super) fn join(&mut self, cookie: u64, departed: &Departed) -> Option<(usize, usize)> {
        let party = 1 - departed.party;
        let conversation = self.table.get_mut(departed.conversation)?;
        if conversation.generation != departed.generation
            || conversation.parties.get(party)?.cookie.is_some()
        {
            return None;
        }
        let flow = self.table.flows.get(&cookie)?;
        let (end, old) = (flow.end?, flow.place);
        if let Some((old, _)) = old {
            if old == departed.conversation {
                return None;
            }
            // Both ends were taken for connections of their own until now; what this one held is seen at the other.
            self.table.remove(old);
            self.flow(cookie, end.at_ns).end = Some(end);
        }
        let conversation = self.table.get_mut(departed.conversation)?;
        conversation.is_told_by_its_own(party, &mut self.heads);
        let own = conversation.parties.get_mut(party)?;
        *own = Party {
            bytes: own.bytes,
            ..Party::new(Some(cookie), end.local, end.remote, end.netns)
        };
        self.settle(cookie, departed.conversation, party)
    }

    /// Ties a socket to its conversation.
    pub(super) fn settle(
        &mut self,
        cookie: u64,
        place: usize,
        party: usize,
    ) -> Option<(usize, usize)> {
        let flow = self.table.flows.entry(cookie).or_default();
        flow.place = Some((place, party));
        let identity = flow.identity.clone();
        let conversation = self.table.get_mut(place)?;
        conversation.changed = true;
        let own = conversation.parties.get_mut(party)?;
        if identity.is_some() {
            own.identity = identity;
        }
        let addresses = (own.netns, own.address, own.peer);
        self.table.by_addresses.insert(addresses, (place, party));
        Some((place, party))
    }

    pub(super) fn begin(
        &mut self,
        parties: [Party; 2],
        at_ns: u64,
        joined_midstream: bool,
        loopback: bool,
    ) -> usize {
        while self.table.is_full() {
            let Some(victim) = self.table.victim() else {
                break;
            };
            self.tally.evicted += 1;
            self.finish(victim, at_ns, CloseReason::Unknown, http1::End::Evicted);
        }
        self.next_connection += 1;
        self.tally.midstream += u64::from(joined_midstream);
        let limits = http1::Limits {
            max_head_bytes: self.limits.head_bytes,
            ..http1::Limits::default()
        };
        let mut conversation = Conversation::new(
            ConnectionKey(self.next_connection),
            parties,
            at_ns,
            joined_midstream,
            limits,
        );
        conversation.live = self.limits.live;
        // In a capture file both senders are told of: there is nothing to be paired.
        conversation.loopback = loopback || !self.limits.live;
        self.table.insert(conversation)
    }
}
