//! Where connections begin and end: SYN, first payload, FIN, RST, and a socket's last change of state.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_socket_cookie, bpf_ktime_get_boot_ns, bpf_skb_cgroup_id},
    programs::{RawTracePointContext, SkBuffContext},
};
use headwater_schema::record::{
    EndRecord, Header, SYN_HEADERS, SocketRecord, SynRecord, VERSION, direction, kind, owned,
    tcp_flag,
};

use crate::{
    bytes::Bytes,
    flow,
    owner::{self, Seen},
    packet::{Packet, interface, zero},
    ring, settings, task, turn,
};

/// TCP_CLOSE of include/net/tcp_states.h.
const TCP_CLOSE: i32 = 7;
/// TCP_SYN_SENT of the same.
const TCP_SYN_SENT: i32 = 2;
/// TCP_LISTEN of the same.
const TCP_LISTEN: i32 = 10;

/// A SYN, FIN or RST.
#[inline(always)]
pub fn boundary(ctx: &SkBuffContext, packet: &Packet) {
    if packet.flags & tcp_flag::SYN == 0 {
        report(ctx, packet, kind::CLOSE);
        return;
    }
    synchronised(ctx, packet);
    let opening = packet.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
    if opening && packet.direction == direction::EGRESS {
        // connect() sends the first SYN with the socket's lock held: an owner even for attempts that never carry payload.
        let lock = task::lock(ctx);
        if lock == owned::YES {
            let (tgid, tid) = task::ids();
            owner::report(ctx, &Seen::of(packet, tgid, tid, lock));
        }
    }
}

/// The first payload of a direction. Says whether the record was delivered.
#[inline(always)]
pub fn opened(ctx: &SkBuffContext, packet: &Packet) -> bool {
    report(ctx, packet, kind::OPEN)
}

/// A SYN or SYN-ACK, with its headers: their options are read where there is room for it.
#[inline(always)]
fn synchronised(ctx: &SkBuffContext, packet: &Packet) {
    let record = SynRecord {
        end: told(ctx, packet, kind::SYN),
        captured: 0,
        reserved: 0,
    };
    let length = turn::smaller(ctx.len(), SYN_HEADERS);
    ring::copy::<_, _, { SYN_HEADERS as usize }>(ctx, 0, length, record);
}

