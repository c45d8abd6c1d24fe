//! Which protocol a conversation speaks, and the change from one to another.
//!
//! Owns: the parser at hand. A conversation begins as HTTP/1, which tells soon when it is none; HTTP/2 is known by its
//! preface, by the server's SETTINGS, by the probes' word that a frame begins, or by an upgrade; WebSocket by its handshake
//! alone. Does not parse.

use std::sync::Arc;

use headwater_model::{GoAway, Http2Connection, Http2End, Http2Settings};
use headwater_protocols::http1::{self, Direction, End, Skip, Tail, Verdict};
use headwater_protocols::{exchange, http2};

use crate::{
    dns::{OverTcp, begins_tcp},
    heads::{Answered, Asked, Heads},
    websocket::Upgraded,
};

/// What the parsers find.
pub(crate) type Parsed = exchange::Exchange<Arc<Asked>, Arc<Answered>>;
/// What they hold open.
pub(crate) type Open<'a> = exchange::OpenExchange<'a, Arc<Asked>, Arc<Answered>>;

/// The parser at hand.
pub(crate) enum Dialect {
    Http1(Box<http1::Connection<Heads>>),
    Http2(Box<http2::Connection<Heads>>),
    Dns(Box<OverTcp>),
    WebSocket(Box<Upgraded>),
}

impl Dialect {
    pub(crate) fn new(limits: http1::Limits, joined_midstream: bool) -> Self {
        Self::Http1(Box::new(http1::Connection::new(limits, joined_midstream)))
    }

    /// Becomes DNS where the first bytes, which are not read yet, look like it, or stand on its port and like nothing else.
    pub(crate) fn become_dns(&mut self, data: &[u8], is_dns_port: bool) {
        if let Self::Http1(parser) = self
            && is_untouched(parser)
            && (begins_tcp(data) || is_dns_port && matches!(data, [0..=15, ..]))
        {
            *self = Self::Dns(Box::new(OverTcp::new()));
        }
    }

