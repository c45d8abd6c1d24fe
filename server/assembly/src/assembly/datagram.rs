//! UDP: datagrams come in; flows come out of all but DNS, whose messages go on to `dns`.

use std::net::SocketAddr;

use headwater_model::{DnsKey, Event, Quic, Resolution};
use headwater_protocols::{
    dns::{self as wire, looks_like_message},
    quic,
};
use headwater_redact::Redactor;

use super::Assembly;
use crate::{
    Datagram, Identities, Identity, Look, Owner, Way,
    datagrams::{Flow, UdpPassed},
    dns,
    resolved::Asker,
    table::{FastMap, FastSet},
};

/// Owners of UDP sockets remembered. The probes tell them again, so that all can be forgotten at once.
const MAX_OWNERS: usize = 16_384;
/// A flow that was there for so long is given out.
const SHOWN_AFTER_NS: u64 = 500_000_000;
/// While it goes on, it is given out again so often.
const SHOWN_AGAIN_NS: u64 = 10_000_000_000;
/// After so long without a datagram it is over: twice what the probes take for a new beginning.
const QUIET_NS: u64 = 60_000_000_000;
/// The same for a flow of DNS, all of whose datagrams are told.
const DNS_QUIET_NS: u64 = 15_000_000_000;
/// A flow with a datagram so lately is one that is heard of: more than passes between two ticks.
const HEARD_NS: u64 = 2_000_000_000;
/// Flows looked at in one tick.
const MAX_LOOKS: usize = 2_048;

/// A UDP socket's flow, for a look into the probes' counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSocket {
    /// The socket.
    pub cookie: u64,
    /// Its address.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// Which way.
    pub way: Way,
}

/// What UDP adds to the assembly.
pub(super) struct Datagrams {
    pub(super) flows: crate::datagrams::Table,
    pub(super) pairing: wire::Pairing<u64>,
    /// Room for the exchanges that a message ends.
    pub(super) ended: Vec<wire::Exchange<u64>>,
    owners: FastMap<u64, Identity>,
    /// Flows of the last question of each client.
    pub(super) asked: FastMap<(u32, SocketAddr), u64>,
    /// Servers that have answered on another port than DNS's.
    pub(super) servers: FastSet<SocketAddr>,
    /// Messages that could not be read, as far as told.
    pub(super) not_read: u64,
    first_look: u64,
    next_exchange: u64,
}

impl Default for Datagrams {
    fn default() -> Self {
        let limits = wire::Limits {
            timeout_ns: dns::TIMEOUT_NS,
            ..wire::Limits::default()
        };
        Self {
            flows: crate::datagrams::Table::default(),
            pairing: wire::Pairing::new(limits),
            ended: Vec::new(),
            owners: FastMap::default(),
            asked: FastMap::default(),
            servers: FastSet::default(),
            not_read: 0,
            first_look: 0,
            next_exchange: 0,
        }
    }
}

impl Datagrams {
    pub(super) fn next_key(&mut self) -> DnsKey {
        self.next_exchange += 1;
        DnsKey(self.next_exchange)
    }
}

impl<I: Identities> Assembly<I> {
    pub(super) fn datagram_owner(&mut self, owner: &Owner) {
        let Some(mut identity) = self.identities.owner(owner) else {
            return;
        };
        if let Some(process) = identity.news.take() {
            self.events.push(Event::Process(process));
        }
        let owners = &mut self.datagrams.owners;
        if owners.len() >= MAX_OWNERS {
            self.tally.udp_owners_forgotten += owners.len() as u64;
            owners.clear();
        }
        owners.insert(owner.cookie, identity);
    }

    pub(super) fn datagram(&mut self, datagram: &Datagram<'_>) {
        if !self.limits.live {
            self.time_passes(datagram.at_ns);
        }
        let Datagrams { flows, owners, .. } = &mut self.datagrams;
        let owner = owners.get(&datagram.cookie);
        if let Some(owner) = owner.filter(|_| datagram.netns != 0) {
            self.namespaces.insert(datagram.netns, owner.key.pid);
        }
        let Some((key, sender)) = flows.take(datagram, owner) else {
            return;
        };
        self.tally.udp_evicted += std::mem::take(&mut flows.evicted);
        let Some(flow) = flows.get_mut(key) else {
            return;
        };
        if !self.limits.live
            && let Some(party) = flow.parties.get_mut(sender)
        {
            party.add(datagram.at_ns, datagram.payload_length);
        }
        let redactor = &mut self.heads.redactor;
        self.tally.quic += u64::from(see_quic(flow, sender, datagram, redactor));
        if may_be_dns(flow, datagram) {
            self.dns_message(key, sender, datagram);
        }
    }

    /// Gives up on questions, and tells flows. `look` tells what a socket has sent or received in a flow.
    pub fn tick_datagrams(
        &mut self,
        now_ns: u64,
        mut look: impl FnMut(&UdpSocket) -> Option<UdpPassed>,
    ) {
        self.time_passes(now_ns);
        // Those that were spared when others had to make room stand behind younger ones.
        let mut keys = self.datagrams.flows.keys();
        keys.sort_unstable();
        let first = keys.partition_point(|key| *key < self.datagrams.first_look);
        keys.rotate_left(first);
        let (mut looks, mut first_left) = (0, 0);
        for key in keys {
            let Some(flow) = self.datagrams.flows.get_mut(key) else {
                continue;
            };
            if flow.is_dns || now_ns.saturating_sub(flow.start_ns) < SHOWN_AFTER_NS {
                continue;
            }
            looks += 1;
            if looks > MAX_LOOKS {
                first_left = key;
                break;
            }
            count(flow, &mut look);
            if now_ns.saturating_sub(flow.last_ns) < HEARD_NS {
                let met = flow.namespaces();
                self.namespaces.extend(met);
            }
            self.tell_flow(key, now_ns, false);
        }
        self.datagrams.first_look = first_left;
        self.datagrams.flows.retain(|flow| {
            let quiet = if flow.is_dns { DNS_QUIET_NS } else { QUIET_NS };
            flow.waiting > 0 || now_ns.saturating_sub(flow.last_ns) < quiet
        });
    }

