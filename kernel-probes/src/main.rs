//! The eBPF programs: what is hooked, and nothing else.
//!
//! Owns: the entry points. Each looks, counts and copies; none changes, delays or drops a packet: the cgroup programs
//! return `PASS` on every path. No loops without a bound, no locks, the cheapest test first.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(
    internal_features,
    reason = "an atomic addition has no stable name on this target"
)]

mod bytes;
mod counters;
mod drops;
mod exec;
mod exit;
mod flow;
mod fork;
mod frames;
mod golang;
mod headers;
mod idle;
mod lifecycle;
mod owner;
mod packet;
mod ring;
mod rustls;
mod session;
mod settings;
mod task;
mod tls;
mod turn;
mod udp;
mod websocket;

use aya_ebpf::{
    macros::{cgroup_skb, raw_tracepoint, uprobe},
    programs::{ProbeContext, RawTracePointContext, SkBuffContext},
};
use headwater_schema::record::direction;

/// Verdict of a cgroup-skb program: let the packet go on.
const PASS: i32 = 1;

/// Packets that local sockets send.
#[cgroup_skb]
#[inline(always)]
pub fn egress(ctx: SkBuffContext) -> i32 {
    packet::see(&ctx, direction::EGRESS);
    PASS
}

/// Packets that local sockets receive.
#[cgroup_skb]
#[inline(always)]
pub fn ingress(ctx: SkBuffContext) -> i32 {
    // On the loopback device the sender's egress has shown the same packet, with its owner: interface 1 of every
    // network namespace is that device (LOOPBACK_IFINDEX, include/net/flow.h).
    if packet::interface(&ctx) != 1 {
        packet::see(&ctx, direction::INGRESS);
    }
    PASS
}

/// Goes on with a packet that holds more frames of HTTP/2 than one program looks at.
#[cgroup_skb]
#[inline(always)]
pub fn frames_egress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::EGRESS) {
        frames::go_on(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::EGRESS);
    }
    PASS
}

/// As above.
#[cgroup_skb]
#[inline(always)]
pub fn frames_ingress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::INGRESS) {
        frames::go_on(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::INGRESS);
    }
    PASS
}

/// Looks at a packet that begins with a record of TLS.
#[cgroup_skb]
#[inline(always)]
pub fn tls_egress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::EGRESS) {
        session::see(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::EGRESS);
    }
    PASS
}

/// As above.
#[cgroup_skb]
#[inline(always)]
pub fn tls_ingress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::INGRESS) {
        session::see(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::INGRESS);
    }
    PASS
}

/// Tells of a FIN behind payload that another program has gone on with.
#[cgroup_skb]
#[inline(always)]
pub fn end_egress(ctx: SkBuffContext) -> i32 {
    packet::ended(&ctx, direction::EGRESS);
    PASS
}

/// As above.
#[cgroup_skb]
#[inline(always)]
pub fn end_ingress(ctx: SkBuffContext) -> i32 {
    packet::ended(&ctx, direction::INGRESS);
    PASS
}

/// Looks at a UDP datagram that a local socket sends.
#[cgroup_skb]
#[inline(always)]
pub fn udp_egress(ctx: SkBuffContext) -> i32 {
    udp::see(&ctx, direction::EGRESS);
    PASS
}

/// As above, one that a local socket receives.
#[cgroup_skb]
#[inline(always)]
pub fn udp_ingress(ctx: SkBuffContext) -> i32 {
    udp::see(&ctx, direction::INGRESS);
    PASS
}

/// Looks for the end of a head that upgrades.
#[cgroup_skb]
#[inline(always)]
pub fn upgrade_egress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::EGRESS) {
        websocket::upgrade(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::EGRESS);
    }
    PASS
}

/// As above.
#[cgroup_skb]
#[inline(always)]
pub fn upgrade_ingress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::INGRESS) {
        websocket::upgrade(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::INGRESS);
    }
    PASS
}

/// Walks frames of WebSocket.
#[cgroup_skb]
#[inline(always)]
pub fn websocket_egress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::EGRESS) {
        websocket::go_on(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::EGRESS);
    }
    PASS
}

/// As above.
#[cgroup_skb]
#[inline(always)]
pub fn websocket_ingress(ctx: SkBuffContext) -> i32 {
    if let Some((scene, side)) = turn::scene_of(&ctx, direction::INGRESS) {
        websocket::go_on(&ctx, &scene, side);
        packet::finish(&ctx, side, direction::INGRESS);
    }
    PASS
}

/// Tells headers of packets that local sockets send.
#[cgroup_skb]
#[inline(always)]
pub fn headers_egress(ctx: SkBuffContext) -> i32 {
    headers::see(&ctx, direction::EGRESS);
    PASS
}

/// As above, of those that they receive, once as in `ingress`.
#[cgroup_skb]
#[inline(always)]
pub fn headers_ingress(ctx: SkBuffContext) -> i32 {
    if packet::interface(&ctx) != 1 {
        headers::see(&ctx, direction::INGRESS);
    }
    PASS
}

/// Changes of a socket's state (include/trace/events/sock.h).
#[raw_tracepoint(tracepoint = "inet_sock_set_state")]
pub fn inet_sock_set_state(ctx: RawTracePointContext) -> i32 {
    lifecycle::state_changed(&ctx);
    0
}

/// Programs begun (include/trace/events/sched.h).
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn sched_process_exec(ctx: RawTracePointContext) -> i32 {
    exec::begun(&ctx);
    0
}

/// Processes and threads forked (as above).
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn sched_process_fork(ctx: RawTracePointContext) -> i32 {
    fork::forked(&ctx);
    0
}

