//! In which network namespaces there are connections, for whoever listens for ICMP there.

use super::Assembly;
use crate::Identities;

impl<I: Identities> Assembly<I> {
    /// Network namespaces in which a socket of this machine was heard of since last asked, each with a process in it.
    pub fn namespaces_met(&mut self) -> impl Iterator<Item = (u32, u32)> {
        self.namespaces.drain()
    }

    /// Notes where the ends of a conversation are.
    pub(super) fn met_in(&mut self, place: usize) {
        let Some(conversation) = self.table.get_mut(place).filter(|one| one.live) else {
            return;
        };
        for party in &conversation.parties {
            let identity = party.identity.as_ref().filter(|_| party.netns != 0);
            if let Some(identity) = identity {
                self.namespaces.insert(party.netns, identity.key.pid);
            }
        }
    }
}
