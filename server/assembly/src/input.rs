//! What comes in: the same for live records and for packets of a capture file.
//!
//! Times are nanoseconds since the epoch. A cookie names a socket; a capture file has none, so its reader makes one up for
//! each sender of each connection, and reports everything as that sender's egress.

use std::net::{IpAddr, SocketAddr};

use headwater_model::{Handshake, IcmpError, IpHeader, Side, SocketStats};

use crate::Passed;

/// Which way a packet went, seen from the socket that the cookie names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// The socket sent it.
    Egress,
    /// The socket received it.
    Ingress,
}

/// The flags that matter here (RFC 9293 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are bits of the header")]
pub struct TcpFlags {
    /// SYN
    pub syn: bool,
    /// ACK
    pub ack: bool,
    /// FIN
    pub fin: bool,
    /// RST
    pub rst: bool,
}

/// One end of a connection, and the packet that told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at_ns: u64,
    /// The socket. A SYN-ACK carries the listener's, a RST perhaps one of the kernel's own.
    pub cookie: u64,
    /// The socket's address.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// Which way the packet went.
    pub way: Way,
    /// Its flags.
    pub flags: TcpFlags,
    /// Inode of the network namespace; 0 when unknown.
    pub netns: u32,
    /// Whether the packet is on the loopback device, where both ends are in one namespace.
    pub loopback: bool,
    /// Payload bytes of this direction before the packet's end (FIN and RST).
    pub offset: u64,
    /// When the last of them passed; 0 when none did.
    pub last_ns: u64,
    /// Its IP header; `None` when it could not be read.
    pub ip: Option<IpHeader>,
    /// What it offers, when it is a SYN or SYN-ACK whose header could be read.
    pub handshake: Option<Handshake>,
}

/// A packet that the kernel dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped<'a> {
    /// The packet, as the socket that sent it or was to receive it would have told of it.
    pub end: End,
    /// The kernel's name for its reason (`enum skb_drop_reason`, without what all of them begin with).
    pub reason: &'a str,
}

/// What the bytes of a record begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A packet of a capture file: every byte is there, and nothing is known of them.
    File,
    /// They go on with a frame of HTTP/2.
    InFrame,
    /// They begin a frame of HTTP/2, or are the client's connection preface.
    Frame,
    /// They begin a turn.
    NewTurn,
    /// They go on with a turn.
    SameTurn,
    /// They go on with a frame of WebSocket.
    InWebSocketFrame,
    /// They begin a frame of WebSocket.
    WebSocketFrame,
}

/// Payload, or the first part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn<'a> {
    /// When.
    pub at_ns: u64,
    /// The socket.
    pub cookie: u64,
    /// Which way.
    pub way: Way,
    /// The thread that sent it; 0 when unknown.
    pub thread_id: u32,
    /// Whether a task held the socket's lock; `None` when the kernel does not tell.
    pub owned: Option<bool>,
    /// Payload bytes of this direction before this packet.
    pub offset: u64,
    /// When the last of those passed; 0 when there were none.
    pub previous_ns: u64,
    /// Whether those end with the last chunk of a chunked body.
    pub previous_last_chunk: bool,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number.
    pub ack: u32,
    /// Payload bytes of the packet, or of the frame of HTTP/2 or WebSocket that is told.
    pub payload_length: u32,
    /// Records of this direction before this one; `None` for capture files.
    pub number: Option<u32>,
    /// What the bytes begin.
    pub place: Place,
    /// The first bytes of the payload: all of it in capture files with a large snap length.
    pub bytes: &'a [u8],
}

/// A session of a TLS library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// When.
    pub at_ns: u64,
    /// Its id, which is never used again: the cookie of its `Plaintext`.
    pub id: u64,
    /// Where the library keeps it in its process's memory.
    pub address: u64,
    /// The socket that it was seen to send by; `None` while that is not known.
    pub cookie: Option<u64>,
    /// Whether its socket became known by a record of the handshake, so that nothing of it passed before.
    pub is_new: bool,
    /// Whether it was seen to send by its socket what was written to it; else its thread only sent something there, which may have
    /// been another's.
    pub is_sure: bool,
    /// Who uses it, as an owner of that socket would be told.
    pub owner: Owner,
    /// Plaintext written so far.
    pub written: Passed,
    /// Plaintext read so far.
    pub read: Passed,
}

/// The owner of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// When learned.
    pub at_ns: u64,
    /// The socket.
    pub cookie: u64,
    /// Process id.
    pub pid: u32,
    /// Its start on the boot clock; 0 when unknown.
    pub start_boot_ns: u64,
    /// Cgroup id of the socket.
    pub cgroup_id: u64,
    /// The kernel's short name of the process.
    pub comm: [u8; 16],
    /// Parent, grandparent and so on; 0 ends the list.
    pub ancestors: [u32; 7],
    /// Whether the socket's lock proves it.
    pub certain: bool,
}

