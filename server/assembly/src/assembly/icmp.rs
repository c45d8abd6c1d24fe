//! Errors that ICMP told: whose they are, and whether they are believed.
//!
//! Owns: the way from the packet that a message quotes to its conversation, by the addresses of its sender's end. Anybody may
//! send such a message, so that the sequence number which it quotes has to be one that was sent: of a SYN exactly, later
//! about as far as the stream has come (Linux itself asks for one that is not acknowledged yet, which is not known here).
//! Where no number of the sender was seen, and of whoever sent the message, nothing is checked.

use headwater_model::{IcmpErrors, Side};

use super::Assembly;
use crate::{IcmpMessage, Identities, conversation::Conversation};

impl<I: Identities> Assembly<I> {
    /// An error message of ICMP about a packet of TCP.
    pub(super) fn icmp(&mut self, message: &IcmpMessage) {
        let quoted = &message.quoted;
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
