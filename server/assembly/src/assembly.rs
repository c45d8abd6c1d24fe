//! The dispatch of what was seen to the conversations that it is about.
//!
//! Owns: the making, joining and ending of conversations, and the events that come out. Does not parse, and does not keep
//! time: `tick` is called by somebody with a clock.

use std::collections::VecDeque;

use headwater_model::{Event, Evidence, ProcessEnd};
use headwater_redact::Redactor;

use crate::{
    Identities, Input, Owner, Way,
    conversation::Conversation,
    heads::Heads,
    pairing::Pairing,
    resolved::Resolved,
    table::{FastMap, Flow, Table},
};

mod begin;
mod close;
mod datagram;
mod dns;
mod drops;
mod give;
mod held;
mod icmp;
mod linger;
mod namespaces;
mod segments;
mod sessions;
mod tick;
mod turn;

pub use crate::datagrams::UdpPassed;
pub use datagram::UdpSocket;
use segments::Knock;

/// What bounds the assembly, and what is left out.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Conversations held at once.
    pub conversations: usize,
    /// Bytes of a head that are held while it is incomplete.
    pub head_bytes: usize,
    /// Bytes of memory that all conversations together hold in pieces that came too early, beginnings of heads, tables of
    /// HPACK, heads of exchanges that are open, and uncommonly long handshakes of TLS. Beyond, those heard of longest ago are given up.
    pub held_bytes: usize,
    /// Whether sockets of this machine are told of; in a capture file no end is.
    pub live: bool,
    /// When not empty, only connections whose server has one of these ports are recorded.
    pub only_ports: Vec<u16>,
    /// Connections whose server has one of these ports are not recorded.
    pub except_ports: Vec<u16>,
    /// How long what has ended is waited with for the last word on it: of its sockets or, in a capture file, of packets
    /// that come late. 0 where nothing of the kind comes.
    pub linger_ns: u64,
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
            held_bytes: 4 << 20,
            live: true,
            only_ports: Vec::new(),
            except_ports: Vec::new(),
            linger_ns: 0,
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
    /// Exchanges of HTTP/2 stored without their heads, or not at all, since they would have been much longer than on the wire.
    pub expansion_capped: u64,
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
    /// Errors of ICMP about connections and UDP flows that are not known.
    pub icmp_unknown: u64,
    /// Errors of ICMP that quote a sequence number which was never sent, or a query of DNS that does not wait.
    pub icmp_not_believed: u64,
    /// Sessions of TLS libraries whose socket did not become known.
    pub sessions_unbound: u64,
    /// Sessions forgotten to keep their table bounded.
    pub sessions_forgotten: u64,
    /// Stretches of plaintext whose connection is not known.
    pub plaintext_unfollowed: u64,
    /// UDP flows of QUIC.
    pub quic: u64,
    /// UDP flows dropped to keep their table bounded.
    pub udp_evicted: u64,
    /// Owners of UDP sockets forgotten, which the probes tell again.
    pub udp_owners_forgotten: u64,
    /// Clients, servers and answers of DNS forgotten to keep their tables bounded.
    pub dns_memory_forgotten: u64,
}

/// Where the probes count what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spot {
    /// At a socket.
    Socket {
        /// Its cookie.
        cookie: u64,
        /// Which way.
        way: Way,
    },
    /// In a session of a TLS library.
    Session {
        /// Its id.
        id: u64,
        /// Its process.
        pid: u32,
        /// Where the library keeps it.
        address: u64,
        /// Which way.
        way: Way,
    },
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
    knocks: std::collections::HashMap<crate::table::Addresses, Knock>,
    /// Conversations that have ended and are kept for a last word: until when, place and generation.
    lingering: VecDeque<(u64, usize, u64)>,
    events: Vec<Event>,
    tally: Tally,
    next_connection: u64,
    next_exchange: u64,
    /// Where the next tick begins to look.
    first_look: usize,
    /// Up to when every record has been read; `None` where none comes late.
    read_until_ns: Option<u64>,
    /// What had been read when a tick last looked at everything, and what that had told a tick later.
    looked_until_ns: u64,
    told_until_ns: u64,
    /// How often the counts were asked for, from one.
    interval: u64,
    datagrams: datagram::Datagrams,
    sessions: sessions::Sessions,
    resolved: Resolved,
    /// Network namespaces in which somebody local was heard of since last asked, and a process in each.
    namespaces: FastMap<u32, u32>,
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
            lingering: VecDeque::new(),
            events: Vec::new(),
            tally: Tally::default(),
            next_connection: 0,
            next_exchange: 0,
            first_look: 0,
            read_until_ns: None,
            looked_until_ns: 0,
            told_until_ns: 0,
            interval: 1,
            datagrams: datagram::Datagrams::default(),
            sessions: sessions::Sessions::default(),
            resolved: Resolved::default(),
            namespaces: FastMap::default(),
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
            Input::Dropped(dropped) => self.dropped(dropped),
            Input::Icmp(message) => self.icmp(message),
            Input::Idle(idle) => self.idle(idle),
            Input::Open(end) => self.opened(end),
            Input::Owner(owner) => self.owner(owner),
            Input::Plaintext(turn) => self.plaintext(turn),
            Input::Session(session) => self.session(session),
            Input::SessionEnd(session) => self.session_end(session),
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
            self.met_in(place);
            self.resolve(place);
        }
    }
}
