//! The dispatch of what was seen to the conversations that it is about.
//!
//! Owns: the making, joining and ending of conversations, and the events that come out. Does not parse, and does not keep
//! time: `tick` is called by somebody with a clock.

use headwater_model::{
    CloseReason, ConnectionKey, Event, Evidence, Exchange, ExchangeKey, Outcome, ProcessEnd,
};
use headwater_protocols::http1;
use headwater_redact::Redactor;

use crate::{
    End, Identities, Input, Owner, Place, Turn, Way,
    conversation::{Conversation, Party, Phase},
    dialect::Parsed,
    heads::{Heads, tag},
    pairing::Pairing,
    resolved::Resolved,
    stream::Piece,
    table::{Flow, Table},
};

mod close;
mod datagram;
mod dns;
mod held;
mod tick;

pub use crate::datagrams::UdpPassed;
pub use datagram::UdpSocket;

/// What bounds the assembly, and what is left out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Conversations held at once.
    pub conversations: usize,
    /// Bytes of a head that are held while it is incomplete.
    pub head_bytes: usize,
    /// Bytes of memory that all conversations together hold in pieces that came too early, beginnings of heads, tables of
    /// HPACK, and heads of exchanges that are open. Beyond, those heard of longest ago are given up.
    pub held_bytes: usize,
    /// Whether sockets of this machine are told of; in a capture file no end is.
    pub live: bool,
    /// When not empty, only connections whose server has one of these ports are recorded.
    pub only_ports: Vec<u16>,
    /// Connections whose server has one of these ports are not recorded.
    pub except_ports: Vec<u16>,
}

impl Limits {
    /// Whether what has a server of this port is recorded.
    pub(crate) fn wants(&self, port: u16) -> bool {
        (self.only_ports.is_empty() || self.only_ports.contains(&port))
            && !self.except_ports.contains(&port)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conversations: 8192,
            head_bytes: 64 << 10,
            held_bytes: 16 << 20,
            live: true,
            only_ports: Vec::new(),
            except_ports: Vec::new(),
        }
    }
}

/// Counts of what was not seen or left out, since last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Conversations dropped to keep the table bounded.
    pub evicted: u64,
    /// Conversations given up since all together held too many bytes.
    pub held_evicted: u64,
    /// Entries of HPACK's tables forgotten to keep these bounded.
    pub table_entries_forgotten: u64,
    /// SYNs from elsewhere forgotten before their connection spoke.
    pub knocks_forgotten: u64,
    /// Sockets forgotten, without a conversation as yet, to keep their table bounded.
    pub flows_forgotten: u64,
    /// Packets forgotten that were under way between network namespaces.
    pub departures_forgotten: u64,
    /// Heads cut by the cap.
    pub heads_cut: u64,
    /// Heads that were none.
    pub malformed: u64,
    /// Conversations joined in the middle.
    pub midstream: u64,
    /// Conversations in TLS.
    pub tls: u64,
    /// Header blocks of HTTP/2 that were not read.
    pub blocks_lost: u64,
    /// Conversations in something else.
    pub other: u64,
    /// Exchanges of Headwater's own, each counted when it ends.
    pub own: u64,
    /// Conversations that the filter left out, each counted once: when its server is known, or at its end.
    pub filtered: u64,
    /// Sockets that spoke and whose addresses are not known, each counted once between two calls.
    pub unfollowed: u64,
    /// Exchanges given out.
    pub exchanges: u64,
    /// DNS exchanges given out.
    pub dns: u64,
    /// Messages of DNS that were not read.
    pub dns_not_read: u64,
    /// UDP flows of QUIC.
    pub quic: u64,
    /// UDP flows dropped to keep their table bounded.
    pub udp_evicted: u64,
}

/// What a look into the probes' state of a socket tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Payload bytes.
    pub bytes: u64,
    /// When the last of them passed.
    pub last_ns: u64,
    /// Whether they end with the last chunk of a chunked body.
    pub last_chunk: bool,
}

