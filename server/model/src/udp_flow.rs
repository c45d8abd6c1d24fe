//! UDP flows: who sent how much to whom.

use crate::{ConnectionEnd, IcmpKinds};

/// Names a UDP flow while the recorder lives; the store gives it its lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UdpFlowKey(pub u64);

/// What one end sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UdpCount {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
}

/// What QUIC says in the clear (RFC 9000, section 17.2; RFC 9001, section 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quic {
    /// The version of the client's first packet.
    pub version: u32,
    /// The name in the client's first message (SNI), redacted as a host name.
    pub server_name: Option<headwater_redact::Text>,
}

/// A UDP flow: all datagrams between two addresses and ports. Given to the store when it was there for a moment, again while
/// it goes on, and when it has been quiet for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpFlow {
    /// Its name in this recorder's life.
    pub key: UdpFlowKey,
    /// Who sent first, as far as seen.
    pub client: ConnectionEnd,
    /// The other end.
    pub server: ConnectionEnd,
    /// First datagram.
    pub start_ns: u64,
    /// Last datagram.
    pub last_ns: u64,
    /// Sent by the client.
    pub sent: UdpCount,
    /// Sent by the server.
    pub received: UdpCount,
    /// Set when it is QUIC.
    pub quic: Option<Quic>,
    /// Errors that ICMP told of it, where any came.
    pub icmp: Option<Box<IcmpKinds>>,
}
