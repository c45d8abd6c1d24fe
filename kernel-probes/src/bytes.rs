//! Where the bytes of a stretch of a stream are: in a packet, or in the memory of a program that hands them to its TLS
//! library. What is done with them is the same.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_probe_read_user, bpf_skb_load_bytes},
    macros::map,
    maps::ProgramArray,
    programs::SkBuffContext,
};
use headwater_schema::{
    flow::{counter, go_on},
    record::direction,
};

use crate::counters::count;

#[map]
static GO_ON_EGRESS: ProgramArray = ProgramArray::with_max_entries(go_on::COUNT, 0);
#[map]
static GO_ON_INGRESS: ProgramArray = ProgramArray::with_max_entries(go_on::COUNT, 0);
#[map]
static GO_ON_PLAINTEXT: ProgramArray = ProgramArray::with_max_entries(go_on::PLAINTEXT_COUNT, 0);

/// Bytes, by their place.
pub trait Bytes {
    /// Whether a second look at bytes costs next to nothing. Where it does not, what was read is remembered; where it does,
    /// that would be one state more for verifiers.
    const IS_CHEAP: bool;

    /// Copies `length` of them, from `at` on, to `place`, and says whether that was possible. At `place` there must be room
    /// for as many, which the verifier checks.
    fn copy(&self, at: u32, place: *mut c_void, length: u32) -> bool;

    /// Goes on with another program, which does not return when that succeeds.
    fn tail_call(&self, way: u8, program: u32);

    /// As above, counted when it does not succeed.
    #[inline(always)]
    fn hand_over(&self, way: u8, program: u32) {
        self.tail_call(way, program);
        count(counter::FRAMES_ADRIFT);
    }

    /// `N` of them, from `at` on.
    #[inline(always)]
    fn read<const N: usize>(&self, at: u32) -> Option<[u8; N]> {
        let mut bytes = core::mem::MaybeUninit::<[u8; N]>::uninit();
        if self.copy(at, bytes.as_mut_ptr().cast(), N as u32) {
            // SAFETY: all N bytes were copied.
            Some(unsafe { bytes.assume_init() })
        } else {
            None
        }
    }

    /// The first twelve from `at` on, or nine with zeros behind them where there are no more.
    #[inline(always)]
    fn read_start(&self, at: u32) -> Option<[u8; 12]> {
        let mut bytes = core::mem::MaybeUninit::<[u8; 12]>::uninit();
        let place = bytes.as_mut_ptr().cast();
        if self.copy(at, place, 12) || self.copy(at, place, 9) {
            // SAFETY: a copy that fails leaves zeros (both helpers clear what they could not read).
            Some(unsafe { bytes.assume_init() })
        } else {
            None
        }
    }
}

impl Bytes for SkBuffContext {
    const IS_CHEAP: bool = true;

    #[inline(always)]
    fn copy(&self, at: u32, place: *mut c_void, length: u32) -> bool {
        // SAFETY: the helper checks the packet's bounds and the verifier the room at `place`.
        unsafe { bpf_skb_load_bytes(self.as_ptr().cast(), at, place, length) == 0 }
    }

    #[inline(always)]
    fn tail_call(&self, way: u8, program: u32) {
        // SAFETY: the programs in these maps are of this one's type.
        unsafe {
            if way == direction::EGRESS {
                let _ = GO_ON_EGRESS.tail_call(self, program);
            } else {
                let _ = GO_ON_INGRESS.tail_call(self, program);
            }
        }
    }
}

/// Bytes in the memory of the current process.
pub struct UserBytes {
    /// The program's context.
    pub context: *mut c_void,
    /// Where they are.
    pub base: u64,
    /// How many.
    pub length: u32,
}

impl EbpfContext for UserBytes {
    #[inline(always)]
    fn as_ptr(&self) -> *mut c_void {
        self.context
    }
}

impl Bytes for UserBytes {
    const IS_CHEAP: bool = false;

    #[inline(always)]
    fn copy(&self, at: u32, place: *mut c_void, length: u32) -> bool {
        // Behind the buffer there is memory too, which is no part of the stream.
        if at.wrapping_add(length) > self.length {
            return false;
        }
        let from = self.base.wrapping_add(u64::from(at));
        // SAFETY: the helper checks the address, and the verifier the room at `place`.
        let is_copied = unsafe { bpf_probe_read_user(place, length, from as *const _) == 0 };
        if !is_copied {
            // Not in memory now, as a mapped file that nobody has read: a probe cannot wait for it.
            count(counter::PLAINTEXT_UNREAD);
        }
        is_copied
    }

    #[inline(always)]
    fn tail_call(&self, _: u8, program: u32) {
        // SAFETY: the programs in this map are of this one's type.
        unsafe {
            let _ = GO_ON_PLAINTEXT.tail_call(self, program);
        }
    }
}
