//! Processes forked: which process each came from, kept here and told to nobody.
//!
//! A machine that builds forks thousands of processes a second that never talk. So this writes into a map, whose oldest
//! entries make room, and the recorder looks at it when it meets a process.

use aya_ebpf::{macros::map, maps::LruHashMap, programs::RawTracePointContext};
use headwater_schema::flow::ForkState;

use crate::{settings, task};

/// Forks remembered at once.
const ENTRIES: u32 = 16_384;

/// By the number of the child.
#[map]
static FORKS: LruHashMap<u32, ForkState> = LruHashMap::with_max_entries(ENTRIES, 0);

/// `sched_process_fork(parent, child)`: for threads too, and with the thread that called for a parent.
#[inline(always)]
pub fn forked(ctx: &RawTracePointContext) {
    let parent: u64 = ctx.arg(0);
    let child: u64 = ctx.arg(1);
    if settings::task_tgid() == 0 || settings::task_pid() == 0 {
        return;
    }
    let tgid = task::read::<u32>(child, settings::task_tgid());
    if tgid != task::read::<u32>(child, settings::task_pid()) {
        return;
    }
    let state = ForkState {
        start_ns: task::start_ns(child),
        parent_start_ns: task::start_ns(parent),
        parent: task::read(parent, settings::task_tgid()),
        reserved: 0,
    };
    // Without it the process is looked at in /proc alone.
    let _ = FORKS.insert(&tgid, &state, 0);
}
