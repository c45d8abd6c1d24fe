//! Packets that the kernel dropped, with its reason (include/net/dropreason-core.h): all are counted by reason, those of TCP
//! told one by one, so that they find their connection.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns, macros::map, maps::PerCpuArray,
    programs::RawTracePointContext,
};
use headwater_schema::{
    flow::counter,
    record::{DropRecord, Header, VERSION, direction, kind, owned, tcp_flag},
};

use crate::{
    counters::{count, count_in},
    owner::{self, Seen},
    packet::zeros,
    ring, settings, task,
};

const TCP: u8 = 6;
/// From the IP header of version 6 to the one behind it; extension headers are not looked through.
const IPV6_HEADER: u64 = 40;

/// Told at most so many times in a window of 134 ms on each processor: a flood of packets that nobody wants, each dropped, must
/// not fill the ring buffer.
const MOST_TOLD: u64 = 128;
const WINDOW_SHIFT: u64 = 27;

#[map]
static DROP_REASONS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::DROP_REASONS, 0);

/// How many were told in the window at hand: its number, and the count.
#[repr(C)]
struct Pace {
    window: u64,
    told: u64,
}

#[map]
static DROP_PACE: PerCpuArray<Pace> = PerCpuArray::with_max_entries(1, 0);

/// `kfree_skb(skb, location, reason, rx_sk)` of Linux 6.11; without the last from 5.17 on. Older ones know no reasons and are
/// not hooked.
#[inline(always)]
pub fn dropped(ctx: &RawTracePointContext) {
    let reason: u32 = ctx.arg(2);
    // Up to here a packet was not dropped, or nobody said why.
    if reason <= settings::drop_not_specified() {
        return;
    }
    let last = counter::DROP_REASONS - 1;
    count_in(&DROP_REASONS, if reason < last { reason } else { last });
    if settings::skb_head() == 0 || settings::skb_network_header() == 0 {
        return;
    }
    let packet: u64 = ctx.arg(0);
    let head: u64 = task::read(packet, settings::skb_head());
    let network: u16 = task::read(packet, settings::skb_network_header());
    let ip = head.wrapping_add(u64::from(network));
    let start: [u8; 8] = at(ip).to_ne_bytes();
    let family = start[0] >> 4;
    let (mut source, mut destination) = (zeros(), zeros());
    let (ttl, tcp_at) = if family == 4 {
        let middle: [u8; 8] = at(ip.wrapping_add(8)).to_ne_bytes();
        // A fragment after the first has no TCP header (RFC 791: 13 bits of fragment offset).
        if middle[1] != TCP || u16::from_be_bytes([start[6], start[7]]) & 0x1fff != 0 {
            return;
        }
        let ends: [u8; 8] = at(ip.wrapping_add(12)).to_ne_bytes();
        source[..4].copy_from_slice(&ends[..4]);
        destination[..4].copy_from_slice(&ends[4..]);
        (middle[0], ip.wrapping_add(u64::from(start[0] & 15) * 4))
    } else {
        if family != 6 || start[6] != TCP {
            return;
        }
        source = address(ip.wrapping_add(8));
        destination = address(ip.wrapping_add(24));
        (start[7], ip.wrapping_add(IPV6_HEADER))
    };
    // SAFETY: no arguments, no effects.
    let at_ns = unsafe { bpf_ktime_get_boot_ns() };
    if !may_tell(at_ns) {
        count(counter::DROPS_UNTOLD);
        return;
    }
    let (receiver, sender) = sockets(ctx, packet);
    let socket = if receiver == 0 { sender } else { receiver };
    let mut netns = task::netns(socket);
    if netns == 0 && settings::dev_net() != 0 {
        let device: u64 = task::read(packet, settings::skb_dev());
        let net = task::read(device, settings::dev_net());
        netns = task::read(net, settings::net_inum());
    }
    let mut cookie: u64 = task::read(socket, settings::sock_cookie());
    let tcp = [
        at(tcp_at),
        at(tcp_at.wrapping_add(8)),
        at(tcp_at.wrapping_add(16)),
        at(tcp_at.wrapping_add(24)),
        at(tcp_at.wrapping_add(32)),
        at(tcp_at.wrapping_add(40)),
        at(tcp_at.wrapping_add(48)),
        at(tcp_at.wrapping_add(56)),
    ];
    let ports = tcp[0].to_ne_bytes();
    let flags = tcp[1].to_ne_bytes()[5];
    let way = if receiver == 0 && sender != 0 {
        direction::EGRESS
    } else {
        direction::INGRESS
    };
    if way == direction::EGRESS && flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN {
        // A cookie is made when one is first asked for, by the probe that this packet never came to: the socket's place in
        // memory serves, as at its end (`lifecycle::state_changed`).
        if cookie == 0 {
            cookie = socket;
        }
        whose(socket, cookie, at_ns);
    }
    let record = DropRecord {
        header: Header {
            kind: kind::DROP,
            version: VERSION,
            length: DropRecord::SIZE as u32,
            at_ns,
            cookie,
        },
        source,
        destination,
        source_port: u16::from_be_bytes([ports[0], ports[1]]),
        destination_port: u16::from_be_bytes([ports[2], ports[3]]),
        reason,
        netns,
        family,
        ttl,
        direction: way,
        reserved: 0,
        ip: start,
        // SAFETY: eight integers of eight bytes are sixty-four bytes, whose every value is one.
        tcp: unsafe { core::mem::transmute::<[u64; 8], [u8; 64]>(tcp) },
    };
    let Some(mut entry) = ring::reserve::<DropRecord>() else {
        return;
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
}

/// The socket that was to receive a packet, where the kernel tells it, and the one that the packet belongs to.
#[inline(always)]
fn sockets(ctx: &RawTracePointContext, packet: u64) -> (u64, u64) {
    // A constant to the verifier, which refuses to attach a program that reads more arguments than there are.
    let receiver = if settings::kfree_skb_socket() == 1 {
        ctx.arg(3)
    } else {
        0
    };
    (receiver, task::read(packet, settings::skb_sk()))
}

/// A SYN that a filter took before the probe at its socket could see it: connect() holds the lock while it sends.
#[inline(always)]
fn whose(socket: u64, cookie: u64, at_ns: u64) {
    if settings::sock_owned() == 0 {
        return;
    }
    if task::read::<u32>(socket, settings::sock_owned()) == 0 {
        return;
    }
    let (tgid, tid) = task::ids();
    let seen = Seen {
        kind: kind::OWNER,
        at_ns,
        cookie,
        tgid,
        tid,
        lock: owned::YES,
    };
    owner::tell(&seen, 0);
}

#[inline(always)]
fn may_tell(at_ns: u64) -> bool {
    let Some(pace) = DROP_PACE.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the map gave a pointer to this CPU's own element, valid for the program's run. An interrupt between may count
    // one too few, which bounds as well.
    let pace = unsafe { &mut *pace };
    let window = at_ns >> WINDOW_SHIFT;
    if pace.window != window {
        pace.window = window;
        pace.told = 0;
    }
    pace.told += 1;
    pace.told <= MOST_TOLD
}

/// Eight bytes of kernel memory; zeros when they cannot be read.
#[inline(always)]
fn at(address: u64) -> u64 {
    task::read(address.wrapping_sub(1), 1)
}

#[inline(always)]
fn address(place: u64) -> [u8; 16] {
    let halves = [at(place), at(place.wrapping_add(8))];
    // SAFETY: two integers of eight bytes are sixteen bytes, whose every value is one.
    unsafe { core::mem::transmute(halves) }
}
