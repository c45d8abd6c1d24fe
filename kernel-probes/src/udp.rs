//! UDP: every datagram is counted in its flow; those that look like DNS are told with their bytes, so is the beginning of a
//! flow of QUIC, and of any other flow the first datagram is told without them.
//!
//! A program of its own, reached by a tail call, so that the one for TCP pays a single comparison, and the verifier walks
//! each by itself.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    macros::map,
    maps::{LruHashMap, ProgramArray},
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::{UdpDirection, UdpFlowKey, UdpFlowState, UdpOwner, counter},
    record::{DATAGRAM_CAP, DatagramRecord, Header, VERSION, direction, kind, look, owned},
};

use crate::{
    bytes::Bytes,
    counters::count,
    owner::{self, Seen},
    packet::{interface, zeros},
    ring, task,
};

/// IANA's number of UDP.
pub const UDP: u8 = 17;
/// Flows counted at once; the least recently used make room.
const FLOWS: u32 = 16_384;
/// Sockets whose owner was told.
const OWNERS: u32 = 8_192;
/// An owner is told again after so long: the reader may have forgotten it.
const OWNER_AGAIN_NS: u64 = 10_000_000_000;
/// Of a flow of QUIC so many datagrams are told each way: the client's first message takes two at most.
const QUIC_DATAGRAMS: u64 = 3;

#[map]
static UDP_EGRESS: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static UDP_INGRESS: ProgramArray = ProgramArray::with_max_entries(1, 0);
#[map]
static UDP_FLOWS: LruHashMap<UdpFlowKey, UdpFlowState> = LruHashMap::with_max_entries(FLOWS, 0);
#[map]
static UDP_OWNERS: LruHashMap<u64, UdpOwner> = LruHashMap::with_max_entries(OWNERS, 0);

/// What a flow begins with: see `flow::NEW_FLOW`.
#[unsafe(no_mangle)]
pub static NEW_UDP_FLOW: UdpFlowState = UdpFlowState {
    directions: [UdpDirection {
        packets: 0,
        bytes: 0,
        first_ns: 0,
        last_ns: 0,
    }; 2],
    netns: 0,
    reserved: 0,
};

/// Goes on with a packet that is no TCP in the program for UDP, if that is what it is. `start` is the IP header's beginning.
#[inline(always)]
pub fn hand_over(ctx: &SkBuffContext, start: &[u8; 20], way: u8) {
    // The protocol of IPv4 (RFC 791), or the next header of IPv6 (RFC 8200).
    let protocol = if start[0] >> 4 == 4 {
        start[9]
    } else {
        start[6]
    };
    if protocol != UDP {
        return;
    }
    // SAFETY: on success the call does not return, and nothing here has to be dropped.
    unsafe {
        if way == direction::EGRESS {
            let _ = UDP_EGRESS.tail_call(ctx, 0);
        } else {
            let _ = UDP_INGRESS.tail_call(ctx, 0);
        }
    }
}

