//! What time alone brings: bodies that were only counted, exchanges that stay open, flows that belong to nothing.

use headwater_protocols::http1;

use super::{Assembly, Passed, Spot};
use crate::{Identities, Way, conversation::Phase, stream::Missing};

/// An exchange open for longer is given out as such, so that it can be seen while it lasts.
const SHOWN_AFTER_NS: u64 = 500_000_000;
/// One that lasts and has more to tell, as a WebSocket, is given out again as often as this.
const SHOWN_AGAIN_AFTER_NS: u64 = 5_000_000_000;
/// Open conversations looked at in one tick.
const MAX_LOOKS: usize = 1024;
/// Records come in the order in which their probes began to write them, and a look takes a while: so much may be between
/// what a record says of its time and its place.
const OUT_OF_ORDER_NS: u64 = 50_000_000;
/// A connection that said something so lately is one that is heard of.
const HEARD_NS: u64 = 1_000_000_000;
/// Flows without a conversation are forgotten after this.
const STRAY_NS: u64 = 10_000_000_000;

impl<I: Identities> Assembly<I> {
    /// Looks at conversations that wait. `look` tells what has passed at a socket, each way, without a record having been
    /// written: the bytes of a turn beyond its cap. Looks cost, so that there is a limit to them in one tick: the next one
    /// begins where it was reached.
    pub fn tick(&mut self, now_ns: u64, mut look: impl FnMut(Spot) -> Option<Passed>) {
        self.table.forget_strays(now_ns.saturating_sub(STRAY_NS));
        self.tick_sessions(now_ns);
        self.conclude_lingering(now_ns);
        let (mut looks, mut first_left, mut all_believed) = (0, None, true);
        let mut places = self.table.in_use();
        let first = places.partition_point(|place| *place < self.first_look);
        places.rotate_left(first);
        for place in places {
            let Some(conversation) = self.table.get_mut(place) else {
                continue;
            };
            if conversation.is_dns() {
                conversation.dns_tick(now_ns);
                self.deliver(place);
            }
            self.finish_if_silent(place, now_ns);
            let Some(conversation) = self.table.get_mut(place) else {
                continue;
            };
            if conversation.has_ended() {
                if !conversation.is_settled() {
                    all_believed &= self.look_at_sessions(place, now_ns, &mut look);
                    self.deliver(place);
                }
                continue;
            }
            if conversation.phase == Phase::Attempt
                || now_ns.saturating_sub(conversation.last_ns) < HEARD_NS
            {
                self.met_in(place);
            }
            let Some(conversation) = self.table.get_mut(place) else {
                continue;
            };
            if conversation.announced && conversation.changed {
                self.announce(place, false);
            }
            let Some(conversation) = self.table.get_mut(place) else {
                continue;
            };
            if !conversation.has_open() {
                if !conversation.announced
                    && now_ns.saturating_sub(conversation.start_ns) > SHOWN_AFTER_NS
                {
                    self.announce(place, false);
                }
                continue;
            }
            looks += 1;
            if looks > MAX_LOOKS {
                first_left = first_left.or(Some(place));
                continue;
            }
            all_believed &= self.look(place, now_ns, &mut look);
            all_believed &= self.look_at_sessions(place, now_ns, &mut look);
            self.deliver(place);
            self.show_open(place, now_ns);
        }
        self.first_look = first_left.unwrap_or(0);
        if all_believed && first_left.is_none() {
            // What was read by the look before was looked at then, and that is believed by now.
            self.told_until_ns = self.looked_until_ns;
            self.looked_until_ns = self.read_until_ns.unwrap_or(now_ns);
        }
    }

    /// All that ended before is among the events. Of what passes without a record of its own, as most of a body does, that
    /// takes two ticks.
    pub fn told_until_ns(&self) -> u64 {
        self.told_until_ns
    }

    /// Records of everything before `at_ns` have been read. Whoever reads them late says so from the beginning on: what is
    /// seen pass at a socket is believed when they have been read up to that look. Without it nothing is late.
    pub fn caught_up(&mut self, at_ns: u64) {
        let until_ns = at_ns.saturating_sub(OUT_OF_ORDER_NS);
        self.read_until_ns = Some(self.read_until_ns.unwrap_or(0).max(until_ns));
    }

    /// Says whether the look before is believed, if there was one.
    fn look(
        &mut self,
        place: usize,
        now_ns: u64,
        look: &mut impl FnMut(Spot) -> Option<Passed>,
    ) -> bool {
        let read_until_ns = self.read_until_ns.unwrap_or(u64::MAX);
        let mut is_believed = true;
        let Some(conversation) = self.table.get_mut(place) else {
            return is_believed;
        };
        for sender in 0..2 {
            let last = conversation.looked.get(sender).copied().flatten();
            if last.is_some_and(|(looked_ns, _)| looked_ns > read_until_ns) {
                // Some of those bytes may be in records yet to be read.
                is_believed = false;
                continue;
            }
            let own = conversation
                .parties
                .get(sender)
                .and_then(|party| party.cookie);
            let peer = conversation
                .parties
                .get(1 - sender)
                .and_then(|party| party.cookie);
            let passed = match (own, peer) {
                (Some(cookie), _) => look(Spot::Socket {
                    cookie,
                    way: Way::Egress,
                }),
                (None, Some(cookie)) => look(Spot::Socket {
                    cookie,
                    way: Way::Ingress,
                }),
                (None, None) => None,
            };
            if let Some(looked) = conversation.looked.get_mut(sender) {
                *looked = passed.map(|passed| (now_ns, passed));
            }
            if let Some((_, before)) =
                last.filter(|(_, before)| before.bytes > conversation.passed(sender))
            {
                let why = Missing::NotCopied {
                    last_chunk: before.last_chunk,
                };
                conversation.advance(sender, before.bytes, before.last_ns, why, &mut self.heads);
            }
        }
        is_believed
    }

    fn show_open(&mut self, place: usize, now_ns: u64) {
        let Some(conversation) = self.table.get_mut(place) else {
            return;
        };
        let again = conversation.has_news_since(now_ns.saturating_sub(SHOWN_AGAIN_AFTER_NS));
        let due: Vec<_> = conversation
            .open_exchanges(now_ns)
            .into_iter()
            .filter(|open| {
                let begun = open
                    .request
                    .as_ref()
                    .map(|part| part.first_byte_ns)
                    .or(open.response.as_ref().map(|part| part.first_byte_ns));
                let shown = conversation
                    .provisional
                    .iter()
                    .any(|(ordinal, _)| *ordinal == open.ordinal);
                (!shown || again)
                    && begun.is_some_and(|begun| now_ns.saturating_sub(begun) > SHOWN_AFTER_NS)
            })
            .collect();
        if !due.is_empty() {
            conversation.was_given(now_ns);
        }
        for open in due {
            debug_assert!(
                matches!(open.outcome, http1::Outcome::Open),
                "an exchange that ended is not open"
            );
            self.give(place, open);
        }
    }
}