/// The whole.
pub struct Assembly<I> {
    limits: Limits,
    heads: Heads,
    identities: I,
    table: Table,
    pairing: Pairing,
    /// SYNs that came in from elsewhere, by the addresses of the end that received them.
    knocks: std::collections::HashMap<crate::table::Addresses, u64>,
    events: Vec<Event>,
    tally: Tally,
    next_connection: u64,
    next_exchange: u64,
    /// Where the next tick begins to look.
    first_look: usize,
    /// Up to when every record has been read; `None` where none comes late.
    read_until_ns: Option<u64>,
    /// How often the counts were asked for, from one.
    interval: u64,
    datagrams: datagram::Datagrams,
    resolved: Resolved,
}

impl<I: Identities> Assembly<I> {
    /// An empty one.
    pub fn new(limits: Limits, redactor: Redactor, identities: I) -> Self {
        let table = Table::new(limits.conversations);
        Self {
            limits,
            heads: Heads::new(redactor),
            identities,
            table,
            pairing: Pairing::default(),
            knocks: std::collections::HashMap::new(),
            events: Vec::new(),
            tally: Tally::default(),
            next_connection: 0,
            next_exchange: 0,
            first_look: 0,
            read_until_ns: None,
            interval: 1,
            datagrams: datagram::Datagrams::default(),
            resolved: Resolved::default(),
        }
    }

    /// Whoever names processes.
    pub fn identities(&mut self) -> &mut I {
        &mut self.identities
    }

    /// A process has ended: told in its order among what else comes out.
    pub fn process_ended(&mut self, end: ProcessEnd) {
        self.events.push(Event::ProcessEnd(end));
    }

