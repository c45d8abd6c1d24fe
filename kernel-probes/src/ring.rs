//! The ring buffer: every record goes through here, and every failure is counted here.

use core::mem::MaybeUninit;

use aya_ebpf::{
    macros::map,
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use headwater_schema::{
    flow::counter,
    record::{DatagramRecord, HeadersRecord, SynRecord, TurnRecord},
};

use crate::{bytes::Bytes, counters::count};

/// Size in bytes unless the loader sets another.
const BYTES: u32 = 8 << 20;
/// BPF_RB_NO_WAKEUP: the reader drains by time; a wake-up for each record costs ten times the record.
const NO_WAKEUP: u64 = 1;

#[map]
static RECORDS: RingBuf = RingBuf::with_byte_size(BYTES, 0);

/// Room for a record, or a count of the loss.
#[inline(always)]
pub fn reserve<T: 'static>() -> Option<RingBufEntry<T>> {
    count(counter::FIRED);
    let entry = RECORDS.reserve::<T>(0);
    if entry.is_none() {
        count(counter::LOST);
    }
    entry
}

/// A record behind which bytes of its packet are copied.
pub trait Copying: 'static {
    /// So many were.
    fn captured(&mut self, bytes: u32);
}

impl Copying for TurnRecord {
    #[inline(always)]
    fn captured(&mut self, bytes: u32) {
        self.captured = bytes;
        self.header.length = Self::SIZE as u32 + bytes;
    }
}

impl Copying for DatagramRecord {
    #[inline(always)]
    fn captured(&mut self, bytes: u32) {
        self.captured = bytes;
        self.header.length = Self::SIZE as u32 + bytes;
    }
}

impl Copying for HeadersRecord {
    #[inline(always)]
    fn captured(&mut self, bytes: u32) {
        self.captured = bytes;
        self.header.length = Self::SIZE as u32 + bytes;
    }
}

impl Copying for SynRecord {
    #[inline(always)]
    fn captured(&mut self, bytes: u32) {
        self.captured = bytes;
        self.end.header.length = Self::SIZE as u32 + bytes;
    }
}

/// A record with room behind it. The rooms come in a few sizes, since a reservation must be of constant size.
#[repr(C)]
struct Roomy<R, const N: usize> {
    record: R,
    bytes: [u8; N],
}

/// The record, and `length` of the bytes from `at` on behind it: at least 1, at most `N`, which is a power of two. Says
/// whether they are there.
#[inline(always)]
pub fn copy<B: Bytes, R: Copying, const N: usize>(
    bytes: &B,
    at: u32,
    length: u32,
    mut record: R,
) -> bool {
    let Some(mut entry) = reserve::<Roomy<R, N>>() else {
        return false;
    };
    // The verifier of Linux 6.1 does not carry a bound over a comparison of another register: the mask states it anew.
    let bounded = (core::hint::black_box(length).wrapping_sub(1) & (N as u32 - 1)) + 1;
    let place = place(&mut entry);
    // SAFETY: `place` is the reserved room of a Roomy<R, N>; at most N bytes are written into its array.
    let is_copied = unsafe {
        let is_copied = bytes.copy(at, (&raw mut (*place).bytes).cast(), bounded);
        record.captured(if is_copied { bounded } else { 0 });
        (&raw mut (*place).record).write(record);
        is_copied
    };
    submit(entry);
    is_copied
}

/// The record alone, of bytes that are not copied.
#[inline(always)]
pub fn bare<R: Copying>(mut record: R) {
    let Some(mut entry) = reserve::<R>() else {
        return;
    };
    record.captured(0);
    // SAFETY: the reserved room is of this type.
    unsafe { place(&mut entry).write(record) };
    submit(entry);
}

/// Hands a filled record to the reader.
#[inline(always)]
pub fn submit<T>(entry: RingBufEntry<T>) {
    entry.submit(NO_WAKEUP);
}

/// The place to fill.
#[inline(always)]
pub fn place<T>(entry: &mut RingBufEntry<T>) -> *mut T {
    MaybeUninit::as_mut_ptr(entry)
}
