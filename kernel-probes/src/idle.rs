//! What idle connections send: keep-alives, and probes of a window that the peer has closed.
//!
//! Both carry the number before the next one, which the peer has acknowledged and has to answer (RFC 9293, sections 3.8.4
//! and 3.8.6.1; tcp_xmit_probe_skb, net/ipv4/tcp_output.c). The socket at hand knows that number, so that an acknowledgement
//! like any other costs two calls that hand out pointers, and a comparison; the flow is looked for when it is a probe.

use aya_ebpf::{
    EbpfContext,
    bindings::{bpf_sock, bpf_tcp_sock},
    helpers::generated::{
        bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_sk_fullsock, bpf_tcp_sock as tcp_of,
    },
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::DirectionState,
    record::{Header, IdleRecord, VERSION, direction, kind},
};

use crate::{flow, packet::Packet, ring, settings, task};

/// Some systems put a byte into what they probe with.
pub const MOST_PAYLOAD: u32 = 1;
/// SOCK_STREAM of include/linux/net.h.
const SOCK_STREAM: u32 = 1;
/// Between two records of one direction; the numbers in between are in the next, or in that of the socket's end.
const REST_NS: u64 = 250_000_000;

/// Counts a keep-alive or a window probe. Says whether the packet was one and nothing else: a byte that probes a window may be
/// one that is new.
#[inline(always)]
pub fn is_probe(ctx: &SkBuffContext, packet: &Packet) -> bool {
    let Some(socket) = tcp_socket(ctx) else {
        return false;
    };
    let is_sent = packet.direction == direction::EGRESS;
    // SAFETY: the verifier turns these reads into some of the kernel's own socket, whose type has been looked at.
    let next = unsafe {
        if is_sent {
            (*socket).snd_una
        } else {
            (*socket).rcv_nxt
        }
    };
    let ahead = packet.seq.wrapping_sub(next);
    if ahead != u32::MAX && (is_sent || ahead != 0 || packet.payload_length == 0) {
        return false;
    }
    let address = task::socket(ctx);
    let is_window_probe = if is_sent {
        // A socket keeps the connection alive when it has nothing to say.
        let written = task::read::<u32>(address, settings::tcp_write_seq());
        // SAFETY: as above.
        settings::tcp_write_seq() != 0 && written != unsafe { (*socket).snd_nxt }
    } else {
        settings::tcp_rcv_wnd() != 0 && task::read::<u32>(address, settings::tcp_rcv_wnd()) == 0
    };
    let is_nothing_else = ahead == u32::MAX;
    if is_nothing_else || is_window_probe {
        count(ctx, packet.direction, is_window_probe);
    }
    is_nothing_else
}

/// Whether the packet's socket has received payload.
#[inline(always)]
pub fn has_heard(ctx: &SkBuffContext) -> bool {
    // SAFETY: as above.
    tcp_socket(ctx).is_some_and(|socket| unsafe { (*socket).bytes_received } != 0)
}

/// The packet's socket, when it is one of TCP and not the remains or the beginning of one.
#[inline(always)]
fn tcp_socket(ctx: &SkBuffContext) -> Option<*mut bpf_tcp_sock> {
    // SAFETY: the verifier turns this read of the context into one of the packet's own field; both helpers give a pointer that
    // may be read, or null.
    unsafe {
        let socket: *mut bpf_sock = (*ctx.skb.skb).__bindgen_anon_2.sk;
        if socket.is_null() {
            return None;
        }
        let full = bpf_sk_fullsock(socket);
        // What the kernel itself answers with (TIME-WAIT) leaves by a raw socket, which older kernels hand out as one of TCP.
        if full.is_null() || (*full).type_ != SOCK_STREAM {
            return None;
        }
        let tcp = tcp_of(full);
        if tcp.is_null() { None } else { Some(tcp) }
    }
}

#[inline(always)]
fn count(ctx: &SkBuffContext, way: u8, is_window_probe: bool) {
    // SAFETY: helpers without side effects on this context.
    let (cookie, at_ns) = unsafe { (bpf_get_socket_cookie(ctx.as_ptr()), bpf_ktime_get_boot_ns()) };
    // A connection that was never used has no flow as yet.
    let Some(state) = flow::find_or_make(cookie) else {
        return;
    };
    let side = flow::side(state, way);
    if is_window_probe {
        side.window_probes = side.window_probes.wrapping_add(1);
    } else {
        side.keep_alives = side.keep_alives.wrapping_add(1);
    }
    if at_ns.wrapping_sub(side.idle_told_ns) >= REST_NS && tell(cookie, at_ns, way, side) {
        side.idle_told_ns = at_ns;
    }
}

#[inline(always)]
fn tell(cookie: u64, at_ns: u64, way: u8, side: &DirectionState) -> bool {
    let Some(mut entry) = ring::reserve::<IdleRecord>() else {
        return false;
    };
    let record = IdleRecord {
        header: Header {
            kind: kind::IDLE,
            version: VERSION,
            length: IdleRecord::SIZE as u32,
            at_ns,
            cookie,
        },
        direction: u32::from(way),
        keep_alives: side.keep_alives,
        window_probes: side.window_probes,
        reserved: 0,
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
    true
}
