//! One connection in the making: its two parties, their streams, and the parser that reads both.
//!
//! Owns: who is client, which source each direction's bytes are taken from, the outcome of the connection, and the
//! translation of what the parser found into the model. Does not know the table or other conversations.

use std::net::SocketAddr;

use headwater_model::{
    CloseReason, ConnectionKey, Exchange, ExchangeKey, IcmpErrors, Resolution, TcpEnd,
};
use headwater_protocols::{dns, http1};
use headwater_redact::Text;

use crate::{
    Identity, Passed, Place,
    dialect::Dialect,
    dns::OverTcp,
    heads::Heads,
    stream::{Missing, Piece, Stream},
};

mod drops;
mod expansion;
mod feed;
mod plaintext;
mod proxied;
mod tls;
mod told;

pub(crate) use expansion::Allowance;
use plaintext::Plaintext;
use proxied::Preamble;

/// One party.
pub(crate) struct Party {
    /// Its socket, when it is on this machine.
    pub(crate) cookie: Option<u64>,
    /// Its address as it sees itself, or as its peer sees it when it is remote.
    pub(crate) address: SocketAddr,
    /// Its peer as it sees it.
    pub(crate) peer: SocketAddr,
    pub(crate) netns: u32,
    pub(crate) identity: Option<Identity>,
    /// Its FIN was seen.
    pub(crate) finished: bool,
    /// Payload bytes it sent, as far as told.
    pub(crate) bytes: u64,
    pub(crate) retransmits: u32,
    /// Its header elements.
    pub(crate) tcp: TcpEnd,
    /// Sequence number of the first byte of what it sends, as its last packet tells it.
    pub(crate) first_seq: Option<u32>,
}

impl Party {
    pub(crate) fn new(
        cookie: Option<u64>,
        address: SocketAddr,
        peer: SocketAddr,
        netns: u32,
    ) -> Self {
        Self {
            cookie,
            address,
            peer,
            netns,
            identity: None,
            finished: false,
            bytes: 0,
            retransmits: 0,
            tcp: TcpEnd::default(),
            first_seq: None,
        }
    }
}

/// How far a conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A SYN was sent, and no answer was seen.
    Attempt,
    /// It carries payload, or could.
    Established,
}

/// One connection.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Conversation {
    pub(crate) key: ConnectionKey,
    pub(crate) generation: u64,
    pub(crate) parties: [Party; 2],
    /// Which party is the client, once known.
    pub(crate) client: Option<usize>,
    pub(crate) phase: Phase,
    pub(crate) start_ns: u64,
    pub(crate) last_ns: u64,
    pub(crate) end_ns: Option<u64>,
    pub(crate) close_reason: CloseReason,
    pub(crate) joined_midstream: bool,
    /// Whether sockets are sockets of this machine.
    pub(crate) live: bool,
    /// Whether its packets pass the loopback device, so that both ends are in one namespace.
    pub(crate) loopback: bool,
    pub(crate) protocol: Option<&'static str>,
    /// The host of the first request.
    pub(crate) host: Option<Text>,
    /// Whether the store has it, and whether it changed since.
    pub(crate) announced: bool,
    pub(crate) changed: bool,
    /// Whether it was counted as left out by the filter.
    pub(crate) filtered: bool,
    /// For the table's choice of what to evict.
    pub(crate) used: bool,
    /// Open exchanges that the store has: ordinal and key.
    pub(crate) provisional: Vec<(u32, ExchangeKey)>,
    /// When any of them was last given to the store, and what the parser's news were then.
    shown_ns: u64,
    shown_news: u64,
    /// What a tick saw pass at each party's socket, and when. Applied by one after it, when every record of those bytes has
    /// been read from the ring buffer, so that nothing copied is taken for not copied.
    pub(crate) looked: [Option<(u64, Passed)>; 2],
    streams: [Stream; 2],
    dialect: Dialect,
    /// Header blocks that were not read, as far as told.
    blocks_lost: u64,
    /// Entries of HPACK's tables that were forgotten, as far as told.
    entries_forgotten: u64,
    /// Announcements of HTTP/2's ends, as far as seen to have changed it.
    announcements: u32,
    /// What the table of conversations has counted of `held_bytes`.
    pub(crate) held_counted: usize,
    /// Errors that ICMP told of it.
    pub(crate) icmp: Option<Box<IcmpErrors>>,
    /// The name that the server's address was learned by.
    pub(crate) resolution: Option<Box<Resolution>>,
    /// What an HTTP/2 connection has stored.
    expansion: Option<Box<expansion::Expansion>>,
    /// What its ends' TLS libraries tell of it in clear; the dialect reads that alone then.
    plaintext: Option<Box<Plaintext>>,
    /// For a dialect that begins anew.
    limits: http1::Limits,
    /// What of it the kernel dropped.
    pub(crate) drops: Option<Box<drops::Drops>>,
    /// Its handshake of TLS.
    tls: tls::Watch,
    /// What stands before all that the client says.
    preamble: Preamble,
}

