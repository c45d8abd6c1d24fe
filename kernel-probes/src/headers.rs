//! Headers of packets, one record for each, for `headwater packets`. Programs of their own that only that command loads: a
//! recorder neither loads nor pays for them.
//!
//! Owns: the filter (what the loader put into the settings must hold) and where the headers end. Payload is not copied.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns},
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::counter,
    record::{Header, HeadersRecord, VERSION, direction, kind, owned},
};

use crate::{
    bytes::Bytes,
    counters::count,
    packet::{interface, zeros},
    ring, settings, task, udp,
};

/// IANA's numbers.
const TCP: u8 = 6;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// Extension headers looked through before giving up.
const MAX_EXTENSIONS: usize = 7;
/// Room for the headers of one packet, a power of two: 40 of IPv6, its extensions, 60 of TCP.
const ROOM: usize = 256;

/// What the filter looks at.
struct Seen {
    family: u8,
    protocol: u8,
    tcp_flags: u8,
    source: [u8; 16],
    destination: [u8; 16],
    source_port: u16,
    destination_port: u16,
    /// Where the payload begins, as far as is known.
    headers: u32,
}

/// Tells the headers of one packet, if the filter takes it.
#[inline(always)]
pub fn see(ctx: &SkBuffContext, way: u8) {
    let Some(seen) = parse(ctx) else {
        count(counter::UNPARSED);
        return;
    };
    if !is_asked_for(&seen) {
        return;
    }
    count(counter::PACKETS);
    let (mut lock, mut tgid, mut tid) = (owned::NO, 0, 0);
    if way == direction::EGRESS {
        lock = task::lock(ctx);
        // A UDP socket is seldom locked while it sends, and sends nothing later.
        if lock == owned::YES || seen.protocol == udp::UDP {
            (tgid, tid) = task::ids();
        }
    }
    let length = ctx.len();
    // SAFETY: helpers without side effects on this context.
    let (at_ns, cookie) = unsafe { (bpf_ktime_get_boot_ns(), bpf_get_socket_cookie(ctx.as_ptr())) };
    let record = HeadersRecord {
        header: Header {
            kind: kind::HEADERS,
            version: VERSION,
            length: HeadersRecord::SIZE as u32,
            at_ns,
            cookie,
        },
        tgid,
        tid,
        comm: task::read(task::current(), settings::task_comm()),
        netns: task::netns(task::socket(ctx)),
        ifindex: interface(ctx),
        packet_length: length,
        captured: 0,
        direction: u32::from(way),
        owned: u32::from(lock),
    };
    let mut copied = if seen.headers < length {
        seen.headers
    } else {
        length
    };
    if copied > ROOM as u32 {
        copied = ROOM as u32;
    }
    ring::copy::<_, _, ROOM>(ctx, 0, copied, record);
}

/// Everything that the settings ask for holds.
#[inline(always)]
fn is_asked_for(seen: &Seen) -> bool {
    let family = settings::filter_family();
    if family != 0 && family != u32::from(seen.family) {
        return false;
    }
    let protocol = settings::filter_protocol();
    if protocol != 0 {
        // ICMP is asked for by one number, whatever the family.
        let same = if seen.protocol == ICMPV6 {
            ICMP
        } else {
            seen.protocol
        };
        if protocol != u32::from(same) {
            return false;
        }
    }
    let port = settings::filter_port();
    if port != 0 && port != u32::from(seen.source_port) && port != u32::from(seen.destination_port)
    {
        return false;
    }
    let flags = settings::filter_tcp_flags();
    if flags != 0 && flags & u32::from(seen.tcp_flags) == 0 {
        return false;
    }
    is_in_net(&seen.source) || is_in_net(&seen.destination)
}

/// Whether an address is in the network asked for. Without one every address is.
#[inline(always)]
fn is_in_net(address: &[u8; 16]) -> bool {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *address;
    let high = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let low = u64::from_be_bytes([i, j, k, l, m, n, o, p]);
    (high ^ settings::filter_net_high()) & settings::filter_mask_high()
        | (low ^ settings::filter_net_low()) & settings::filter_mask_low()
        == 0
}

#[inline(always)]
fn parse(ctx: &SkBuffContext) -> Option<Seen> {
    let start = ctx.read::<20>(0)?;
    let clear = zeros();
    let mut seen = Seen {
        family: start[0] >> 4,
        protocol: 0,
        tcp_flags: 0,
        source: clear,
        destination: clear,
        source_port: 0,
        destination_port: 0,
        headers: 0,
    };
    let is_first = if seen.family == 4 {
        seen.protocol = start[9];
        seen.source[..4].copy_from_slice(&start[12..16]);
        seen.destination[..4].copy_from_slice(&start[16..20]);
        seen.headers = u32::from(start[0] & 15) * 4;
        // RFC 791: 13 bits of fragment offset.
        u16::from_be_bytes([start[6], start[7]]) & 0x1fff == 0
    } else if seen.family == 6 {
        ipv6(ctx, &mut seen)?
    } else {
        return None;
    };
    // A fragment after the first has no header of what it carries.
    if is_first {
        transport(ctx, &mut seen);
    }
    Some(seen)
}

/// Walks to the header behind IPv6's. Says whether it is there: not in later fragments.
#[inline(always)]
fn ipv6(ctx: &SkBuffContext, seen: &mut Seen) -> Option<bool> {
    let fixed = ctx.read::<40>(0)?;
    seen.source.copy_from_slice(&fixed[8..24]);
    seen.destination.copy_from_slice(&fixed[24..40]);
    let mut next = fixed[6];
    let mut at = 40u32;
    let mut is_first = true;
    for _ in 0..MAX_EXTENSIONS {
        // As in `packet::ipv6`.
        if !matches!(next, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140) || !is_first {
            break;
        }
        let head = ctx.read::<4>(at)?;
        is_first = next != 44 || u16::from_be_bytes([head[2], head[3]]) & 0xfff8 == 0;
        at += match next {
            44 => 8,
            51 => (u32::from(head[1]) + 2) * 4,
            _ => (u32::from(head[1]) + 1) * 8,
        };
        next = head[0];
    }
    seen.protocol = next;
    seen.headers = at;
    Some(is_first)
}

/// Reads ports and flags, and finds the end of the header.
#[inline(always)]
fn transport(ctx: &SkBuffContext, seen: &mut Seen) {
    let at = seen.headers;
    match seen.protocol {
        TCP => {
            let Some(tcp) = ctx.read::<20>(at) else {
                return;
            };
            seen.source_port = u16::from_be_bytes([tcp[0], tcp[1]]);
            seen.destination_port = u16::from_be_bytes([tcp[2], tcp[3]]);
            seen.tcp_flags = tcp[13];
            seen.headers = at + u32::from(tcp[12] >> 4) * 4;
        }
        udp::UDP => {
            let Some(udp) = ctx.read::<8>(at) else {
                return;
            };
            seen.source_port = u16::from_be_bytes([udp[0], udp[1]]);
            seen.destination_port = u16::from_be_bytes([udp[2], udp[3]]);
            seen.headers = at + 8;
        }
        ICMP | ICMPV6 => seen.headers = at + 8,
        _ => {}
    }
}