/// Threads ended (as above).
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn sched_process_exit(ctx: RawTracePointContext) -> i32 {
    exit::ended(&ctx);
    0
}

/// Packets dropped (include/trace/events/skb.h).
#[raw_tracepoint(tracepoint = "kfree_skb")]
pub fn kfree_skb(ctx: RawTracePointContext) -> i32 {
    drops::dropped(&ctx);
    0
}

/// A TLS library is called to write: session, buffer, length are the first three arguments.
#[uprobe]
pub fn tls_write(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::EGRESS, tls::Count::Result);
    0
}

/// As above, and the fourth says where to put how much was taken.
#[uprobe]
pub fn tls_write_out(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::EGRESS, tls::Count::Fourth);
    0
}

/// As above, but that it is the fifth.
#[uprobe]
pub fn tls_write_fifth(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::EGRESS, tls::Count::Fifth);
    0
}

/// As above, to read.
#[uprobe]
pub fn tls_read(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::INGRESS, tls::Count::Result);
    0
}

/// As above, to read.
#[uprobe]
pub fn tls_read_out(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::INGRESS, tls::Count::Fourth);
    0
}

/// As above, and it is the stack pointer that says so.
#[uprobe]
pub fn tls_write_stack(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::EGRESS, tls::Count::Stack);
    0
}

/// As above, to read.
#[uprobe]
pub fn tls_read_stack(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::INGRESS, tls::Count::Stack);
    0
}

/// A TLS library is called to have a file sent: session is the first argument.
#[uprobe]
pub fn tls_send_file(ctx: ProbeContext) -> u32 {
    tls::enter(&ctx, direction::EGRESS, tls::Count::OfFile);
    0
}

/// One of these is over.
#[uprobe]
pub fn tls_leave(ctx: ProbeContext) -> u32 {
    tls::leave(&ctx);
    0
}

/// A read is over that was not seen to begin.
#[uprobe]
pub fn tls_read_done(ctx: ProbeContext) -> u32 {
    tls::read_done(&ctx);
    0
}

/// Bytes that were decrypted are copied to the program.
#[uprobe]
pub fn tls_copied(ctx: ProbeContext) -> u32 {
    tls::copied(&ctx);
    0
}

/// Bytes are about to be encrypted, as many as the fourth argument says.
#[uprobe]
pub fn tls_encrypts(ctx: ProbeContext) -> u32 {
    tls::encrypts(&ctx, tls::counted);
    0
}

/// Bytes are about to be encrypted, as many records as the fifth argument says, whose sizes the fourth points to.
#[uprobe]
pub fn tls_in_records(ctx: ProbeContext) -> u32 {
    tls::encrypts(&ctx, tls::in_records);
    0
}

/// A thread works on a session: the first argument.
#[uprobe]
pub fn tls_touch(ctx: ProbeContext) -> u32 {
    tls::touch(&ctx);
    0
}

/// A session is freed: the first argument.
#[uprobe]
pub fn tls_free(ctx: ProbeContext) -> u32 {
    tls::free(&ctx);
    0
}

/// A session was made: the result.
#[uprobe]
pub fn tls_made(ctx: ProbeContext) -> u32 {
    tls::made(&ctx);
    0
}

/// Looks at plaintext.
#[uprobe]
pub fn tls_plaintext(ctx: ProbeContext) -> u32 {
    tls::plaintext(&ctx);
    0
}

/// Walks frames of HTTP/2 in it.
#[uprobe]
pub fn tls_frames(ctx: ProbeContext) -> u32 {
    tls::go_on(&ctx, frames::go_on);
    0
}

/// Looks for the end of a head that upgrades.
#[uprobe]
pub fn tls_upgrade(ctx: ProbeContext) -> u32 {
    tls::go_on(&ctx, websocket::upgrade);
    0
}

/// Walks frames of WebSocket.
#[uprobe]
pub fn tls_websocket(ctx: ProbeContext) -> u32 {
    tls::go_on(&ctx, websocket::go_on);
    0
}

/// Go's crypto/tls is called to write.
#[uprobe]
pub fn go_write(ctx: ProbeContext) -> u32 {
    golang::enter(&ctx, direction::EGRESS);
    0
}

/// As above, to read.
#[uprobe]
pub fn go_read(ctx: ProbeContext) -> u32 {
    golang::enter(&ctx, direction::INGRESS);
    0
}

/// One of these is over.
#[uprobe]
pub fn go_leave(ctx: ProbeContext) -> u32 {
    golang::leave(&ctx);
    0
}

/// A goroutine works on a session.
#[uprobe]
pub fn go_touch(ctx: ProbeContext) -> u32 {
    golang::touch(&ctx);
    0
}

/// A goroutine is about to write to a file or socket.
#[uprobe]
pub fn go_send(ctx: ProbeContext) -> u32 {
    golang::send(&ctx);
    0
}

/// A session of Go's is closed.
#[uprobe]
pub fn go_free(ctx: ProbeContext) -> u32 {
    golang::free(&ctx);
    0
}

/// rustls is given plaintext.
#[uprobe]
pub fn rustls_write(ctx: ProbeContext) -> u32 {
    rustls::write(&ctx);
    0
}

/// rustls has decrypted a record.
#[uprobe]
pub fn rustls_read(ctx: ProbeContext) -> u32 {
    rustls::read_record(&ctx);
    0
}

/// A thread works on a session of rustls.
#[uprobe]
pub fn rustls_touch(ctx: ProbeContext) -> u32 {
    rustls::touch(&ctx);
    0
}

/// A session of rustls ends.
#[uprobe]
pub fn rustls_free(ctx: ProbeContext) -> u32 {
    rustls::free(&ctx);
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // Not reached: nothing here panics, and the verifier refuses a program in which this loop could run.
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
