//! Processes that ended: when, and by which exit code or signal.

use aya_ebpf::{helpers::generated::bpf_ktime_get_boot_ns, programs::RawTracePointContext};
use headwater_schema::record::{ExitRecord, Header, VERSION, kind};

use crate::{ring, settings, task};

/// `sched_process_exit(task)`, called for each thread. The last one of a process has counted itself off before (do_exit,
/// kernel/exit.c).
#[inline(always)]
pub fn ended(ctx: &RawTracePointContext) {
    let current: u64 = ctx.arg(0);
    if settings::task_tgid() == 0 || settings::task_signal() == 0 || settings::signal_live() == 0 {
        return;
    }
    let signal = task::read::<u64>(current, settings::task_signal());
    if task::read::<u32>(signal, settings::signal_live()) != 0 {
        return;
    }
    // Set by exit_group and by a deadly signal; where it is not, the process had one thread and ends with that one's code.
    let group = task::read::<u32>(signal, settings::signal_group_code());
    let own = task::read::<u32>(current, settings::task_exit_code());
    let record = ExitRecord {
        header: Header {
            kind: kind::EXIT,
            version: VERSION,
            length: ExitRecord::SIZE as u32,
            // SAFETY: no arguments, no effects.
            at_ns: unsafe { bpf_ktime_get_boot_ns() },
            cookie: 0,
        },
        tgid: task::read(current, settings::task_tgid()),
        status: if group == 0 { own } else { group },
        start_ns: task::start_ns(current),
    };
    let Some(mut entry) = ring::reserve::<ExitRecord>() else {
        return;
    };
    // SAFETY: the reserved room is of this type.
    unsafe { ring::place(&mut entry).write(record) };
    ring::submit(entry);
}