/// Looks at one datagram.
#[inline(always)]
pub fn see(ctx: &SkBuffContext, way: u8) {
    // The IP header of either version, with all of UDP's behind one of IPv4 without options: one call for both.
    let Some(start) = ctx.read::<28>(0) else {
        count(counter::UNPARSED);
        return;
    };
    let clear = zeros();
    let (mut source, mut destination) = (clear, clear);
    let family = start[0] >> 4;
    let udp_at = if family == 4 {
        // A fragment after the first has no UDP header. On the way out there are none yet.
        if u16::from_be_bytes([start[6], start[7]]) & 0x1fff != 0 {
            count(counter::UNPARSED);
            return;
        }
        source[..4].copy_from_slice(&start[12..16]);
        destination[..4].copy_from_slice(&start[16..20]);
        u32::from(start[0] & 15) * 4
    } else {
        let Some(both) = ctx.read::<32>(8) else {
            return;
        };
        source.copy_from_slice(&both[..16]);
        destination.copy_from_slice(&both[16..]);
        40
    };
    let udp = if udp_at == 20 {
        [start[20], start[21], start[22], start[23]]
    } else if let Some(ports) = ctx.read::<4>(udp_at) {
        ports
    } else {
        count(counter::UNPARSED);
        return;
    };
    count(counter::DATAGRAMS);
    let source_port = u16::from_be_bytes([udp[0], udp[1]]);
    let destination_port = u16::from_be_bytes([udp[2], udp[3]]);
    let payload_at = udp_at + 8;
    let payload_length = ctx.len().saturating_sub(payload_at);
    let egress = way == direction::EGRESS;
    // SAFETY: helpers without side effects on this context.
    let (at_ns, cookie) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_socket_cookie(ctx.as_ptr())) };
    let (local, remote) = if egress {
        (source, destination)
    } else {
        (destination, source)
    };
    let (local_port, remote_port) = if egress {
        (source_port, destination_port)
    } else {
        (destination_port, source_port)
    };
    let key = UdpFlowKey {
        cookie,
        remote,
        remote_port,
        local_port,
        family: u32::from(family),
    };
    let Some(Noted {
        packets,
        is_new,
        netns,
    }) = note(ctx, &key, way, at_ns, payload_length)
    else {
        return;
    };
    let look = look_of(
        ctx,
        payload_at,
        payload_length,
        source_port,
        destination_port,
        packets,
    );
    if look == look::FLOW && !is_new {
        return;
    }
    if egress {
        let (tgid, tid) = task::ids();
        tell_owner(ctx, at_ns, cookie, tgid, tid);
    }
    let record = DatagramRecord {
        header: Header {
            kind: kind::DATAGRAM,
            version: VERSION,
            length: DatagramRecord::SIZE as u32,
            at_ns,
            cookie,
        },
        local,
        remote,
        local_port,
        remote_port,
        family,
        direction: way,
        look,
        reserved: 0,
        netns,
        ifindex: interface(ctx),
        payload_length,
        captured: 0,
    };
    if look == look::FLOW || payload_length == 0 {
        bare(record);
    } else if payload_length <= 128 {
        ring::copy::<_, _, 128>(ctx, payload_at, payload_length, record);
    } else if payload_length <= 512 {
        ring::copy::<_, _, 512>(ctx, payload_at, payload_length, record);
    } else {
        let length = if payload_length < DATAGRAM_CAP {
            payload_length
        } else {
            DATAGRAM_CAP
        };
        ring::copy::<_, _, { DATAGRAM_CAP as usize }>(ctx, payload_at, length, record);
    }
}

/// What a datagram's flow is like.
struct Noted {
    /// How many passed that way before it.
    packets: u64,
    is_new: bool,
    netns: u32,
}

/// Counts a datagram in its flow.
#[inline(always)]
fn note(ctx: &SkBuffContext, key: &UdpFlowKey, way: u8, at_ns: u64, length: u32) -> Option<Noted> {
    let mut is_new = false;
    let state = match UDP_FLOWS.get_ptr_mut(key) {
        Some(state) => state,
        None => {
            is_new = true;
            if UDP_FLOWS.insert(key, &NEW_UDP_FLOW, 0).is_err() {
                count(counter::UDP_FLOW_FULL);
            }
            UDP_FLOWS.get_ptr_mut(key)?
        }
    };
    // SAFETY: the map gave a pointer to an initialised value that lives while the program runs. Many processors may send
    // from one socket at once: the sums are atomic, and of the times any of theirs will do.
    unsafe {
        let side = if way == direction::EGRESS {
            &raw mut (*state).directions[0]
        } else {
            &raw mut (*state).directions[1]
        };
        let packets = (*side).packets;
        if packets == 0 {
            (*side).first_ns = at_ns;
        }
        (*side).last_ns = at_ns;
        atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(&raw mut (*side).packets, 1);
        atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(
            &raw mut (*side).bytes,
            u64::from(length),
        );
        if (*state).netns == 0 {
            // Three reads of kernel memory, and a socket stays in its namespace. Not asked by `is_new`: another processor may
            // have made the flow and not come as far as this.
            (*state).netns = task::netns(task::socket(ctx));
        }
        Some(Noted {
            packets,
            is_new,
            netns: (*state).netns,
        })
    }
}

