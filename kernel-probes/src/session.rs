//! Sessions of TLS libraries: the map of them, and which socket each of them sends by.
//!
//! A call of the library says which session its thread works on. What that thread sends next with a socket's lock held, and
//! which begins with the header of a TLS record, is that session's: neither structures of the library nor its versions
//! need to be known. It holds for memory BIOs, where the call itself sends nothing.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns, macros::map, maps::LruHashMap,
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::{DirectionState, counter, direction_flag},
    record::{Header, SessionRecord, VERSION, direction, kind, owned, place, session_fact},
    session::{Goroutine, GoroutineKey, SessionKey, SessionState, TlsThread, pending},
};

use crate::{
    bytes::Bytes,
    counters::count,
    flow,
    packet::Packet,
    ring, settings, task,
    turn::{self, Scene, Step},
    websocket,
};

/// Threads remembered at once, likewise.
const THREADS_ENTRIES: u32 = 8_192;

#[map]
static SESSIONS: LruHashMap<SessionKey, SessionState> =
    LruHashMap::with_max_entries(headwater_schema::session::SESSIONS, 0);
#[map]
static TLS_THREADS: LruHashMap<u64, TlsThread> = LruHashMap::with_max_entries(THREADS_ENTRIES, 0);

#[map]
static GOROUTINES: LruHashMap<GoroutineKey, Goroutine> =
    LruHashMap::with_max_entries(THREADS_ENTRIES, 0);

/// What a goroutine begins with.
#[unsafe(no_mangle)]
pub static NEW_GOROUTINE: Goroutine = Goroutine::NEW;
/// What a session begins with; see `flow::NEW_FLOW`.
#[unsafe(no_mangle)]
pub static NEW_SESSION: SessionState = SessionState::NEW;
/// What a thread begins with.
#[unsafe(no_mangle)]
pub static NEW_TLS_THREAD: TlsThread = TlsThread::NEW;

/// The state of a thread, if it has called a library.
#[inline(always)]
pub fn thread(tgid: u32, tid: u32) -> Option<&'static mut TlsThread> {
    let state = TLS_THREADS.get_ptr_mut(&(u64::from(tgid) << 32 | u64::from(tid)))?;
    // SAFETY: the map gave a pointer to an initialised value that lives while the program runs; only the thread itself comes
    // here.
    Some(unsafe { &mut *state })
}

/// The state of a thread, made when there is none.
#[inline(always)]
pub fn thread_or_new(tgid: u32, tid: u32) -> Option<&'static mut TlsThread> {
    if let Some(state) = thread(tgid, tid) {
        return Some(state);
    }
    let _ = TLS_THREADS.insert(
        &(u64::from(tgid) << 32 | u64::from(tid)),
        &NEW_TLS_THREAD,
        0,
    );
    thread(tgid, tid)
}

/// The state of a goroutine, if it has called the library.
#[inline(always)]
pub fn goroutine(key: &GoroutineKey) -> Option<&'static mut Goroutine> {
    let state = GOROUTINES.get_ptr_mut(key)?;
    // SAFETY: as above; a goroutine runs in one thread at a time.
    Some(unsafe { &mut *state })
}

/// The state of a goroutine, made when there is none.
#[inline(always)]
pub fn goroutine_or_new(key: &GoroutineKey) -> Option<&'static mut Goroutine> {
    if let Some(state) = goroutine(key) {
        return Some(state);
    }
    let _ = GOROUTINES.insert(key, &NEW_GOROUTINE, 0);
    goroutine(key)
}

/// The state of a session, if there is one.
#[inline(always)]
pub fn find(key: &SessionKey) -> Option<&'static mut SessionState> {
    let state = SESSIONS.get_ptr_mut(key)?;
    // SAFETY: as above. A library lets one thread at a time write, and one read, and each has a direction of its own.
    Some(unsafe { &mut *state })
}

/// The state of a session, made when there is none, with an id.
#[inline(always)]
pub fn find_or_make(key: &SessionKey) -> Option<&'static mut SessionState> {
    find(key).or_else(|| make(key))
}