/// Bytes of memory that one connection may hold in pieces, heads and tables.
pub(crate) const MOST_HELD_BYTES: usize = 64 << 10;

impl Conversation {
    pub(crate) fn new(
        key: ConnectionKey,
        parties: [Party; 2],
        at_ns: u64,
        joined_midstream: bool,
        limits: http1::Limits,
    ) -> Self {
        Self {
            key,
            generation: 0,
            parties,
            client: None,
            phase: Phase::Established,
            start_ns: at_ns,
            last_ns: at_ns,
            end_ns: None,
            close_reason: CloseReason::Open,
            joined_midstream,
            live: true,
            loopback: false,
            protocol: None,
            host: None,
            announced: false,
            changed: true,
            filtered: false,
            used: true,
            provisional: Vec::new(),
            shown_ns: 0,
            shown_news: 0,
            looked: [None, None],
            streams: [Stream::new(joined_midstream), Stream::new(joined_midstream)],
            dialect: Dialect::new(limits, joined_midstream),
            plaintext: None,
            limits,
            blocks_lost: 0,
            entries_forgotten: 0,
            announcements: 0,
            held_counted: 0,
            icmp: None,
            resolution: None,
            drops: None,
            expansion: None,
            tls: tls::Watch::default(),
            preamble: Preamble::new(joined_midstream),
        }
    }

    /// What an attempt came to by what ICMP said of its SYN.
    pub(crate) fn ended_by_icmp(&self) -> Option<CloseReason> {
        let last = self.icmp.as_ref()?.last;
        match (last.from.is_ipv4(), last.kind, last.code) {
            // Port unreachable.
            (true, 3, 3) | (false, 1, 4) => Some(CloseReason::Refused),
            // A packet that is too big is sent again in pieces.
            (true, 3, 4) => None,
            // Destination unreachable, time exceeded.
            (true, 3 | 11, _) | (false, 1 | 3, _) => Some(CloseReason::Unreachable),
            _ => None,
        }
    }

    /// Whether both ends are on this machine.
    pub(crate) fn both_local(&self) -> bool {
        self.parties.iter().all(|party| party.cookie.is_some())
    }

    /// Whether it is over, and kept for a last word only.
    pub(crate) fn has_ended(&self) -> bool {
        self.end_ns.is_some()
    }

    /// Whether the last word of every socket of this machine that is known has come; of none, it never comes.
    pub(crate) fn sockets_are_closed(&self) -> bool {
        self.parties
            .iter()
            .all(|party| party.cookie.is_none() || party.tcp.socket.is_some())
    }

    /// Whether one of the ends is Headwater itself.
    pub(crate) fn own(&self) -> bool {
        self.parties
            .iter()
            .any(|party| party.identity.as_ref().is_some_and(|identity| identity.own))
    }

