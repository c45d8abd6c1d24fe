//! Numbers that the loader fills in before the programs are verified, so that the verifier sees constants and drops the
//! branches that this kernel does not need. An offset of 0 means "not known" (no offset here is 0 in any kernel).

macro_rules! settings {
    ($($(#[$meta:meta])* $name:ident / $function:ident : $kind:ty = $default:expr;)+) => { $(
        $(#[$meta])*
        #[unsafe(no_mangle)]
        pub static $name: $kind = $default;
        /// The value that the loader put in.
        #[inline(always)]
        pub fn $function() -> $kind {
            // SAFETY: a static is always valid to read; volatile because the loader changes it after compilation.
            unsafe { core::ptr::read_volatile(&raw const $name) }
        }
    )+ };
}

settings! {
    /// Bytes copied of each turn, at most `record::MAX_CAP`.
    CAP / cap: u32 = 8192;
    /// 1 where cgroup programs may call bpf_get_current_pid_tgid.
    PID_HELPER / pid_helper: u32 = 0;
    /// For `headers` alone: what a packet must be to be told, 0 for anything. 4 or 6.
    FILTER_FAMILY / filter_family: u32 = 0;
    /// IANA's number, 1 for ICMP of both families.
    FILTER_PROTOCOL / filter_protocol: u32 = 0;
    /// Either port.
    FILTER_PORT / filter_port: u32 = 0;
    /// Any of these flags.
    FILTER_TCP_FLAGS / filter_tcp_flags: u32 = 0;
    /// Either address under this mask, in two halves; IPv4's is the first half's first.
    FILTER_NET_HIGH / filter_net_high: u64 = 0;
    /// As above.
    FILTER_NET_LOW / filter_net_low: u64 = 0;
    /// As above.
    FILTER_MASK_HIGH / filter_mask_high: u64 = 0;
    /// As above.
    FILTER_MASK_LOW / filter_mask_low: u64 = 0;
    /// `sk_buff.sk`
    SKB_SK / skb_sk: u32 = 0;
    /// `sock.sk_lock.owned`
    SOCK_OWNED / sock_owned: u32 = 0;
    /// `sock.sk_err`
    SOCK_ERR / sock_err: u32 = 0;
    /// `sock.__sk_common.skc_cookie`
    SOCK_COOKIE / sock_cookie: u32 = 0;
    /// `sock.__sk_common.skc_net`
    SOCK_NET / sock_net: u32 = 0;
    /// `net.ns.inum`
    NET_INUM / net_inum: u32 = 0;
    /// `task_struct.tgid`
    TASK_TGID / task_tgid: u32 = 0;
    /// `task_struct.pid`
    TASK_PID / task_pid: u32 = 0;
    /// `task_struct.group_leader`
    TASK_LEADER / task_leader: u32 = 0;
    /// `task_struct.start_boottime` (`real_start_time` before Linux 5.5)
    TASK_START / task_start: u32 = 0;
    /// `task_struct.real_parent`
    TASK_PARENT / task_parent: u32 = 0;
    /// `task_struct.comm`
    TASK_COMM / task_comm: u32 = 0;
    /// `task_struct.mm`
    TASK_MM / task_mm: u32 = 0;
    /// `task_struct.exit_code`
    TASK_EXIT_CODE / task_exit_code: u32 = 0;
    /// `task_struct.signal`
    TASK_SIGNAL / task_signal: u32 = 0;
    /// `signal_struct.live`
    SIGNAL_LIVE / signal_live: u32 = 0;
    /// `signal_struct.group_exit_code`
    SIGNAL_GROUP_CODE / signal_group_code: u32 = 0;
    /// `mm_struct.arg_start`
    MM_ARG_START / mm_arg_start: u32 = 0;
    /// `mm_struct.arg_end`
    MM_ARG_END / mm_arg_end: u32 = 0;
    /// `linux_binprm.filename`
    BINPRM_FILENAME / binprm_filename: u32 = 0;
    /// `linux_binprm.file`
    BINPRM_FILE / binprm_file: u32 = 0;
    /// `file.f_path.dentry`
    FILE_DENTRY / file_dentry: u32 = 0;
    /// `dentry.d_name.name`
    DENTRY_NAME / dentry_name: u32 = 0;
}
