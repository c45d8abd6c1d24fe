//! What comes out of conversations, to be stored.

use headwater_model::{CloseReason, Event, Exchange, ExchangeKey, Outcome};
use headwater_protocols::http1;

use super::Assembly;
use crate::{
    Identities,
    conversation::{Allowance, MOST_HELD_BYTES},
    dialect::Parsed,
};

impl<I: Identities> Assembly<I> {
    /// Gives out what the parser found in a conversation.
    pub(super) fn deliver(&mut self, place: usize) {
        if self.table.count_held(place) > MOST_HELD_BYTES
            && let Some(conversation) = self.table.get_mut(place)
        {
            conversation.hold_less(&mut self.heads);
            self.table.count_held(place);
        }
        self.tally.malformed += std::mem::take(&mut self.heads.found.malformed);
        self.tally.heads_cut += std::mem::take(&mut self.heads.found.cut);
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        self.tally.blocks_lost += conversation.news_of_lost_blocks();
        self.tally.table_entries_forgotten += conversation.news_of_forgotten_entries();
        conversation.look_at_announcements();
        if conversation.is_dns() {
            return self.deliver_dns(place);
        }
        if let Some(host) = self.heads.found.host.take()
            && conversation.host.is_none()
        {
            conversation.host = Some(host);
            conversation.changed = true;
        }
        if self.heads.found.ended.is_empty() {
            return;
        }
        let mut ended = std::mem::take(&mut self.heads.found.ended);
        for exchange in ended.drain(..) {
            self.give(place, exchange);
        }
        self.heads.found.ended = ended;
    }

    pub(super) fn give(&mut self, place: usize, found: Parsed) {
        let open = matches!(found.outcome, http1::Outcome::Open);
        if !self.announce(place, false) {
            let conversation = self.table.get_mut(place);
            let own = conversation.is_some_and(|conversation| conversation.own());
            self.tally.own += u64::from(own && !open);
            return;
        }
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let known = conversation
            .provisional
            .iter()
            .find(|(ordinal, _)| *ordinal == found.ordinal)
            .map(|(_, key)| *key);
        let key = known.unwrap_or_else(|| {
            self.next_exchange += 1;
            ExchangeKey(self.next_exchange)
        });
        if open && known.is_none() {
            conversation.provisional.push((found.ordinal, key));
        } else if !open {
            conversation
                .provisional
                .retain(|(_, provisional)| *provisional != key);
        }
        let mut exchange: Exchange = conversation.exchange(key, found);
        let allowance = conversation.allow(&mut exchange, known.is_some());
        self.tally.expansion_capped += u64::from(allowance != Allowance::Whole);
        if allowance == Allowance::Nothing {
            conversation
                .provisional
                .retain(|(_, provisional)| *provisional != key);
            return;
        }
        self.tally.exchanges += u64::from(exchange.outcome != Outcome::Open);
        self.events.push(Event::Exchange(Box::new(exchange)));
    }

    /// Gives out a conversation that is new or has changed. Says whether it is recorded at all.
    pub(super) fn announce(&mut self, place: usize, ended: bool) -> bool {
        self.look_for_listener(place);
        let Some(conversation) = self.table.get_mut(place) else {
            return false;
        };
        if conversation.own() {
            return false;
        }
        let client = conversation.client.unwrap_or(0);
        let port = conversation
            .parties
            .get(client)
            .map_or(0, |party| party.peer.port());
        if !self.limits.wants(port) {
            // Without roles it may yet turn out to be another server's.
            if !conversation.filtered && (ended || conversation.client.is_some()) {
                conversation.filtered = true;
                self.tally.filtered += 1;
            }
            return false;
        }
        if conversation.changed || !conversation.announced {
            conversation.changed = false;
            conversation.announced = true;
            let connection = conversation.connection(&mut self.heads.redactor);
            self.events.push(Event::Connection(Box::new(connection)));
        }
        true
    }

    /// A server that never sent anything has not shown its owner: ask who listens there.
    pub(super) fn look_for_listener(&mut self, place: usize) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let Some(client) = conversation.client.filter(|_| !conversation.announced) else {
            return;
        };
        // Nobody listened, whoever does by now.
        if conversation.close_reason == CloseReason::Refused {
            return;
        }
        let Some(server) = conversation.parties.get(1 - client) else {
            return;
        };
        let here = server.cookie.is_some()
            || conversation
                .parties
                .get(client)
                .is_some_and(|party| party.peer.ip().is_loopback());
        if let Some(identity) = &server.identity {
            self.identities
                .served(server.netns, server.address, identity.key);
            return;
        }
        if !here {
            return;
        }
        let netns = if server.netns == 0 {
            conversation
                .parties
                .get(client)
                .map_or(0, |party| party.netns)
        } else {
            server.netns
        };
        let (address, at_ns) = (server.address, conversation.start_ns);
        let Some(mut identity) = self.identities.listener(netns, address, at_ns) else {
            return;
        };
        if let Some(process) = identity.news.take() {
            self.events.push(Event::Process(process));
        }
        if let Some(server) = self
            .table
            .get_mut(place)
            .and_then(|conversation| conversation.parties.get_mut(1 - client))
        {
            server.identity = Some(identity);
        }
    }
}
