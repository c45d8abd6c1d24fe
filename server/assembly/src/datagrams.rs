//! The table of UDP flows: bounded, found by the addresses of both ends.
//!
//! Owns: which datagrams are one flow seen from both of its ends, who sent first, and the counts. Does not read what is in
//! the datagrams, nor keep time.
//!
//! Invariant: a datagram is told by its sender's socket when that is on this machine, else by its receiver's.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use headwater_model::{
    ConnectionEnd, Evidence, IcmpKinds, Quic, Service, ServiceKind, UdpCount, UdpFlow, UdpFlowKey,
};
use headwater_protocols::quic;
use headwater_redact::{Redactor, Text};

use crate::{Datagram, Identity, Way, table::FastMap};

/// Flows held at once.
const MOST: usize = 8_192;
/// Victims looked at before one is taken that is still in use.
const SPARED: usize = 32;

/// What an end sent, by the counts of one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdpPassed {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// When the count began.
    pub first_ns: u64,
    /// When the last passed.
    pub last_ns: u64,
}

/// One end of a flow.
pub(crate) struct Party {
    pub(crate) address: SocketAddr,
    pub(crate) cookie: Option<u64>,
    pub(crate) netns: u32,
    pub(crate) identity: Option<Identity>,
    /// Sent, by counts that are over.
    before: UdpCount,
    /// Sent, by the count that goes on.
    now: UdpPassed,
}

impl Party {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookie: None,
            netns: 0,
            identity: None,
            before: UdpCount::default(),
            now: UdpPassed::default(),
        }
    }

    pub(crate) fn sent(&self) -> UdpCount {
        UdpCount {
            packets: self.before.packets.saturating_add(self.now.packets),
            bytes: self.before.bytes.saturating_add(self.now.bytes),
        }
    }

    /// One more, of a capture file.
    pub(crate) fn add(&mut self, at_ns: u64, length: u32) {
        self.now.packets += 1;
        self.now.bytes += u64::from(length);
        self.now.last_ns = self.now.last_ns.max(at_ns);
    }

    /// What the socket's count says now. A count that began anew goes on behind the one before.
    pub(crate) fn count(&mut self, passed: UdpPassed) {
        if passed.first_ns != self.now.first_ns {
            self.before = self.sent();
        }
        self.now = passed;
    }

    pub(crate) fn end(
        &self,
        peer: &Self,
        serves: bool,
        name: Option<&Text>,
        redactor: &mut Redactor,
    ) -> ConnectionEnd {
        let port = serves.then_some(self.address.port());
        let service = match (&self.identity, name) {
            (Some(identity), _) => Service {
                port,
                ..identity.service.clone()
            },
            (None, Some(name)) if serves => Service {
                kind: ServiceKind::Host,
                name: name.clone(),
                port,
            },
            (None, _) => Service {
                kind: ServiceKind::Address,
                name: redactor.host(self.address.ip().to_string().as_bytes()),
                port,
            },
        };
        ConnectionEnd {
            address: self.address.ip(),
            port: self.address.port(),
            peer_address: peer.address.ip(),
            peer_port: peer.address.port(),
            local: self.cookie.is_some(),
            netns: self.netns,
            cookie: self.cookie.unwrap_or(0),
            process: self.identity.as_ref().map(|identity| identity.key),
            process_evidence: self
                .identity
                .as_ref()
                .map_or(Evidence::None, |identity| identity.evidence),
            service,
        }
    }
}

/// One flow.
pub(crate) struct Flow {
    pub(crate) key: UdpFlowKey,
    /// The first is who sent first.
    pub(crate) parties: [Party; 2],
    pub(crate) start_ns: u64,
    pub(crate) last_ns: u64,
    /// It carries DNS, which is told by exchanges.
    pub(crate) is_dns: bool,
    /// Queries that wait for an answer.
    pub(crate) waiting: u32,
    /// The id of the last query.
    pub(crate) asked_id: Option<[u8; 2]>,
    /// Errors that ICMP told of it.
    pub(crate) icmp: Option<Box<IcmpKinds>>,
    pub(crate) quic: Option<Quic>,
    /// The client's first datagrams, while its server's name is looked for.
    pub(crate) beginning: Option<Box<quic::Beginning>>,
    /// When the store was last told, and the datagrams and errors then.
    pub(crate) told_ns: u64,
    pub(crate) told_packets: u64,
    pub(crate) told_icmp: u32,
    pub(crate) filtered: bool,
    /// When it was last spared by the choice of what to evict.
    spared_ns: u64,
    addresses: Addresses,
}

impl Flow {
    pub(crate) fn packets(&self) -> u64 {
        self.parties.iter().map(|party| party.sent().packets).sum()
    }

    /// The place of the party with an address.
    pub(crate) fn party_at(&self, address: SocketAddr) -> usize {
        usize::from(self.parties[0].address != address)
    }

    /// As the store wants it.
    pub(crate) fn told(&self, name: Option<&Text>, redactor: &mut Redactor) -> UdpFlow {
        let [client, server] = &self.parties;
        let quic_name = self
            .quic
            .as_ref()
            .and_then(|quic| quic.server_name.as_ref());
        UdpFlow {
            key: self.key,
            client: client.end(server, false, None, redactor),
            server: server.end(client, true, quic_name.or(name), redactor),
            start_ns: self.start_ns,
            last_ns: self.last_ns,
            sent: client.sent(),
            received: server.sent(),
            quic: self.quic.clone(),
            icmp: self.icmp.clone(),
        }
    }

