//! Reading kernel memory by offsets from BTF: the current task, and the socket of a packet.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel},
    programs::SkBuffContext,
};
use headwater_schema::record::owned;

use crate::settings;

/// Reads a plain value at `base + offset` of kernel memory; `None` when either is unknown or the read faults.
///
/// `T` must be an integer or an array of them: any bit pattern is a value.
#[inline(always)]
pub fn read<T: Copy>(base: u64, offset: u32) -> Option<T> {
    if base == 0 || offset == 0 {
        return None;
    }
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: bpf_probe_read_kernel checks the source address itself and fills all of `value` when it returns 0.
    unsafe {
        let size = size_of::<T>() as u32;
        if bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size,
            (base + u64::from(offset)) as *const _,
        ) != 0
        {
            return None;
        }
        Some(value.assume_init())
    }
}

/// The current task.
#[inline(always)]
pub fn current() -> u64 {
    // SAFETY: no arguments, no effects.
    unsafe { bpf_get_current_task() }
}

/// Process and thread id of the current task.
#[inline(always)]
pub fn ids() -> (u32, u32) {
    if settings::pid_helper() == 1 {
        // SAFETY: no arguments, no effects.
        let both = unsafe { bpf_get_current_pid_tgid() };
        return ((both >> 32) as u32, both as u32);
    }
    let task = current();
    let tgid = read::<u32>(task, settings::task_tgid()).unwrap_or(0);
    (tgid, read::<u32>(task, settings::task_pid()).unwrap_or(0))
}

/// Start of a task's process on the boot clock; 0 when unknown.
#[inline(always)]
pub fn start_ns(task: u64) -> u64 {
    let leader = read::<u64>(task, settings::task_leader()).unwrap_or(0);
    read::<u64>(leader, settings::task_start()).unwrap_or(0)
}

/// Parent, grandparent and so on of a task, until init or the end of the list.
#[inline(always)]
pub fn ancestors(task: u64, list: &mut [u32; 7]) {
    let mut at = read::<u64>(task, settings::task_leader()).unwrap_or(0);
    for slot in list.iter_mut() {
        at = read::<u64>(at, settings::task_parent()).unwrap_or(0);
        *slot = read::<u32>(at, settings::task_tgid()).unwrap_or(0);
    }
}

/// The socket of a packet; 0 when there is none or BTF is missing.
#[inline(always)]
pub fn socket(ctx: &SkBuffContext) -> u64 {
    let offset = settings::skb_sk();
    if offset == 0 {
        return 0;
    }
    let mut socket = 0u64;
    // SAFETY: the context of a cgroup-skb program is the sk_buff itself at run time; the helper checks the address.
    unsafe {
        let field = ctx.as_ptr().cast::<u8>().add(offset as usize);
        if bpf_probe_read_kernel((&raw mut socket).cast(), 8, field.cast()) != 0 {
            return 0;
        }
    }
    socket
}

/// Whether a task holds the lock of this packet's socket, which makes the current task its user.
#[inline(always)]
pub fn lock(ctx: &SkBuffContext) -> u8 {
    match read::<u32>(socket(ctx), settings::sock_owned()) {
        Some(0) => owned::NO,
        Some(_) => owned::YES,
        None => owned::UNKNOWN,
    }
}

/// Inode of a socket's network namespace; 0 when unknown.
#[inline(always)]
pub fn netns(socket: u64) -> u32 {
    let net = read::<u64>(socket, settings::sock_net()).unwrap_or(0);
    read::<u32>(net, settings::net_inum()).unwrap_or(0)
}
