//! Payload: which end tells it, and what the other end still knows of what was lost.

use super::Assembly;
use crate::{Identities, Place, Turn, Way, conversation::Conversation, heads::tag, stream::Piece};

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
        let Some(from) = conversation.parties.get_mut(sender) else {
            return;
        };
        let piece = if turn.way == Way::Ingress && from.cookie.is_some() {
            let Some(piece) = lost_at_its_sender(conversation, sender, turn) else {
                return;
            };
            piece
        } else {
            from.first_seq = Some(turn.seq.wrapping_sub(low(turn.offset)));
            piece(turn)
        };
        let generation = conversation.generation;
        conversation.payload(sender, &piece, &mut self.heads);
        if turn.way == Way::Egress && !conversation.loopback && !conversation.both_local() {
            self.pairing
                .departed(turn.seq, turn.ack, turn.at_ns, place, generation, party);
        }
        self.deliver(place);
        self.keep_within_budget(turn.at_ns);
    }
}

fn piece<'t>(turn: &Turn<'t>) -> Piece<'t> {
    Piece {
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
    }
}

/// A packet that its sender's own end has shown already, before it came: records are in that order. If that record was
/// lost, this one holds the same bytes, by the same numbers, whatever lies between the two ends.
fn lost_at_its_sender<'t>(
    conversation: &Conversation,
    sender: usize,
    turn: &Turn<'t>,
) -> Option<Piece<'t>> {
    // Of the sender's own records: where none has come, its positions are not known.
    let first_seq = conversation.parties.get(sender)?.first_seq?;
    let passed = conversation.passed(sender);
    // Numbers are modulo 2^32, so this is the place of that number which is nearest to what has passed.
    let ahead = turn.seq.wrapping_sub(first_seq).wrapping_sub(low(passed));
    let offset = passed.checked_add_signed(i64::from(ahead.cast_signed()))?;
    let is_new = offset.saturating_add(u64::from(turn.payload_length)) > passed;
    is_new.then(|| Piece {
        offset,
        // The thread that receives is not the one that sent, and its end has numbers of its own.
        tag: 0,
        number: None,
        other_end: true,
        ..piece(turn)
    })
}

/// Positions are counted modulo 2^32 by TCP.
fn low(offset: u64) -> u32 {
    u32::try_from(offset & u64::from(u32::MAX)).unwrap_or(0)
}
