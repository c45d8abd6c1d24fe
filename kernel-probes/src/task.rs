//! Reading kernel memory by offsets from BTF: the current task, and the socket of a packet.

use aya_ebpf::{
    EbpfContext,
    helpers::generated::{bpf_get_current_pid_tgid, bpf_get_current_task, bpf_probe_read_kernel},
    programs::SkBuffContext,
};
use headwater_schema::record::owned;

use crate::settings;

/// Reads a plain value at `base + offset` of kernel memory; zeros when the offset is unknown or the read faults.
///
/// `T` must be an integer or an array of them: any bit pattern is a value. There is no branch in here on purpose: chains
/// of reads (seven ancestors) would double what the verifier walks at each, and Linux 6.1 gave up on that.
#[inline(always)]
pub fn read<T: Copy>(base: u64, offset: u32) -> T {
    // Known when the program is verified, so this is no branch there. Address 0 faults and gives zeros.
    let address = if offset == 0 {
        0
    } else {
        base.wrapping_add(u64::from(offset))
    };
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: bpf_probe_read_kernel checks the source address itself, and writes all of `value` always: it clears what it
    // could not read (bpf_probe_read_kernel_common, kernel/trace/bpf_trace.c, since Linux 5.5).
    unsafe {
        bpf_probe_read_kernel(
            value.as_mut_ptr().cast(),
            size_of::<T>() as u32,
            address as *const _,
        );
        value.assume_init()
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
    if settings::task_tgid() == 0 {
        return (0, 0);
    }
    (
        read(task, settings::task_tgid()),
        read(task, settings::task_pid()),
    )
}

/// Start of a task's process on the boot clock; 0 when unknown.
#[inline(always)]
pub fn start_ns(task: u64) -> u64 {
    let leader = read(task, settings::task_leader());
    read(leader, settings::task_start())
}

/// Parent, grandparent and so on of a task; beyond init they are 0.
#[inline(always)]
pub fn ancestors(task: u64) -> [u32; 7] {
    let mut at = read(task, settings::task_leader());
    // An element for each, not a loop over zeros: clearing an array is a call, and one call into another function of the
    // object makes the verifier of Linux 6.1 forget that most numbers do not matter to it.
    let mut next = || {
        at = read(at, settings::task_parent());
        read::<u32>(at, settings::task_tgid())
    };
    [next(), next(), next(), next(), next(), next(), next()]
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
    let socket = socket(ctx);
    if socket == 0 || settings::sock_owned() == 0 {
        return owned::UNKNOWN;
    }
    if read::<u32>(socket, settings::sock_owned()) == 0 {
        owned::NO
    } else {
        owned::YES
    }
}

/// Inode of a socket's network namespace; 0 when unknown.
#[inline(always)]
pub fn netns(socket: u64) -> u32 {
    if settings::sock_net() == 0 {
        return 0;
    }
    let net = read(socket, settings::sock_net());
    read(net, settings::net_inum())
}
