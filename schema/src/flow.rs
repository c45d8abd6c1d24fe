//! The state that the probes keep for each socket, and the counters: read by the recorder, written by the probes.

/// One direction of a flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectionState {
    /// Payload bytes seen so far, each once, holes included.
    pub bytes: u64,
    /// When the last of them passed (boot clock).
    pub last_ns: u64,
    /// The sequence number that comes next.
    pub next_seq: u32,
    /// The sequence number that the turn began with.
    pub turn_seq: u32,
    /// The acknowledgement number of the turn's first packet: a later one means that the peer has talked in between.
    pub turn_ack: u32,
    /// `direction_flag` set.
    pub flags: u32,
    /// Records emitted.
    pub records: u32,
    /// Payload packets whose bytes had all been seen before.
    pub retransmits: u32,
    /// HTTP/2 and WebSocket: bytes of the frame at hand that have yet to pass.
    pub frame_left: u32,
    /// Of these, the first so many are copied.
    pub frame_copy: u32,
    /// Bytes of the next frame's header that have passed, when packets cut it; within a head that upgrades, of its end.
    pub header_have: u32,
    /// Where the walk is in its packet's payload, and where that begins in the packet: for the program that goes on.
    pub walk_at: u32,
    /// As above.
    pub payload_at: u32,
    /// The packet's acknowledgement number, for the same.
    pub walk_ack: u32,
    /// Packets that offered no window (RFC 9293, section 3.8.6.1).
    pub zero_windows: u32,
    /// Packets with payload that were marked: Congestion Experienced (RFC 3168, section 5).
    pub marked: u32,
    /// Keep-alives (RFC 9293, section 3.8.4).
    pub keep_alives: u32,
    /// Probes of a window that the peer has closed (RFC 9293, section 3.8.6.1).
    pub window_probes: u32,
    /// When these two were last told of (boot clock).
    pub idle_told_ns: u64,
    /// HTTP/2: bytes of the frames before `walk_at` that are copied whole and have yet to be told.
    pub run_length: u32,
    /// Zero.
    pub reserved: u32,
    /// Those bytes of a header (RFC 9113 section 4.1: nine in all; RFC 6455 section 5.2: at most 14); the rest is room that a bound of the verifier's wants.
    pub header: [u8; 32],
}

/// Bits of `DirectionState::flags`.
pub mod direction_flag {
    /// A payload packet was seen.
    pub const SEEN: u32 = 1;
    /// The turn looks like text and its head is being copied.
    pub const COPYING: u32 = 1 << 1;
    /// The payload so far ends with the last chunk, `0 CR LF CR LF`.
    pub const LAST_CHUNK: u32 = 1 << 2;
    /// The `OPEN` record was delivered.
    pub const OPENED: u32 = 1 << 3;
    /// HTTP/2: walked frame by frame.
    pub const FRAMED: u32 = 1 << 4;
    /// HTTP/2 whose frames were lost sight of: the next packet that begins with a frame's header brings them back.
    pub const ADRIFT: u32 = 1 << 5;
    /// In the head of a response that changes the protocol (101), whose end is looked for.
    pub const UPGRADING: u32 = 1 << 6;
    /// Behind such a head, or what a client sends who has asked for one: walked as WebSocket.
    pub const WEBSOCKET: u32 = 1 << 7;
    /// WebSocket of which no frame was seen yet.
    pub const FRESH: u32 = 1 << 8;
    /// WebSocket known by its masked frames alone: those of a client.
    pub const MASKED: u32 = 1 << 9;
    /// Its first bytes left with a SYN, which acknowledges nothing: where the peer's numbers begin is not known as yet.
    pub const UNANSWERED: u32 = 1 << 10;
    /// TLS: a packet began with a record that is none of the handshake in clear, as application data do.
    pub const TLS_DATA: u32 = 1 << 11;
    /// A turn began with a record of TLS: packets are looked at for more of them.
    pub const TLS: u32 = 1 << 12;
    /// The packet at hand has a FIN behind its payload, which whoever goes on with it hands to the program that tells of it.
    pub const ENDING: u32 = 1 << 13;
}

/// One socket.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowState {
    /// By `record::direction`.
    pub directions: [DirectionState; 2],
    /// The process last reported as owner.
    pub owner_tgid: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<DirectionState>() == 128);
const _: () = assert!(size_of::<FlowState>() == 264);

impl FlowState {
    /// A flow of which nothing is known.
    pub const NEW: Self = {
        let direction = DirectionState {
            bytes: 0,
            last_ns: 0,
            next_seq: 0,
            turn_seq: 0,
            turn_ack: 0,
            flags: 0,
            records: 0,
            retransmits: 0,
            frame_left: 0,
            frame_copy: 0,
            header_have: 0,
            walk_at: 0,
            payload_at: 0,
            walk_ack: 0,
            run_length: 0,
            reserved: 0,
            zero_windows: 0,
            marked: 0,
            keep_alives: 0,
            window_probes: 0,
            idle_told_ns: 0,
            header: [0; 32],
        };
        Self {
            directions: [direction; 2],
            owner_tgid: 0,
            reserved: 0,
        }
    };
}

