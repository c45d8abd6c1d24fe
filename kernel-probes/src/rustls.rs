//! Calls of rustls. Its connections move; what stays is a word of theirs, whose place the attachment tells (its cookie, Linux 6.6
//! for links of many places).

use aya_ebpf::{EbpfContext, helpers::generated::bpf_get_attach_cookie, programs::ProbeContext};
use headwater_schema::{
    record::direction,
    session::{TlsCall, pending},
};

use crate::{
    packet::zero,
    session,
    tls::{self, MOST},
};

/// Nothing lies in the first page of a process's memory.
const LEAST_ADDRESS: u64 = 4096;
/// Slices of one write that are looked at.
const MOST_SLICES: u64 = 24;

/// The session of the connection that is the first argument; 0 where there is none: before it has a cipher there is a small
/// number in the place of its address.
#[inline(always)]
fn session_of(ctx: &ProbeContext) -> u64 {
    // SAFETY: no effects; the context of a uprobe is the registers of the thread.
    let place = unsafe {
        (*ctx.regs)
            .rdi
            .wrapping_add(bpf_get_attach_cookie(ctx.as_ptr()))
    };
    let address = tls::read(place);
    if address < LEAST_ADDRESS { 0 } else { address }
}

/// A write begins.
#[inline(always)]
pub fn write(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    let address = session_of(ctx);
    let Some(thread) = session::thread_or_new(tgid, tid) else {
        return;
    };
    // SAFETY: as above.
    let (chunks, stack) = unsafe { ((*ctx.regs).rsi, (*ctx.regs).rsp) };
    let words = tls::read::<[u64; 4]>(chunks);
    let [slices, one, from, to] = words;
    let length = if slices == 0 {
        from
    } else {
        to.wrapping_sub(from)
    };
    if length == 0 {
        return;
    }
    if address == 0 || length > MOST {
        return tls::count_unread();
    }
    tls::set_pending(thread, address);
    let call = TlsCall {
        session: address,
        buffer: one,
        out: 0,
        stack,
        length: length as u32,
        direction: u32::from(direction::EGRESS),
    };
    // Its end is looked for; there are no calls within this one.
    thread.calls[0] = call;
    thread.depth = 1;
    if slices == 0 {
        return tls::pass(ctx, thread, call);
    }
    tls::begin(thread, call);
    thread.slices = slices;
    thread.slices_left = if one > MOST_SLICES {
        MOST_SLICES as u32
    } else {
        one as u32
    };
    thread.skip = from;
    thread.left = length;
    tls::next_of(ctx, thread);
}

/// A record was decrypted.
#[inline(always)]
pub fn read_record(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    let address = session_of(ctx);
    let Some(thread) = session::thread_or_new(tgid, tid) else {
        return;
    };
    // SAFETY: as above.
    let vector = unsafe { (*ctx.regs).rsi };
    let words = tls::read::<[u64; 3]>(vector);
    let [_, buffer, length] = words;
    if address == 0 || length > MOST {
        return tls::count_unread();
    }
    let call = TlsCall {
        session: address,
        buffer,
        out: zero(),
        stack: zero(),
        length: length as u32,
        direction: u32::from(direction::INGRESS),
    };
    tls::pass(ctx, thread, call);
}

/// A thread encrypts what is not the program's. That of a handshake of TLS 1.3 is for a cipher of its own, whose place in memory
/// another connection's has soon after: only what is sent as data says whose a socket is.
#[inline(always)]
pub fn touch(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    let address = session_of(ctx);
    if let Some(thread) = session::thread_or_new(tgid, tid) {
        tls::set_pending(thread, address);
        thread.is_pending = pending::WITH_DATA;
    }
}

/// A session ends.
#[inline(always)]
pub fn free(ctx: &ProbeContext) {
    let (tgid, tid) = tls::ids();
    tls::forget(&tls::key_of(session_of(ctx), tgid), tid);
}
