//! What the headers of IP and TCP say of one end of a connection, and what its kernel knew of it when it was over.
//!
//! Names are those of RFC 791, RFC 8200, RFC 9293 and RFC 7323, and of Linux's `struct tcp_sock` for what its socket counted.
//! What is not known is `None`, never 0.

/// One end's part of a connection: what it sent, as far as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TcpEnd {
    /// IP's header of the first packet of it that was seen.
    pub ip: Option<IpHeader>,
    /// Its SYN or SYN-ACK.
    pub handshake: Option<Handshake>,
    /// How often that was sent again.
    pub syn_retries: u32,
    /// First payload.
    pub first_payload_ns: Option<u64>,
    /// Its FIN.
    pub fin_ns: Option<u64>,
    /// Its first RST.
    pub rst_ns: Option<u64>,
    /// What was counted of its packets: of a live connection nothing before its end. Boxed, since thousands are open at once.
    counts: Option<Box<SegmentCounts>>,
    /// What its socket knew, when it is on this machine and is closed.
    pub socket: Option<Box<SocketStats>>,
}

/// Elements of the header of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IpHeader {
    /// The packet was seen as it arrived, else as it left.
    pub is_received: bool,
    /// Number of the interface in its namespace; 0 when unknown, as in a capture file.
    pub interface: u32,
    /// Time to live or hop limit.
    pub hop_limit: u8,
    /// Type of service or traffic class: DSCP (RFC 2474) in the upper six bits, ECN (RFC 3168) in the lower two.
    pub traffic_class: u8,
    /// Don't fragment; IPv4 only.
    pub dont_fragment: Option<bool>,
    /// Flow label; IPv6 only.
    pub flow_label: Option<u32>,
    /// Extension headers of IPv6.
    pub extensions: Extensions,
}

/// Which extension headers of IPv6 a packet had (RFC 8200, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions(pub u8);

impl Extensions {
    /// Hop-by-hop options.
    pub const HOP_BY_HOP: Self = Self(1);
    /// Routing.
    pub const ROUTING: Self = Self(1 << 1);
    /// Fragment.
    pub const FRAGMENT: Self = Self(1 << 2);
    /// Destination options.
    pub const DESTINATION_OPTIONS: Self = Self(1 << 3);
    /// Authentication (RFC 4302).
    pub const AUTHENTICATION: Self = Self(1 << 4);

    /// These and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Whether one of these is among them.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What a SYN or SYN-ACK offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is an element of the header"
)]
pub struct Handshake {
    /// When it was first seen.
    pub at_ns: u64,
    /// Its sequence number; not stored.
    pub seq: Option<u32>,
    /// Window, not scaled.
    pub window: u16,
    /// ECN-Echo: with `cwr` in a SYN an offer of ECN, alone in a SYN-ACK its acceptance (RFC 3168, section 6.1.1).
    pub ece: bool,
    /// Congestion Window Reduced.
    pub cwr: bool,
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale (RFC 7323, section 2).
    pub window_scale: Option<u8>,
    /// SACK-permitted (RFC 2018).
    pub sack_permitted: bool,
    /// Timestamps (RFC 7323, section 3).
    pub timestamps: bool,
    /// TCP Fast Open (RFC 7413): bytes of the cookie; 0 asks for one.
    pub fast_open: Option<u8>,
    /// Kinds of the first four other options; 0 for none.
    pub other_options: [u8; 4],
    /// The options are not well-formed, or were not captured whole.
    pub is_malformed: bool,
}

/// Packets of one end, counted where they passed. In live traffic the sender's probe counts some and its socket the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SegmentCounts {
    /// Packets; capture files only.
    pub packets: Option<u64>,
    /// Payload that was sent again.
    pub retransmits: Option<u64>,
    /// Payload that came behind what follows it; capture files only.
    pub out_of_order: Option<u64>,
    /// Of the retransmissions, those of what its peer had acknowledged before; capture files only.
    pub duplicates: Option<u64>,
    /// Packets that offered no window.
    pub zero_windows: Option<u64>,
    /// Keep-alives (RFC 9293, section 3.8.4).
    pub keep_alives: Option<u64>,
    /// Probes of a window that its peer has closed (RFC 9293, section 3.8.6.1); where the kernel's types are not known, they are
    /// among the keep-alives.
    pub window_probes: Option<u64>,
    /// Packets marked with Congestion Experienced (RFC 3168, section 5), where they arrived.
    pub congestion_experienced: Option<u64>,
    /// Packets with RST.
    pub resets: Option<u64>,
}

/// What the kernel knew of a socket when it was closed (include/linux/tcp.h); `None` for what this kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SocketStats {
    /// When.
    pub closed_ns: u64,
    /// The state that it left (include/net/tcp_states.h).
    pub state: u8,
    /// The errno that ended it.
    pub error: Option<u32>,
    /// An errno that did not end it at once, as one told by ICMP.
    pub soft_error: Option<u32>,
    /// Payload bytes that the peer acknowledged.
    pub bytes_acked: Option<u64>,
    /// Payload bytes received in order.
    pub bytes_received: Option<u64>,
    /// Payload bytes sent again.
    pub bytes_retrans: Option<u64>,
    /// Smoothed round trip, in microseconds.
    pub srtt_us: Option<u32>,
    /// Least round trip of the last minutes, in microseconds.
    pub rtt_min_us: Option<u32>,
    /// Segments sent again.
    pub total_retrans: Option<u32>,
    /// Segments received.
    pub segs_in: Option<u32>,
    /// Segments sent.
    pub segs_out: Option<u32>,
    /// Segments with payload received.
    pub data_segs_in: Option<u32>,
    /// Segments with payload sent.
    pub data_segs_out: Option<u32>,
    /// Segments received out of order.
    pub rcv_ooopack: Option<u32>,
    /// Segments that the peer said it had twice (RFC 2883).
    pub dsack_dups: Option<u32>,
    /// How often the peer's acknowledgements showed that segments had changed places.
    pub reord_seen: Option<u32>,
    /// Segments that the peer said were marked with Congestion Experienced.
    pub delivered_ce: Option<u32>,
    /// Segment size in use.
    pub mss_cache: Option<u32>,
    /// What both ends agreed on.
    pub negotiated: Option<Negotiated>,
    /// Whether both ends agreed on ECN.
    pub ecn: Option<bool>,
    /// How often the oldest segment was sent again without an answer; of an attempt, its SYN.
    pub unanswered: Option<u8>,
}

/// Options that both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Negotiated {
    /// Timestamps.
    pub timestamps: bool,
    /// Window scaling.
    pub window_scale: bool,
    /// Selective acknowledgements.
    pub sack: bool,
}

impl TcpEnd {
    /// What was counted of its packets.
    pub fn counts(&self) -> SegmentCounts {
        self.counts.as_deref().copied().unwrap_or_default()
    }

    /// The same, to count on.
    pub fn counts_mut(&mut self) -> &mut SegmentCounts {
        self.counts.get_or_insert_default()
    }

    /// Moves every time in it to a later one.
    pub(crate) fn move_later(&mut self, later: impl Fn(&mut u64)) {
        self.handshake
            .iter_mut()
            .for_each(|handshake| later(&mut handshake.at_ns));
        for at_ns in [
            &mut self.first_payload_ns,
            &mut self.fin_ns,
            &mut self.rst_ns,
        ] {
            at_ns.iter_mut().for_each(&later);
        }
        self.socket
            .iter_mut()
            .for_each(|socket| later(&mut socket.closed_ns));
    }
}
