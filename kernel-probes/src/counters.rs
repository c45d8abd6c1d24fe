//! Counts of what happened and what was lost. Atomic, since a program can be interrupted by another on the same CPU.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{macros::map, maps::PerCpuArray};
use headwater_schema::flow::counter;

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// Adds one.
#[inline(always)]
pub fn count(which: u32) {
    count_in(&COUNTERS, which);
}

/// Adds one to an element of a map.
#[inline(always)]
pub fn count_in(map: &PerCpuArray<u64>, which: u32) {
    if let Some(cell) = map.get_ptr_mut(which) {
        // `AtomicU64::fetch_add` is not offered for this target, whose first instruction sets lacked the fetching form; the
        // result is unused, so that the plain atomic addition of Linux 3.18 is what comes out.
        // SAFETY: the map gave a pointer to this CPU's aligned u64, valid for the program's run.
        unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(cell, 1) };
    }
}