/// Names a UDP flow as one of its ends sees it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpFlowKey {
    /// The socket.
    pub cookie: u64,
    /// Address of its peer; IPv4 in the first four bytes.
    pub remote: [u8; 16],
    /// Port of its peer.
    pub remote_port: u16,
    /// Its own port.
    pub local_port: u16,
    /// 4 or 6.
    pub family: u32,
}

/// One direction of a UDP flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UdpDirection {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// When the first passed (boot clock).
    pub first_ns: u64,
    /// When the last passed.
    pub last_ns: u64,
}

/// One UDP flow.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UdpFlowState {
    /// By `record::direction`.
    pub directions: [UdpDirection; 2],
    /// Inode of the socket's network namespace, read once for a flow; 0 when unknown.
    pub netns: u32,
    /// Zero.
    pub reserved: u32,
}

/// What was last told of a UDP socket's owner.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct UdpOwner {
    /// When (boot clock).
    pub at_ns: u64,
    /// The process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// How a process came to be.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ForkState {
    /// When it was forked (boot clock): its start.
    pub start_ns: u64,
    /// Start of the process that forked it.
    pub parent_start_ns: u64,
    /// The process that forked it.
    pub parent: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ForkState>() == 24);
const _: () = assert!(size_of::<UdpFlowKey>() == 32);
const _: () = assert!(size_of::<UdpDirection>() == 32);
const _: () = assert!(size_of::<UdpFlowState>() == 72);
const _: () = assert!(size_of::<UdpOwner>() == 16);

/// Place of a program in the probes' `GO_ON_EGRESS` and `GO_ON_INGRESS`.
pub mod go_on {
    /// Walks frames of HTTP/2.
    pub const FRAMES: u32 = 0;
    /// Walks frames of WebSocket.
    pub const WEBSOCKET: u32 = 1;
    /// Looks for the end of a head that upgrades.
    pub const UPGRADE: u32 = 2;
    /// Of packets alone: looks at records of TLS.
    pub const TLS: u32 = 3;
    /// Of packets alone: tells of a FIN behind payload.
    pub const END: u32 = 4;
    /// How many there are of packets.
    pub const COUNT: u32 = 5;
    /// Of plaintext alone: looks at what passed.
    pub const PLAINTEXT: u32 = 3;
    /// How many there are of plaintext.
    pub const PLAINTEXT_COUNT: u32 = 4;
}

/// Index of a counter in the probes' `COUNTERS` array. `FIRED` = delivered + `LOST`, exactly.
pub mod counter {
    /// Reasons for dropping a packet that are counted each for itself, in a map of their own; the last stands for all beyond.
    pub const DROP_REASONS: u32 = 256;

    /// Records that the probes wanted to write.
    pub const FIRED: u32 = 0;
    /// Of these, records that found the ring buffer full.
    pub const LOST: u32 = 1;
    /// TCP packets looked at.
    pub const PACKETS: u32 = 2;
    /// Turns of which nothing was copied because they do not look like text.
    pub const OPAQUE_TURNS: u32 = 3;
    /// Packets whose headers could not be read (IP fragments after the first, long chains of extension headers).
    pub const UNPARSED: u32 = 4;
    /// Flows that found no room in the flow map.
    pub const FLOW_FULL: u32 = 5;
    /// Packets of HTTP/2 or WebSocket whose frames could not be followed: out of order, or too many frames.
    pub const FRAMES_ADRIFT: u32 = 6;
    /// UDP datagrams looked at.
    pub const DATAGRAMS: u32 = 7;
    /// UDP flows that found no room in their map: their datagrams are not counted by flow.
    pub const UDP_FLOW_FULL: u32 = 8;
    /// Dropped packets of TCP that were counted by reason and not told, since too many came at once.
    pub const DROPS_UNTOLD: u32 = 9;
    /// Reads and writes of TLS libraries that were looked at, or records that were written.
    pub const TLS_CALLS: u32 = 10;
    /// Sessions of TLS libraries that were put into their map. When it is full, others are pushed out: what is more than it holds
    /// and than was taken out.
    pub const SESSIONS_MADE: u32 = 11;
    /// Plaintext that was not told: bytes that were not in memory, or a call within a call within a call.
    pub const PLAINTEXT_UNREAD: u32 = 12;
    /// Sessions that were over and were taken out of their map.
    pub const SESSIONS_REMOVED: u32 = 13;
    /// How many there are.
    pub const COUNT: u32 = 14;
}