/// The state of a new session, with an id.
#[inline(always)]
pub fn make(key: &SessionKey) -> Option<&'static mut SessionState> {
    if SESSIONS.insert(key, &NEW_SESSION, 0).is_err() {
        count(counter::PLAINTEXT_UNREAD);
        return None;
    }
    count(counter::SESSIONS_MADE);
    let state = find(key)?;
    state.id = new_id(key);
    Some(state)
}

/// Forgets a session.
#[inline(always)]
pub fn forget(key: &SessionKey) {
    // One that was pushed out is not there any more.
    if SESSIONS.remove(key).is_ok() {
        count(counter::SESSIONS_REMOVED);
    }
}

/// The time, and of what lies within one nanosecond the place in memory.
#[inline(always)]
fn new_id(key: &SessionKey) -> u64 {
    // SAFETY: no arguments, no effects.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    now << 10 | (key.address >> 4 & 0x3ff)
}

/// Types of records (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
/// As above.
const ALERT: u8 = 0x15;
/// As above: change of cipher.
const CHANGE: u8 = 0x14;
/// More than the record of an alert takes that is encrypted.
const SHORT: u32 = 40;
/// As above: application data, and what looks like them (TLS 1.3).
pub const DATA: u8 = 0x17;

/// Whether a packet is to be looked at for records of TLS: of a direction that is nothing else, at the beginning of a turn, or
/// where one began with such a record before. In the middle of anything else the same bytes are of a body.
#[inline(always)]
pub fn may_be_here(side: &DirectionState, step: &Step) -> bool {
    step.ahead == 0
        && side.flags & direction_flag::FRAMED == 0
        && !websocket::is_known(side)
        && (step.first || step.new_turn || side.flags & direction_flag::TLS != 0)
}

/// The type of the record of TLS that bytes may begin; 0 where they begin none.
#[inline(always)]
pub fn tls_record<B: Bytes>(ctx: &B, at: u32) -> u8 {
    match ctx.read::<2>(at) {
        Some([kind @ 0x14..=0x17, 0x03]) => kind,
        _ => 0,
    }
}

/// Whether a packet begins with a record of data as others did, and whose it is, is known: then nothing is to be told of it. This
/// is what most packets of TLS are, and goes on with no other program. The verifiers of kernels before 6.10 give up on it here;
/// there [`see`] says the same.
#[inline(always)]
pub fn is_known(
    side: &mut DirectionState,
    packet: &Packet,
    record: u8,
    (tgid, tid): (u32, u32),
) -> bool {
    if settings::pid_helper() == 0
        || record != DATA
        || side.flags & direction_flag::TLS_DATA == 0
        || side.records == 0
    {
        return false;
    }
    let is_turn = side.turn_seq == packet.seq;
    let may_be_told = if is_turn {
        side.records < 4 && packet.payload_length <= SHORT
    } else {
        side.flags & direction_flag::COPYING != 0
    };
    if may_be_told {
        return false;
    }
    // Whether the thread sends it does not matter where its session has this socket already.
    if packet.direction == direction::EGRESS
        && let Some(thread) = thread(tgid, tid)
        && thread.is_pending != pending::NONE
    {
        if thread.bound_to != packet.cookie {
            return false;
        }
        thread.is_pending = pending::NONE;
    }
    if is_turn {
        side.flags &= !direction_flag::COPYING;
    }
    true
}

/// Looks at a packet that begins with a record of TLS. A program of its own, for 6.1's verifier gives up on one that does all.
#[inline(always)]
pub fn see(ctx: &SkBuffContext, scene: &Scene, side: &mut DirectionState) {
    let kind = tls_record(ctx, scene.payload_at);
    if scene.direction == direction::EGRESS && scene.owned == owned::YES && settings::tls() == 1 {
        bind(scene, side, kind);
    }
    side.flags |= direction_flag::TLS;
    if kind == DATA {
        side.flags |= direction_flag::TLS_DATA;
    }
    let is_turn = side.turn_seq == scene.seq;
    if is_turn {
        if kind == HANDSHAKE {
            side.flags |= direction_flag::COPYING;
        } else {
            side.flags &= !direction_flag::COPYING;
        }
    }
    let window = if side.flags & direction_flag::COPYING != 0 {
        settings::cap().saturating_sub(scene.seq.wrapping_sub(side.turn_seq))
    } else if side.records == 0 || is_turn && may_be_of_handshake(kind, scene, side) {
        turn::GREETING
    } else {
        return;
    };
    let length = turn::smaller(window, scene.payload_length);
    if length > 0 {
        let mut record = scene.record(side);
        record.place = if is_turn {
            place::NEW_TURN
        } else {
            place::SAME_TURN
        };
        turn::emit(ctx, scene.payload_at, length, record);
    }
}

