//! How conversations begin, and how a packet finds its own.

use headwater_model::{CloseReason, ConnectionKey};
use headwater_protocols::http1;

use super::Assembly;
use super::segments::{note, sender};
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
            return self.knock(end);
        }
        if !self.limits.live {
            self.conclude_lingering(end.at_ns);
        }
        if let Some((place, party)) = self.flow(end.cookie, end.at_ns).place
            && let Some(conversation) = self.table.get_mut(place)
        {
            if !conversation.has_ended() {
                if let Some(party) = conversation.parties.get_mut(party) {
                    party.retransmits = party.retransmits.saturating_add(1);
                    note(&mut party.tcp, end);
                }
                return;
            }
            // A socket may try again after a failure.
            self.conclude(place);
        }
        // The same addresses again: whatever was there before is over, seen or not.
        if let Some((place, _)) = self
            .table
            .by_addresses
            .get(&(end.netns, end.local, end.remote))
            .copied()
        {
            self.finish_now(place, end.at_ns, CloseReason::Unknown, http1::End::Evicted);
        }
        self.flow(end.cookie, end.at_ns).end = Some(*end);
        let parties = [
            Party::new(Some(end.cookie), end.local, end.remote, end.netns),
            Party::new(None, end.remote, end.local, 0),
        ];
        let answered = self.knocks.remove(&(end.netns, end.remote, end.local));
        let place = self.begin(parties, end.at_ns, false, end.loopback);
        self.settle(end.cookie, place, 0);
        if let Some(conversation) = self.table.get_mut(place) {
            conversation.client = Some(0);
            conversation.phase = Phase::Attempt;
            // In a capture file packets may have changed places.
            if let Some(answer) = answered.filter(|_| !conversation.live)
                && let Some(server) = conversation.parties.get_mut(1)
            {
                server.tcp = answer.server;
                conversation.phase = Phase::Established;
            }
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
            // The client's own end is the first: it has sent the SYN.
            if let Some(server) = conversation.parties.get_mut(1) {
                note(&mut server.tcp, end);
            }
        } else if end.way == Way::Egress {
            self.answer(end);
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
            && !conversation.has_ended()
            && let Some(own) = conversation.parties.get_mut(1 - party)
            && own.cookie.is_none()
        {
            *own = Party {
                bytes: own.bytes,
                tcp: std::mem::take(&mut own.tcp),
                ..Party::new(Some(turn.cookie), end.local, end.remote, end.netns)
            };
            return self.settle(turn.cookie, place, 1 - party);
        }
        let mut knock = self.knocks.remove(&(end.netns, end.local, end.remote));
        let mut parties = [
            Party::new(Some(turn.cookie), end.local, end.remote, end.netns),
            Party::new(None, end.remote, end.local, 0),
        ];
        if !self.limits.live {
            // Of a capture file's SYN-ACK without its SYN nothing is known but what it says.
            let answer = self.knocks.remove(&(end.netns, end.remote, end.local));
            let [own, peer] = &mut parties;
            own.tcp = knock.take().map(|knock| knock.server).unwrap_or_default();
            peer.tcp = answer.map(|answer| answer.server).unwrap_or_default();
        }
        let knocked_ns = knock.as_ref().map(|knock| knock.at_ns);
        if let Some(knock) = knock {
            let [server, client] = &mut parties;
            (server.tcp, client.tcp) = (knock.server, knock.client);
        }
        // A capture file's first packet of a connection is no SYN either when the capture began later.
        let place = self.begin(
            parties,
            knocked_ns.unwrap_or(turn.at_ns),
            knocked_ns.is_none(),
            end.loopback,
        );
        if knocked_ns.is_some()
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
            || conversation.has_ended()
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
        // The SYN and its answer were seen at the end that it left from.
        self.knocks.remove(&(end.netns, end.local, end.remote));
        let conversation = self.table.get_mut(departed.conversation)?;
        conversation.is_told_by_its_own(party, &mut self.heads);
        let own = conversation.parties.get_mut(party)?;
        *own = Party {
            bytes: own.bytes,
            tcp: std::mem::take(&mut own.tcp),
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
        let (identity, opened) = (flow.identity.clone(), flow.end);
        if let Some(end) = opened {
            self.note(place, sender(&end, party), &end);
        }
        let conversation = self.table.get_mut(place)?;
        conversation.changed = true;
        let own = conversation.parties.get_mut(party)?;
        if identity.is_some() {
            own.identity = identity;
        }
        let addresses = (own.netns, own.address, own.peer);
        self.table.by_addresses.insert(addresses, (place, party));
        self.met_in(place);
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
            if self.conclude_oldest() {
                continue;
            }
            let Some(victim) = self.table.victim() else {
                break;
            };
            self.tally.evicted += 1;
            self.finish_now(victim, at_ns, CloseReason::Unknown, http1::End::Evicted);
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
