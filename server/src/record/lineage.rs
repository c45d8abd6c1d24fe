//! Which processes a process came from, by the forks that the kernel told of.
//!
//! The parent that a process has when it is met may be another: whoever took it in when its own had ended.

use headwater_model::ProcessKey;
use headwater_schema::flow::ForkState;

use super::identity::key;

/// Forebears followed at most.
const MOST: usize = 32;

/// The processes that a process came from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lineage {
    /// When it was forked (boot clock).
    pub(super) forked_ns: Option<u64>,
    /// Each forked the one before it, the first the process itself; with when that was.
    pub(super) forebears: Vec<(ProcessKey, u64)>,
}

impl Lineage {
    /// Follows the forks from a process on.
    pub(super) fn of(process: ProcessKey, fork_of: impl Fn(u32) -> Option<ForkState>) -> Self {
        let mut lineage = Self::default();
        let mut at = process;
        while lineage.forebears.len() < MOST {
            // Another process may have had the number before, or has it now.
            let found = fork_of(at.pid).filter(|fork| key(at.pid, fork.start_ns) == at);
            let Some(fork) = found.filter(|fork| fork.parent != 0) else {
                break;
            };
            at = key(fork.parent, fork.parent_start_ns);
            lineage.forked_ns.get_or_insert(fork.start_ns);
            lineage.forebears.push((at, fork.start_ns));
        }
        lineage
    }

    /// Who forked it.
    pub(super) fn parent(&self) -> Option<u32> {
        self.forebears.first().map(|(parent, _)| parent.pid)
    }

    /// Parent, grandparent and so on, and then those that it was found under.
    pub(super) fn ancestors(&self, found: &[u32]) -> Vec<u32> {
        let mut all: Vec<u32> = self.forebears.iter().map(|(key, _)| key.pid).collect();
        for pid in found.iter().take_while(|pid| **pid != 0) {
            if !all.contains(pid) {
                all.push(*pid);
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Process 30 was forked by 20, which 10 had forked; 20's own parent has ended, and 7 has that number now.
    fn fork_of(pid: u32) -> Option<ForkState> {
        let (start_ns, parent, parent_start_ns) = match pid {
            30 => (3_000_000_001, 20, 2_000_000_001),
            20 => (2_000_000_001, 10, 1_000_000_001),
            10 => (9_000_000_001, 7, 500_000_000),
            _ => return None,
        };
        Some(ForkState {
            start_ns,
            parent_start_ns,
            parent,
            reserved: 0,
        })
    }

    #[test]
    fn forks_are_followed_while_number_and_start_agree() {
        let lineage = Lineage::of(key(30, 3_000_000_001), fork_of);
        let forebears = vec![
            (key(20, 2_000_000_001), 3_000_000_001),
            (key(10, 1_000_000_001), 2_000_000_001),
        ];
        let forked_ns = Some(3_000_000_001);
        assert_eq!(
            lineage,
            Lineage {
                forked_ns,
                forebears
            }
        );
        assert_eq!(lineage.parent(), Some(20));
    }

    #[test]
    fn who_took_it_in_comes_behind_who_forked_it() {
        let lineage = Lineage::of(key(30, 3_000_000_001), fork_of);
        assert_eq!(lineage.ancestors(&[1, 0, 0]), [20, 10, 1]);
        assert_eq!(lineage.ancestors(&[20, 5, 1, 0]), [20, 10, 5, 1]);
    }

    #[test]
    fn a_number_that_was_used_again_says_nothing() {
        let lineage = Lineage::of(key(30, 4_000_000_000), fork_of);
        assert_eq!(lineage, Lineage::default());
        assert_eq!(lineage.ancestors(&[1, 0]), [1]);
    }

    #[test]
    fn a_ring_of_forks_has_an_end() {
        let itself = |pid| {
            Some(ForkState {
                start_ns: 1,
                parent_start_ns: 1,
                parent: pid,
                reserved: 0,
            })
        };
        assert_eq!(Lineage::of(key(5, 1), itself).forebears.len(), MOST);
    }
}