/// Whether a turn may say something of the handshake, though it does not begin with it: an alert, a change of cipher with what
/// is behind it, or, near the beginning, what is as short as an alert that is encrypted.
#[inline(always)]
fn may_be_of_handshake(kind: u8, scene: &Scene, side: &DirectionState) -> bool {
    kind == ALERT || kind == CHANGE || side.records < 4 && scene.payload_length <= SHORT
}

/// A packet with payload leaves on behalf of a thread that holds its socket's lock.
#[inline(always)]
fn bind(scene: &Scene, side: &DirectionState, record: u8) {
    let (tgid, tid) = (scene.tgid, scene.tid);
    let Some(thread) = thread(tgid, tid) else {
        return;
    };
    if thread.is_pending == pending::NONE {
        return;
    }
    let how = thread.is_pending;
    thread.is_pending = pending::NONE;
    if how == pending::WITH_DATA && record != DATA {
        return;
    }
    if record == ALERT || thread.pending == 0 {
        // Sent by calls that are not looked at, perhaps for another session.
        return;
    }
    if thread.bound_to == scene.cookie {
        return;
    }
    // What is written first may go behind the end of the handshake.
    let is_sure = match how {
        pending::WITH_DATA | pending::SENDS => true,
        pending::WRITTEN => record == DATA || record == CHANGE,
        _ => false,
    };
    let key = SessionKey {
        address: thread.pending,
        tgid,
        reserved: 0,
    };
    let Some(mut session) = find_or_make(&key) else {
        return;
    };
    if session.cookie != 0 && (session.is_sure != 0 || !is_sure) {
        if session.cookie == scene.cookie
            || record != HANDSHAKE
            || flow::find(session.cookie).is_some()
        {
            // A session keeps its socket.
            return;
        }
        // Its place in memory has been used again, and nobody saw it freed.
        forget(&key);
        let Some(made) = make(&key) else {
            return;
        };
        session = made;
    }
    let is_new =
        session.cookie == 0 && record == HANDSHAKE && side.flags & direction_flag::TLS_DATA == 0;
    let facts = if is_new { session_fact::NEW } else { 0 };
    // Another thread may have sent what a handshake made of it, and this one something else: what is written is sent by who wrote it.
    session.cookie = scene.cookie;
    session.is_sure = u64::from(is_sure);
    tell(kind::SESSION, session, scene.at_ns, &key, tid, facts);
}

/// Tells of a session.
#[inline(always)]
pub fn tell(
    kind: u16,
    session: &SessionState,
    at_ns: u64,
    key: &SessionKey,
    tid: u32,
    mut facts: u32,
) {
    let Some(mut entry) = ring::reserve::<SessionRecord>() else {
        return;
    };
    let [egress, ingress] = &session.flow.directions;
    if egress.flags & direction_flag::LAST_CHUNK != 0 {
        facts |= session_fact::EGRESS_LAST_CHUNK;
    }
    if ingress.flags & direction_flag::LAST_CHUNK != 0 {
        facts |= session_fact::INGRESS_LAST_CHUNK;
    }
    if session.is_sure != 0 {
        facts |= session_fact::SURE;
    }
    let current = task::current();
    let record = SessionRecord {
        header: Header {
            kind,
            version: VERSION,
            length: SessionRecord::SIZE as u32,
            at_ns,
            cookie: session.cookie,
        },
        session: session.id,
        address: key.address,
        tgid: key.tgid,
        tid,
        start_ns: task::start_ns(current),
        comm: task::read(current, settings::task_comm()),
        ancestors: task::ancestors(current),
        facts,
        egress_bytes: session.flow.directions[0].bytes,
        egress_last_ns: session.flow.directions[0].last_ns,
        ingress_bytes: session.flow.directions[1].bytes,
        ingress_last_ns: session.flow.directions[1].last_ns,
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
}
