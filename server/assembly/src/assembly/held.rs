//! What is held while more has to come, all conversations together: bounded in bytes, and what has to go is counted.
//!
//! Owns: the budget, and the choice of whom to give up for it: those heard of longest ago, for a head that comes a byte at
//! a time is held by somebody who wants to be heard. Does not bound a single conversation: it does that itself.

use headwater_model::CloseReason;
use headwater_protocols::http1;

use super::Assembly;
use crate::Identities;

impl<I: Identities> Assembly<I> {
    /// Bytes of memory held in pieces that came too early, beginnings of heads, tables of HPACK, heads of exchanges that are
    /// open, and uncommonly long handshakes of TLS.
    pub fn held_bytes(&self) -> usize {
        self.table.held_bytes() + self.heads.gauge.bytes()
    }

    /// Gives conversations up until a quarter of the budget is free again, so that the search for them is seldom.
    pub(super) fn keep_within_budget(&mut self, at_ns: u64) {
        if self.held_bytes() <= self.limits.held_bytes {
            return;
        }
        let enough = self.limits.held_bytes / 4 * 3;
        for place in self.table.holders() {
            if self.held_bytes() <= enough {
                return;
            }
            self.tally.held_evicted += 1;
            self.finish_now(place, at_ns, CloseReason::Unknown, http1::End::Evicted);
        }
    }
}
