//! Where the parser's borrowed heads become redacted values: the only place in this crate that sees captured text.

use std::sync::Arc;

use headwater_model::{Evidence, Outcome, WebSocket};
use headwater_protocols::{
    grpc,
    hpack::{self, Text::Known},
    http1::{self, Direction, Exchange, MalformedElement, RequestHead, ResponseHead},
    http2, websocket,
};
use headwater_redact::{Captured, HeaderBlock, Redactor, Target, TargetForm, Text};

use crate::event_stream::Streamed;
use crate::gauge::{Gauge, Share};

/// A redacted request head.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Text,
    pub(crate) target: Target,
    pub(crate) host: Option<Text>,
    pub(crate) headers: HeaderBlock,
    pub(crate) minor_version: u8,
    pub(crate) trailers: Option<HeaderBlock>,
    /// `grpc-timeout`
    pub(crate) timeout_ns: Option<u64>,
    /// `Upgrade: h2c` (RFC 7540, 3.2)
    pub(crate) asks_http2: bool,
    /// It asks for a WebSocket (RFC 6455, 4.1).
    pub(crate) asks_websocket: bool,
    /// Nothing of it was hashed, so that the head may be remembered as it came.
    pub(crate) repeatable: bool,
    share: Share,
}

/// A redacted response head.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status_code: Option<u16>,
    pub(crate) reason: Text,
    pub(crate) headers: HeaderBlock,
    pub(crate) minor_version: u8,
    pub(crate) trailers: Option<HeaderBlock>,
    /// `grpc-status`, of the trailers or of a head without them.
    pub(crate) grpc_status: Option<u32>,
    /// `grpc-message`
    pub(crate) grpc_message: Option<Text>,
    /// It agrees to a WebSocket (RFC 6455, 4.2.2), and to permessage-deflate or not.
    pub(crate) opens_websocket: Option<bool>,
    /// What passed over that, once it is told.
    pub(crate) websocket: Option<Box<WebSocket>>,
    /// Its server-sent events.
    pub(crate) events: Option<Streamed>,
    /// As above.
    pub(crate) repeatable: bool,
    share: Share,
}

/// What the parser found since last asked.
#[derive(Default)]
pub(crate) struct Found {
    /// Exchanges that ended.
    pub(crate) ended: Vec<Exchange<Arc<Asked>, Arc<Answered>>>,
    /// Host of the newest request, without its port.
    pub(crate) host: Option<Text>,
    /// Heads that were not.
    pub(crate) malformed: u64,
    /// Heads cut by the cap.
    pub(crate) cut: u64,
}

/// The observer of all conversations, one at a time.
pub(crate) struct Heads {
    pub(crate) redactor: Redactor,
    /// The block of the head at hand.
    pub(crate) block: HeaderBlock,
    /// Whether the conversation at hand has no host yet.
    pub(crate) wants_host: bool,
    /// Where heads of HTTP/2 are laid out.
    pub(crate) room: http2::Room,
    /// Heads of HTTP/1 seen before, all of them readable as a whole.
    pub(crate) repeats: http1::Repeats<Arc<Asked>, Arc<Answered>>,
    /// Those of HTTP/2; what is not readable of them is in no block, but in tables of HPACK.
    http2_repeats: http2::Repeats<Arc<Asked>, Arc<Answered>>,
    pub(crate) found: Found,
    /// What all heads take that were made and are still there.
    pub(crate) gauge: Gauge,
}

impl Heads {
    pub(crate) fn new(redactor: Redactor) -> Self {
        Self {
            redactor,
            block: HeaderBlock::default(),
            wants_host: false,
            room: http2::Room::default(),
            repeats: http1::Repeats::default(),
            http2_repeats: http2::Repeats::default(),
            found: Found::default(),
            gauge: Gauge::default(),
        }
    }

    /// The share of the head at hand.
    fn share(&self) -> Share {
        self.gauge.share(HEAD_BYTES + block_bytes(&self.block))
    }

