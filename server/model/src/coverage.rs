//! What was not seen, when, and why.

use headwater_redact::Text;

/// What kind of limit or loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CoverageKind {
    /// Records that found the kernel's ring buffer full.
    RingLost,
    /// Probe runs skipped by the kernel because the program was already running on that CPU.
    ProbeRecursion,
    /// Connections dropped from the recorder's table to keep its memory bounded.
    ConnectionEvicted,
    /// Heads longer than the cap.
    HeadCapped,
    /// Byte sequences that were not what the protocol demands.
    Malformed,
    /// Connections joined in the middle.
    JoinedMidstream,
    /// Connections whose bytes are TLS: only their TCP life was seen.
    TlsNotDecoded,
    /// A program whose TLS library is not read, from then on; `detail` says which and why.
    TlsLibraryNotRead,
    /// TLS sessions whose socket did not become known: their exchanges have no addresses.
    TlsUnbound,
    /// Reads of plaintext that found it not in memory, or in calls of TLS libraries whose end was not seen.
    PlaintextUnread,
    /// Header blocks of HTTP/2 that were not read: what referred to them is not known.
    HeaderBlockLost,
    /// Connections of other protocols: only their TCP life was seen.
    OtherProtocol,
    /// Exchanges of Headwater's own MCP traffic, left out.
    OwnTraffic,
    /// Connections left out by the operator's filter; `detail` is the filter.
    Filtered,
    /// The wall clock was set; `count` is the step in milliseconds.
    ClockStep,
    /// The machine slept; `count` is for how many milliseconds.
    Suspended,
    /// A batch that could not be written (disk full); `count` is rows lost.
    WriteFailed,
    /// Rows dropped by retention; `detail` says whether by age or size.
    Retention,
    /// Distinct names beyond the cap, counted under `(other)`.
    NameOverflow,
    /// Something that this kernel or this user cannot do; `detail` says what and the cure.
    Unsupported,
    /// The recorder before this one ended without saying so; `from_ns` is its last sign of life.
    RecorderKilled,
    /// Sockets that spoke while the recorder did not know their addresses: evicted before, or their beginning was lost.
    /// Each counts once a second.
    ConnectionUnfollowed,
    /// Packets whose headers the probes could not read.
    PacketsUnparsed,
    /// Packets of sockets that found no room in the probes' table.
    FlowTableFull,
    /// Packets of HTTP/2 or WebSocket whose frames could not be followed.
    FramesLost,
    /// Connections given up since what all of them held of unfinished heads and open exchanges was beyond its bytes.
    HeldBytesCapped,
    /// Entries of HPACK's tables forgotten to keep the tables bounded: what refers to them is not known.
    HeaderTableCapped,
    /// Packets of TCP that the kernel dropped in such numbers that they were counted by reason only.
    DropsUntold,
    /// Exchanges of HTTP/2 connections that would have been more than four times as long in the store as on the wire: without
    /// their heads, or left out.
    ExpansionCapped,
    /// Entries that a full table of the recorder's had to forget; `detail` names the table.
    TableCapped,
    /// DNS messages that were cut, damaged, or had to make room for others: what they said is not told.
    DnsNotRead,
    /// UDP flows of QUIC: version and server name were seen, the exchanges within were not.
    QuicNotDecoded,
    /// Errors that ICMP told of TCP or UDP and that are told of no connection, DNS exchange or flow; `detail` says why.
    IcmpNotTied,
    /// UDP flows that made room for others: their counts end there.
    UdpFlowEvicted,
    /// Identifiers of exchanges with more of them than are indexed of one.
    IdentifiersCapped,
}

/// Something not seen during an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// What.
    pub kind: CoverageKind,
    /// From when.
    pub from_ns: u64,
    /// Until when.
    pub until_ns: u64,
    /// How much, in the unit that `kind` names.
    pub count: u64,
    /// More words, never captured text.
    pub detail: Option<Text>,
}
