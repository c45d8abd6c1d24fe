//! The eBPF programs in the kernel: loading, attaching, draining. The only module that names aya.
//!
//! Owns: the links (which die with the process: nothing is pinned), the ring buffer's reader, the counters, the look into
//! the maps of flows and forks. Does not: interpret records beyond their length, or write anything but start-up settings downwards.

mod attach;
mod btf;
mod cgroup;
mod drops;
mod forks;
mod headers;
mod mappings;
mod offsets;
mod sessions;
mod uprobes;

pub(crate) use attach::{Counters, ProbeError, ProbeSettings, Probes};
pub(crate) use btf::Btf;
pub(crate) use cgroup::{cgroup_mount, cgroup_paths};
pub(crate) use drops::DropReasons;
pub(crate) use forks::Forks;
pub(crate) use headers::{HeaderFilter, HeaderProbes};
pub(crate) use mappings::{Heard, Mappings};
pub(crate) use offsets::Offsets;
pub(crate) use uprobes::{Attached, Uprobes};
