//! Events made as the pipeline makes them, and a store in a folder of its own.

use std::net::IpAddr;

use headwater_model::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, Event, Evidence, Exchange, ExchangeKey,
    Gaps, Message, Outcome, Process, ProcessKey, Request, Response, Service, ServiceKind,
};
use headwater_redact::{HeaderBlock, Key, Policy, Redactor};
use tempfile::TempDir;

use crate::{Options, Writer};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const START: u64 = 1_700_000_000 * SECOND;

/// A folder, and what makes events.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) redactor: Redactor,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let key = Key::load_or_create(&folder.path().join("key")).unwrap();
        let redactor = Redactor::new(&key, &Policy::default());
        Self { folder, redactor }
    }

    pub(super) fn options(&self) -> Options {
        Options::new(
            self.folder.path().join("store").join("headwater.db"),
            [7; 8],
        )
    }

    pub(super) fn writer(&self, now_ns: u64) -> Writer {
        Writer::open(self.options(), now_ns).unwrap()
    }

    pub(super) fn service(&mut self, name: &str, port: Option<u16>) -> Service {
        let kind = ServiceKind::Program;
        let name = self.redactor.phrase(name.as_bytes());
        Service { kind, name, port }
    }

    pub(super) fn process(&mut self, pid: u32) -> Event {
        let key = ProcessKey {
            pid,
            start_boot_ns: 5,
        };
        Event::Process(Box::new(Process {
            start_ns: 0,
            key,
            executable_name: self.redactor.phrase(b"curl"),
            executable_path: None,
            command_line: Some(self.redactor.command_line(b"curl\0-v")),
            cgroup: None,
            container_id: None,
            forked_from: Some(2),
            executed_ns: Some(6),
            ancestors: vec![1, 2],
            service: self.service("curl", None),
        }))
    }

    pub(super) fn connection(&mut self, key: u64, close_reason: CloseReason) -> Event {
        let client: IpAddr = [127, 0, 0, 1].into();
        let end = |port, peer_port, service, process| ConnectionEnd {
            address: client,
            port,
            peer_address: client,
            peer_port,
            local: true,
            netns: 1,
            cookie: key,
            process,
            process_evidence: Evidence::TurnStart,
            service,
        };
        let process = ProcessKey {
            pid: 100,
            start_boot_ns: 5,
        };
        let (curl, nginx) = (self.service("curl", None), self.service("nginx", Some(80)));
        Event::Connection(Box::new(Connection {
            key: ConnectionKey(key),
            client: end(40_000, 80, curl, Some(process)),
            server: end(80, 40_000, nginx, None),
            start_ns: START,
            end_ns: (close_reason != CloseReason::Open).then_some(START + SECOND),
            close_reason,
            joined_midstream: false,
            protocol: Some("http"),
            client_bytes: 100,
            server_bytes: 200,
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

    pub(super) fn exchange(&mut self, key: u64, path: &str, status: Option<u16>) -> Exchange {
        let start_ns = START + key * 1_000_000;
        let fields: [(&[u8], &[u8]); 2] = [(b"Host", b"localhost"), (b"Accept", b"*/*")];
        let mut message = Message {
            headers: HeaderBlock::default(),
            minor_version: 1,
            header_bytes: 80,
            body_bytes: 0,
            first_byte_ns: start_ns,
            last_byte_ns: Some(start_ns + 1_000),
            thread_id: Some(100),
            thread_evidence: Evidence::TurnStart,
            trailers: None,
        };
        self.redactor
            .headers(fields.into_iter(), &mut message.headers);
        let request = Request {
            message: message.clone(),
            method: self.redactor.phrase(b"GET"),
            target: self.redactor.target(b"GET", path.as_bytes()),
            host: None,
        };
        let response = status.map(|status_code| Response {
            message: Message {
                first_byte_ns: start_ns + 50_000,
                last_byte_ns: Some(start_ns + 60_000 + key % 97 * 1_000),
                ..message
            },
            status_code: Some(status_code),
            reason: self.redactor.phrase(b"OK"),
        });
        Exchange {
            key: ExchangeKey(key),
            connection: ConnectionKey(1),
            request: Some(request),
            outcome: if response.is_some() {
                Outcome::Complete
            } else {
                Outcome::Open
            },
            response,
            interim: Vec::new(),
            end_ns: start_ns + 200_000,
            gaps: Gaps::default(),
            ordinal: u32::try_from(key).unwrap(),
            http2: None,
            grpc: None,
            websocket: None,
            event_stream: None,
        }
    }

    pub(super) fn headers<'f>(
        &mut self,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
    ) -> HeaderBlock {
        let mut block = HeaderBlock::default();
        self.redactor.headers(fields, &mut block);
        block
    }

    pub(super) fn event(&mut self, key: u64, path: &str, status: Option<u16>) -> Event {
        Event::Exchange(Box::new(self.exchange(key, path, status)))
    }

    /// A connection and `count` exchanges, numbered from `first`.
    pub(super) fn load(&mut self, first: u64, count: u64) -> Vec<Event> {
        let mut events = vec![self.process(100), self.connection(1, CloseReason::Open)];
        for key in first..first + count {
            let status = [200, 200, 404, 500][usize::try_from(key % 4).unwrap()];
            events.push(self.event(key, &format!("/items/{key}/a{}", key % 3), Some(status)));
        }
        events
    }
}

impl Writer {
    pub(super) fn number(&self, sql: &str) -> i64 {
        headwater_pack::register(&self.connection).unwrap();
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .unwrap()
    }

    /// Lets the file grow by so many pages more.
    pub(super) fn leave_room(&self, pages: i64) {
        let count = self.number("PRAGMA page_count");
        let free = self.number("PRAGMA freelist_count");
        assert!(free < 64, "{free}");
        self.number(&format!("PRAGMA max_page_count = {}", count + pages));
    }
}