    /// Redacts the fields of a head of HTTP/2 into the block at hand. Of the pseudo-header fields those stay that have no
    /// place of their own. Says whether nothing of it was hashed.
    fn fields(
        &mut self,
        pseudo: &[(&'static [u8], Option<hpack::Text<'_>>)],
        fields: http2::Fields<'_>,
    ) -> bool {
        let pseudo = pseudo
            .iter()
            .filter_map(|(name, value)| Some((Captured::Known(name), captured((*value)?))));
        let fields = fields
            .iter()
            .map(|(name, value, _)| (captured(name), captured(value)));
        self.redactor
            .headers_partly(pseudo.chain(fields), &mut self.block)
    }

    /// The host of a conversation is that of its first request with one. Targets that a proxy is asked for (RFC 9112, 3.2.2
    /// and 3.2.3) name another host than the one that is connected to.
    fn note_host(&mut self, request: &Asked) {
        let form = request.target.form();
        let asks_proxy = matches!(form, TargetForm::Absolute | TargetForm::Authority);
        if self.wants_host && !asks_proxy && request.host.is_some() {
            self.found.host.clone_from(&request.host);
        }
    }

    fn trailers(&mut self, fields: http2::Fields<'_>) -> HeaderBlock {
        self.fields(&[], fields);
        self.block.clone()
    }

    fn grpc_status(&mut self, fields: http2::Fields<'_>, response: &mut Answered) {
        if let Some(Known(status)) = fields.find(b"grpc-status") {
            response.grpc_status = grpc::Status::from_field(status).map(|status| status.0);
        }
        if let Some(Known(message)) = fields.find(b"grpc-message") {
            response.grpc_message = Some(self.redactor.phrase(message));
        }
    }
}

/// What an open exchange takes beside the fields of its head: the parser's place for it, the target, short texts.
const HEAD_BYTES: usize = 512;

fn block_bytes(block: &HeaderBlock) -> usize {
    block.template().len() + block.holes().len()
}

/// The fields of HTTP/2 whose names and values are known.
fn known(fields: http2::Fields<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields
        .iter()
        .filter_map(|(name, value, _)| match (name, value) {
            (Known(name), Known(value)) => Some((name, value)),
            _ => None,
        })
}

