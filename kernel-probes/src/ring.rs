//! The ring buffer: every record goes through here, and every failure is counted here.

use core::mem::MaybeUninit;

use aya_ebpf::{
    macros::map,
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use headwater_schema::flow::counter;

use crate::counters::count;

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
