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
    /// 1 where calls of TLS libraries are looked at.
    TLS / tls: u32 = 0;
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
    /// `sk_buff.head`
    SKB_HEAD / skb_head: u32 = 0;
    /// `sk_buff.network_header`
    SKB_NETWORK_HEADER / skb_network_header: u32 = 0;
    /// `sk_buff.dev`
    SKB_DEV / skb_dev: u32 = 0;
    /// `net_device.nd_net`
    DEV_NET / dev_net: u32 = 0;
    /// 1 where `kfree_skb` tells the receiving socket (Linux 6.11).
    KFREE_SKB_SOCKET / kfree_skb_socket: u32 = 0;
    /// SKB_DROP_REASON_NOT_SPECIFIED: 1 before Linux 6.3.
    DROP_NOT_SPECIFIED / drop_not_specified: u32 = 2;
    /// `sock.sk_lock.owned`
    SOCK_OWNED / sock_owned: u32 = 0;
    /// `sock.sk_err`
    SOCK_ERR / sock_err: u32 = 0;
    /// `sock.sk_err_soft`
    SOCK_ERR_SOFT / sock_err_soft: u32 = 0;
    /// `inet_connection_sock.icsk_retransmits`
    ICSK_RETRANSMITS / icsk_retransmits: u32 = 0;
    /// `tcp_sock.bytes_acked`
    TCP_BYTES_ACKED / tcp_bytes_acked: u32 = 0;
    /// `tcp_sock.bytes_received`
    TCP_BYTES_RECEIVED / tcp_bytes_received: u32 = 0;
    /// `tcp_sock.bytes_retrans`
    TCP_BYTES_RETRANS / tcp_bytes_retrans: u32 = 0;
    /// `tcp_sock.srtt_us`
    TCP_SRTT / tcp_srtt: u32 = 0;
    /// The value of the first sample of `tcp_sock.rtt_min`
    TCP_RTT_MIN / tcp_rtt_min: u32 = 0;
    /// `tcp_sock.total_retrans`
    TCP_TOTAL_RETRANS / tcp_total_retrans: u32 = 0;
    /// `tcp_sock.segs_in`
    TCP_SEGS_IN / tcp_segs_in: u32 = 0;
    /// `tcp_sock.segs_out`
    TCP_SEGS_OUT / tcp_segs_out: u32 = 0;
    /// `tcp_sock.data_segs_in`
    TCP_DATA_SEGS_IN / tcp_data_segs_in: u32 = 0;
    /// `tcp_sock.data_segs_out`
    TCP_DATA_SEGS_OUT / tcp_data_segs_out: u32 = 0;
    /// `tcp_sock.rcv_ooopack`
    TCP_RCV_OOOPACK / tcp_rcv_ooopack: u32 = 0;
    /// `tcp_sock.dsack_dups`
    TCP_DSACK_DUPS / tcp_dsack_dups: u32 = 0;
    /// `tcp_sock.reord_seen`
    TCP_REORD_SEEN / tcp_reord_seen: u32 = 0;
    /// `tcp_sock.delivered_ce`
    TCP_DELIVERED_CE / tcp_delivered_ce: u32 = 0;
    /// `tcp_sock.mss_cache`
    TCP_MSS_CACHE / tcp_mss_cache: u32 = 0;
    /// `tcp_sock.rx_opt.saw_tstamp`
    TCP_RX_OPT / tcp_rx_opt: u32 = 0;
    /// `tcp_sock.ecn_flags`
    TCP_ECN_FLAGS / tcp_ecn_flags: u32 = 0;
    /// `tcp_sock.write_seq`
    TCP_WRITE_SEQ / tcp_write_seq: u32 = 0;
    /// `tcp_sock.rcv_wnd`
    TCP_RCV_WND / tcp_rcv_wnd: u32 = 0;
    /// Which of the fields of a socket this kernel has: bits of `record::socket_field`.
    SOCKET_KNOWN / socket_known: u32 = 0;
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