    /// DNS, if it is that.
    pub(crate) fn dns(&self) -> Option<&OverTcp> {
        match self {
            Self::Dns(dns) => Some(dns),
            Self::Http1(_) | Self::Http2(_) | Self::WebSocket(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn dns_mut(&mut self) -> Option<&mut OverTcp> {
        match self {
            Self::Dns(dns) => Some(dns),
            Self::Http1(_) | Self::Http2(_) | Self::WebSocket(_) => None,
        }
    }

    /// Bytes passed. `joined_midstream`: the beginning of the conversation was not seen.
    pub(crate) fn bytes(
        &mut self,
        direction: Direction,
        at_ns: u64,
        tag: u64,
        data: &[u8],
        joined_midstream: bool,
        heads: &mut Heads,
    ) {
        if let Self::Http1(parser) = self {
            if is_untouched(parser) && begins_http2(direction, data, joined_midstream) {
                let midstream = joined_midstream && !data.starts_with(PREFACE);
                *self = Self::http2(midstream);
            } else {
                parser.bytes(direction, at_ns, tag, data, heads);
                return self.upgrade(direction, at_ns, tag, data, heads);
            }
        }
        match self {
            Self::Http1(_) => {}
            Self::Http2(parser) => parser.bytes(direction, at_ns, tag, data, heads),
            Self::Dns(dns) => dns.bytes(direction, at_ns, data),
            Self::WebSocket(parser) => parser.bytes(direction, at_ns, data),
        }
    }

    /// Where a request asked to go on as HTTP/2 or WebSocket and the server has agreed, what follows is that.
    fn upgrade(
        &mut self,
        direction: Direction,
        at_ns: u64,
        tag: u64,
        data: &[u8],
        heads: &mut Heads,
    ) {
        let Self::Http1(parser) = self else {
            return;
        };
        if parser.is_http(direction) != Verdict::Upgraded {
            return;
        }
        let unread = data
            .get(data.len().saturating_sub(parser.unread())..)
            .unwrap_or_default();
        let ended = &mut heads.found.ended;
        let switched = |exchange: &Parsed| {
            let status = exchange
                .response
                .as_ref()
                .and_then(|response| response.value.status_code);
            status == Some(101)
        };
        let Some(last) = ended.iter().rposition(switched) else {
            return;
        };
        let Some((request, opened)) = ended.get(last).and_then(|exchange| {
            let response = exchange.response.as_ref()?;
            Some((exchange.request.as_ref(), response.value.opens_websocket))
        }) else {
            return;
        };
        if let Some(request) = request
            && request.value.asks_http2
        {
            let mut next = http2::Connection::upgraded(http2::Limits::default(), request.clone());
            if !unread.is_empty() {
                next.bytes(direction, at_ns, tag, unread, heads);
            }
            *self = Self::Http2(Box::new(next));
        } else if let Some(compression) = opened
            && request.is_none_or(|request| request.value.asks_websocket)
        {
            // Not over yet: it is held until the connection ends.
            let mut next = Upgraded::new(ended.remove(last), compression);
            if !unread.is_empty() {
                next.bytes(direction, at_ns, unread);
            }
            *self = Self::WebSocket(Box::new(next));
        }
    }

    /// The next bytes begin a packet, or a frame of WebSocket.
    pub(crate) fn packet(&mut self, direction: Direction) {
        if let Self::WebSocket(parser) = self {
            parser.packet(direction);
        }
    }

    /// Whether HTTP has ended there, and what follows is a tunnel's (CONNECT) or nobody's.
    pub(crate) fn is_tunnel(&self, direction: Direction) -> bool {
        matches!(self, Self::Http1(parser) if parser.is_http(direction) == Verdict::Upgraded)
    }

    /// Whether a handshake has made it WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        matches!(self, Self::WebSocket(_))
    }

    /// A number that changes when there is more to tell of an open exchange that lasts: a WebSocket, an event stream.
    pub(crate) fn news(&self) -> u64 {
        match self {
            Self::Http1(parser) => parser
                .open()
                .filter_map(|open| open.response)
                .filter(|response| response.value.events.is_some())
                .map(|response| response.body_bytes)
                .sum(),
            Self::Http2(_) | Self::Dns(_) => 0,
            Self::WebSocket(parser) => parser.news(),
        }
    }

    /// Writes what is known by now into the exchanges that are open.
    pub(crate) fn refresh(&mut self) {
        if let Self::WebSocket(parser) = self {
            parser.refresh();
        }
    }

    /// A frame of HTTP/2 begins with the next bytes.
    pub(crate) fn frame(&mut self, direction: Direction, joined_midstream: bool) {
        if let Self::Http1(parser) = self
            && is_untouched(parser)
        {
            *self = Self::http2(joined_midstream);
        }
        if let Self::Http2(parser) = self {
            parser.frame(direction);
        }
    }

    /// A turn begins with the next bytes.
    pub(crate) fn turn(&mut self, direction: Direction) {
        match self {
            Self::Http1(parser) => parser.turn(direction),
            Self::Http2(_) | Self::Dns(_) | Self::WebSocket(_) => {}
        }
    }

    pub(crate) fn skipped(
        &mut self,
        direction: Direction,
        at_ns: u64,
        length: u64,
        (why, tail): (Skip, Tail),
        heads: &mut Heads,
    ) {
        match self {
            Self::Http1(parser) => parser.skipped(direction, at_ns, length, why, tail, heads),
            Self::Http2(parser) => parser.skipped(direction, at_ns, length, why, heads),
            Self::Dns(dns) => dns.skipped(direction, at_ns, length),
            Self::WebSocket(parser) => parser.skipped(direction, at_ns, length),
        }
    }

    pub(crate) fn end(&mut self, direction: Direction, at_ns: u64, how: End, heads: &mut Heads) {
        match self {
            Self::Http1(parser) => parser.end(direction, at_ns, how, heads),
            Self::Http2(parser) => parser.end(direction, at_ns, how, heads),
            // A client may close its direction and still be answered.
            Self::Dns(dns) => {
                if direction == Direction::ToClient {
                    dns.end(at_ns, how != End::Evicted);
                }
            }
            Self::WebSocket(parser) => parser.end(direction, at_ns, how, heads),
        }
    }

    pub(crate) fn open(&self) -> Vec<Open<'_>> {
        match self {
            Self::Http1(parser) => parser.open().collect(),
            Self::Http2(parser) => parser.open().collect(),
            Self::Dns(_) => Vec::new(),
            Self::WebSocket(parser) => parser.open().into_iter().collect(),
        }
    }

    pub(crate) fn has_open(&self) -> bool {
        match self {
            Self::Http1(parser) => parser.open().next().is_some(),
            Self::Http2(parser) => parser.open().next().is_some(),
            Self::Dns(_) => false,
            Self::WebSocket(parser) => parser.open().is_some(),
        }
    }

    /// Header blocks of HTTP/2 that were not read so far.
    pub(crate) fn blocks_lost(&self) -> u64 {
        match self {
            Self::Http1(_) | Self::Dns(_) | Self::WebSocket(_) => 0,
            Self::Http2(parser) => [Direction::ToServer, Direction::ToClient]
                .into_iter()
                .map(|direction| u64::from(parser.facts(direction).blocks_lost))
                .sum(),
        }
    }

    /// What HTTP/2 said of the connection so far.
    pub(crate) fn http2_facts(&self) -> Option<Http2Connection> {
        let Self::Http2(parser) = self else {
            return None;
        };
        let facts = Http2Connection {
            client: http2_end(parser.facts(Direction::ToServer)),
            server: http2_end(parser.facts(Direction::ToClient)),
        };
        (facts != Http2Connection::default()).then_some(facts)
    }

    /// Counts the frames that change how the connection may be used: SETTINGS and GOAWAY.
    pub(crate) fn announcements(&self) -> u32 {
        let Self::Http2(parser) = self else {
            return 0;
        };
        [Direction::ToServer, Direction::ToClient]
            .into_iter()
            .map(|direction| parser.facts(direction))
            .fold(0, |sum, facts| {
                sum.wrapping_add(facts.settings_frames)
                    .wrapping_add(facts.goaway_frames)
            })
    }

    /// Entries of HPACK's tables that were forgotten for want of room so far.
    pub(crate) fn entries_forgotten(&self) -> u64 {
        match self {
            Self::Http1(_) | Self::Dns(_) | Self::WebSocket(_) => 0,
            Self::Http2(parser) => parser.entries_forgotten(),
        }
    }

    /// Bytes of memory in beginnings of heads and in tables of HPACK.
    pub(crate) fn held_bytes(&self) -> usize {
        match self {
            Self::Http1(parser) => parser.held_bytes(),
            Self::Http2(parser) => parser.held_bytes(),
            // Bounded by themselves: a message each way and a few questions; counts.
            Self::Dns(_) | Self::WebSocket(_) => 0,
        }
    }

    /// No more is held of heads whose end did not come.
    pub(crate) fn cut_heads(&mut self, heads: &mut Heads) {
        match self {
            Self::Http1(parser) => parser.cut_heads(heads),
            // Bounded by itself.
            Self::Http2(_) | Self::Dns(_) | Self::WebSocket(_) => {}
        }
    }

    /// `network.protocol.name`, once it is known.
    pub(crate) fn name(&self, direction: Direction) -> Option<&'static str> {
        match self {
            Self::Http1(parser) => match parser.is_http(direction) {
                Verdict::Yes | Verdict::Upgraded => Some("http"),
                Verdict::No | Verdict::Unknown => None,
            },
            Self::Http2(parser) => match parser.verdict() {
                Verdict::Yes | Verdict::Upgraded => Some("http2"),
                Verdict::No | Verdict::Unknown => None,
            },
            Self::Dns(_) => Some("dns"),
            Self::WebSocket(_) => Some("websocket"),
        }
    }