    /// What has come out since last asked, in order.
    pub fn events(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    /// The counts since last asked.
    pub fn tally(&mut self) -> Tally {
        self.interval += 1;
        self.tally.departures_forgotten += self.pairing.news_of_forgotten();
        self.tally.dns_not_read += self.news_of_dns_not_read();
        std::mem::take(&mut self.tally)
    }

    /// Takes one thing seen.
    pub fn take(&mut self, input: &Input<'_>) {
        match input {
            Input::Close(end) => self.closed(end),
            Input::Datagram(datagram) => self.datagram(datagram),
            Input::DatagramOwner(owner) => self.datagram_owner(owner),
            Input::Open(end) => self.flow(end.cookie, end.at_ns).end = Some(*end),
            Input::Owner(owner) => self.owner(owner),
            Input::Socket(socket) => self.socket(socket),
            Input::Syn(end) => self.syn(end),
            Input::Turn(turn) => {
                if self.read_until_ns.is_some() {
                    self.caught_up(turn.at_ns);
                }
                self.turn(turn);
            }
        }
    }

    /// The peer of `cookie`'s sender has acknowledged `offset` bytes of it (capture files only).
    pub fn acknowledged(&mut self, cookie: u64, offset: u64) {
        let Some((place, party)) = self.table.flows.get(&cookie).and_then(|flow| flow.place) else {
            return;
        };
        if let Some(conversation) = self.table.get_mut(place) {
            conversation.acknowledged(party, offset, &mut self.heads);
            self.deliver(place);
        }
    }

    fn flow(&mut self, cookie: u64, at_ns: u64) -> &mut Flow {
        if self.table.flows_are_full() && !self.table.flows.contains_key(&cookie) {
            self.tally.flows_forgotten += self.table.forget_older_strays();
        }
        let flow = self.table.flows.entry(cookie).or_default();
        flow.at_ns = at_ns;
        flow
    }

    fn owner(&mut self, owner: &Owner) {
        let Some(mut identity) = self.identities.owner(owner) else {
            return;
        };
        if let Some(process) = identity.news.take() {
            self.events.push(Event::Process(process));
        }
        let flow = self.flow(owner.cookie, owner.at_ns);
        flow.identity = Some(identity.clone());
        let Some((place, party)) = flow.place else {
            return;
        };
        if let Some(conversation) = self.table.get_mut(place)
            && let Some(party) = conversation.parties.get_mut(party)
            && party
                .identity
                .as_ref()
                .is_none_or(|known| known.key != identity.key || known.evidence == Evidence::Proc)
        {
            party.identity = Some(identity);
            conversation.changed = true;
            self.resolve(place);
        }
    }

    fn syn(&mut self, end: &End) {
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

    fn syn_ack(&mut self, end: &End) {
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

    fn turn(&mut self, turn: &Turn<'_>) {
        let Some((place, party)) = self.place_of(turn) else {
            return;
        };
        let sender = match turn.way {
            Way::Egress => party,
            Way::Ingress => 1 - party,
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if turn.way == Way::Ingress
            && conversation
                .parties
                .get(sender)
                .is_some_and(|sender| sender.cookie.is_some())
        {
            // The sender's own end has shown this packet.
            return;
        }
        let generation = conversation.generation;
        let piece = Piece {
            at_ns: turn.at_ns,
            tag: tag(turn.thread_id, turn.owned, turn.place == Place::NewTurn),
            offset: turn.offset,
            payload_length: turn.payload_length,
            number: turn.number,
            place: turn.place,
            previous_ns: turn.previous_ns,
            previous_last_chunk: turn.previous_last_chunk,
            bytes: turn.bytes,
        };
        conversation.payload(sender, &piece, &mut self.heads);
        if turn.way == Way::Egress && !conversation.loopback && !conversation.both_local() {
            self.pairing
                .departed(turn.seq, turn.ack, turn.at_ns, place, generation, party);
        }
        self.deliver(place);
        self.keep_within_budget(turn.at_ns);
    }

    /// The conversation of a packet, and the party whose socket told of it. Makes or joins one where there is none.
    fn place_of(&mut self, turn: &Turn<'_>) -> Option<(usize, usize)> {
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
    fn count_unfollowed(&mut self, cookie: u64) {
        let interval = self.interval;
        if let Some(flow) = self.table.flows.get_mut(&cookie)
            && std::mem::replace(&mut flow.unfollowed_in, interval) != interval
        {
            self.tally.unfollowed += 1;
        }
    }

    /// Makes the socket that received a packet the other end of the conversation that it left from.
    fn join(&mut self, cookie: u64, departed: &crate::pairing::Departed) -> Option<(usize, usize)> {
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
        let own = self
            .table
            .get_mut(departed.conversation)?
            .parties
            .get_mut(party)?;
        *own = Party {
            bytes: own.bytes,
            ..Party::new(Some(cookie), end.local, end.remote, end.netns)
        };
        self.settle(cookie, departed.conversation, party)
    }

    /// Ties a socket to its conversation.
    fn settle(&mut self, cookie: u64, place: usize, party: usize) -> Option<(usize, usize)> {
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

    fn begin(
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

    /// Gives out what the parser found in a conversation.
    fn deliver(&mut self, place: usize) {
        self.tally.malformed += std::mem::take(&mut self.heads.found.malformed);
        self.tally.heads_cut += std::mem::take(&mut self.heads.found.cut);
        self.table.count_held(place);
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        self.tally.blocks_lost += conversation.news_of_lost_blocks();
        self.tally.table_entries_forgotten += conversation.news_of_forgotten_entries();
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

    fn give(&mut self, place: usize, found: Parsed) {
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
        let exchange: Exchange = conversation.exchange(key, found);
        self.tally.exchanges += u64::from(exchange.outcome != Outcome::Open);
        self.events.push(Event::Exchange(Box::new(exchange)));
    }

    /// Gives out a conversation that is new or has changed. Says whether it is recorded at all.
    fn announce(&mut self, place: usize, ended: bool) -> bool {
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
    fn look_for_listener(&mut self, place: usize) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let Some(client) = conversation.client.filter(|_| !conversation.announced) else {
            return;
        };
        let Some(server) = conversation.parties.get(1 - client) else {
            return;
        };
        let here = server.cookie.is_some()
            || conversation
                .parties
                .get(client)
                .is_some_and(|party| party.peer.ip().is_loopback());
        if server.identity.is_some() || !here {
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
        let address = server.address;
        let Some(mut identity) = self.identities.listener(netns, address) else {
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