fn captured(text: hpack::Text<'_>) -> Captured<'_> {
    match text {
        Known(bytes) => Captured::Known(bytes),
        hpack::Text::Unknown(unknown) => {
            let (generation, number) = unknown.numbers();
            Captured::Unknown(generation, number)
        }
    }
}

impl http2::Observer for Heads {
    type Request = Arc<Asked>;
    type Response = Arc<Answered>;

    fn room(&mut self) -> &mut http2::Room {
        &mut self.room
    }

    fn request(&mut self, head: &http2::RequestHead<'_>) -> Self::Request {
        let is_readable = self.fields(
            &[
                (b":scheme", head.scheme),
                (b":authority", head.authority),
                (b":protocol", head.protocol),
            ],
            head.fields,
        );
        let host = match head.authority.or_else(|| head.fields.find(b"host")) {
            Some(Known(host)) => Some(self.redactor.host(without_port(host))),
            Some(hpack::Text::Unknown(_)) | None => None,
        };
        self.found.cut += u64::from(head.cut);
        let method = match head.method {
            Some(Known(method)) => self.redactor.phrase(method),
            Some(hpack::Text::Unknown(unknown)) => self.redactor.unknown(Some(unknown.numbers())),
            None => self.redactor.unknown(None),
        };
        let target = match (head.path, head.method) {
            (Some(Known(path)), Some(Known(method))) => self.redactor.target(method, path),
            (Some(Known(path)), _) => self.redactor.target(b"", path),
            (None, Some(Known(b"CONNECT"))) => match head.authority {
                Some(Known(authority)) => self.redactor.target(b"CONNECT", authority),
                _ => self.redactor.unknown_target(std::iter::empty()),
            },
            (Some(hpack::Text::Unknown(unknown)), _) => self
                .redactor
                .unknown_target(std::iter::once(unknown.numbers())),
            (None, _) => self
                .redactor
                .unknown_target(head.fields.opaque().map(hpack::Unknown::numbers)),
        };
        let timeout_ns = match head.fields.find(b"grpc-timeout") {
            Some(Known(timeout)) => grpc::timeout_ns(timeout),
            Some(hpack::Text::Unknown(_)) | None => None,
        };
        let request = Arc::new(Asked {
            repeatable: is_readable && method.is_readable() && target.is_readable(),
            method,
            target,
            host,
            headers: self.block.clone(),
            minor_version: 0,
            trailers: None,
            timeout_ns,
            asks_http2: false,
            asks_websocket: false,
            share: self.share(),
        });
        self.note_host(&request);
        request
    }

    fn response(&mut self, head: &http2::ResponseHead<'_>) -> Self::Response {
        let is_readable = self.fields(&[], head.fields);
        self.found.cut += u64::from(head.cut);
        let mut response = Answered {
            status_code: head.status,
            reason: Text::default(),
            headers: self.block.clone(),
            minor_version: 0,
            trailers: None,
            grpc_status: None,
            grpc_message: None,
            opens_websocket: None,
            websocket: None,
            events: Streamed::of(known(head.fields), false),
            repeatable: is_readable,
            share: self.share(),
        };
        self.grpc_status(head.fields, &mut response);
        let message = response.grpc_message.as_ref();
        response.repeatable &= message.is_none_or(Text::is_readable);
        Arc::new(response)
    }

    fn request_trailers(&mut self, request: &mut Self::Request, fields: http2::Fields<'_>) {
        let trailers = self.trailers(fields);
        let request = Arc::make_mut(request);
        request.share.grow(block_bytes(&trailers));
        request.trailers = Some(trailers);
    }

    fn response_trailers(&mut self, response: &mut Self::Response, fields: http2::Fields<'_>) {
        let trailers = self.trailers(fields);
        let response = Arc::make_mut(response);
        response.share.grow(block_bytes(&trailers));
        response.trailers = Some(trailers);
        self.grpc_status(fields, response);
    }

    fn repeats(&mut self) -> Option<&mut http2::Repeats<Self::Request, Self::Response>> {
        Some(&mut self.http2_repeats)
    }

    // As with HTTP/1 below.
    fn request_may_repeat(&self, request: &Self::Request, in_clear: bool) -> bool {
        request.repeatable || !in_clear
    }

    fn response_may_repeat(&self, response: &Self::Response, in_clear: bool) -> bool {
        // What passes behind these heads is told with them.
        response.events.is_none() && (response.repeatable || !in_clear)
    }

    fn request_repeats(&mut self, request: &Self::Request) {
        self.note_host(request);
    }

    fn exchange(&mut self, exchange: Exchange<Self::Request, Self::Response>) {
        self.found.ended.push(exchange);
    }

    fn malformed(&mut self, _: Direction, _: http2::MalformedElement) {
        self.found.malformed += 1;
    }
}

impl http1::Observer for Heads {
    type Request = Arc<Asked>;
    type Response = Arc<Answered>;

    fn request(&mut self, head: &RequestHead<'_>) -> Self::Request {
        let is_readable = self.redactor.headers(head.fields.iter(), &mut self.block);
        let host = head
            .fields
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(b"host"))
            .map(|(_, value)| self.redactor.host(without_port(value)));
        self.found.cut += u64::from(head.cut);
        let method = self.redactor.phrase(head.method);
        let target = self.redactor.target(head.method, head.target);
        let upgrades = || {
            head.fields
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"))
        };
        let request = Arc::new(Asked {
            repeatable: is_readable && method.is_readable() && target.is_readable(),
            method,
            target,
            host,
            headers: self.block.clone(),
            minor_version: head.minor_version,
            trailers: None,
            timeout_ns: None,
            asks_http2: upgrades().any(|(_, value)| has_token(value, b"h2c")),
            asks_websocket: upgrades().next().is_some()
                && websocket::Handshake::request(head.fields.iter()).is_some(),
            share: self.share(),
        });
        self.note_host(&request);
        request
    }

    fn response(&mut self, head: &ResponseHead<'_>) -> Self::Response {
        let is_readable = self.redactor.headers(head.fields.iter(), &mut self.block);
        self.found.cut += u64::from(head.cut);
        let reason = self.redactor.phrase(head.reason);
        let opened = (head.status == 101)
            .then(|| websocket::Handshake::response(head.status, head.fields.iter()))
            .flatten();
        let events = Streamed::of(head.fields.iter(), true);
        Arc::new(Answered {
            // What passes behind these heads is told with them.
            repeatable: is_readable && reason.is_readable() && opened.is_none() && events.is_none(),
            status_code: Some(head.status),
            reason,
            headers: self.block.clone(),
            minor_version: head.minor_version,
            trailers: None,
            grpc_status: None,
            grpc_message: None,
            opens_websocket: opened.map(|handshake| handshake.compression),
            websocket: None,
            events,
            share: self.share(),
        })
    }

    fn repeats(&mut self) -> Option<&mut http1::Repeats<Self::Request, Self::Response>> {
        Some(&mut self.repeats)
    }

    // What holds a secret is not kept in memory for longer than it takes to hash it.
    fn request_may_repeat(&self, request: &Self::Request) -> bool {
        request.repeatable
    }

    fn response_may_repeat(&self, response: &Self::Response) -> bool {
        response.repeatable
    }

    fn request_repeats(&mut self, request: &Self::Request) {
        self.note_host(request);
    }

    fn wants_body(&mut self, response: &Self::Response) -> bool {
        response.events.is_some()
    }

    fn body(&mut self, response: &mut Self::Response, at_ns: u64, data: &[u8]) {
        if let Some(events) = &mut Arc::make_mut(response).events {
            events.bytes(at_ns, data);
        }
    }

    fn body_skipped(&mut self, response: &mut Self::Response, length: u64) {
        if let Some(events) = &mut Arc::make_mut(response).events {
            events.skipped(length);
        }
    }

    fn exchange(&mut self, exchange: Exchange<Self::Request, Self::Response>) {
        self.found.ended.push(exchange);
    }

    fn malformed(&mut self, _: Direction, _: MalformedElement) {
        self.found.malformed += 1;
    }
}