    /// Whether the first head has shown that the client was taken for the server. Then they are turned round here, and the
    /// caller does the same.
    pub(crate) fn was_reversed(&mut self) -> bool {
        match self {
            Self::Http2(parser) if parser.is_reversed() => {
                parser.turn_round();
                true
            }
            Self::Http1(_) | Self::Http2(_) | Self::Dns(_) | Self::WebSocket(_) => false,
        }
    }

    /// The same for HTTP/1, whose first head must be known for one before it is read: by its bytes, which begin a turn.
    pub(crate) fn is_reversed_by(&mut self, direction: Direction, data: &[u8]) -> bool {
        match self {
            Self::Http1(parser) if parser.is_reversed(direction, data) => {
                parser.turn_round();
                true
            }
            Self::Http1(_) | Self::Http2(_) | Self::Dns(_) | Self::WebSocket(_) => false,
        }
    }

    fn http2(joined_midstream: bool) -> Self {
        let parser = http2::Connection::new(http2::Limits::default(), joined_midstream);
        Self::Http2(Box::new(parser))
    }
}

fn http2_end(facts: &http2::Facts) -> Http2End {
    let settings = &facts.settings;
    Http2End {
        settings: Http2Settings {
            header_table_size: settings.header_table_size,
            enable_push: settings.enable_push,
            max_concurrent_streams: settings.max_concurrent_streams,
            initial_window_size: settings.initial_window_size,
            max_frame_size: settings.max_frame_size,
            max_header_list_size: settings.max_header_list_size,
        },
        settings_frames: facts.settings_frames,
        pings: facts.pings,
        resets: facts.resets,
        push_promises: facts.push_promises,
        priority_updates: facts.priority_updates,
        goaway_frames: facts.goaway_frames,
        goaway: facts.goaway.map(|goaway| GoAway {
            at_ns: goaway.at_ns,
            code: goaway.code,
            last_stream_id: goaway.last_stream_id,
        }),
    }
}

/// Whether nothing has been made of the bytes so far.
fn is_untouched(parser: &http1::Connection<Heads>) -> bool {
    let none = |direction| matches!(parser.is_http(direction), Verdict::Unknown | Verdict::No);
    none(Direction::ToServer) && none(Direction::ToClient)
}

/// The preface (RFC 9113, 3.4), or the server's SETTINGS, which come first; in the middle any frame.
fn begins_http2(direction: Direction, data: &[u8], joined_midstream: bool) -> bool {
    if data.len() >= ENOUGH && (data.starts_with(PREFACE) || PREFACE.starts_with(data)) {
        return true;
    }
    let settings = matches!(data, [0, _, _, 4, 0 | 1, 0, 0, 0, 0, ..]);
    match direction {
        Direction::ToClient if settings => http2::may_begin(data),
        Direction::ToClient | Direction::ToServer => joined_midstream && http2::may_begin(data),
    }
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So much of it tells: no HTTP/1 method is `PRI`.
const ENOUGH: usize = 8;
