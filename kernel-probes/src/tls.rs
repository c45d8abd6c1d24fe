//! Calls of TLS libraries: what a program writes to them and reads from them, in clear.
//!
//! What is written is told when the call begins, before any packet that carries it leaves, so that records are in the order of
//! cause and effect; a write that took less than it was given is given the rest again, and that is left out then. Or it is told
//! when it is about to be encrypted, which nothing of a stream is twice. What is read is told when the call is over. From there on
//! plaintext is a stream like that of a socket: its position is the sequence number, and what has come the other way is the
//! acknowledgement.

use aya_ebpf::{
    EbpfContext,
    bindings::pt_regs,
    helpers::generated::{
        bpf_get_attach_cookie, bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns, bpf_probe_read_user,
    },
    programs::ProbeContext,
};
use headwater_schema::{
    flow::{DirectionState, counter, direction_flag, go_on},
    record::{direction, kind, owned},
    session::{SessionKey, SessionState, TlsCall, TlsThread, copied, first, pending, read_done},
};

use crate::{
    bytes::{Bytes, UserBytes},
    counters::count,
    flow, frames,
    packet::zero,
    session,
    turn::{self, Scene},
};

/// Stretches looked at by one program.
const SLICES: u32 = 4;
/// More than lies between a call's beginning and its end on the stack.
const FRAME: u64 = 4096;
/// The most records that are encrypted at once (`SSL_MAX_PIPELINES` of OpenSSL).
const MOST_RECORDS: u64 = 32;
/// The most that one call is believed to pass.
pub const MOST: u64 = 1 << 30;

/// The current process and thread.
#[inline(always)]
pub fn ids() -> (u32, u32) {
    // SAFETY: no arguments, no effects.
    let both = unsafe { bpf_get_current_pid_tgid() };
    ((both >> 32) as u32, both as u32)
}

