//! Connections: two ends, one life.

use std::net::{IpAddr, SocketAddr};

use crate::{Evidence, Http2Connection, IcmpErrors, ProcessKey, Resolution, Service, TcpEnd, Tls};

/// Names a connection while the recorder lives; the store gives it its lasting id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionKey(pub u64);

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that sent the first SYN or, unseen, the requests.
    Client,
    /// The other one.
    Server,
}

/// One end of a connection as it sees itself (address translation can make the two ends disagree).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEnd {
    /// Its own address.
    pub address: IpAddr,
    /// Its own port.
    pub port: u16,
    /// The peer's address as this end sees it.
    pub peer_address: IpAddr,
    /// The peer's port as this end sees it.
    pub peer_port: u16,
    /// Whether the end was seen on this machine.
    pub local: bool,
    /// Inode number of its network namespace; 0 when unknown.
    pub netns: u32,
    /// The socket cookie; 0 when not local or unknown.
    pub cookie: u64,
    /// Its owner, when learned.
    pub process: Option<ProcessKey>,
    /// How the owner was learned.
    pub process_evidence: Evidence,
    /// The service at this end.
    pub service: Service,
}

/// Why a connection ended, in the order of how much it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It has not ended.
    Open,
    /// FIN in both directions, or from one end and then quiet.
    Fin,
    /// RST sent by the client.
    ClientReset,
    /// RST sent by the server.
    ServerReset,
    /// RST in answer to the SYN.
    Refused,
    /// The kernel gave up retransmitting (ETIMEDOUT).
    TimedOut,
    /// Network or host unreachable, or forbidden: the network said that it does not go on.
    Unreachable,
    /// The client closed its socket before its SYN was answered.
    GaveUp,
    /// Evicted from the recorder's table or unseen until the recorder stopped.
    Unknown,
}

/// Packets of a connection that the kernel dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketDrop {
    /// Who had sent them.
    pub by: Side,
    /// The kernel's own name for the reason: of `enum skb_drop_reason` (Linux 5.17), without the prefix.
    pub reason: Box<str>,
    /// How many.
    pub count: u32,
    /// When the first was dropped.
    pub first_ns: u64,
}

/// A connection. Given to the store once when first needed and again when it changes or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its name in this recorder's life.
    pub key: ConnectionKey,
    /// The client's end.
    pub client: ConnectionEnd,
    /// The server's end.
    pub server: ConnectionEnd,
    /// When its SYN or, unseen, its first packet was seen.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: Option<u64>,
    /// Why it ended.
    pub close_reason: CloseReason,
    /// Whether the SYN was not seen.
    pub joined_midstream: bool,
    /// `network.protocol.name` once recognised: `http`, `tls`, `http2`, `dns`, else none.
    pub protocol: Option<&'static str>,
    /// TCP payload bytes sent by the client so far.
    pub client_bytes: u64,
    /// TCP payload bytes sent by the server so far.
    pub server_bytes: u64,
    /// Payload retransmissions counted, both directions.
    pub retransmits: u32,
    /// The client's header elements.
    pub client_tcp: TcpEnd,
    /// The server's.
    pub server_tcp: TcpEnd,
    /// What HTTP/2 said of it, where it is that and anything was seen.
    pub http2: Option<Box<Http2Connection>>,
    /// Packets of it that this machine's kernel dropped; empty where it tells none.
    pub drops: Vec<PacketDrop>,
    /// Errors that ICMP told of it, where any came.
    pub icmp: Option<Box<IcmpErrors>>,
    /// The name that its server's address was learned by, where an answer was seen.
    pub resolution: Option<Box<Resolution>>,
    /// What its handshake of TLS said in clear, where it has one.
    pub tls: Option<Box<Tls>>,
    /// Whom its client says it stands for, where it begins with a header of the PROXY protocol.
    pub proxied: Option<Proxied>,
}

/// What the header of the PROXY protocol said with which a connection begins (HAProxy's `proxy-protocol.txt`). Whoever connects may
/// say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxied {
    /// When it was sent.
    pub at_ns: u64,
    /// 1 or 2.
    pub version: u8,
    /// Whom the proxy stands for, and where that one had connected to. None where it speaks for itself, or does not tell.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}