    /// Network namespaces in which it has an end, with a process in each.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = (u32, u32)> {
        let ends = self.parties.iter().filter(|party| party.netns != 0);
        ends.filter_map(|party| Some((party.netns, party.identity.as_ref()?.key.pid)))
    }

    /// Whether one of its ends is Headwater itself.
    pub(crate) fn own(&self) -> bool {
        let mut identities = self
            .parties
            .iter()
            .filter_map(|party| party.identity.as_ref());
        identities.any(|identity| identity.own)
    }
}

/// Both addresses in their order, within one namespace where they mean something there alone. As integers, since each
/// datagram is looked up by them, and a socket address takes many steps to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Addresses {
    netns: u32,
    ends: [(u128, u16); 2],
}

impl Addresses {
    fn new(netns: u32, one: SocketAddr, other: SocketAddr) -> Self {
        let mut ends = [one, other].map(|end| {
            let address = match end.ip() {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            (address.to_bits(), end.port())
        });
        ends.sort_unstable();
        Self { netns, ends }
    }
}

/// All flows.
#[derive(Default)]
pub(crate) struct Table {
    flows: FastMap<u64, Flow>,
    by_addresses: FastMap<Addresses, u64>,
    order: VecDeque<u64>,
    last_key: u64,
    /// Flows that had to make room since last asked.
    pub(crate) evicted: u64,
}

impl Table {
    pub(crate) fn get(&self, key: u64) -> Option<&Flow> {
        self.flows.get(&key)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Flow> {
        self.flows.get_mut(&key)
    }

    /// The flow between two addresses that has an end in a namespace, and the place there of the one with the first address.
    pub(crate) fn find(
        &self,
        netns: u32,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<(u64, usize)> {
        let of = |within| {
            let addresses = Addresses::new(within, source, destination);
            self.by_addresses.get(&addresses)
        };
        let key = *of(netns).or_else(|| of(0))?;
        Some((key, self.flows.get(&key)?.party_at(source)))
    }

    /// All keys, oldest flow first.
    pub(crate) fn keys(&self) -> Vec<u64> {
        self.order.iter().copied().collect()
    }

    /// The flow of a datagram, made when there is none, and the place of its sender there. `None` when the datagram was told
    /// by its sender already.
    pub(crate) fn take(
        &mut self,
        datagram: &Datagram<'_>,
        identity: Option<&Identity>,
    ) -> Option<(u64, usize)> {
        let key = self.key_of(datagram);
        let flow = self.flows.get_mut(&key)?;
        let own = flow.party_at(datagram.local);
        let sender = match datagram.way {
            Way::Egress => own,
            Way::Ingress => 1 - own,
        };
        let party = flow.parties.get_mut(own)?;
        if datagram.cookie != 0 {
            if party.cookie.is_none() {
                // Until now its peer's socket counted what it sent; its own has counted all of it.
                (party.before, party.now) = (UdpCount::default(), UdpPassed::default());
            }
            party.cookie = Some(datagram.cookie);
            party.netns = datagram.netns;
        }
        // Nearly always the one that is known already: a copy for each datagram costs more than the look.
        if identity.is_some() && party.identity.as_ref() != identity {
            party.identity = identity.cloned();
        }
        flow.last_ns = flow.last_ns.max(datagram.at_ns);
        let is_told = datagram.way == Way::Ingress && flow.parties.get(sender)?.cookie.is_some();
        (!is_told).then_some((key, sender))
    }

    fn key_of(&mut self, datagram: &Datagram<'_>) -> u64 {
        let (source, destination) = match datagram.way {
            Way::Egress => (datagram.local, datagram.remote),
            Way::Ingress => (datagram.remote, datagram.local),
        };
        let is_within = datagram.loopback || source.ip().is_loopback();
        let netns = if is_within { datagram.netns } else { 0 };
        let addresses = Addresses::new(netns, source, destination);
        if let Some(key) = self.by_addresses.get(&addresses) {
            return *key;
        }
        while self.flows.len() >= MOST {
            self.evict();
        }
        self.last_key += 1;
        let key = self.last_key;
        let flow = Flow {
            key: UdpFlowKey(key),
            parties: [Party::new(source), Party::new(destination)],
            start_ns: datagram.at_ns,
            last_ns: datagram.at_ns,
            is_dns: false,
            waiting: 0,
            asked_id: None,
            icmp: None,
            quic: None,
            beginning: None,
            told_ns: 0,
            told_packets: 0,
            told_icmp: 0,
            filtered: false,
            spared_ns: 0,
            addresses,
        };
        self.flows.insert(key, flow);
        self.by_addresses.insert(addresses, key);
        self.order.push_back(key);
        key
    }

    /// The oldest flow goes; those in which a query waits or that were used since are spared, for a while.
    fn evict(&mut self) {
        for _ in 0..SPARED {
            let Some(key) = self.order.pop_front() else {
                return;
            };
            let Some(flow) = self.flows.get_mut(&key) else {
                continue;
            };
            if flow.waiting == 0 && (flow.is_dns || flow.last_ns <= flow.spared_ns) {
                self.evicted += u64::from(!flow.is_dns);
                return self.forget(key);
            }
            flow.spared_ns = flow.last_ns;
            self.order.push_back(key);
        }
        if let Some(key) = self.order.pop_front() {
            self.evicted += 1;
            self.forget(key);
        }
    }

    /// Drops the flows that `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Flow) -> bool) {
        let gone: Vec<u64> = self
            .flows
            .values()
            .filter(|flow| !keep(flow))
            .map(|flow| flow.key.0)
            .collect();
        if gone.is_empty() {
            return;
        }
        for key in gone {
            self.forget(key);
        }
        let flows = &self.flows;
        self.order.retain(|key| flows.contains_key(key));
    }

    fn forget(&mut self, key: u64) {
        if let Some(flow) = self.flows.remove(&key) {
            self.by_addresses.remove(&flow.addresses);
        }
    }
}