#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: no arguments, no effects.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Reads a plain value of the process's memory; zeros when it cannot be read.
///
/// `T` must be an integer or an array of them: any bit pattern is a value.
#[inline(always)]
pub fn read<T: Copy>(address: u64) -> T {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the helper checks the address, and writes all of `value` always: it clears what it could not read.
    unsafe {
        bpf_probe_read_user(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
        value.assume_init()
    }
}

#[inline(always)]
pub fn key_of(address: u64, tgid: u32) -> SessionKey {
    SessionKey {
        address,
        tgid,
        reserved: 0,
    }
}

/// A thread works on a session.
#[inline(always)]
pub fn set_pending(thread: &mut TlsThread, session: u64) {
    thread.pending = session;
    thread.is_pending = pending::YES;
    thread.bound_to = 0;
}

/// Where a call puts how much passed.
pub enum Count {
    /// It is the result.
    Result,
    /// Where the fourth argument points.
    Fourth,
    /// Where the fifth does.
    Fifth,
    /// On top of the stack.
    Stack,
    /// It is the result, and there is no buffer: the bytes are in a file, and nothing reads them there.
    OfFile,
}

/// A call begins.
#[inline(always)]
pub fn enter(ctx: &ProbeContext, way: u8, place: Count) {
    let (tgid, tid) = ids();
    let Some(thread) = session::thread_or_new(tgid, tid) else {
        return;
    };
    // SAFETY: the context of a uprobe is the registers of the thread.
    let registers = unsafe { &*ctx.regs };
    // An int in some functions, whose register may hold anything above; nobody passes four GiB at once.
    let length = match place {
        Count::OfFile => 0,
        _ => registers.rdx as u32,
    };
    let call = TlsCall {
        session: registers.rdi,
        buffer: registers.rsi,
        out: match place {
            Count::Result | Count::OfFile => 0,
            Count::Fourth => registers.rcx,
            Count::Fifth => registers.r8,
            Count::Stack => registers.rsp,
        },
        stack: registers.rsp,
        // An int that is negative is refused by the library.
        length: if u64::from(length) > MOST { 0 } else { length },
        direction: u32::from(way),
    };
    set_pending(thread, call.session);
    // A call that lies deeper in the stack is over, though its end was not seen.
    if thread.depth >= 2 && thread.calls[1].stack <= call.stack {
        thread.depth = 1;
    }
    if thread.depth == 1 && thread.calls[0].stack <= call.stack {
        if thread.calls[0].direction == u32::from(direction::INGRESS) && thread.calls[0].length > 0
        {
            // Over without an end, or under way on another stack; the library refuses one without room at once.
            count_unread();
        }
        thread.depth = 0;
    }
    match thread.depth {
        0 => {
            thread.calls[0] = call;
            thread.depth = 1;
        }
        1 => {
            thread.calls[1] = call;
            thread.depth = 2;
        }
        // What it reads would be told at its end.
        _ if way == direction::INGRESS => count_unread(),
        _ => {}
    }
    if way == direction::EGRESS {
        pass(ctx, thread, call);
    }
}

/// Something was passed that is not told.
#[inline(always)]
pub fn count_unread() {
    count(counter::PLAINTEXT_UNREAD);
}

/// Whether a call that began with the stack at `call` ends with it at `now`: what it pushed is gone, in its own stack.
#[inline(always)]
fn is_end_of(call: &TlsCall, now: u64) -> bool {
    now.wrapping_sub(call.stack) < FRAME
}

/// Hands plaintext to the program that looks at it.
#[inline(always)]
pub fn pass(ctx: &ProbeContext, thread: &mut TlsThread, call: TlsCall) {
    if call.length == 0 || call.session == 0 {
        return;
    }
    thread.slices_left = 0;
    begin(thread, call);
    go_on_with_plaintext(ctx);
}

/// The first stretch of a call.
#[inline(always)]
pub fn begin(thread: &mut TlsThread, call: TlsCall) {
    thread.now = call;
    thread.now_ns = now_ns();
    thread.is_first = first::OF_CALL;
}

#[inline(always)]
fn go_on_with_plaintext(ctx: &ProbeContext) {
    let bytes = UserBytes {
        context: ctx.as_ptr(),
        base: 0,
        length: 0,
    };
    bytes.tail_call(0, go_on::PLAINTEXT);
}

/// Looks at what another program has begun with, and goes on with the next stretch of its call, where there is one.
#[inline(always)]
pub fn go_on(ctx: &ProbeContext, look: impl Fn(&UserBytes, &Scene, &mut DirectionState)) {
    let (tgid, tid) = ids();
    let Some(thread) = session::thread(tgid, tid) else {
        return;
    };
    let Some(session) = session::find(&key_of(thread.now.session, tgid)) else {
        return;
    };
    let way = thread.now.direction as u8;
    let cookie = session.id;
    let side = flow::side(&mut session.flow, way);
    let payload_length = thread.now.length;
    let bytes = UserBytes {
        context: ctx.as_ptr(),
        base: thread.now.buffer,
        length: payload_length,
    };
    let scene = Scene {
        kind: kind::PLAINTEXT,
        at_ns: thread.now_ns,
        cookie,
        tgid,
        tid,
        seq: side.next_seq.wrapping_sub(payload_length),
        ack: side.walk_ack,
        direction: way,
        owned: owned::YES,
        is_dns_port: false,
        offset: side.bytes.wrapping_sub(u64::from(payload_length)),
        previous_ns: thread.now_ns,
        payload_at: 0,
        payload_length,
    };
    look(&bytes, &scene, side);
    is_told(session, way);
    next_of(ctx, thread);
}

/// What a direction has been counted is what is told of it.
#[inline(always)]
fn is_told(session: &mut SessionState, way: u8) {
    if way == direction::EGRESS {
        session.done[0] = session.flow.directions[0].bytes;
    } else {
        session.done[1] = session.flow.directions[1].bytes;
    }
}

#[inline(always)]
pub fn next_of(ctx: &ProbeContext, thread: &mut TlsThread) {
    for _ in 0..SLICES {
        if thread.slices_left == 0 || thread.left == 0 {
            return;
        }
        let slice = read::<[u64; 2]>(thread.slices);
        thread.slices = thread.slices.wrapping_add(16);
        thread.slices_left -= 1;
        let [address, length] = slice;
        if length > MOST {
            return count_unread();
        }
        if thread.skip >= length {
            thread.skip -= length;
            continue;
        }
        let rest = length - thread.skip;
        let here = if rest > thread.left {
            thread.left
        } else {
            rest
        };
        thread.now.buffer = address.wrapping_add(thread.skip);
        thread.now.length = here as u32;
        thread.skip = 0;
        thread.left -= here;
        go_on_with_plaintext(ctx);
        return;
    }
}

/// A call is over: its result is where functions return it.
#[inline(always)]
pub fn leave(ctx: &ProbeContext) {
    let (tgid, tid) = ids();
    let Some(thread) = session::thread(tgid, tid) else {
        return;
    };
    // SAFETY: as above.
    let (result, stack) = unsafe { ((*ctx.regs).rax as i32, (*ctx.regs).rsp) };
    // By the stack, of which a program may have several: another one's end is not this one's.
    let mut call = if thread.depth >= 2 && is_end_of(&thread.calls[1], stack) {
        thread.depth = 1;
        thread.calls[1]
    } else if thread.depth >= 1 && is_end_of(&thread.calls[0], stack) {
        thread.depth = 0;
        thread.calls[0]
    } else {
        return;
    };
    let mut passed = 0u64;
    if result > 0 {
        passed = result as u64;
        if call.out != 0 {
            passed = read(call.out);
        }
    }
    // Of a file the kernel sends up to 2 GiB at once.
    let most = if call.length == 0 {
        i32::MAX as u64
    } else {
        MOST
    };
    if passed > most {
        return count_unread();
    }
    if call.direction == u32::from(direction::EGRESS) {
        if call.length > 0 && passed == u64::from(call.length) && thread.even == call.session {
            // It took all that it was given, and nothing was owed.
            return;
        }
        let key = key_of(call.session, tgid);
        return if call.length == 0 {
            took_unread(&key, passed as u32);
        } else {
            took(&key, call.length, passed as u32);
        };
    }
    call.length = if passed as u32 > call.length {
        call.length
    } else {
        passed as u32
    };
    pass(ctx, thread, call);
}

/// A read is over that was not seen to begin; its attachment tells the registers (its cookie, Linux 6.6 for links of many
/// places). Whose session sends what is sent within it is told where handshakes and alerts are.
#[inline(always)]
pub fn read_done(ctx: &ProbeContext) {
    // SAFETY: as above.
    let result = unsafe { (*ctx.regs).rax as i32 };
    if result <= 0 {
        return;
    }
    // SAFETY: no effects.
    let registers = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let saved = saved(ctx);
    let which = |place: u64| {
        let number = core::hint::black_box(registers >> (place * read_done::BITS)) & 7;
        // SAFETY: below eight.
        unsafe { *saved.get_unchecked(number as usize) }
    };
    if which(read_done::UNLESS) as u32 != 0 {
        return;
    }
    let passed: u64 = read(which(read_done::COUNT));
    if passed > MOST {
        return count_unread();
    }
    was_read(
        ctx,
        which(read_done::SESSION),
        which(read_done::BYTES),
        passed as u32,
    );
}

/// Bytes of a session are there, whose read was not seen to begin.
#[inline(always)]
fn was_read(ctx: &ProbeContext, address: u64, buffer: u64, length: u32) {
    let (tgid, tid) = ids();
    let Some(thread) = session::thread_or_new(tgid, tid) else {
        return;
    };
    let call = TlsCall {
        session: address,
        buffer,
        out: zero(),
        stack: zero(),
        length,
        direction: u32::from(direction::INGRESS),
    };
    if call.length == 0 || call.session == 0 {
        return;
    }
    thread.slices_left = 0;
    begin(thread, call);
    thread.is_first = first::OF_READ;
    go_on_with_plaintext(ctx);
}

/// Bytes that were decrypted are about to be copied to the program, by a function that is given where they are and how many. The
/// attachment tells where the rest is; else as `read_done`.
#[inline(always)]
pub fn copied(ctx: &ProbeContext) {
    // SAFETY: as above.
    let (bytes, length, stack) = unsafe { ((*ctx.regs).rsi, (*ctx.regs).rdx, (*ctx.regs).rsp) };
    // SAFETY: no effects.
    let halves = unsafe { bpf_get_attach_cookie(ctx.as_ptr()) };
    let words = Words {
        registers: saved(ctx),
        frame: read(stack),
    };
    let half = |place: u64| core::hint::black_box(halves >> (place * copied::BITS)) & 31;
    let of = |half: u64| {
        let words = core::ptr::from_ref(&words).cast::<u32>();
        // SAFETY: below the 32 halves of its words.
        unsafe { *words.add(half as usize) }
    };
    if of(half(copied::TYPE)) != u32::from(session::DATA) || of(half(copied::PEEKS)) != 0 {
        return;
    }
    if length > MOST {
        return count_unread();
    }
    let first = half(copied::SESSION) & 30;
    let address = u64::from(of(first)) | u64::from(of(first + 1)) << 32;
    was_read(ctx, address, bytes, length as u32);
}

/// Bytes of a session are about to be encrypted, each once: of the program, or a handshake's, or an alert. `length` says how many.
#[inline(always)]
pub fn encrypts(ctx: &ProbeContext, length: impl Fn(&pt_regs) -> u64) {
    // SAFETY: as above.
    let registers = unsafe { &*ctx.regs };
    let (tgid, tid) = ids();
    let Some(thread) = session::thread_or_new(tgid, tid) else {
        return;
    };
    set_pending(thread, registers.rdi);
    if registers.rsi as u32 != u32::from(session::DATA) {
        return;
    }
    let length = length(registers);
    if length > MOST {
        return count_unread();
    }
    let call = TlsCall {
        session: registers.rdi,
        buffer: registers.rdx,
        out: zero(),
        stack: zero(),
        length: length as u32,
        direction: u32::from(direction::EGRESS),
    };
    pass(ctx, thread, call);
}

/// The fourth argument says how many.
#[inline(always)]
pub fn counted(registers: &pt_regs) -> u64 {
    registers.rcx
}

/// The fourth argument points to as many counts as the fifth says.
#[inline(always)]
pub fn in_records(registers: &pt_regs) -> u64 {
    let mut length = read::<u64>(registers.rcx);
    let mut at = 1;
    // Of one record, but where a cipher takes several at once.
    while at < MOST_RECORDS && at < registers.r8 {
        length = length.saturating_add(read(registers.rcx.wrapping_add(8 * at)));
        at += 1;
    }
    if registers.r8 > MOST_RECORDS {
        u64::MAX
    } else {
        length
    }
}

/// What may be where the compiler keeps what a function needs again.
#[repr(C)]
struct Words {
    registers: [u64; copied::REGISTERS],
    frame: [u64; copied::FRAME],
}

/// What is in the registers that calls leave as they were, in the order of their numbers in
/// `read_done`.
#[inline(always)]
fn saved(ctx: &ProbeContext) -> [u64; 8] {
    // SAFETY: as above. One by one: the verifier refuses an address within the context that is worked out.
    unsafe {
        let registers = &*ctx.regs;
        let of = |register: &u64| core::ptr::read_volatile(register);
        [
            zero(),
            of(&registers.rbx),
            of(&registers.rbp),
            of(&registers.r12),
            of(&registers.r13),
            of(&registers.r14),
            of(&registers.r15),
            zero(),
        ]
    }
}

/// A write of `offered` bytes took `taken`.
#[inline(always)]
pub fn took(key: &SessionKey, offered: u32, taken: u32) {
    let Some(session) = session::find(key) else {
        return;
    };
    let told = if session.owed > u64::from(offered) {
        session.owed
    } else {
        u64::from(offered)
    };
    session.owed = told.saturating_sub(u64::from(taken));
}

/// A write took bytes of which nothing was told when it began: what an earlier one was given, where GnuTLS is called again without
/// anything (`gnutls_record_send`); those of a file; or more than one call is believed to pass. What was not told by an earlier one
/// is counted, as that of a body is that is not copied.
#[inline(always)]
fn took_unread(key: &SessionKey, taken: u32) {
    let Some(session) = session::find(key) else {
        if taken > 0 {
            count_unread();
        }
        return;
    };
    let told = if session.owed < u64::from(taken) {
        session.owed
    } else {
        u64::from(taken)
    };
    session.owed -= told;
    let taken = taken - told as u32;
    if taken == 0 {
        return;
    }
    let ack = session.flow.directions[1].bytes as u32;
    let side = &mut session.flow.directions[0];
    let seq = side.bytes as u32;
    turn::advance(side, now_ns(), seq, ack, taken);
    // Whatever it ends with.
    side.flags &= !direction_flag::LAST_CHUNK;
    frames::pass_over(side, taken);
    is_told(session, direction::EGRESS);
}

/// A thread works on the session that is the first argument.
#[inline(always)]
pub fn touch(ctx: &ProbeContext) {
    let (tgid, tid) = ids();
    if let Some(thread) = session::thread_or_new(tgid, tid) {
        // SAFETY: as above.
        set_pending(thread, unsafe { (*ctx.regs).rdi });
    }
}

/// The session that is the first argument is freed.
#[inline(always)]
pub fn free(ctx: &ProbeContext) {
    // SAFETY: as above.
    ends(unsafe { (*ctx.regs).rdi });
}

/// The session that is the result is new: who was at its place has ended.
#[inline(always)]
pub fn made(ctx: &ProbeContext) {
    // SAFETY: as above.
    ends(unsafe { (*ctx.regs).rax });
}

#[inline(always)]
fn ends(address: u64) {
    let (tgid, tid) = ids();
    let key = key_of(address, tgid);
    if let Some(thread) = session::thread(tgid, tid)
        && thread.pending == key.address
    {
        thread.is_pending = pending::NONE;
    }
    forget(&key, tid);
}

/// Tells the last word of a session, and forgets it.
#[inline(always)]
pub fn forget(key: &SessionKey, tid: u32) {
    if let Some(session) = session::find(key) {
        session::tell(kind::SESSION_END, session, now_ns(), key, tid, 0);
        session::forget(key);
    }
}

/// Looks at what passed.
#[inline(always)]
pub fn plaintext(ctx: &ProbeContext) {
    let (tgid, tid) = ids();
    let Some(thread) = session::thread(tgid, tid) else {
        return;
    };
    count(counter::TLS_CALLS);
    let key = key_of(thread.now.session, tgid);
    let at_ns = thread.now_ns;
    let session = match session::find(&key) {
        Some(session) => session,
        None => {
            let Some(session) = session::make(&key) else {
                return;
            };
            session::tell(kind::SESSION, session, at_ns, &key, tid, 0);
            session
        }
    };
    let way = thread.now.direction as u8;
    if thread.is_first != 0 {
        if thread.is_first == first::OF_READ {
            if session.cookie == 0 {
                // What it sends next may be what another has written.
                set_pending(thread, key.address);
            } else if thread.pending != key.address {
                // The thread has gone on to this one.
                thread.is_pending = pending::NONE;
            }
        }
        thread.is_first = 0;
        thread.owed = 0;
        if way == direction::EGRESS {
            thread.owed = session.owed;
            // What leaves next, and the end of this call, need not look for the session again.
            thread.even = if session.owed == 0 { key.address } else { 0 };
            if thread.pending == key.address {
                if thread.is_pending == pending::YES {
                    thread.is_pending = pending::WRITTEN;
                }
                // One that is not sure is looked at again.
                thread.bound_to = if session.is_sure != 0 {
                    session.cookie
                } else {
                    0
                };
            }
        }
    }
    if thread.owed > 0 {
        let again = turn::smaller(thread.owed as u32, thread.now.length);
        thread.owed -= u64::from(again);
        thread.now.buffer = thread.now.buffer.wrapping_add(u64::from(again));
        thread.now.length -= again;
        if thread.now.length == 0 {
            return next_of(ctx, thread);
        }
    }
    let bytes = UserBytes {
        context: ctx.as_ptr(),
        base: thread.now.buffer,
        length: thread.now.length,
    };
    let ack = flow::side(&mut session.flow, 1 - way).bytes as u32;
    let cookie = session.id;
    let side = flow::side(&mut session.flow, way);
    let seq = side.bytes as u32;
    let Some(step) = turn::advance(side, at_ns, seq, ack, bytes.length) else {
        return;
    };
    let scene = Scene {
        kind: kind::PLAINTEXT,
        at_ns,
        cookie,
        tgid,
        tid,
        seq,
        ack,
        direction: way,
        owned: owned::YES,
        is_dns_port: false,
        offset: step.offset,
        previous_ns: step.previous_ns,
        payload_at: 0,
        payload_length: bytes.length,
    };
    turn::tell(&bytes, &scene, side, &step);
    is_told(session, way);
    next_of(ctx, thread);
}