    /// Takes a packet that `party` sent.
    pub(crate) fn payload(&mut self, party: usize, piece: &Piece<'_>, heads: &mut Heads) {
        self.used = true;
        self.phase = Phase::Established;
        self.last_ns = self.last_ns.max(piece.at_ns);
        if self.client.is_none() {
            self.judge_roles(party, piece.bytes);
        }
        let is_first = |party: &Party| party.tcp.first_payload_ns.is_none();
        if self.joined_midstream && matches!(piece.place, Place::NewTurn | Place::File)
            || self.parties.iter().all(is_first)
        {
            self.judge_roles_again(party, piece.bytes);
        }
        if self.protocol.is_none() {
            self.judge_protocol(piece.bytes);
        }
        if let Some(party) = self.parties.get_mut(party) {
            party.tcp.first_payload_ns.get_or_insert(piece.at_ns);
        }
        self.with_stream(party, heads, |stream, give| stream.take(piece, give));
        self.note_bytes(party);
    }

    /// Bytes of memory in pieces that came too early, beginnings of heads, tables of HPACK, and in what a handshake of TLS said, where
    /// that is uncommonly much.
    pub(crate) fn held_bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(Stream::held_bytes).sum();
        let plaintext = self
            .plaintext
            .as_ref()
            .map_or(0, |plaintext| plaintext.held_bytes());
        streams
            + plaintext
            + self.dialect.held_bytes()
            + self.tls.held_bytes()
            + self.preamble.held_bytes()
    }

    /// It holds too much. Gaps are given up first, for what comes behind them is told then; heads are cut when that was not
    /// enough.
    pub(crate) fn hold_less(&mut self, heads: &mut Heads) {
        for party in 0..2 {
            self.with_stream(party, heads, Stream::give_up);
            self.with_plaintext(party, heads, Stream::give_up);
        }
        if self.held_bytes() > MOST_HELD_BYTES {
            self.tls.let_go();
            self.dialect.cut_heads(heads);
        }
    }

    /// What `party` sends was told by the socket that receives it, and is told by its own from here on. Both count from the
    /// connection's beginning, or from where each was first seen.
    pub(crate) fn is_told_by_its_own(&mut self, party: usize, heads: &mut Heads) {
        if !self.joined_midstream {
            return;
        }
        self.with_stream(party, heads, Stream::begin_anew);
        if let Some(looked) = self.looked.get_mut(party) {
            *looked = None;
        }
    }

    /// All of `party`'s bytes before `offset` have passed.
    pub(crate) fn advance(
        &mut self,
        party: usize,
        offset: u64,
        at_ns: u64,
        why: Missing,
        heads: &mut Heads,
    ) {
        let at_ns = if at_ns == 0 { self.last_ns } else { at_ns };
        self.with_stream(party, heads, |stream, give| {
            stream.advance(offset, at_ns, why, give);
        });
        self.note_bytes(party);
    }

    /// The peer of `party` has acknowledged `offset` bytes (capture files only).
    pub(crate) fn acknowledged(&mut self, party: usize, offset: u64, heads: &mut Heads) {
        self.with_stream(party, heads, |stream, give| {
            stream.acknowledged(offset, give);
        });
    }

    /// `party` has ended its direction, or the connection.
    pub(crate) fn end(&mut self, party: usize, at_ns: u64, how: http1::End, heads: &mut Heads) {
        if let Some(direction) = self.direction(party) {
            self.tls.closed(direction, at_ns);
        }
        if let Some(plaintext) = &mut self.plaintext
            && plaintext.defers_end(party, at_ns, how)
        {
            return;
        }
        self.end_now(party, at_ns, how, heads);
    }

    fn end_now(&mut self, party: usize, at_ns: u64, how: http1::End, heads: &mut Heads) {
        let Some(direction) = self.direction(party) else {
            return;
        };
        self.dialect.end(direction, at_ns, how, heads);
    }

    /// Bytes of `party` that were delivered or counted.
    pub(crate) fn passed(&self, party: usize) -> u64 {
        self.streams.get(party).map_or(0, Stream::passed)
    }

    /// Whether it carries DNS.
    pub(crate) fn is_dns(&self) -> bool {
        self.dialect.dns().is_some()
    }

    /// Messages of DNS that were not read.
    pub(crate) fn dns_not_read(&self) -> u64 {
        self.dialect.dns().map_or(0, OverTcp::not_read)
    }

    /// Time passes for questions that wait.
    pub(crate) fn dns_tick(&mut self, now_ns: u64) {
        if let Some(dns) = self.dialect.dns_mut() {
            dns.tick(now_ns);
        }
    }

    /// DNS exchanges that ended since last asked, and when.
    pub(crate) fn take_dns(&mut self) -> Vec<(dns::Exchange<()>, u64)> {
        self.dialect
            .dns_mut()
            .map(OverTcp::take_ended)
            .unwrap_or_default()
    }

    /// Whether the parser waits for something.
    pub(crate) fn has_open(&self) -> bool {
        self.dialect.has_open()
    }

    /// How many more header blocks were not read since last asked.
    pub(crate) fn news_of_lost_blocks(&mut self) -> u64 {
        let now = self.dialect.blocks_lost();
        now - std::mem::replace(&mut self.blocks_lost, now).min(now)
    }

    /// How many more entries of HPACK's tables were forgotten since last asked.
    pub(crate) fn news_of_forgotten_entries(&mut self) -> u64 {
        let now = self.dialect.entries_forgotten();
        now - std::mem::replace(&mut self.entries_forgotten, now).min(now)
    }

    /// An end of HTTP/2 that announces something changes the connection.
    pub(crate) fn look_at_announcements(&mut self) {
        let now = self.dialect.announcements();
        self.changed |= std::mem::replace(&mut self.announcements, now) != now;
    }

    /// What may be stored of an exchange of it; takes away what may not. `must` is one that the store has already.
    pub(crate) fn allow(&mut self, exchange: &mut Exchange, must: bool) -> Allowance {
        if exchange.http2.is_none() {
            return Allowance::Whole;
        }
        let [one, other] = &self.parties;
        // Packets of TLS tell nothing from one look to the next; what was told of the plaintext has passed on the wire as well.
        let plaintext_bytes = self
            .plaintext
            .as_ref()
            .map_or(0, |plaintext| plaintext.passed());
        let wire_bytes = one.bytes.saturating_add(other.bytes).max(plaintext_bytes);
        let expansion = self.expansion.get_or_insert_default();
        let allowance = expansion.weigh(exchange, wire_bytes, must);
        if allowance == Allowance::WithoutHeads {
            expansion::strip(exchange);
        }
        allowance
    }

    fn note_bytes(&mut self, party: usize) {
        let passed = self.passed(party);
        let repeats = self.streams.get(party).map_or(0, |stream| stream.repeats);
        if let Some(party) = self.parties.get_mut(party) {
            party.bytes = party.bytes.max(passed);
            party.retransmits = party.retransmits.max(repeats);
        }
    }

    fn direction(&self, party: usize) -> Option<http1::Direction> {
        let client = self.client?;
        Some(if client == party {
            http1::Direction::ToServer
        } else {
            http1::Direction::ToClient
        })
    }

    /// What was said first may have been in the middle of a body, which tells nothing; the first head does.
    fn judge_roles_again(&mut self, party: usize, bytes: &[u8]) {
        if let Some(direction) = self.direction(party)
            && self.dialect.is_reversed_by(direction, bytes)
        {
            self.client = self.client.map(|client| 1 - client);
            self.changed = true;
        }
    }

    /// Without a SYN, what is said tells who speaks: a status line comes from a server, all else from a client.
    fn judge_roles(&mut self, party: usize, bytes: &[u8]) {
        let server = bytes.starts_with(b"HTTP/");
        self.client = Some(if server { 1 - party } else { party });
        self.changed = true;
    }

    /// Whether an open exchange has more to tell than the store was given before `ns`.
    pub(crate) fn has_news_since(&self, ns: u64) -> bool {
        self.shown_ns < ns && self.shown_news != self.dialect.news()
    }

    /// The store has its open exchanges as they are.
    pub(crate) fn was_given(&mut self, now_ns: u64) {
        self.shown_ns = now_ns;
        self.shown_news = self.dialect.news();
    }
}
