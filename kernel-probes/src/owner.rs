//! Who owns a socket: the task that holds its lock while it sends.

use aya_ebpf::{EbpfContext, helpers::generated::bpf_skb_cgroup_id, programs::SkBuffContext};
use headwater_schema::{
    flow::FlowState,
    record::{Header, OwnerRecord, VERSION, kind, owned},
};

use crate::{packet::Packet, ring, settings, task};

/// What an owner is told of, and on whose behalf it was seen.
pub struct Seen {
    /// `kind::OWNER` or `kind::DATAGRAM_OWNER`.
    pub kind: u16,
    pub at_ns: u64,
    pub cookie: u64,
    pub tgid: u32,
    pub tid: u32,
    /// `owned`.
    pub lock: u8,
}

impl Seen {
    /// The sender of a packet of TCP.
    #[inline(always)]
    pub fn of(packet: &Packet, tgid: u32, tid: u32, lock: u8) -> Self {
        Self {
            kind: kind::OWNER,
            at_ns: packet.at_ns,
            cookie: packet.cookie,
            tgid,
            tid,
            lock,
        }
    }
}

/// Reports the owner when it is certain and not the one reported last. Without knowledge of the lock only the first packet
/// ever sent is taken as evidence; large responses leave mostly in their peer's process.
#[inline(always)]
pub fn learn(
    ctx: &SkBuffContext,
    packet: &Packet,
    state: &mut FlowState,
    tgid: u32,
    tid: u32,
    lock: u8,
) {
    let certain = lock == owned::YES && state.owner_tgid != tgid;
    let likely = lock == owned::UNKNOWN && state.owner_tgid == 0;
    if tgid != 0 && (certain || likely) && report(ctx, &Seen::of(packet, tgid, tid, lock)) {
        state.owner_tgid = tgid;
    }
}

/// Writes the record. Says whether it was delivered.
#[inline(always)]
pub fn report(ctx: &SkBuffContext, seen: &Seen) -> bool {
    // SAFETY: a helper without side effects on this context.
    tell(seen, unsafe { bpf_skb_cgroup_id(ctx.as_ptr().cast()) })
}

/// As above, with the id of the socket's cgroup; 0 when it is not known.
#[inline(always)]
pub fn tell(seen: &Seen, cgroup_id: u64) -> bool {
    let current = task::current();
    let record = OwnerRecord {
        header: Header {
            kind: seen.kind,
            version: VERSION,
            length: OwnerRecord::SIZE as u32,
            at_ns: seen.at_ns,
            cookie: seen.cookie,
        },
        tgid: seen.tgid,
        tid: seen.tid,
        start_ns: task::start_ns(current),
        cgroup_id,
        comm: task::read(current, settings::task_comm()),
        ancestors: task::ancestors(current),
        owned: u32::from(seen.lock),
    };
    let Some(mut entry) = ring::reserve::<OwnerRecord>() else {
        return false;
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
    true
}