    /// Questions to which no answer came in time.
    pub(super) fn time_passes(&mut self, now_ns: u64) {
        let mut ended = Vec::new();
        self.datagrams
            .pairing
            .tick(now_ns, &mut |exchange| ended.push(exchange));
        for exchange in ended {
            self.dns_ended(exchange, None, now_ns);
        }
    }

    /// Gives out a flow when that is due.
    fn tell_flow(&mut self, key: u64, now_ns: u64, is_last: bool) {
        let Some(flow) = self.datagrams.flows.get_mut(key) else {
            return;
        };
        let packets = flow.packets();
        let icmp = flow.icmp.as_ref().map_or(0, |icmp| icmp.count());
        let is_new = (packets, icmp) != (flow.told_packets, flow.told_icmp);
        let is_due = flow.told_ns == 0
            || now_ns.saturating_sub(flow.told_ns) >= SHOWN_AGAIN_NS
            || now_ns.saturating_sub(flow.last_ns) >= SHOWN_AGAIN_NS;
        if !(is_new && (is_due || is_last)) {
            return;
        }
        flow.told_ns = now_ns;
        (flow.told_packets, flow.told_icmp) = (packets, icmp);
        let [client, server] = &flow.parties;
        let is_counted = std::mem::replace(&mut flow.filtered, true);
        if flow.own() {
            return;
        }
        if !self.limits.wants(server.address.port()) {
            self.tally.filtered += u64::from(!is_counted);
            return;
        }
        let process = client.identity.as_ref().map(|identity| identity.key);
        let askers = Asker::all(self.limits.live, client.address.ip(), process, client.netns);
        let resolution = self
            .resolved
            .find(askers, server.address.ip(), flow.start_ns);
        let name = resolution
            .filter(Resolution::names_its_server)
            .map(|resolution| resolution.name);
        let told = flow.told(name.as_ref(), &mut self.heads.redactor);
        self.events.push(Event::UdpFlow(Box::new(told)));
    }

    /// Ends everything, at the end of the recorder or of a capture file.
    pub(super) fn finish_datagrams(&mut self, at_ns: u64) {
        let mut ended = Vec::new();
        self.datagrams
            .pairing
            .finish(at_ns, &mut |exchange| ended.push(exchange));
        for exchange in ended {
            self.dns_ended(exchange, None, at_ns);
        }
        for key in self.datagrams.flows.keys() {
            let is_dns = self.datagrams.flows.get(key).is_none_or(|flow| flow.is_dns);
            if !is_dns {
                self.tell_flow(key, at_ns, true);
            }
        }
    }
}

fn may_be_dns(flow: &Flow, datagram: &Datagram<'_>) -> bool {
    if !matches!(datagram.look, Look::Dns | Look::File) || datagram.bytes.is_empty() {
        return false;
    }
    let (local, remote) = (datagram.local, datagram.remote);
    if local.ip().is_multicast() || remote.ip().is_multicast() {
        return false;
    }
    if local.port() == dns::PORT || remote.port() == dns::PORT {
        return true;
    }
    !dns::is_never(local.port())
        && !dns::is_never(remote.port())
        && (flow.is_dns || looks_like_message(datagram.bytes))
}

/// Looks for QUIC, and for the name that its client gives. Says whether it is one, the first time.
fn see_quic(
    flow: &mut Flow,
    sender: usize,
    datagram: &Datagram<'_>,
    redactor: &mut Redactor,
) -> bool {
    // Who sent first is the client; what its server sends has other keys.
    let is_first = flow.quic.is_none();
    let is_done = !is_first && flow.beginning.is_none();
    if sender != 0 || is_done || !matches!(datagram.look, Look::Quic | Look::File) {
        return false;
    }
    let Some(version) = quic::version(datagram.bytes) else {
        // Of a client with the handshake behind it nothing more is to be read.
        flow.beginning = None;
        return false;
    };
    if is_first {
        flow.beginning = Some(Box::default());
    }
    let seen = flow.quic.get_or_insert(Quic {
        version,
        server_name: None,
    });
    let beginning = flow.beginning.as_mut();
    if let Some(name) = beginning.and_then(|beginning| beginning.datagram(datagram.bytes)) {
        seen.server_name = Some(redactor.host(&name.to_ascii_lowercase()));
        flow.beginning = None;
    }
    is_first
}

fn count(flow: &mut Flow, look: &mut impl FnMut(&UdpSocket) -> Option<UdpPassed>) {
    for sender in 0..2 {
        let (Some(own), Some(peer)) = (flow.parties.get(sender), flow.parties.get(1 - sender))
        else {
            return;
        };
        let socket = match (own.cookie, peer.cookie) {
            (Some(cookie), _) => UdpSocket {
                cookie,
                local: own.address,
                remote: peer.address,
                way: Way::Egress,
            },
            (None, Some(cookie)) => UdpSocket {
                cookie,
                local: peer.address,
                remote: own.address,
                way: Way::Ingress,
            },
            (None, None) => return,
        };
        let Some(passed) = look(&socket) else {
            continue;
        };
        flow.last_ns = flow.last_ns.max(passed.last_ns);
        if let Some(party) = flow.parties.get_mut(sender) {
            party.count(passed);
        }
    }
}
