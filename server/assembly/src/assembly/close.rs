//! How conversations end.

use headwater_model::{CloseReason, Event};
use headwater_protocols::http1;

use super::Assembly;
use super::segments::{idle_counts, note};
use crate::{End, Identities, SocketEnd, Way, conversation::Phase, stream::Missing};

/// Errors of errno(3) that end a socket, and what they mean here.
mod errno {
    pub(super) const EACCES: u32 = 13;
    pub(super) const ENONET: u32 = 64;
    pub(super) const EPROTO: u32 = 71;
    pub(super) const ENOPROTOOPT: u32 = 92;
    pub(super) const ENETUNREACH: u32 = 101;
    pub(super) const ECONNRESET: u32 = 104;
    pub(super) const ETIMEDOUT: u32 = 110;
    pub(super) const ECONNREFUSED: u32 = 111;
    pub(super) const EHOSTDOWN: u32 = 112;
    pub(super) const EHOSTUNREACH: u32 = 113;
}

/// TCP_SYN_SENT of include/net/tcp_states.h.
const SYN_SENT: u8 = 2;

impl<I: Identities> Assembly<I> {
    /// FIN or RST. A RST may carry the cookie of a socket of the kernel's own, so addresses are asked as well.
    pub(super) fn closed(&mut self, end: &End) {
        let by_cookie = self
            .table
            .flows
            .get(&end.cookie)
            .and_then(|flow| flow.place);
        let own = (end.netns, end.local, end.remote);
        let peer = (end.netns, end.remote, end.local);
        let by_own = || self.table.by_addresses.get(&own).copied();
        let by_peer = || {
            self.table
                .by_addresses
                .get(&peer)
                .map(|(place, party)| (*place, 1 - party))
        };
        let Some((place, party)) = by_cookie.or_else(by_own).or_else(by_peer) else {
            return;
        };
        let sender = match end.way {
            Way::Egress => party,
            Way::Ingress => 1 - party,
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let is_told_twice = end.way == Way::Ingress && conversation.both_local();
        if !is_told_twice
            && let Some(party) = conversation.parties.get_mut(sender)
            && note(&mut party.tcp, end)
        {
            conversation.changed = true;
        }
        if conversation.has_ended() || is_told_twice && !end.flags.rst {
            return;
        }
        if end.last_ns != 0 {
            conversation.advance(
                sender,
                end.offset,
                end.last_ns,
                Missing::NotCopied { last_chunk: false },
                &mut self.heads,
            );
        }
        if end.flags.rst {
            let client = conversation.client.unwrap_or(0);
            let reason = match (conversation.phase, sender == client) {
                (Phase::Attempt, false) => CloseReason::Refused,
                (_, true) => CloseReason::ClientReset,
                (_, false) => CloseReason::ServerReset,
            };
            conversation.end(sender, end.at_ns, http1::End::Reset, &mut self.heads);
            self.deliver(place);
            return self.finish(place, end.at_ns, reason, http1::End::Reset);
        }
        conversation.end(sender, end.at_ns, http1::End::Fin, &mut self.heads);
        if let Some(party) = conversation.parties.get_mut(sender) {
            party.finished = true;
        }
        let over = conversation.parties.iter().all(|party| party.finished);
        self.deliver(place);
        if over {
            self.finish(place, end.at_ns, CloseReason::Fin, http1::End::Fin);
        }
    }

    /// A socket's end: the last word on its bytes, and on why.
    pub(super) fn socket(&mut self, socket: &SocketEnd) {
        let Some((place, party)) = self
            .table
            .flows
            .get(&socket.cookie)
            .and_then(|flow| flow.place)
        else {
            self.table.flows.remove(&socket.cookie);
            return;
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let rest = Missing::NotCopied { last_chunk: false };
        if socket.sent_last_ns != 0 {
            conversation.advance(
                party,
                socket.sent,
                socket.sent_last_ns,
                rest,
                &mut self.heads,
            );
        }
        let peer_local = conversation
            .parties
            .get(1 - party)
            .is_some_and(|peer| peer.cookie.is_some());
        if socket.received_last_ns != 0 && !peer_local {
            conversation.advance(
                1 - party,
                socket.received,
                socket.received_last_ns,
                rest,
                &mut self.heads,
            );
        }
        conversation.changed = true;
        let is_loopback = conversation.loopback;
        if let Some(party) = conversation.parties.get_mut(party) {
            party.retransmits = party.retransmits.max(socket.retransmits);
            let counts = party.tcp.counts_mut();
            counts.retransmits = Some(socket.retransmits.into());
            counts.zero_windows = Some(socket.sent_zero_windows.into());
            idle_counts(counts, socket.sent_idle);
            party.tcp.socket = Some(Box::new(socket.stats));
        }
        if let Some(peer) = conversation
            .parties
            .get_mut(1 - party)
            .filter(|_| !is_loopback)
        {
            let counts = peer.tcp.counts_mut();
            counts.congestion_experienced = Some(socket.received_marked.into());
            if !peer_local {
                counts.zero_windows = Some(socket.received_zero_windows.into());
                idle_counts(counts, socket.received_idle);
            }
        }
        if conversation.has_ended() {
            if conversation.sockets_are_closed() && conversation.is_settled() {
                self.conclude(place);
            }
            return;
        }
        let attempt = conversation.phase == Phase::Attempt;
        let is_client = conversation.client.unwrap_or(0) == party;
        let (reason, how) = match socket.error {
            errno::ECONNREFUSED => (CloseReason::Refused, http1::End::Reset),
            errno::ETIMEDOUT => (CloseReason::TimedOut, http1::End::TimedOut),
            errno::ENETUNREACH | errno::EHOSTUNREACH => {
                (CloseReason::Unreachable, http1::End::TimedOut)
            }
            // What Linux makes of the other codes of ICMP (icmp_err_convert, icmpv6_err_convert).
            errno::EACCES
            | errno::EPROTO
            | errno::ENONET
            | errno::ENOPROTOOPT
            | errno::EHOSTDOWN
                if attempt =>
            {
                (CloseReason::Unreachable, http1::End::TimedOut)
            }
            errno::ECONNRESET if is_client => (CloseReason::ServerReset, http1::End::Reset),
            errno::ECONNRESET => (CloseReason::ClientReset, http1::End::Reset),
            // Whoever does not wait in connect(2) is given such an error by SO_ERROR, and the socket forgets it.
            0 if attempt && socket.stats.state == SYN_SENT => (
                conversation.ended_by_icmp().unwrap_or(CloseReason::GaveUp),
                http1::End::Evicted,
            ),
            _ if attempt => (CloseReason::Unknown, http1::End::Evicted),
            // An ordinary end: FINs say the rest, and the other end may have more to tell.
            _ => {
                self.deliver(place);
                return;
            }
        };
        // An error that a socket reports was caused by its peer or the path, but for a time-out, which ends both ways.
        conversation.end(1 - party, socket.at_ns, how, &mut self.heads);
        self.deliver(place);
        self.finish(place, socket.at_ns, reason, how);
    }

    /// Ends everything, at the end of the recorder or of a capture file. Connections stay open in the store: they are.
    pub fn finish_all(&mut self, at_ns: u64) {
        self.finish_datagrams(at_ns);
        for place in self.table.in_use() {
            let Some(conversation) = self.table.get_mut(place) else {
                continue;
            };
            if conversation.has_ended() {
                self.conclude(place);
                continue;
            }
            // In a capture file nothing else tells that an attempt is over.
            if !self.limits.live
                && conversation.phase == Phase::Attempt
                && let Some(reason) = conversation.ended_by_icmp()
            {
                let told_ns = conversation.icmp.as_ref().map(|icmp| icmp.last.at_ns);
                self.finish_now(place, told_ns.unwrap_or(at_ns), reason, http1::End::Evicted);
                continue;
            }
            for party in 0..2 {
                conversation.end(party, at_ns, http1::End::Evicted, &mut self.heads);
            }
            conversation.end_plaintext(&mut self.heads);
            self.deliver(place);
            self.announce(place, true);
            self.table.remove(place);
        }
    }

    pub(super) fn count_protocol(&mut self, place: usize) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if conversation.own() || conversation.parties.iter().all(|party| party.bytes == 0) {
            return;
        }
        self.tally.dns_not_read += conversation.dns_not_read();
        match conversation.protocol {
            Some("tls") if !conversation.has_told_plaintext() => self.tally.tls += 1,
            Some("tls") => self.tally.other += 1,
            None if conversation.host.is_none() => self.tally.other += 1,
            Some(_) | None => {}
        }
    }

    /// For events that do not come from conversations.
    pub fn push(&mut self, event: Event) {
        self.events.push(event);
    }
}
