//! The settings that the probes get from BTF, and which abilities hang on them.

use headwater_schema::record::socket_field;

use super::{Btf, DropReasons};

/// What the kernel's types say.
#[derive(Default)]
pub(crate) struct Offsets {
    /// Name of each probe setting with its value; 0 means that this kernel does not tell.
    pub(crate) settings: Vec<(&'static str, u32)>,
    /// Names of the reasons for dropping packets.
    pub(crate) drop_reasons: DropReasons,
}

/// Setting, structure, field, and the field's name in older kernels.
const FIELDS: &[(&str, &str, &str, &str)] = &[
    ("SKB_SK", "sk_buff", "sk", ""),
    ("SKB_HEAD", "sk_buff", "head", ""),
    ("SKB_NETWORK_HEADER", "sk_buff", "network_header", ""),
    ("SKB_DEV", "sk_buff", "dev", ""),
    ("DEV_NET", "net_device", "nd_net.net", ""),
    ("SOCK_OWNED", "sock", "sk_lock.owned", ""),
    ("SOCK_ERR", "sock", "sk_err", ""),
    ("TCP_WRITE_SEQ", "tcp_sock", "write_seq", ""),
    ("TCP_RCV_WND", "tcp_sock", "rcv_wnd", ""),
    ("SOCK_COOKIE", "sock", "__sk_common.skc_cookie", ""),
    ("SOCK_NET", "sock", "__sk_common.skc_net.net", ""),
    ("NET_INUM", "net", "ns.inum", ""),
    ("TASK_TGID", "task_struct", "tgid", ""),
    ("TASK_PID", "task_struct", "pid", ""),
    ("TASK_LEADER", "task_struct", "group_leader", ""),
    (
        "TASK_START",
        "task_struct",
        "start_boottime",
        "real_start_time",
    ),
    ("TASK_PARENT", "task_struct", "real_parent", ""),
    ("TASK_COMM", "task_struct", "comm", ""),
    ("TASK_MM", "task_struct", "mm", ""),
    ("TASK_EXIT_CODE", "task_struct", "exit_code", ""),
    ("TASK_SIGNAL", "task_struct", "signal", ""),
    ("SIGNAL_LIVE", "signal_struct", "live", ""),
    ("SIGNAL_GROUP_CODE", "signal_struct", "group_exit_code", ""),
    ("MM_ARG_START", "mm_struct", "arg_start", ""),
    ("MM_ARG_END", "mm_struct", "arg_end", ""),
    ("BINPRM_FILENAME", "linux_binprm", "filename", ""),
    ("BINPRM_FILE", "linux_binprm", "file", ""),
    ("FILE_DENTRY", "file", "f_path.dentry", ""),
    ("DENTRY_NAME", "dentry", "d_name.name", ""),
];

/// Of what is read of a socket at its end, the bit of `record::socket_field`, the setting, structure and field. `rtt_min` is
/// a running minimum whose first sample is a time, then the value (include/linux/win_minmax.h).
const SOCKET_FIELDS: &[(u32, &str, &str, &str)] = &[
    (
        socket_field::SOFT_ERROR,
        "SOCK_ERR_SOFT",
        "sock",
        "sk_err_soft",
    ),
    (
        socket_field::BYTES_ACKED,
        "TCP_BYTES_ACKED",
        "tcp_sock",
        "bytes_acked",
    ),
    (
        socket_field::BYTES_RECEIVED,
        "TCP_BYTES_RECEIVED",
        "tcp_sock",
        "bytes_received",
    ),
    (
        socket_field::BYTES_RETRANS,
        "TCP_BYTES_RETRANS",
        "tcp_sock",
        "bytes_retrans",
    ),
    (socket_field::SRTT, "TCP_SRTT", "tcp_sock", "srtt_us"),
    (socket_field::RTT_MIN, "TCP_RTT_MIN", "tcp_sock", "rtt_min"),
    (
        socket_field::TOTAL_RETRANS,
        "TCP_TOTAL_RETRANS",
        "tcp_sock",
        "total_retrans",
    ),
    (socket_field::SEGS_IN, "TCP_SEGS_IN", "tcp_sock", "segs_in"),
    (
        socket_field::SEGS_OUT,
        "TCP_SEGS_OUT",
        "tcp_sock",
        "segs_out",
    ),
    (
        socket_field::DATA_SEGS_IN,
        "TCP_DATA_SEGS_IN",
        "tcp_sock",
        "data_segs_in",
    ),
    (
        socket_field::DATA_SEGS_OUT,
        "TCP_DATA_SEGS_OUT",
        "tcp_sock",
        "data_segs_out",
    ),
    (
        socket_field::RCV_OOOPACK,
        "TCP_RCV_OOOPACK",
        "tcp_sock",
        "rcv_ooopack",
    ),
    (
        socket_field::DSACK_DUPS,
        "TCP_DSACK_DUPS",
        "tcp_sock",
        "dsack_dups",
    ),
    (
        socket_field::REORD_SEEN,
        "TCP_REORD_SEEN",
        "tcp_sock",
        "reord_seen",
    ),
    (
        socket_field::DELIVERED_CE,
        "TCP_DELIVERED_CE",
        "tcp_sock",
        "delivered_ce",
    ),
    (
        socket_field::MSS_CACHE,
        "TCP_MSS_CACHE",
        "tcp_sock",
        "mss_cache",
    ),
    (
        socket_field::RX_OPT,
        "TCP_RX_OPT",
        "tcp_sock",
        "rx_opt.saw_tstamp",
    ),
    (
        socket_field::ECN_FLAGS,
        "TCP_ECN_FLAGS",
        "tcp_sock",
        "ecn_flags",
    ),
    (
        socket_field::ICSK_RETRANSMITS,
        "ICSK_RETRANSMITS",
        "inet_connection_sock",
        "icsk_retransmits",
    ),
];

/// From the beginning of `struct minmax` to the value of its first sample.
const FIRST_SAMPLE: u32 = 4;

/// Of `kfree_skb` with the receiving socket, since Linux 6.11.
const KFREE_SKB_ARGUMENTS: usize = 4;

impl Offsets {
    /// Looks all of them up.
    pub(crate) fn of_kernel() -> Self {
        let btf = Btf::of_kernel();
        let find = |structure: &str, field: &str, older: &str| {
            let btf = btf.as_ref()?;
            btf.offset(structure, field)
                .or_else(|| btf.offset(structure, older))
        };
        let mut settings: Vec<_> = FIELDS
            .iter()
            .map(|(setting, structure, field, older)| {
                (*setting, find(structure, field, older).unwrap_or(0))
            })
            .collect();
        let mut known = 0;
        if !settings.contains(&("SOCK_ERR", 0)) {
            known |= socket_field::ERROR;
        }
        for (bit, setting, structure, field) in SOCKET_FIELDS {
            let Some(offset) = find(structure, field, "") else {
                continue;
            };
            known |= bit;
            let inner = if *bit == socket_field::RTT_MIN {
                FIRST_SAMPLE
            } else {
                0
            };
            settings.push((*setting, offset + inner));
        }
        settings.push(("SOCKET_KNOWN", known));
        let tells_socket = btf
            .as_ref()
            .and_then(|btf| btf.tracepoint_arguments("kfree_skb"))
            .is_some_and(|arguments| arguments >= KFREE_SKB_ARGUMENTS);
        settings.push(("KFREE_SKB_SOCKET", u32::from(tells_socket)));
        let drop_reasons = btf.as_ref().map(DropReasons::of).unwrap_or_default();
        if let Some(not_specified) = drop_reasons.not_specified() {
            settings.push(("DROP_NOT_SPECIFIED", not_specified));
        }
        Self {
            settings,
            drop_reasons,
        }
    }

    /// What this kernel does not keep of a socket, by the kernel's names; all of it without BTF.
    pub(crate) fn socket_lacks(&self) -> Vec<&'static str> {
        SOCKET_FIELDS
            .iter()
            .filter(|(_, setting, ..)| !self.known(setting))
            .map(|(.., field)| *field)
            .collect()
    }

    /// Whether the end of a socket can be told at all.
    pub(crate) fn socket_end(&self) -> bool {
        self.known("SOCK_COOKIE")
    }

    /// Whether a socket's lock can be read: certain owners.
    pub(crate) fn socket_lock(&self) -> bool {
        self.known("SKB_SK") && self.known("SOCK_OWNED")
    }

    /// Whether the current task can be named.
    pub(crate) fn task(&self) -> bool {
        self.known("TASK_TGID") && self.known("TASK_PID")
    }

    /// Whether network namespaces can be told apart.
    pub(crate) fn netns(&self) -> bool {
        self.known("SOCK_NET") && self.known("NET_INUM")
    }

    fn known(&self, setting: &str) -> bool {
        self.settings
            .iter()
            .any(|(name, value)| *name == setting && *value != 0)
    }
}
