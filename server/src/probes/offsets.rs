//! The settings that the probes get from BTF, and which abilities hang on them.

use super::Btf;

/// Name of each probe setting with its value; 0 means that this kernel does not tell.
pub(crate) struct Offsets(pub(crate) Vec<(&'static str, u32)>);

/// Setting, structure, field, and the field's name in older kernels.
const FIELDS: [(&str, &str, &str, &str); 23] = [
    ("SKB_SK", "sk_buff", "sk", ""),
    ("SOCK_OWNED", "sock", "sk_lock.owned", ""),
    ("SOCK_ERR", "sock", "sk_err", ""),
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

impl Offsets {
    /// Looks all of them up.
    pub(crate) fn of_kernel() -> Self {
        let btf = Btf::of_kernel();
        let find = |structure: &str, field: &str, older: &str| {
            let btf = btf.as_ref()?;
            btf.offset(structure, field)
                .or_else(|| btf.offset(structure, older))
        };
        Self(
            FIELDS
                .iter()
                .map(|(setting, structure, field, older)| {
                    (*setting, find(structure, field, older).unwrap_or(0))
                })
                .collect(),
        )
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
        self.0
            .iter()
            .any(|(name, value)| *name == setting && *value != 0)
    }
}
