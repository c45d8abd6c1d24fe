//! From a packet to its TCP header: IPv4 with options, IPv6 with extension headers.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::{DirectionState, counter, direction_flag, go_on},
    record::{direction, tcp_flag},
};

use crate::{bytes::Bytes, counters::count, idle, lifecycle, turn, udp};

const TCP: u8 = 6;
/// Extension headers looked through before giving up (RFC 8200 section 4.1 recommends at most seven in all).
const MAX_EXTENSIONS: usize = 7;

/// What the programs need of one TCP packet.
pub struct Packet {
    pub at_ns: u64,
    pub cookie: u64,
    pub source: [u8; 16],
    pub destination: [u8; 16],
    pub source_port: u16,
    pub destination_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub payload_at: u32,
    pub payload_length: u32,
    pub family: u8,
    pub flags: u8,
    pub ttl: u8,
    pub direction: u8,
    /// Congestion Experienced: both bits of ECN (RFC 3168, section 5).
    pub marked: bool,
    /// It offers no window.
    pub closed_window: bool,
}

/// Interface index of a packet.
#[inline(always)]
pub fn interface(ctx: &SkBuffContext) -> u32 {
    // SAFETY: the verifier turns this read of the context into one of the packet's own field.
    unsafe { (*ctx.skb.skb).ifindex }
}

/// A number that the compiler does not know to be 0: it would make a call of `memset` from storing zeros side by side, and
/// one call into another function of the object makes the verifier of Linux 6.1 take every number for one that matters.
#[inline(always)]
pub fn zero() -> u64 {
    core::hint::black_box(0)
}

/// Room for an address.
#[inline(always)]
pub fn zeros() -> [u8; 16] {
    let half = zero();
    // SAFETY: two integers of eight bytes are sixteen bytes, whose every value is one.
    unsafe { core::mem::transmute([half, half]) }
}

/// Looks at one packet.
#[inline(always)]
pub fn see(ctx: &SkBuffContext, way: u8) {
    let Some(mut packet) = parse(ctx, way) else {
        return;
    };
    count(counter::PACKETS);
    if packet.flags & (tcp_flag::SYN | tcp_flag::RST) != 0 {
        lifecycle::boundary(ctx, &packet);
        // A SYN may carry the first bytes of its stream (RFC 7413), whose number is the next. One that is received has the
        // listener's cookie, and whether the listener takes them is not known here.
        if way == direction::INGRESS
            || packet.flags & tcp_flag::SYN == 0
            || packet.payload_length == 0
        {
            return;
        }
        packet.seq = packet.seq.wrapping_add(1);
        packet.flags &= !tcp_flag::SYN;
    }
    if packet.payload_length > 0 {
        turn::payload(ctx, &packet);
    }
    if packet.flags & tcp_flag::FIN != 0 {
        lifecycle::boundary(ctx, &packet);
    }
}

/// The end of a program that has gone on with a packet: its caller does not come to tell of a FIN.
#[inline(always)]
pub fn finish(ctx: &SkBuffContext, side: &mut DirectionState, way: u8) {
    if side.flags & direction_flag::ENDING != 0 {
        side.flags &= !direction_flag::ENDING;
        ctx.tail_call(way, go_on::END);
    }
}

/// Tells of a FIN behind payload.
#[inline(always)]
pub fn ended(ctx: &SkBuffContext, way: u8) {
    if let Some(mut packet) = parse(ctx, way)
        && packet.flags & tcp_flag::FIN != 0
    {
        // A SYN with all that is to be said (RFC 7413) has been told.
        packet.flags &= !tcp_flag::SYN;
        lifecycle::boundary(ctx, &packet);
    }
}

