//! Programs begun: path and arguments, read while they are certainly there, since a short-lived process is gone before
//! anybody can look into `/proc`.

use aya_ebpf::{
    helpers::generated::{
        bpf_get_current_uid_gid, bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str,
        bpf_probe_read_user,
    },
    programs::RawTracePointContext,
};
use headwater_schema::record::{
    EXEC_ARGUMENTS, EXEC_NAME, EXEC_PATH, ExecRecord, Header, VERSION, kind,
};

use crate::{ring, settings, task};

#[repr(C)]
struct Roomy {
    record: ExecRecord,
    path: [u8; EXEC_PATH],
    arguments: [u8; EXEC_ARGUMENTS],
}

/// `sched_process_exec(task, old_pid, binprm)`.
#[inline(always)]
pub fn begun(ctx: &RawTracePointContext) {
    let current: u64 = ctx.arg(0);
    let program: u64 = ctx.arg(2);
    if settings::task_tgid() == 0 {
        return;
    }
    let Some(mut entry) = ring::reserve::<Roomy>() else {
        return;
    };
    let place = ring::place(&mut entry);
    let memory = task::read::<u64>(current, settings::task_mm());
    let from = task::read::<u64>(memory, settings::mm_arg_start());
    let to = task::read::<u64>(memory, settings::mm_arg_end());
    let path = task::read::<u64>(program, settings::binprm_filename());
    let file = task::read::<u64>(program, settings::binprm_file());
    let entry_of_file = task::read::<u64>(file, settings::file_dentry());
    let name = task::read::<u64>(entry_of_file, settings::dentry_name());
    let wanted = to.saturating_sub(from);
    let length = if wanted > EXEC_ARGUMENTS as u64 {
        EXEC_ARGUMENTS as u64
    } else {
        wanted
    };
    let mut record = ExecRecord {
        header: Header {
            kind: kind::EXEC,
            version: VERSION,
            length: size_of::<Roomy>() as u32,
            // SAFETY: no arguments, no effects.
            at_ns: unsafe { bpf_ktime_get_boot_ns() },
            cookie: 0,
        },
        tgid: task::read(current, settings::task_tgid()),
        // SAFETY: no arguments, no effects.
        uid: unsafe { bpf_get_current_uid_gid() } as u32,
        start_ns: task::start_ns(current),
        path_length: 0,
        arguments_length: 0,
        comm: task::read(current, settings::task_comm()),
        ancestors: task::ancestors(current),
        arguments_cut: u32::from(wanted > EXEC_ARGUMENTS as u64),
        // Zeros for now.
        name: task::read(0, 0),
    };
    // SAFETY: both helpers check their sources and write at most the given number of bytes into the reserved room.
    unsafe {
        let got = bpf_probe_read_kernel_str(
            (&raw mut (*place).path).cast(),
            EXEC_PATH as u32,
            path as *const _,
        );
        record.path_length = if got > 0 && got <= EXEC_PATH as i64 {
            got as u32 - 1
        } else {
            0
        };
        if length > 0 {
            let bounded = (core::hint::black_box(length as u32).wrapping_sub(1)
                & (EXEC_ARGUMENTS as u32 - 1))
                + 1;
            if bpf_probe_read_user(
                (&raw mut (*place).arguments).cast(),
                bounded,
                from as *const _,
            ) == 0
            {
                record.arguments_length = bounded;
            }
        }
        (&raw mut (*place).record).write(record);
        bpf_probe_read_kernel_str(
            (&raw mut (*place).record.name).cast(),
            EXEC_NAME as u32,
            name as *const _,
        );
    }
    ring::submit(entry);
}