/// The parser's outcome in the model's words.
pub(crate) fn outcome(outcome: http1::Outcome) -> Outcome {
    match outcome {
        http1::Outcome::Complete => Outcome::Complete,
        http1::Outcome::Open => Outcome::Open,
        http1::Outcome::ClientGaveUp => Outcome::ClientGaveUp,
        http1::Outcome::ServerReset => Outcome::ServerReset,
        http1::Outcome::ServerClosed => Outcome::ServerClosed,
        http1::Outcome::TimedOut => Outcome::TimedOut,
        http1::Outcome::Truncated => Outcome::Truncated,
        http1::Outcome::Malformed => Outcome::Malformed,
        http1::Outcome::RequestNotSeen => Outcome::RequestNotSeen,
    }
}

/// Whether a list has a token, in any case (RFC 9110, 5.6.1).
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|byte| *byte == b',')
        .any(|member| member.trim_ascii().eq_ignore_ascii_case(token))
}

/// `host` of `host:port` or `[address]:port` (RFC 9110 section 7.2).
fn without_port(host: &[u8]) -> &[u8] {
    let digits = host
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    match host.get(..host.len() - digits) {
        Some([name @ .., b':'])
            if digits > 0
                && !name.is_empty()
                && (name.ends_with(b"]") || !name.contains(&b':')) =>
        {
            name
        }
        _ => host,
    }
}

/// The tag that travels with a packet's bytes: its thread, and how well that is known.
pub(crate) fn tag(thread_id: u32, owned: Option<bool>, new_turn: bool) -> u64 {
    let evidence = match owned {
        Some(true) => 1,
        None if new_turn && thread_id != 0 => 2,
        Some(false) | None => return 0,
    };
    u64::from(thread_id) | evidence << 32
}

/// A tag's thread and evidence.
pub(crate) fn untag(tag: u64) -> (Option<u32>, Evidence) {
    let evidence = match tag >> 32 {
        1 => Evidence::SocketLock,
        2 => Evidence::TurnStart,
        _ => return (None, Evidence::None),
    };
    (u32::try_from(tag & u64::from(u32::MAX)).ok(), evidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_taken_off() {
        for (given, expected) in [
            ("a.example", "a.example"),
            ("a.example:80", "a.example"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("", ""),
            (":80", ":80"),
            ("80", "80"),
        ] {
            assert_eq!(
                without_port(given.as_bytes()),
                expected.as_bytes(),
                "{given}"
            );
        }
    }
}