/// Why the datagram is looked into.
#[inline(always)]
fn look_of(
    ctx: &SkBuffContext,
    at: u32,
    length: u32,
    source_port: u16,
    destination_port: u16,
    packets: u64,
) -> u8 {
    // A header of DNS and a question for the root (RFC 1035, section 4.1) take so much.
    if length < 17 {
        return look::FLOW;
    }
    if is_dns_port(source_port) || is_dns_port(destination_port) {
        return look::DNS;
    }
    let Some(head) = ctx.read::<12>(at) else {
        return look::FLOW;
    };
    if is_dns(&head) {
        return look::DNS;
    }
    if packets < QUIC_DATAGRAMS && is_quic(&head) {
        return look::QUIC;
    }
    look::FLOW
}

/// DNS; multicast DNS and LLMNR, which are told as DNS is where their addresses are unicast.
#[inline(always)]
fn is_dns_port(port: u16) -> bool {
    port == 53 || port == 5353 || port == 5355
}

/// Whether these may be the first bytes of a message of DNS with one question (RFC 1035, section 4.1.1): a standard query
/// without what only answers have, or a response; all counts small.
#[inline(always)]
pub fn is_dns(head: &[u8; 12]) -> bool {
    let (upper, lower) = (head[2], head[3]);
    // Opcode 0, the reserved bit 0, one question, less than 256 of each kind of record.
    let fixed = u32::from(upper & 0x78)
        | u32::from(lower & 0x40)
        | u32::from(head[4])
        | u32::from(head[5] ^ 1)
        | u32::from(head[6] | head[8] | head[10]);
    if fixed != 0 {
        return false;
    }
    // AA, TC, RA and a response code are no query's, nor are answers; a version, EDNS and a signature may be.
    upper & 0x80 != 0
        || (u32::from(upper & 0x06) | u32::from(lower & 0x8f) | u32::from(head[7]) == 0
            && head[9] <= 1
            && head[11] <= 2)
}

/// Whether these may be the first bytes of a QUIC packet with a long header of a version that has been in use.
#[inline(always)]
fn is_quic(head: &[u8; 12]) -> bool {
    let version = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
    // Version 1 (RFC 9000), version 2 (RFC 9369), the drafts, and Google's own numbers; connection ids of at most 20 bytes.
    head[0] & 0xc0 == 0xc0
        && head[5] <= 20
        && (version == 1
            || version == 0x6b33_43cf
            || version >> 8 == 0x00ff_0000
            || version >> 24 == 0x51)
}

/// Tells the process that sends from a socket, when it is another than the last one told, or after a while. A datagram
/// leaves on its sender's behalf: there is nothing to be sent again, and nothing waits.
#[inline(always)]
fn tell_owner(ctx: &SkBuffContext, at_ns: u64, cookie: u64, tgid: u32, tid: u32) {
    if tgid == 0 {
        return;
    }
    if let Some(told) = UDP_OWNERS.get_ptr(&cookie) {
        // SAFETY: the map gave a pointer to an initialised value that lives while the program runs.
        let told = unsafe { *told };
        if told.tgid == tgid && at_ns.wrapping_sub(told.at_ns) < OWNER_AGAIN_NS {
            return;
        }
    }
    let seen = Seen {
        kind: kind::DATAGRAM_OWNER,
        at_ns,
        cookie,
        tgid,
        tid,
        lock: owned::UNKNOWN,
    };
    if !owner::report(ctx, &seen) {
        return;
    }
    let told = UdpOwner {
        at_ns,
        tgid,
        reserved: 0,
    };
    // Without room the owner is told again with the next datagram.
    let _ = UDP_OWNERS.insert(&cookie, &told, 0);
}

/// The record alone.
#[inline(always)]
fn bare(record: DatagramRecord) {
    let Some(mut entry) = ring::reserve::<DatagramRecord>() else {
        return;
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
}
