//! What becomes of conversations that have ended: kept for a last word on them, then given out and forgotten.
//!
//! Owns: the ends of conversations. A reset, or the second FIN, ends one before the kernel tells that its sockets are
//! closed and what it counted of them; so it waits for that, for as long as the limits say. Whoever needs its place or its
//! addresses has it at once.

use headwater_model::CloseReason;
use headwater_protocols::http1;

use super::Assembly;
use crate::Identities;

impl<I: Identities> Assembly<I> {
    /// Ends a conversation: what is still open in it is given out, then, when no last word is waited for, the conversation
    /// itself, and its place is free.
    pub(super) fn finish(
        &mut self,
        place: usize,
        at_ns: u64,
        reason: CloseReason,
        how: http1::End,
    ) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if conversation.has_ended() {
            return;
        }
        for party in 0..2 {
            conversation.end(party, at_ns, how, &mut self.heads);
        }
        self.deliver(place);
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        conversation.close_reason = reason;
        conversation.end_ns = Some(at_ns);
        conversation.changed = true;
        let (is_live, linger_ns) = (self.limits.live, self.limits.linger_ns);
        if linger_ns == 0
            || is_live && conversation.sockets_are_closed() && conversation.is_settled()
        {
            return self.conclude(place);
        }
        let until_ns = at_ns.saturating_add(linger_ns);
        self.lingering
            .push_back((until_ns, place, conversation.generation));
    }

    /// The same without waiting for anything.
    pub(super) fn finish_now(
        &mut self,
        place: usize,
        at_ns: u64,
        reason: CloseReason,
        how: http1::End,
    ) {
        self.finish(place, at_ns, reason, how);
        self.conclude(place);
    }

    /// Gives out a conversation that has ended, and frees its place.
    pub(super) fn conclude(&mut self, place: usize) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        if !conversation.has_ended() {
            return;
        }
        conversation.end_plaintext(&mut self.heads);
        self.deliver(place);
        self.count_protocol(place);
        self.announce(place, true);
        self.table.remove(place);
    }

    /// Gives out what has been waited with for long enough.
    pub(super) fn conclude_lingering(&mut self, now_ns: u64) {
        while self
            .lingering
            .front()
            .is_some_and(|(until_ns, ..)| *until_ns <= now_ns)
        {
            self.conclude_oldest();
        }
    }

    /// Gives out what has been waited with for longest. Says whether there was anything.
    pub(super) fn conclude_oldest(&mut self) -> bool {
        let Some((_, place, generation)) = self.lingering.pop_front() else {
            return false;
        };
        let is_same = self
            .table
            .get_mut(place)
            .is_some_and(|conversation| conversation.generation == generation);
        if is_same {
            self.conclude(place);
        }
        true
    }

    /// A conversation all of whose sockets have been closed for a while will hear nothing more: its other end's FIN was
    /// lost, or never came.
    pub(super) fn finish_if_silent(&mut self, place: usize, now_ns: u64) {
        let linger_ns = self.limits.linger_ns;
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let closed = conversation
            .parties
            .iter()
            .filter_map(|party| party.tcp.socket.as_ref())
            .map(|socket| socket.closed_ns);
        let Some(closed_ns) = closed.max().filter(|_| self.limits.live && linger_ns > 0) else {
            return;
        };
        if conversation.has_ended()
            || !conversation.sockets_are_closed()
            || now_ns.saturating_sub(closed_ns) < linger_ns
        {
            return;
        }
        let (reason, how) = if conversation.parties.iter().any(|party| party.finished) {
            (CloseReason::Fin, http1::End::Fin)
        } else {
            (CloseReason::Unknown, http1::End::Evicted)
        };
        self.finish_now(place, closed_ns, reason, how);
    }
}