#[inline(always)]
fn parse(ctx: &SkBuffContext, direction: u8) -> Option<Packet> {
    let start = ctx.read::<20>(0)?;
    let clear = zeros();
    let mut packet = Packet {
        at_ns: 0,
        cookie: 0,
        source: clear,
        destination: clear,
        source_port: 0,
        destination_port: 0,
        seq: 0,
        ack: 0,
        payload_at: 0,
        payload_length: 0,
        family: start[0] >> 4,
        flags: 0,
        ttl: 0,
        direction,
        // The type of service of IPv4; of IPv6's traffic class the bits that stand in the second byte.
        marked: if start[0] >> 4 == 4 {
            start[1] & 0x03 == 0x03
        } else {
            start[1] & 0x30 == 0x30
        },
        closed_window: false,
    };
    let tcp_at = if packet.family == 4 {
        ipv4(&start, &mut packet)
    } else {
        ipv6(ctx, &mut packet)
    };
    let Some(tcp_at) = tcp_at else {
        udp::hand_over(ctx, &start, direction);
        return None;
    };
    let Some(tcp) = ctx.read::<20>(tcp_at) else {
        count(counter::UNPARSED);
        return None;
    };
    packet.source_port = u16::from_be_bytes([tcp[0], tcp[1]]);
    packet.destination_port = u16::from_be_bytes([tcp[2], tcp[3]]);
    packet.seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    packet.ack = u32::from_be_bytes([tcp[8], tcp[9], tcp[10], tcp[11]]);
    packet.flags = tcp[13];
    packet.payload_at = tcp_at + u32::from(tcp[12] >> 4) * 4;
    // Never from the IP length: packets on the loopback device pass 64 KiB, where that field is 0.
    packet.payload_length = ctx.len().saturating_sub(packet.payload_at);
    packet.closed_window = tcp[14] | tcp[15] == 0;
    if packet.payload_length <= idle::MOST_PAYLOAD
        && packet.flags & (tcp_flag::SYN | tcp_flag::RST | tcp_flag::FIN) == 0
    {
        let is_probe = idle::is_probe(ctx, &packet);
        if packet.payload_length == 0 && packet.closed_window {
            lifecycle::closed_window(ctx, direction);
        }
        if packet.payload_length == 0 || is_probe {
            return None;
        }
    }
    // SAFETY: helpers without side effects on this context.
    unsafe {
        packet.at_ns = bpf_ktime_get_boot_ns();
        packet.cookie = bpf_get_socket_cookie(ctx.as_ptr());
    }
    Some(packet)
}

#[inline(always)]
fn ipv4(start: &[u8; 20], packet: &mut Packet) -> Option<u32> {
    if start[9] != TCP {
        return None;
    }
    // A fragment after the first has no TCP header (RFC 791: 13 bits of fragment offset).
    if u16::from_be_bytes([start[6], start[7]]) & 0x1fff != 0 {
        count(counter::UNPARSED);
        return None;
    }
    packet.ttl = start[8];
    packet.source[..4].copy_from_slice(&start[12..16]);
    packet.destination[..4].copy_from_slice(&start[16..20]);
    Some(u32::from(start[0] & 15) * 4)
}

#[inline(always)]
fn ipv6(ctx: &SkBuffContext, packet: &mut Packet) -> Option<u32> {
    if packet.family != 6 {
        return None;
    }
    let fixed = ctx.read::<40>(0)?;
    let mut next = fixed[6];
    let mut at = 40u32;
    for _ in 0..MAX_EXTENSIONS {
        if next == TCP {
            break;
        }
        // Hop-by-hop, routing, destination options, mobility, HIP and shim6 tell their length in eights;
        // fragment is eight bytes; the authentication header counts in fours (RFC 8200, RFC 4302).
        let known = matches!(next, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140);
        if !known {
            return None;
        }
        let head = ctx.read::<4>(at)?;
        if next == 44 && u16::from_be_bytes([head[2], head[3]]) & 0xfff8 != 0 {
            count(counter::UNPARSED);
            return None;
        }
        at += match next {
            44 => 8,
            51 => (u32::from(head[1]) + 2) * 4,
            _ => (u32::from(head[1]) + 1) * 8,
        };
        next = head[0];
    }
    if next != TCP {
        count(counter::UNPARSED);
        return None;
    }
    packet.ttl = fixed[7];
    packet.source.copy_from_slice(&fixed[8..24]);
    packet.destination.copy_from_slice(&fixed[24..40]);
    Some(at)
}
