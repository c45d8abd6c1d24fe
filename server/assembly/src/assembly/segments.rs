//! What packets say of their connection besides their payload: handshakes, first packets, and what a capture file's reader
//! counts.
//!
//! Owns: whose header elements a packet's are. Handshake packets carry the listener's cookie at the server's end, so that
//! they are found by addresses and namespace, and wait as a `Knock` where the connection is not known as yet.

use std::net::SocketAddr;

use headwater_model::{Handshake, SegmentCounts, TcpEnd};

use super::Assembly;
use crate::{End, Identities, Idle, IdleCounts, Way};

/// A SYN from elsewhere, and what the listener answered.
#[derive(Debug, Clone, Default)]
pub(super) struct Knock {
    pub(super) at_ns: u64,
    pub(super) client: TcpEnd,
    pub(super) server: TcpEnd,
}

impl<I: Identities> Assembly<I> {
    /// The first payload of a direction; its `Turn` follows.
    pub(super) fn opened(&mut self, end: &End) {
        let flow = self.flow(end.cookie, end.at_ns);
        flow.end = Some(*end);
        if let Some((place, party)) = flow.place {
            self.note(place, sender(end, party), end);
        }
    }

    /// Notes what a packet says of the party that sent it.
    pub(super) fn note(&mut self, place: usize, sender: usize, end: &End) {
        if let Some(conversation) = self.table.get_mut(place)
            && let Some(party) = conversation.parties.get_mut(sender)
            && note(&mut party.tcp, end)
        {
            conversation.changed = true;
        }
    }

    /// A SYN from elsewhere. The listener's cookie says nothing of the connection to come; its addresses do.
    pub(super) fn knock(&mut self, end: &End) {
        let key = (end.netns, end.local, end.remote);
        if let Some(knock) = self.knocks.get_mut(&key)
            && end.at_ns.saturating_sub(knock.at_ns) < SAME_ATTEMPT_NS
        {
            note(&mut knock.client, end);
            return;
        }
        self.make_room_for_knock();
        let mut knock = Knock {
            at_ns: end.at_ns,
            ..Knock::default()
        };
        note(&mut knock.client, end);
        self.knocks.insert(key, knock);
    }

    /// What a listener answers to somebody elsewhere; in a capture file the SYN may be missing.
    pub(super) fn answer(&mut self, end: &End) {
        let key = (end.netns, end.local, end.remote);
        if let Some(knock) = self.knocks.get_mut(&key) {
            note(&mut knock.server, end);
            return;
        }
        if self.limits.live {
            return;
        }
        self.make_room_for_knock();
        let mut knock = Knock {
            at_ns: end.at_ns,
            ..Knock::default()
        };
        note(&mut knock.server, end);
        self.knocks.insert(key, knock);
    }

    /// Keep-alives and window probes of a connection that is still open.
    pub(super) fn idle(&mut self, idle: &Idle) {
        let Some((place, party)) = self
            .table
            .flows
            .get(&idle.cookie)
            .and_then(|flow| flow.place)
        else {
            return;
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let sender = match idle.way {
            Way::Egress => party,
            // The sender's own end tells of it too.
            Way::Ingress if conversation.both_local() => return,
            Way::Ingress => 1 - party,
        };
        if let Some(party) = conversation.parties.get_mut(sender) {
            idle_counts(party.tcp.counts_mut(), idle.counts);
            conversation.changed = true;
        }
    }

    fn make_room_for_knock(&mut self) {
        if self.knocks.len() >= self.limits.conversations {
            let mut times: Vec<_> = self.knocks.values().map(|knock| knock.at_ns).collect();
            let middle = times.len() / 2;
            if middle < times.len() {
                let newest_old = *times.select_nth_unstable(middle).1;
                let before = self.knocks.len();
                self.knocks.retain(|_, knock| knock.at_ns > newest_old);
                self.tally.knocks_forgotten += (before - self.knocks.len()) as u64;
            }
        }
    }

    /// What was counted of the packets from one address to another (capture files only), in place of what was before.
    pub fn counted(&mut self, from: SocketAddr, to: SocketAddr, counts: &SegmentCounts) {
        let own = self.table.by_addresses.get(&(0, from, to)).copied();
        let peer = || {
            let (place, party) = self.table.by_addresses.get(&(0, to, from)).copied()?;
            Some((place, 1 - party))
        };
        let Some((place, party)) = own.or_else(peer) else {
            return;
        };
        if let Some(conversation) = self.table.get_mut(place)
            && let Some(party) = conversation.parties.get_mut(party)
        {
            // Resets are counted where they are told, here as in live traffic.
            let own = party.tcp.counts_mut();
            *own = SegmentCounts {
                resets: own.resets,
                ..*counts
            };
            conversation.changed = true;
        }
    }
}

/// Puts in what was counted of an idle sender.
pub(super) fn idle_counts(counts: &mut SegmentCounts, idle: IdleCounts) {
    counts.keep_alives = Some(idle.keep_alives.into());
    counts.window_probes = Some(idle.window_probes.into());
}

/// Which party sent the packet that told of `party`'s socket.
pub(super) fn sender(end: &End, party: usize) -> usize {
    match end.way {
        Way::Egress => party,
        Way::Ingress => 1 - party,
    }
}

/// Notes what a packet says of the end that sent it. Says whether that is news.
pub(super) fn note(tcp: &mut TcpEnd, end: &End) -> bool {
    let mut is_news = tcp.ip.is_none() && end.ip.is_some();
    tcp.ip = tcp.ip.or(end.ip);
    if end.flags.syn {
        is_news = true;
        if tcp.handshake.is_some() {
            tcp.syn_retries = tcp.syn_retries.saturating_add(1);
        } else {
            tcp.handshake = end.handshake.or(Some(Handshake {
                at_ns: end.at_ns,
                is_malformed: true,
                ..Handshake::default()
            }));
        }
    }
    if end.flags.fin && tcp.fin_ns.is_none() {
        is_news = true;
        tcp.fin_ns = Some(end.at_ns);
    }
    if end.flags.rst {
        is_news = true;
        tcp.rst_ns.get_or_insert(end.at_ns);
        let resets = &mut tcp.counts_mut().resets;
        *resets = Some(resets.unwrap_or(0).saturating_add(1));
    }
    is_news
}

/// A SYN with the addresses of one before it is that one sent again, if it comes within the time that Linux tries for
/// (tcp_syn_retries of 6: 127 seconds).
const SAME_ATTEMPT_NS: u64 = 130_000_000_000;
