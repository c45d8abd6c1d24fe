//! Packets of a conversation that the kernel dropped, by reason.

use headwater_model::{PacketDrop, Side};

use super::Conversation;

/// What was dropped.
#[derive(Default)]
pub(crate) struct Drops {
    kinds: Vec<Kind>,
    /// Its SYNs are known from their being dropped alone.
    pub(crate) has_unseen_syns: bool,
}

struct Kind {
    /// The party that sent them.
    sender: usize,
    reason: Box<str>,
    count: u32,
    first_ns: u64,
}

/// Reasons told apart on one connection; what comes beyond is told under this name.
const MOST_KINDS: usize = 8;
const OTHERS: &str = "OTHER_REASONS";

impl Drops {
    /// Counts one.
    pub(crate) fn note(&mut self, sender: usize, reason: &str, at_ns: u64) {
        let reason = if self.kinds.len() < MOST_KINDS || self.find(sender, reason).is_some() {
            reason
        } else {
            OTHERS
        };
        match self.find(sender, reason) {
            Some(kind) => kind.count = kind.count.saturating_add(1),
            None => self.kinds.push(Kind {
                sender,
                reason: reason.into(),
                count: 1,
                first_ns: at_ns,
            }),
        }
    }

    fn find(&mut self, sender: usize, reason: &str) -> Option<&mut Kind> {
        self.kinds
            .iter_mut()
            .find(|kind| kind.sender == sender && &*kind.reason == reason)
    }
}

impl Conversation {
    /// To note one.
    pub(crate) fn drops_mut(&mut self) -> &mut Drops {
        self.drops.get_or_insert_default()
    }

    /// In the model's words.
    pub(super) fn packet_drops(&self) -> Vec<PacketDrop> {
        let client = self.client.unwrap_or(0);
        let kinds = self.drops.iter().flat_map(|drops| &drops.kinds);
        kinds
            .map(|kind| PacketDrop {
                by: if kind.sender == client {
                    Side::Client
                } else {
                    Side::Server
                },
                reason: kind.reason.clone(),
                count: kind.count,
                first_ns: kind.first_ns,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_and_bounded() {
        let mut drops = Drops::default();
        for number in 0..100 {
            drops.note(0, &format!("REASON_{}", number % 50), number);
        }
        drops.note(1, OTHERS, 7);
        let told: Vec<_> = drops
            .kinds
            .iter()
            .map(|kind| (&*kind.reason, kind.count))
            .collect();
        assert_eq!(told.len(), MOST_KINDS + 2);
        assert_eq!(told[0], ("REASON_0", 2));
        assert_eq!(told[MOST_KINDS], (OTHERS, 100 - 2 * 8));
    }
}
