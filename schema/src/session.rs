//! The state that the probes keep for each session of a TLS library, and for each thread that works on one.

use crate::flow::FlowState;

/// Sessions that the probes remember at once; the least recently used make room.
pub const SESSIONS: u32 = 16_384;

/// Names a session: where the library keeps it, in which process.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionKey {
    /// Address in the process's memory; reused when a session has been freed.
    pub address: u64,
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// One session.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionState {
    /// Its plaintext, as of a socket: written is egress, read is ingress.
    pub flow: FlowState,
    /// Its id.
    pub id: u64,
    /// The socket that it sends by; 0 while that is not known.
    pub cookie: u64,
    /// Not 0 where that was seen as it sent what had been written, and not only as its thread sent something.
    pub is_sure: u64,
    /// Bytes that a write was told of and did not take: the next write begins with them again.
    pub owed: u64,
    /// Bytes each way, by `record::direction`, of which all that is told has been: a program that looks at plaintext can be
    /// stopped for a while between counting and telling, as those that look at packets cannot.
    pub done: [u64; 2],
}

/// What an attachment tells of a read that is seen at its end alone: numbers of registers, of so many bits each, the first in the
/// lowest.
pub mod read_done {
    /// Bits of a number.
    pub const BITS: u64 = 4;
    /// Place of the register that is the session.
    pub const SESSION: u64 = 0;
    /// As above, that points to the bytes.
    pub const BYTES: u64 = 1;
    /// As above, that points to their count.
    pub const COUNT: u64 = 2;
    /// As above, that is zero in its lower half where the read took the bytes; no register where all do.
    pub const UNLESS: u64 = 3;
    /// A register's number, below eight; zero is none.
    pub const RBX: u64 = 1;
    /// As above.
    pub const RBP: u64 = 2;
    /// As above.
    pub const R12: u64 = 3;
    /// As above.
    pub const R13: u64 = 4;
    /// As above.
    pub const R14: u64 = 5;
    /// As above.
    pub const R15: u64 = 6;
}

/// What an attachment tells of the place where bytes are copied to whoever reads them: halves of words, of so many bits each, the first
/// in the lowest. The words are those of [`read_done`]'s registers by their numbers, and behind them those of the frame, from the stack
/// pointer on.
pub mod copied {
    /// Bits of a half's number.
    pub const BITS: u64 = 5;
    /// Place of the first half of the word that is the session.
    pub const SESSION: u64 = 0;
    /// Place of the half that is the type of the bytes.
    pub const TYPE: u64 = 1;
    /// Place of the half that is zero where the bytes are taken.
    pub const PEEKS: u64 = 2;
    /// Words of registers, of which the first is none.
    pub const REGISTERS: usize = 8;
    /// Words of the frame.
    pub const FRAME: usize = 8;
}

/// A call of the library.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TlsCall {
    /// The session.
    pub session: u64,
    /// Where the plaintext is, or is put.
    pub buffer: u64,
    /// Where the library puts how much it was; 0 where its result says that.
    pub out: u64,
    /// The stack pointer: a call within this one has a lower one.
    pub stack: u64,
    /// Bytes offered, or room for as many.
    pub length: u32,
    /// `record::direction`.
    pub direction: u32,
}

/// What a stretch is the first of.
pub mod first {
    /// A call that was seen to begin, or a record that is written.
    pub const OF_CALL: u32 = 1;
    /// A read that was not.
    pub const OF_READ: u32 = 2;
}

/// Whether a thread's session has yet to be seen to send.
pub mod pending {
    /// No.
    pub const NONE: u32 = 0;
    /// It has.
    pub const YES: u32 = 1;
    /// It has, and only what begins with a record of data is its, for sure.
    pub const WITH_DATA: u32 = 2;
    /// It was written to: what begins with a record of data is its for sure.
    pub const WRITTEN: u32 = 3;
    /// What is sent next is its for sure.
    pub const SENDS: u32 = 4;
}

/// One thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TlsThread {
    /// Calls under way: one, and one within it, which is a session that another one carries.
    pub calls: [TlsCall; 2],
    /// How many.
    pub depth: u32,
    /// Whether `pending` has yet to be seen to send: one of [`pending`].
    pub is_pending: u32,
    /// The session last worked on: what leaves next, with the socket's lock held, is its.
    pub pending: u64,
    /// The stretch of plaintext that a program hands to the next.
    pub now: TlsCall,
    /// When that passed (boot clock).
    pub now_ns: u64,
    /// Where the process says which stretches come behind it: pairs of address and length.
    pub slices: u64,
    /// How many.
    pub slices_left: u32,
    /// As in [`first`] when `now` is the first of its call.
    pub is_first: u32,
    /// Bytes of them that are no part of the call, in front.
    pub skip: u64,
    /// Bytes of them that are.
    pub left: u64,
    /// Bytes that the session owes, as far as this call has not come to them.
    pub owed: u64,
    /// The socket of the session that is pending, where that was looked up since; 0 where not.
    pub bound_to: u64,
    /// The session that owed nothing when its last write began, 0 for none.
    pub even: u64,
}

/// Names a goroutine.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoroutineKey {
    /// Address of its `runtime.g`.
    pub address: u64,
    /// Process.
    pub tgid: u32,
    /// Zero.
    pub reserved: u32,
}

/// One goroutine, which goes from thread to thread.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Goroutine {
    /// The call under way. Of a buffer on its stack, which may move, `stack` is how far it is from the stack's upper end, else 0.
    pub call: TlsCall,
    /// The session last worked on, 0 for none.
    pub pending: u64,
}

const _: () = assert!(size_of::<SessionKey>() == 16);
const _: () = assert!(size_of::<SessionState>() == 312);
const _: () = assert!(size_of::<TlsCall>() == 40);
const _: () = assert!(size_of::<TlsThread>() == 200);
const _: () = assert!(size_of::<GoroutineKey>() == 16);
const _: () = assert!(size_of::<Goroutine>() == 48);

impl SessionState {
    /// A session of which nothing is known.
    pub const NEW: Self = Self {
        flow: FlowState::NEW,
        id: 0,
        cookie: 0,
        is_sure: 0,
        owed: 0,
        done: [0; 2],
    };
}

impl TlsThread {
    /// A thread of which nothing is known.
    pub const NEW: Self = {
        let none = TlsCall {
            session: 0,
            buffer: 0,
            out: 0,
            stack: 0,
            length: 0,
            direction: 0,
        };
        Self {
            calls: [none; 2],
            depth: 0,
            is_pending: pending::NONE,
            pending: 0,
            now: none,
            now_ns: 0,
            slices: 0,
            slices_left: 0,
            is_first: 0,
            skip: 0,
            left: 0,
            owed: 0,
            bound_to: 0,
            even: 0,
        }
    };
}

impl Goroutine {
    /// A goroutine of which nothing is known.
    pub const NEW: Self = Self {
        call: TlsCall {
            session: 0,
            buffer: 0,
            out: 0,
            stack: 0,
            length: 0,
            direction: 0,
        },
        pending: 0,
    };
}
