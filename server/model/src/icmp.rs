//! Errors that ICMP told of a connection.

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
