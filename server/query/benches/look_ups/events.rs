//! What the load consists of.

use std::net::IpAddr;

use headwater_model::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, Event, Evidence, Exchange, ExchangeKey,
    Gaps, Message, Outcome, Process, ProcessKey, Request, Response, Service, ServiceKind,
};
use headwater_redact::{HeaderBlock, Redactor};

use crate::load::{HOPS, LANES, START, STEP_NS, trace_of};

const NAMES: [&str; 4] = ["client", "gateway", "service", "base"];

fn service(redactor: &mut Redactor, number: usize, port: Option<u16>) -> Service {
    Service {
        kind: ServiceKind::Program,
        name: redactor.phrase(NAMES[number].as_bytes()),
        port,
    }
}

fn key_of(number: u32) -> ProcessKey {
    ProcessKey {
        pid: 100 + number,
        start_boot_ns: 10_000_000,
    }
}

pub(crate) fn process(redactor: &mut Redactor, number: u32) -> Event {
    let name = usize::try_from(number).unwrap();
    Event::Process(Box::new(Process {
        key: key_of(number),
        executable_name: redactor.phrase(NAMES[name].as_bytes()),
        executable_path: None,
        command_line: None,
        cgroup: None,
        container_id: None,
        start_ns: START - 1_000_000_000,
        forked_from: None,
        executed_ns: None,
        ancestors: Vec::new(),
        service: service(redactor, name, None),
    }))
}

pub(crate) fn connection(redactor: &mut Redactor, number: u64) -> Event {
    let address: IpAddr = [127, 0, 0, 1].into();
    let hop = usize::try_from(number % HOPS).unwrap();
    let mut end =
        |who: usize, port: u16, peer_port: u16, service_port: Option<u16>| ConnectionEnd {
            address,
            port,
            peer_address: address,
            peer_port,
            local: true,
            netns: 1,
            cookie: number * 2 + u64::from(service_port.is_some()) + 1,
            process: Some(key_of(u32::try_from(who).unwrap())),
            process_evidence: Evidence::SocketLock,
            service: service(redactor, who, service_port),
        };
    let client_port = 40_000 + u16::try_from(number).unwrap();
    let server_port = 8_000 + u16::try_from(hop).unwrap();
    Event::Connection(Box::new(Connection {
        key: ConnectionKey(number),
        client: end(hop, client_port, server_port, None),
        server: end(hop + 1, server_port, client_port, Some(server_port)),
        start_ns: START,
        end_ns: None,
        close_reason: CloseReason::Open,
        joined_midstream: false,
        protocol: Some("http"),
        client_bytes: 0,
        server_bytes: 0,
        retransmits: 0,
        client_tcp: headwater_model::TcpEnd::default(),
        server_tcp: headwater_model::TcpEnd::default(),
        http2: None,
        drops: Vec::new(),
        icmp: None,
        resolution: None,
        tls: None,
        proxied: None,
    }))
}

pub(crate) fn exchange(redactor: &mut Redactor, chain: u64, hop: u64) -> Event {
    let start_ns = START + chain * HOPS * STEP_NS + hop * 100_000;
    let end_ns = start_ns + 1_000_000 - hop * 250_000;
    let lane = chain % LANES;
    let trace = trace_of(chain);
    let traceparent = format!("00-{trace:032x}-{:016x}-01", chain * 8 + hop + 1);
    let mut message = |fields: &[(&str, &str)], from_ns: u64, last_ns: u64| {
        let mut headers = HeaderBlock::default();
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        redactor.headers(fields, &mut headers);
        Message {
            headers,
            minor_version: 1,
            header_bytes: 210,
            body_bytes: 615,
            first_byte_ns: from_ns,
            last_byte_ns: Some(last_ns),
            thread_id: None,
            thread_evidence: Evidence::None,
            trailers: None,
        }
    };
    let request = message(
        &[
            ("Host", "shop.example"),
            ("User-Agent", "bench/1"),
            ("traceparent", &traceparent),
        ],
        start_ns,
        start_ns + 2_000,
    );
    let response = message(
        &[("Server", "bench"), ("Content-Length", "615")],
        end_ns - 3_000,
        end_ns,
    );
    let status = if hop == HOPS - 1 && chain.is_multiple_of(1_000) {
        503
    } else {
        200
    };
    Event::Exchange(Box::new(Exchange {
        key: ExchangeKey(chain * HOPS + hop),
        connection: ConnectionKey(lane * HOPS + hop),
        end_ns,
        request: Some(Request {
            message: request,
            method: redactor.phrase(b"GET"),
            target: redactor.target(b"GET", b"/orders"),
            host: None,
        }),
        response: Some(Response {
            message: response,
            status_code: Some(status),
            reason: redactor.phrase(b"OK"),
        }),
        interim: Vec::new(),
        outcome: Outcome::Complete,
        gaps: Gaps::default(),
        ordinal: u32::try_from(chain / LANES).unwrap(),
        http2: None,
        grpc: None,
        websocket: None,
        event_stream: None,
    }))
}
