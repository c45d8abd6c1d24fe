//! Queries that were lately answered, so that an answer that comes twice is not told as one whose query was not seen.
//!
//! Owns: how long, and how many of them, are remembered. Of each there are sixteen octets in the order of time, by hashes
//! of what it was: one is written for every answer, and looked for only when an answer comes that nobody waits for, so that
//! writing is what must be cheap. Two that share all bits of their hashes are taken for one, once in 2^64.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use super::{Question, Type, waiting::Slot};

#[derive(Debug)]
pub(super) struct Answered {
    marks: Vec<Mark>,
    /// The oldest, once there are as many as may be.
    oldest: usize,
    most: usize,
    hasher: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    slot: u32,
    question: u32,
    /// In whole seconds, rounded up.
    until_s: u32,
    kind: u16,
}

impl Answered {
    pub(super) fn new(most: usize) -> Self {
        Self {
            marks: Vec::new(),
            oldest: 0,
            most: most.max(1),
            hasher: RandomState::default(),
        }
    }

    /// A query was answered.
    pub(super) fn remember<K: Hash>(
        &mut self,
        slot: &Slot<K>,
        question: Option<&Question>,
        until_ns: u64,
    ) {
        let mark = Mark {
            slot: self.hash(slot),
            question: self.hash(question),
            until_s: seconds(until_ns).saturating_add(1),
            kind: question.map_or(0, |question| question.kind.0),
        };
        if self.marks.len() < self.most {
            self.marks.push(mark);
        } else if let Some(oldest) = self.marks.get_mut(self.oldest) {
            *oldest = mark;
            self.oldest = (self.oldest + 1) % self.most;
        }
    }

    /// What was asked for by the query that an answer of these would be another answer to. With no question, which some
    /// servers do not repeat, any of its slot will do.
    pub(super) fn find<K: Hash>(
        &self,
        slot: &Slot<K>,
        question: Option<&Question>,
        now_ns: u64,
    ) -> Option<Type> {
        let slot = self.hash(slot);
        let asked = question.map(|question| self.hash(Some(question)));
        let second = seconds(now_ns);
        self.marks
            .iter()
            .filter(|mark| mark.slot == slot && mark.until_s > second)
            .find(|mark| asked.is_none_or(|asked| asked == mark.question))
            .map(|mark| Type(mark.kind))
    }

    fn hash(&self, value: impl Hash) -> u32 {
        u32::try_from(self.hasher.hash_one(value) >> 32).unwrap_or_default()
    }
}

fn seconds(at_ns: u64) -> u32 {
    u32::try_from(at_ns / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Class, Name, Way};

    const SECOND: u64 = 1_000_000_000;

    fn slot(id: u16) -> Slot<u8> {
        Slot {
            flow: 0,
            asked: Way::ToServer,
            id,
        }
    }

    #[test]
    fn what_was_answered_is_known_for_its_time_and_forgotten_oldest_first() {
        let mut answered = Answered::new(4);
        assert_eq!(answered.find(&slot(0), None, 0), None);
        for id in 0..4 {
            let at_ns = u64::from(id) * SECOND;
            answered.remember(&slot(id), None, at_ns + 10 * SECOND);
        }
        assert_eq!(answered.find(&slot(0), None, 9 * SECOND), Some(Type(0)));
        answered.remember(&slot(4), None, 14 * SECOND);
        let known = |at_s: u64| -> Vec<u16> {
            let is_known = |id: &u16| answered.find(&slot(*id), None, at_s * SECOND).is_some();
            (0..5).filter(is_known).collect()
        };
        assert_eq!(known(5), [1, 2, 3, 4]);
        assert_eq!(known(13), [3, 4]);
        assert_eq!(known(30), [0; 0]);
    }

    #[test]
    fn a_question_is_known_without_case_and_apart_from_others() {
        let question = |name: &str, kind| Question {
            name: Name::from_text(name),
            kind,
            class: Class::IN,
        };
        let mut answered = Answered::new(64);
        answered.remember(
            &slot(1),
            Some(&question("A.example", Type::AXFR)),
            10 * SECOND,
        );
        let find = |name, kind| answered.find(&slot(1), Some(&question(name, kind)), SECOND);
        assert_eq!(find("a.EXAMPLE", Type::AXFR), Some(Type::AXFR));
        assert_eq!(find("a.example", Type::A), None);
        assert_eq!(find("b.example", Type::AXFR), None);
        assert_eq!(answered.find(&slot(1), None, SECOND), Some(Type::AXFR));
        assert_eq!(answered.find(&slot(2), None, SECOND), None);
    }
}
