//! Errors that ICMP told of a connection, a DNS exchange or a UDP flow.

use std::net::IpAddr;

use crate::Side;

/// One error message (RFC 792; RFC 4443 where who sent it has an address of IPv6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpError {
    /// When it came.
    pub at_ns: u64,
    /// Who sent it: a router on the way, or the host that was to be reached.
    pub from: IpAddr,
    /// Which end sent the packet that it is about.
    pub about: Side,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The most that the next hop takes, of messages that a packet was too big.
    pub mtu: Option<u32>,
}

/// All that came of one connection: the first, the last and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpErrors {
    /// The first.
    pub first: IcmpError,
    /// The last; the same as the first where there was one only.
    pub last: IcmpError,
    /// How many.
    pub count: u32,
}

impl IcmpErrors {
    /// Of one message.
    pub fn of(first: IcmpError) -> Self {
        Self {
            first,
            last: first,
            count: 1,
        }
    }

    /// Another one came.
    pub fn add(&mut self, next: IcmpError) {
        self.last = next;
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn move_later(&mut self, later: impl Fn(&mut u64)) {
        later(&mut self.first.at_ns);
        later(&mut self.last.at_ns);
    }
}

/// Messages of one type and code about one end's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpKind {
    /// When the first came.
    pub first_ns: u64,
    /// The last.
    pub last: IcmpError,
    /// How many.
    pub count: u32,
    /// Not all are of the sender of the last.
    pub has_other_senders: bool,
}

/// All that came of a UDP flow: each type and code with how many, up to so many of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IcmpKinds {
    kinds: Vec<IcmpKind>,
    others: u32,
}

impl IcmpKinds {
    /// Types and codes that are told apart. A flow meets one or two; whoever sends more is making them up.
    pub const MOST: usize = 8;

    /// Another one came.
    pub fn add(&mut self, next: IcmpError) {
        let same = |kind: &&mut IcmpKind| {
            let last = &kind.last;
            (last.about, last.kind, last.code, last.from.is_ipv4())
                == (next.about, next.kind, next.code, next.from.is_ipv4())
        };
        if let Some(kind) = self.kinds.iter_mut().find(same) {
            kind.has_other_senders |= kind.last.from != next.from;
            kind.last = next;
            kind.count = kind.count.saturating_add(1);
        } else if self.kinds.len() < Self::MOST {
            self.kinds.push(IcmpKind {
                first_ns: next.at_ns,
                last: next,
                count: 1,
                has_other_senders: false,
            });
        } else {
            self.others = self.others.saturating_add(1);
        }
    }

    /// Each type and code, in the order in which they came first.
    pub fn kinds(&self) -> &[IcmpKind] {
        &self.kinds
    }

    /// Messages of types and codes beyond those.
    pub fn others(&self) -> u32 {
        self.others
    }

    /// All of them.
    pub fn count(&self) -> u32 {
        let counts = self.kinds.iter().map(|kind| kind.count);
        counts.fold(self.others, u32::saturating_add)
    }

    pub(crate) fn move_later(&mut self, later: impl Fn(&mut u64)) {
        for kind in &mut self.kinds {
            later(&mut kind.first_ns);
            later(&mut kind.last.at_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(at_ns: u64, from: &str, code: u8) -> IcmpError {
        IcmpError {
            at_ns,
            from: from.parse().unwrap(),
            about: Side::Client,
            kind: 3,
            code,
            mtu: None,
        }
    }

    #[test]
    fn kinds_are_counted_and_bounded() {
        let mut kinds = IcmpKinds::default();
        for (at_ns, from, code) in [(1, "10.0.0.1", 3), (2, "10.0.0.1", 3), (3, "10.0.0.2", 1)] {
            kinds.add(error(at_ns, from, code));
        }
        kinds.add(error(4, "10.0.0.9", 3));
        let told: Vec<_> = kinds
            .kinds()
            .iter()
            .map(|kind| {
                (
                    kind.first_ns,
                    kind.last.at_ns,
                    kind.count,
                    kind.has_other_senders,
                )
            })
            .collect();
        assert_eq!(told, [(1, 4, 3, true), (3, 3, 1, false)]);
        for code in 20..120 {
            kinds.add(error(5, "10.0.0.1", code));
        }
        assert_eq!(kinds.kinds().len(), IcmpKinds::MOST);
        assert_eq!((kinds.others(), kinds.count()), (94, 104));
    }
}