#[inline(always)]
fn report(ctx: &SkBuffContext, packet: &Packet, what: u16) -> bool {
    let record = told(ctx, packet, what);
    let Some(mut entry) = ring::reserve::<EndRecord>() else {
        return false;
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
    true
}

#[inline(always)]
fn told(ctx: &SkBuffContext, packet: &Packet, what: u16) -> EndRecord {
    let egress = packet.direction == direction::EGRESS;
    let (mut offset, mut last_ns) = (zero(), zero());
    if what == kind::CLOSE
        && let Some(state) = flow::find(packet.cookie)
    {
        let side = if egress {
            &state.directions[0]
        } else {
            &state.directions[1]
        };
        offset = side.bytes;
        last_ns = side.last_ns;
    }
    let netns = task::netns(task::socket(ctx));
    // SAFETY: a helper without side effects on this context.
    let cgroup_id = unsafe { bpf_skb_cgroup_id(ctx.as_ptr().cast()) };
    EndRecord {
        header: Header {
            kind: what,
            version: VERSION,
            length: EndRecord::SIZE as u32,
            at_ns: packet.at_ns,
            cookie: packet.cookie,
        },
        local: if egress {
            packet.source
        } else {
            packet.destination
        },
        remote: if egress {
            packet.destination
        } else {
            packet.source
        },
        local_port: if egress {
            packet.source_port
        } else {
            packet.destination_port
        },
        remote_port: if egress {
            packet.destination_port
        } else {
            packet.source_port
        },
        family: packet.family,
        direction: packet.direction,
        flags: packet.flags,
        ttl: packet.ttl,
        netns,
        ifindex: interface(ctx),
        cgroup_id,
        seq: packet.seq,
        ack: packet.ack,
        offset,
        last_ns,
        ip: ctx.read(0).unwrap_or(zero().to_ne_bytes()),
    }
}

/// A packet without payload that offers no window. Rare, so that it may look for its flow.
#[inline(always)]
pub fn closed_window(ctx: &SkBuffContext, way: u8) {
    // SAFETY: a helper without side effects on this context.
    let cookie = unsafe { bpf_get_socket_cookie(ctx.as_ptr()) };
    // A receiver that has nothing to say has no flow as yet.
    if let Some(state) = flow::find_or_make(cookie) {
        let side = flow::side(state, way);
        side.zero_windows = side.zero_windows.wrapping_add(1);
    }
}

/// `inet_sock_set_state(sk, oldstate, newstate)`.
#[inline(always)]
pub fn state_changed(ctx: &RawTracePointContext) {
    if ctx.arg::<i32>(2) != TCP_CLOSE {
        return;
    }
    let old_state = ctx.arg::<i32>(1);
    if old_state == TCP_LISTEN {
        return;
    }
    let socket: u64 = ctx.arg(0);
    let mut cookie = task::read::<u64>(socket, settings::sock_cookie());
    if cookie == 0 {
        // No packet of it came to a probe. Of an attempt that may be known all the same, from its being dropped.
        if old_state != TCP_SYN_SENT || settings::sock_cookie() == 0 {
            return;
        }
        cookie = socket;
    }
    let Some(mut entry) = ring::reserve::<SocketRecord>() else {
        return;
    };
    let mut record = SocketRecord {
        header: Header {
            kind: kind::SOCKET,
            version: VERSION,
            length: SocketRecord::SIZE as u32,
            // SAFETY: no arguments, no effects.
            at_ns: unsafe { bpf_ktime_get_boot_ns() },
            cookie,
        },
        error: task::read::<u32>(socket, settings::sock_err()),
        old_state: old_state as u32,
        egress_offset: 0,
        egress_last_ns: 0,
        ingress_offset: 0,
        ingress_last_ns: 0,
        retransmits: 0,
        egress_zero_windows: 0,
        ingress_zero_windows: 0,
        ingress_marked: 0,
        egress_keep_alives: 0,
        ingress_keep_alives: 0,
        egress_window_probes: 0,
        ingress_window_probes: 0,
        known: settings::socket_known(),
        soft_error: task::read(socket, settings::sock_err_soft()),
        bytes_acked: task::read(socket, settings::tcp_bytes_acked()),
        bytes_received: task::read(socket, settings::tcp_bytes_received()),
        bytes_retrans: task::read(socket, settings::tcp_bytes_retrans()),
        srtt_us: task::read(socket, settings::tcp_srtt()),
        rtt_min_us: task::read(socket, settings::tcp_rtt_min()),
        total_retrans: task::read(socket, settings::tcp_total_retrans()),
        segs_in: task::read(socket, settings::tcp_segs_in()),
        segs_out: task::read(socket, settings::tcp_segs_out()),
        data_segs_in: task::read(socket, settings::tcp_data_segs_in()),
        data_segs_out: task::read(socket, settings::tcp_data_segs_out()),
        rcv_ooopack: task::read(socket, settings::tcp_rcv_ooopack()),
        dsack_dups: task::read(socket, settings::tcp_dsack_dups()),
        reord_seen: task::read(socket, settings::tcp_reord_seen()),
        delivered_ce: task::read(socket, settings::tcp_delivered_ce()),
        mss_cache: task::read(socket, settings::tcp_mss_cache()),
        rx_opt: task::read(socket, settings::tcp_rx_opt()),
        ecn_flags: task::read(socket, settings::tcp_ecn_flags()),
        icsk_retransmits: task::read(socket, settings::icsk_retransmits()),
        reserved: 0,
    };
    if let Some(state) = flow::find(cookie) {
        record.egress_offset = state.directions[0].bytes;
        record.egress_last_ns = state.directions[0].last_ns;
        record.ingress_offset = state.directions[1].bytes;
        record.ingress_last_ns = state.directions[1].last_ns;
        record.retransmits = state.directions[0].retransmits;
        record.egress_zero_windows = state.directions[0].zero_windows;
        record.ingress_zero_windows = state.directions[1].zero_windows;
        record.ingress_marked = state.directions[1].marked;
        record.egress_keep_alives = state.directions[0].keep_alives;
        record.ingress_keep_alives = state.directions[1].keep_alives;
        record.egress_window_probes = state.directions[0].window_probes;
        record.ingress_window_probes = state.directions[1].window_probes;
    }
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
    flow::forget(cookie);
}
