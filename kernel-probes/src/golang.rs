//! Calls of Go's crypto/tls. A goroutine may go on in another thread, and its stack may move; so what is known of a call is
//! kept by goroutine, and which session a thread sends for is known where its goroutine is about to write to a socket.

use aya_ebpf::programs::ProbeContext;
use headwater_schema::{
    record::direction,
    session::{GoroutineKey, TlsCall, pending},
};

use crate::{
    packet::zero,
    session,
    tls::{self, MOST},
};

/// The goroutine that runs.
#[inline(always)]
fn current(ctx: &ProbeContext, tgid: u32) -> GoroutineKey {
    GoroutineKey {
        // SAFETY: the context of a uprobe is the registers of the thread.
        address: unsafe { (*ctx.regs).r14 },
        tgid,
        reserved: 0,
    }
}

/// The ends of a goroutine's stack (`runtime.stack`, the first field of `runtime.g`).
#[inline(always)]
fn stack(key: &GoroutineKey) -> [u64; 2] {
    tls::read(key.address)
}

/// A call begins.
#[inline(always)]
pub fn enter(ctx: &ProbeContext, way: u8) {
    let (tgid, tid) = tls::ids();
    let key = current(ctx, tgid);
    // SAFETY: as above.
    let registers = unsafe { &*ctx.regs };
    let mut call = TlsCall {
        session: registers.rax,
        buffer: registers.rbx,
        out: zero(),
        stack: zero(),
        length: if registers.rcx > MOST {
            0
        } else {
            registers.rcx as u32
        },
        direction: u32::from(way),
    };
    if way == direction::INGRESS {
        let [low, high] = stack(&key);
        if call.buffer >= low && call.buffer < high {
            call.stack = high - call.buffer;
        }
    }
    if let Some(goroutine) = session::goroutine_or_new(&key) {
        goroutine.call = call;
        goroutine.pending = call.session;
    }
    if way == direction::EGRESS
        && let Some(thread) = session::thread_or_new(tgid, tid)
    {
        tls::pass(ctx, thread, call);
    }
}

/// A call is over.
#[inline(always)]
pub fn leave(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    let key = current(ctx, tgid);
    let Some(goroutine) = session::goroutine(&key) else {
        return;
    };
    let mut call = goroutine.call;
    goroutine.call.session = 0;
    // SAFETY: as above.
    let count = unsafe { (*ctx.regs).rax };
    let count = if count > MOST { 0 } else { count as u32 };
    if call.session == 0 {
        return;
    }
    if call.direction == u32::from(direction::EGRESS) {
        return tls::took(&tls::key_of(call.session, tgid), call.length, count);
    }
    if call.stack != 0 {
        let [_, high] = stack(&key);
        call.buffer = high.wrapping_sub(call.stack);
    }
    if count < call.length {
        call.length = count;
    }
    if let Some(thread) = session::thread_or_new(tgid, tid) {
        tls::pass(ctx, thread, call);
    }
}

/// A goroutine works on a session: the receiver.
#[inline(always)]
pub fn touch(ctx: &ProbeContext) {
    let (tgid, _) = tls::ids();
    if let Some(goroutine) = session::goroutine_or_new(&current(ctx, tgid)) {
        // SAFETY: as above.
        goroutine.pending = unsafe { (*ctx.regs).rax };
    }
}

/// A goroutine is about to write to a file or socket, in this thread.
#[inline(always)]
pub fn send(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    let pending = session::goroutine(&current(ctx, tgid)).map_or(0, |goroutine| goroutine.pending);
    if pending != 0 {
        if let Some(thread) = session::thread_or_new(tgid, tid) {
            tls::set_pending(thread, pending);
            thread.is_pending = pending::SENDS;
        }
    } else if let Some(thread) = session::thread(tgid, tid) {
        // What another goroutine was about to send in this thread.
        thread.is_pending = pending::NONE;
    }
}

/// A session is closed: the receiver.
#[inline(always)]
pub fn free(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    if let Some(goroutine) = session::goroutine(&current(ctx, tgid)) {
        // What it sends now is the alert that closes, and not of the session that it worked on last.
        goroutine.pending = 0;
    }
    // SAFETY: as above.
    let key = tls::key_of(unsafe { (*ctx.regs).rax }, tgid);
    tls::forget(&key, tid);
}
