//! Errors that ICMP told: whose they are, and whether they are believed.
//!
//! Owns: the way from the packet that a message quotes to its conversation or UDP flow, by the addresses of its sender's end.
//! Anybody may send such a message, so that what it quotes has to be what was sent. Of TCP the sequence number: of a SYN
//! exactly, later about as far as the stream has come (Linux itself asks for one that is not acknowledged yet, which is not
//! known here). Where no number of the sender was seen nothing of it is checked. Of DNS the id of a query that waits, which
//! ends with it; of other UDP nothing but the addresses and ports, in the namespace of the socket that sent. Who sent the
//! message is not checked.

use headwater_model::{IcmpErrors, Side};

use super::Assembly;
use crate::{
    IcmpMessage, Identities, Quoted, QuotedDatagram, QuotedSegment, conversation::Conversation,
    datagrams::Flow, dns,
};

impl<I: Identities> Assembly<I> {
    /// An error message of ICMP.
    pub(super) fn icmp(&mut self, message: &IcmpMessage) {
        match &message.quoted {
            Quoted::Datagram(quoted) => self.icmp_of_datagram(message, quoted),
            Quoted::Segment(quoted) => self.icmp_of_segment(message, quoted),
        }
    }

    fn icmp_of_datagram(&mut self, message: &IcmpMessage, quoted: &QuotedDatagram) {
        if !self.limits.live {
            self.time_passes(message.at_ns);
        }
        let flows = &self.datagrams.flows;
        let Some((key, sender)) = flows.find(message.netns, quoted.source, quoted.destination)
        else {
            self.tally.icmp_unknown += 1;
            return;
        };
        let is_live = self.limits.live;
        let sent = |flow| has_sent(flow, sender, message.netns, is_live);
        if !flows.get(key).is_some_and(sent) {
            self.tally.icmp_not_believed += 1;
            return;
        }
        // Who asks is the client of an exchange, whoever began the flow.
        let of_query = message.told(Side::Client);
        let is_query =
            !is_source_quench(message) && self.dns_undelivered((key, sender), quoted, of_query);
        let Some(flow) = self.datagrams.flows.get_mut(key) else {
            return;
        };
        let asks = flow.waiting > 0 && quoted.destination.port() == dns::PORT;
        if flow.is_dns || asks {
            self.tally.icmp_not_believed += u64::from(!is_query);
            return;
        }
        let about = if sender == 0 {
            Side::Client
        } else {
            Side::Server
        };
        flow.icmp.get_or_insert_default().add(message.told(about));
    }

    fn icmp_of_segment(&mut self, message: &IcmpMessage, quoted: &QuotedSegment) {
        let find = |netns| {
            let key = (netns, quoted.source, quoted.destination);
            self.table.by_addresses.get(&key).copied()
        };
        // Where the kernel does not tell namespaces apart, all connections are in one without a number.
        let Some((place, party)) = find(message.netns).or_else(|| find(0)) else {
            self.tally.icmp_unknown += 1;
            return;
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if !may_have_sent(conversation, party, quoted.seq) {
            self.tally.icmp_not_believed += 1;
            return;
        }
        let about = if conversation.client.unwrap_or(0) == party {
            Side::Client
        } else {
            Side::Server
        };
        let error = message.told(about);
        match &mut conversation.icmp {
            Some(errors) => errors.add(error),
            none => *none = Some(Box::new(IcmpErrors::of(error))),
        }
        conversation.changed = true;
    }
}

/// Whether the end that a message says has sent a datagram is one that may have: on this machine a socket in the namespace
/// that the message came to, whose counts are looked at later; in a capture file one that was seen to.
fn has_sent(flow: &Flow, sender: usize, netns: u32, is_live: bool) -> bool {
    let Some(party) = flow.parties.get(sender) else {
        return false;
    };
    if is_live {
        let is_there = party.netns == netns || party.netns == 0 || netns == 0;
        party.cookie.is_some() && is_there
    } else {
        party.sent().packets > 0
    }
}

/// A message that says nothing of what it quotes, and is to be ignored (RFC 6633).
fn is_source_quench(message: &IcmpMessage) -> bool {
    message.from.is_ipv4() && message.kind == 4
}

/// Whether a packet of `party` can have had this sequence number.
fn may_have_sent(conversation: &Conversation, party: usize, seq: u32) -> bool {
    let passed = conversation.passed(party);
    let Some(own) = conversation.parties.get(party) else {
        return false;
    };
    let initial = own.tcp.handshake.and_then(|handshake| handshake.seq);
    if passed == 0
        && let Some(initial) = initial
    {
        // The SYN's own, or that of what comes next.
        return seq.wrapping_sub(initial) <= 1;
    }
    let first = own.first_seq.or(initial.map(|seq| seq.wrapping_add(1)));
    let Some(first) = first else {
        return true;
    };
    let low = u32::try_from(passed & u64::from(u32::MAX)).unwrap_or(0);
    let ahead = seq.wrapping_sub(first).wrapping_sub(low);
    i32::from_ne_bytes(ahead.to_ne_bytes()).unsigned_abs() <= NEAR
}

/// Payload beyond the beginning of a turn is looked at five times a second: so much may have passed since.
const NEAR: u32 = 16 << 20;