/// A socket's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketEnd {
    /// When.
    pub at_ns: u64,
    /// The socket.
    pub cookie: u64,
    /// The errno that ended it; 0 when none did.
    pub error: u32,
    /// Payload bytes sent.
    pub sent: u64,
    /// When the last of them passed.
    pub sent_last_ns: u64,
    /// Payload bytes received; 0 on the loopback device.
    pub received: u64,
    /// When the last of them passed.
    pub received_last_ns: u64,
    /// Packets sent again.
    pub retransmits: u32,
    /// Packets sent that offered no window.
    pub sent_zero_windows: u32,
    /// Packets received that offered none; 0 on the loopback device.
    pub received_zero_windows: u32,
    /// Packets received that were marked with Congestion Experienced; 0 on the loopback device.
    pub received_marked: u32,
    /// Keep-alives and window probes sent.
    pub sent_idle: IdleCounts,
    /// Those received; 0 on the loopback device.
    pub received_idle: IdleCounts,
    /// What the kernel kept of it.
    pub stats: SocketStats,
}

/// What an idle connection sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdleCounts {
    /// Keep-alives.
    pub keep_alives: u32,
    /// Probes of a window that the peer has closed.
    pub window_probes: u32,
}

/// News of an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// The socket.
    pub cookie: u64,
    /// Whether the socket sent them.
    pub way: Way,
    /// So many, so far.
    pub counts: IdleCounts,
}

/// Why a datagram is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A datagram of a capture file: every one is told, and nothing is known of it.
    File,
    /// It is the first of its flow; nothing of it was copied.
    Flow,
    /// It may be DNS.
    Dns,
    /// It may be the beginning of QUIC.
    Quic,
}

/// A UDP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When.
    pub at_ns: u64,
    /// The socket; 0 in capture files.
    pub cookie: u64,
    /// The socket's address.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// Which way it went.
    pub way: Way,
    /// Inode of the network namespace; 0 when unknown.
    pub netns: u32,
    /// Whether it is on the loopback device, where both ends are in one namespace.
    pub loopback: bool,
    /// Why it is told.
    pub look: Look,
    /// Bytes of its payload.
    pub payload_length: u32,
    /// The first of them.
    pub bytes: &'a [u8],
}

/// The packet of TCP that an error message of ICMP is about, as far as it is quoted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotedSegment {
    /// Whoever sent it, and was sent the message.
    pub source: SocketAddr,
    /// Whom it was sent to.
    pub destination: SocketAddr,
    /// Its sequence number.
    pub seq: u32,
}

/// The datagram of UDP that an error message of ICMP is about, as far as it is quoted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotedDatagram {
    /// Whoever sent it, and was sent the message.
    pub source: SocketAddr,
    /// Whom it was sent to.
    pub destination: SocketAddr,
    /// The first bytes of its payload, which of DNS are the id; `None` where the quote ends before them.
    pub begins: Option<[u8; 2]>,
}

/// What an error message of ICMP is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quoted {
    /// A datagram of UDP.
    Datagram(QuotedDatagram),
    /// A packet of TCP.
    Segment(QuotedSegment),
}

/// An error message of ICMP about a packet of TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IcmpMessage {
    /// When it came.
    pub at_ns: u64,
    /// Inode of the network namespace that it came to; 0 when unknown.
    pub netns: u32,
    /// Who sent it; its family is that of the message.
    pub from: IpAddr,
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The most that the next hop takes, where it says so.
    pub mtu: Option<u32>,
    /// What it is about.
    pub quoted: Quoted,
}

impl IcmpMessage {
    /// In the model's words.
    pub(crate) fn told(&self, about: Side) -> IcmpError {
        IcmpError {
            at_ns: self.at_ns,
            from: self.from,
            about,
            kind: self.kind,
            code: self.code,
            mtu: self.mtu,
        }
    }
}

/// One thing seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input<'a> {
    /// FIN or RST.
    Close(End),
    /// A UDP datagram.
    Datagram(Datagram<'a>),
    /// The process that sends from a UDP socket.
    DatagramOwner(Owner),
    /// A packet that the kernel dropped.
    Dropped(Dropped<'a>),
    /// An error message of ICMP.
    Icmp(IcmpMessage),
    /// A keep-alive or window probe.
    Idle(Idle),
    /// The first payload of a direction; its `Turn` follows.
    Open(End),
    /// An owner.
    Owner(Owner),
    /// The end of a socket.
    Socket(SocketEnd),
    /// SYN or SYN-ACK.
    Syn(End),
    /// Payload in clear, as a TLS library was given it or gave it; the cookie is the session's id.
    Plaintext(Turn<'a>),
    /// A session of a TLS library was first seen, or its socket became known.
    Session(Session),
    /// The library forgets a session.
    SessionEnd(Session),
    /// Payload.
    Turn(Turn<'a>),
}
