//! A conversation and its exchanges in the model's words.
//!
//! Owns: the translation of what the parser found, and who is named at the ends. Changes nothing.

use std::sync::Arc;

use headwater_model::{
    Connection, ConnectionEnd, Evidence, Exchange, ExchangeKey, Gaps, Grpc, Http2, Http2Error,
    Message, Messages, Request, Response, Service, ServiceKind, Side,
};
use headwater_protocols::{http1, http2};
use headwater_redact::{Redactor, Text};

use super::{Conversation, Party};
use crate::{
    dialect::{Open, Parsed},
    heads::{Answered, Asked, untag},
};

impl Conversation {
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
            client_tcp: client.tcp.clone(),
            server_tcp: server.tcp.clone(),
            http2: self.dialect.http2_facts().map(Box::new),
            drops: self.packet_drops(),
            icmp: self.icmp.clone(),
            resolution: self.resolution.clone(),
            tls: self.tls_told(redactor),
            proxied: self.preamble.told().copied(),
        }
    }

    /// The name that the client itself asked for, and was told the server's address.
    fn name_asked_for(&self) -> Option<&Text> {
        let resolution = self.resolution.as_ref()?;
        resolution.names_its_server().then_some(&resolution.name)
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
        let asked_for = self.tls_name(redactor);
        let service = match &party.identity {
            Some(identity) => Service {
                port,
                ..identity.service.clone()
            },
            None => match self
                .host
                .as_ref()
                .or(asked_for.as_ref())
                .or(self.name_asked_for())
                .filter(|_| serves && !(self.live && party.cookie.is_some()))
            {
                Some(host) => Service {
                    kind: ServiceKind::Host,
                    name: host.clone(),
                    port,
                },
                // The other end of a session that no socket was seen to carry.
                None if address.ip().is_unspecified() => Service {
                    kind: ServiceKind::Address,
                    name: redactor.phrase(b"(unknown)"),
                    port: None,
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
            local: self.live && (party.cookie.is_some() || party.identity.is_some()),
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
            request: exchange.request.map(request),
            response: exchange.response.map(response),
            interim: exchange.interim.as_slice().to_vec(),
            outcome: crate::heads::outcome(exchange.outcome),
            end_ns: exchange.end_ns,
            gaps,
            ordinal: exchange.ordinal,
        }
    }
}

fn request(part: http1::RequestPart<Arc<Asked>>) -> Request {
    let (thread_id, thread_evidence) = untag(part.first_tag);
    let head = Arc::unwrap_or_clone(part.value);
    Request {
        message: Message {
            headers: head.headers,
            minor_version: head.minor_version,
            header_bytes: part.header_bytes,
            body_bytes: part.body_bytes,
            first_byte_ns: part.first_byte_ns,
            last_byte_ns: part.last_byte_ns,
            thread_id,
            thread_evidence,
            trailers: head.trailers,
        },
        method: head.method,
        target: head.target,
        host: head.host,
    }
}

fn response(part: http1::ResponsePart<Arc<Answered>>) -> Response {
    let (thread_id, thread_evidence) = untag(part.first_tag);
    let head = Arc::unwrap_or_clone(part.value);
    Response {
        message: Message {
            headers: head.headers,
            minor_version: head.minor_version,
            header_bytes: part.header_bytes,
            body_bytes: part.body_bytes,
            first_byte_ns: part.first_byte_ns,
            last_byte_ns: part.last_byte_ns,
            thread_id,
            thread_evidence,
            trailers: head.trailers,
        },
        status_code: head.status_code,
        reason: head.reason,
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
