//! One connection in the making: its two parties, their streams, and the parser that reads both.
//!
//! Owns: who is client, which source each direction's bytes are taken from, the outcome of the connection, and the
//! translation of what the parser found into the model. Does not know the table or other conversations.

use std::{net::SocketAddr, sync::Arc};

use headwater_model::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, Evidence, Exchange, ExchangeKey, Gaps,
    Grpc, Http2, Http2Error, Message, Messages, Request, Resolution, Response, Service,
    ServiceKind, Side,
};
use headwater_protocols::{dns, http1, http2};
use headwater_redact::{Redactor, Text};

use crate::{
    Identity, Passed,
    dialect::{Dialect, Open, Parsed},
    dns::OverTcp,
    heads::{Heads, untag},
    stream::{Missing, Piece, Stream, Stretch},
};

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
    /// What the table of conversations has counted of `held_bytes`.
    pub(crate) held_counted: usize,
    /// The name that the server's address was learned by.
    pub(crate) resolution: Option<Box<Resolution>>,
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
            blocks_lost: 0,
            entries_forgotten: 0,
            held_counted: 0,
            resolution: None,
        }
    }

    /// Whether both ends are on this machine.
    pub(crate) fn both_local(&self) -> bool {
        self.parties.iter().all(|party| party.cookie.is_some())
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
        if self.protocol.is_none() {
            self.judge_protocol(piece.bytes);
        }
        self.with_stream(party, heads, |stream, give| stream.take(piece, give));
        self.note_bytes(party);
        self.keep_within_limit(heads);
    }

    /// Bytes of memory in pieces that came too early, beginnings of heads and tables of HPACK.
    pub(crate) fn held_bytes(&self) -> usize {
        let streams: usize = self.streams.iter().map(Stream::held_bytes).sum();
        streams + self.dialect.held_bytes()
    }

    /// Gaps are given up first, for what comes behind them is told then; heads are cut when that was not enough.
    fn keep_within_limit(&mut self, heads: &mut Heads) {
        if self.held_bytes() <= MOST_HELD_BYTES {
            return;
        }
        for party in 0..2 {
            self.with_stream(party, heads, Stream::give_up);
        }
        if self.held_bytes() > MOST_HELD_BYTES {
            self.dialect.cut_heads(heads);
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

    fn note_bytes(&mut self, party: usize) {
        let passed = self.passed(party);
        let repeats = self.streams.get(party).map_or(0, |stream| stream.repeats);
        if let Some(party) = self.parties.get_mut(party) {
            party.bytes = party.bytes.max(passed);
            party.retransmits = party.retransmits.max(repeats);
        }
    }

    fn with_stream(
        &mut self,
        party: usize,
        heads: &mut Heads,
        act: impl FnOnce(&mut Stream, &mut dyn FnMut(Stretch<'_>)),
    ) {
        let Some(direction) = self.direction(party) else {
            return;
        };
        heads.wants_host = self.host.is_none();
        let (live, joined) = (self.live, self.joined_midstream);
        let is_dns_port = self
            .client
            .and_then(|client| self.parties.get(client))
            .is_some_and(|client| client.peer.port() == crate::dns::PORT);
        let (Some(stream), dialect) = (self.streams.get_mut(party), &mut self.dialect) else {
            return;
        };
        act(stream, &mut |stretch| match stretch {
            Stretch::Bytes {
                at_ns,
                tag,
                packet,
                websocket,
                data,
            } => {
                dialect.become_dns(data, is_dns_port);
                if packet {
                    dialect.packet(direction);
                }
                if websocket && !dialect.is_websocket() {
                    // By their looks alone, or the handshake was lost: they tell nothing.
                    let why = (http1::Skip::NotCopied, http1::Tail::Unknown);
                    dialect.skipped(direction, at_ns, data.len() as u64, why, heads);
                } else {
                    dialect.bytes(direction, at_ns, tag, data, joined, heads);
                }
            }
            Stretch::Frame => dialect.frame(direction, joined),
            Stretch::Turn => dialect.turn(direction),
            Stretch::Hole { at_ns, length, why } => {
                let why = match why {
                    Missing::NotCopied { last_chunk: true } => {
                        (http1::Skip::NotCopied, http1::Tail::LastChunk)
                    }
                    Missing::NotCopied { last_chunk: false } => {
                        (http1::Skip::NotCopied, http1::Tail::Unknown)
                    }
                    Missing::Lost if live => (http1::Skip::RecordsLost, http1::Tail::Unknown),
                    Missing::Lost => (http1::Skip::CaptureHole, http1::Tail::Unknown),
                };
                dialect.skipped(direction, at_ns, length, why, heads);
            }
        });
        if self.dialect.was_reversed() {
            self.client = self.client.map(|client| 1 - client);
            self.changed = true;
        }
        if self.protocol.is_none() || self.protocol == Some("http") {
            let name = self.dialect.name(direction);
            self.changed |= name.is_some() && name != self.protocol;
            self.protocol = name.or(self.protocol);
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

    /// Without a SYN, what is said tells who speaks: a status line comes from a server, all else from a client.
    fn judge_roles(&mut self, party: usize, bytes: &[u8]) {
        let server = bytes.starts_with(b"HTTP/");
        self.client = Some(if server { 1 - party } else { party });
        self.changed = true;
    }

    fn judge_protocol(&mut self, bytes: &[u8]) {
        // A TLS record of type handshake to application data, version 3.x (RFC 8446 section 5.1).
        if let [0x14..=0x17, 3, 0..=4, ..] = bytes {
            self.protocol = Some("tls");
            self.changed = true;
        }
    }

    /// The connection as the store wants it.
    pub(crate) fn connection(&self, redactor: &mut Redactor) -> Connection {
        let client = self.client.unwrap_or(0);
        let [a, b] = &self.parties;
        let (client, server) = if client == 0 { (a, b) } else { (b, a) };
        Connection {
            key: self.key,
            client: self.connection_end(client, server, false, redactor),
            server: self.connection_end(server, client, true, redactor),
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            close_reason: self.close_reason,
            joined_midstream: self.joined_midstream,
            protocol: self
                .protocol
                .or_else(|| self.host.is_some().then_some("http")),
            client_bytes: client.bytes,
            server_bytes: server.bytes,
            retransmits: client.retransmits.saturating_add(server.retransmits),
            resolution: self.resolution.clone(),
        }
    }

    fn connection_end(
        &self,
        party: &Party,
        other: &Party,
        serves: bool,
        redactor: &mut Redactor,
    ) -> ConnectionEnd {
        // A remote party's own view is not known; its peer's is the best there is.
        let (address, peer) = if party.cookie.is_some() {
            (party.address, party.peer)
        } else {
            (other.peer, other.address)
        };
        let port = serves.then_some(address.port());
        let service = match &party.identity {
            Some(identity) => Service {
                port,
                ..identity.service.clone()
            },
            None => match self
                .host
                .as_ref()
                .or(self.resolution.as_ref().map(|resolution| &resolution.name))
                .filter(|_| serves && !(self.live && party.cookie.is_some()))
            {
                Some(host) => Service {
                    kind: ServiceKind::Host,
                    name: host.clone(),
                    port,
                },
                None => Service {
                    kind: ServiceKind::Address,
                    name: redactor.host(address.ip().to_string().as_bytes()),
                    port,
                },
            },
        };
        ConnectionEnd {
            address: address.ip(),
            port: address.port(),
            peer_address: peer.ip(),
            peer_port: peer.port(),
            local: self.live && party.cookie.is_some(),
            netns: party.netns,
            cookie: party.cookie.filter(|_| self.live).unwrap_or(0),
            process: party.identity.as_ref().map(|identity| identity.key),
            process_evidence: party
                .identity
                .as_ref()
                .map_or(Evidence::None, |identity| identity.evidence),
            service,
        }
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

    /// Exchanges that the parser holds open, with what is known so far.
    pub(crate) fn open_exchanges(&mut self, now_ns: u64) -> Vec<Parsed> {
        self.dialect.refresh();
        self.dialect
            .open()
            .iter()
            .map(|open| snapshot(open, now_ns))
            .collect()
    }

    /// Translates an exchange into the model's words.
    pub(crate) fn exchange(&self, key: ExchangeKey, exchange: Parsed) -> Exchange {
        let mut gaps = Gaps(exchange.gaps.0);
        if self.joined_midstream {
            gaps = gaps.with(Gaps::JOINED_MIDSTREAM);
        }
        let grpc = grpc(&exchange);
        let event_stream = exchange
            .response
            .as_ref()
            .and_then(|response| response.value.events.as_ref())
            .map(|events| Box::new(events.told()));
        let websocket = exchange
            .response
            .as_ref()
            .and_then(|response| response.value.websocket.clone());
        Exchange {
            key,
            connection: self.key,
            http2: exchange.stream.map(|facts| Box::new(http2(&facts))),
            grpc,
            websocket,
            event_stream,
            request: exchange.request.map(|part| {
                let head = Arc::unwrap_or_clone(part.value);
                let mut message = Message {
                    headers: head.headers,
                    minor_version: head.minor_version,
                    header_bytes: part.header_bytes,
                    body_bytes: part.body_bytes,
                    first_byte_ns: part.first_byte_ns,
                    last_byte_ns: part.last_byte_ns,
                    trailers: head.trailers,
                    ..Message::default()
                };
                untag(part.first_tag, &mut message);
                Request {
                    message,
                    method: head.method,
                    target: head.target,
                    host: head.host,
                }
            }),
            response: exchange.response.map(|part| {
                let head = Arc::unwrap_or_clone(part.value);
                let mut message = Message {
                    headers: head.headers,
                    minor_version: head.minor_version,
                    header_bytes: part.header_bytes,
                    body_bytes: part.body_bytes,
                    first_byte_ns: part.first_byte_ns,
                    last_byte_ns: part.last_byte_ns,
                    trailers: head.trailers,
                    ..Message::default()
                };
                untag(part.first_tag, &mut message);
                Response {
                    message,
                    status_code: head.status_code,
                    reason: head.reason,
                }
            }),
            interim: exchange.interim.as_slice().to_vec(),
            outcome: crate::heads::outcome(exchange.outcome),
            end_ns: exchange.end_ns,
            gaps,
            ordinal: exchange.ordinal,
        }
    }
}

fn http2(facts: &http2::StreamFacts) -> Http2 {
    Http2 {
        stream_id: facts.stream_id,
        error: facts.error.map(|error| Http2Error {
            code: error.code,
            by: match error.by {
                http1::Direction::ToServer => Side::Client,
                http1::Direction::ToClient => Side::Server,
            },
            by_goaway: error.by_goaway,
        }),
        stalls: facts.stalls,
        stalled_ns: facts.stalled_ns,
        is_pushed: facts.is_pushed,
    }
}

/// What gRPC knows of an exchange that carries it.
fn grpc(exchange: &Parsed) -> Option<Box<Grpc>> {
    let facts = exchange.stream.as_ref()?;
    let messages = |messages: Option<headwater_protocols::grpc::Messages>| {
        messages.map_or(Messages::default(), |messages| Messages {
            count: messages.tally().messages,
            is_exact: messages.is_exact(),
        })
    };
    let response = exchange.response.as_ref().map(|part| &part.value);
    if facts.request_messages.is_none() && facts.response_messages.is_none() {
        return None;
    }
    Some(Box::new(Grpc {
        status_code: response.and_then(|response| response.grpc_status),
        message: response.and_then(|response| response.grpc_message.clone()),
        timeout_ns: exchange
            .request
            .as_ref()
            .and_then(|request| request.value.timeout_ns),
        request_messages: messages(facts.request_messages),
        response_messages: messages(facts.response_messages),
    }))
}

/// An open exchange as it stands.
fn snapshot(open: &Open<'_>, now_ns: u64) -> Parsed {
    http1::Exchange {
        ordinal: open.ordinal,
        request: open.request.cloned(),
        response: open.response.cloned(),
        interim: open.interim,
        outcome: http1::Outcome::Open,
        end_ns: now_ns,
        gaps: open.gaps,
        stream: open.stream.cloned().map(Box::new),
    }
}
