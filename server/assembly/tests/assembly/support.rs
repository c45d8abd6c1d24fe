//! Builds what the recorder would have seen, as data.

use std::{collections::BTreeMap, net::SocketAddr};

use headwater_assembly::{
    Assembly, End, Identities, Identity, IdleCounts, Input, Limits, NoIdentities, Owner, Place,
    SocketEnd, TcpFlags, Turn, Way,
};
use headwater_model::{
    Connection, Event, Evidence, Exchange, ProcessKey, Service, ServiceKind, SocketStats,
};
use headwater_redact::{Key, Policy, Redactor};

pub(crate) const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: h.example\r\n\r\n";
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
pub(crate) const SYN: TcpFlags = TcpFlags {
    syn: true,
    ack: false,
    fin: false,
    rst: false,
};
pub(crate) const FIN: TcpFlags = TcpFlags {
    syn: false,
    ack: true,
    fin: true,
    rst: false,
};
pub(crate) const RST: TcpFlags = TcpFlags {
    syn: false,
    ack: false,
    fin: false,
    rst: true,
};

pub(crate) type Subject = Assembly<NoIdentities>;

pub(crate) fn subject(limits: Limits) -> Subject {
    Assembly::new(limits, redactor(), NoIdentities)
}

pub(crate) fn live() -> Subject {
    subject(Limits::default())
}

pub(crate) fn file() -> Subject {
    subject(Limits {
        live: false,
        ..Limits::default()
    })
}

pub(crate) fn end(cookie: u64, local: &str, remote: &str, way: Way) -> End {
    let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
    End {
        at_ns: 1_000,
        cookie,
        local: address(local),
        remote: address(remote),
        way,
        flags: TcpFlags::default(),
        netns: 1,
        loopback: false,
        offset: 0,
        last_ns: 0,
        ip: None,
        handshake: None,
    }
}

/// A socket that ended so.
pub(crate) fn socket(cookie: u64, at_ns: u64, error: u32) -> SocketEnd {
    SocketEnd {
        at_ns,
        cookie,
        error,
        sent: 0,
        sent_last_ns: 0,
        received: 0,
        received_last_ns: 0,
        retransmits: 0,
        sent_zero_windows: 0,
        received_zero_windows: 0,
        received_marked: 0,
        sent_idle: IdleCounts::default(),
        received_idle: IdleCounts::default(),
        stats: SocketStats {
            closed_ns: at_ns,
            ..SocketStats::default()
        },
    }
}

/// The first packet of a direction, wholly copied.
pub(crate) fn turn(cookie: u64, way: Way, at_ns: u64, bytes: &[u8]) -> Turn<'_> {
    Turn {
        at_ns,
        cookie,
        way,
        thread_id: 0,
        owned: None,
        offset: 0,
        previous_ns: 0,
        previous_last_chunk: false,
        seq: 100,
        ack: 200,
        payload_length: u32::try_from(bytes.len()).unwrap(),
        number: Some(0),
        place: Place::NewTurn,
        bytes,
    }
}

/// A packet of a capture file.
pub(crate) fn packet(cookie: u64, at_ns: u64, offset: usize, bytes: &[u8]) -> Turn<'_> {
    Turn {
        offset: offset as u64,
        number: None,
        place: Place::File,
        ..turn(cookie, Way::Egress, at_ns, bytes)
    }
}

/// The client (cookie 1) has sent its SYN, and both directions of a captured connection are known.
pub(crate) fn begin_file(subject: &mut Subject) {
    let client = end(1, "10.0.0.1:5000", "10.0.0.2:80", Way::Egress);
    let server = end(2, "10.0.0.2:80", "10.0.0.1:5000", Way::Egress);
    subject.take(&Input::Syn(End {
        flags: SYN,
        ..client
    }));
    subject.take(&Input::Open(server));
}

/// The last word on each connection, by key, and all exchanges in order.
pub(crate) fn results(subject: &mut Subject) -> (Vec<Connection>, Vec<Exchange>) {
    let mut connections = BTreeMap::new();
    let mut exchanges = Vec::new();
    for event in subject.events() {
        match event {
            Event::Connection(one) => {
                connections.insert(one.key, *one);
            }
            Event::Exchange(one) => exchanges.push(*one),
            Event::Coverage(_)
            | Event::Dns(_)
            | Event::Process(_)
            | Event::KernelDrops(_)
            | Event::ProcessEnd(_)
            | Event::UdpFlow(_) => {}
        }
    }
    (connections.into_values().collect(), exchanges)
}

/// The process of the first socket.
pub(crate) const OWNER: Owner = Owner {
    at_ns: 1,
    cookie: 1,
    pid: 100,
    start_boot_ns: 5,
    cgroup_id: 0,
    comm: [0; 16],
    ancestors: [0; 7],
    certain: true,
};

/// Every process is this one: Headwater itself, or another.
pub(crate) struct Program {
    pub(crate) own: bool,
}

impl Identities for Program {
    fn owner(&mut self, owner: &Owner) -> Option<Identity> {
        Some(Identity {
            key: ProcessKey {
                pid: owner.pid,
                start_boot_ns: owner.start_boot_ns,
            },
            service: Service {
                kind: ServiceKind::Program,
                name: redactor().phrase(b"program"),
                port: None,
            },
            own: self.own,
            evidence: Evidence::TurnStart,
            news: None,
        })
    }

    fn listener(&mut self, _: u32, _: SocketAddr, _: u64) -> Option<Identity> {
        None
    }
}

pub(crate) fn redactor() -> Redactor {
    Redactor::new(&Key::from_bytes([3; 32]), &Policy::default())
}
