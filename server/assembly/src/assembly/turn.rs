//! Payload: which end tells it, and what the other end still knows of what was lost.

use super::Assembly;
use crate::{Identities, Place, Turn, Way, heads::tag, stream::Piece};

impl<I: Identities> Assembly<I> {
    pub(super) fn turn(&mut self, turn: &Turn<'_>) {
        let Some((place, party)) = self.place_of(turn) else {
            return;
        };
        let sender = match turn.way {
            Way::Egress => party,
            Way::Ingress => 1 - party,
        };
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if conversation.has_ended() {
            // Sent again, or late: what it is part of has been told.
            return;
        }
        if turn.way == Way::Ingress
            && conversation
                .parties
                .get(sender)
                .is_some_and(|sender| sender.cookie.is_some())
        {
            return self.seen_at_the_other_end(place, sender, turn);
        }
        if let Some(sender) = conversation.parties.get_mut(sender) {
            sender.first_seq = Some(turn.seq.wrapping_sub(low(turn.offset)));
        }
        let generation = conversation.generation;
        let piece = Piece {
            at_ns: turn.at_ns,
            tag: tag(turn.thread_id, turn.owned, turn.place == Place::NewTurn),
            offset: turn.offset,
            payload_length: turn.payload_length,
            number: turn.number,
            place: turn.place,
            previous_ns: turn.previous_ns,
            previous_last_chunk: turn.previous_last_chunk,
            other_end: false,
            bytes: turn.bytes,
        };
        conversation.payload(sender, &piece, &mut self.heads);
        if turn.way == Way::Egress && !conversation.loopback && !conversation.both_local() {
            self.pairing
                .departed(turn.seq, turn.ack, turn.at_ns, place, generation, party);
        }
        self.deliver(place);
        self.keep_within_budget(turn.at_ns);
    }

    /// A packet that its sender's own end has shown already, before it came: records are in that order. If that record was
    /// lost, this one holds the same bytes, by the same numbers, whatever lies between the two ends.
    fn seen_at_the_other_end(&mut self, place: usize, sender: usize, turn: &Turn<'_>) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let passed = conversation.passed(sender);
        let sender_end = conversation.parties.get(sender);
        let Some(first_seq) = sender_end.and_then(|party| party.first_seq) else {
            return;
        };
        // Numbers are modulo 2^32, so this is the place of that number which is nearest to what has passed.
        let ahead = turn.seq.wrapping_sub(first_seq).wrapping_sub(low(passed));
        let Some(offset) = passed.checked_add_signed(i64::from(ahead.cast_signed())) else {
            return;
        };
        if offset.saturating_add(u64::from(turn.payload_length)) <= passed {
            return;
        }
        let piece = Piece {
            at_ns: turn.at_ns,
            // The thread that receives is not the one that sent.
            tag: 0,
            offset,
            payload_length: turn.payload_length,
            number: None,
            place: turn.place,
            previous_ns: turn.previous_ns,
            previous_last_chunk: turn.previous_last_chunk,
            other_end: true,
            bytes: turn.bytes,
        };
        conversation.payload(sender, &piece, &mut self.heads);
        self.deliver(place);
        self.keep_within_budget(turn.at_ns);
    }
}

/// Positions are counted modulo 2^32 by TCP.
fn low(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or(0)
}
