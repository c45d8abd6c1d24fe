//! What the kernel dropped on the whole machine.

/// Packets that the kernel dropped in an interval, by reason: of any protocol, in any network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelDrops {
    /// The interval's end.
    pub until_ns: u64,
    /// The kernel's name for each reason (as in `PacketDrop`), and how many packets.
    pub by_reason: Vec<(Box<str>, u64)>,
}
