//! Loading and attaching, and the reader's side of the maps.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, MapData, PerCpuArray, ProgramArray, RingBuf},
    programs::{
        CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, ProgramError, RawTracePoint,
        cgroup_skb::CgroupSkbLink, raw_trace_point::RawTracePointLink,
    },
};
use headwater_schema::{
    flow::{FlowState, UdpFlowKey, UdpFlowState, counter, go_on},
    session::SessionState,
};

use super::{DropReasons, Forks, Offsets, Uprobes, cgroup_mount, sessions::Sessions};

/// The probe object; its stamp is checked by build.rs.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../kernel-probes/prebuilt/headwater-probes.o"
));

/// Why the probes could not be attached, with what helps.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// There is no cgroup v2 tree.
    #[error(
        "no cgroup v2 tree is mounted; mount one: mkdir -p /sys/fs/cgroup/unified && mount -t cgroup2 none /sys/fs/cgroup/unified"
    )]
    NoCgroup,
    /// The tree cannot be opened.
    #[error("the cgroup v2 tree at {path} cannot be opened")]
    Cgroup {
        /// Where it is mounted.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refused the object.
    #[error("the kernel refused the probe object; `headwater doctor` says what is missing")]
    Load(#[source] Box<aya::EbpfError>),
    /// The kernel refused a program.
    #[error("the kernel refused the probe {program}; `headwater doctor` says what is missing")]
    Program {
        /// Which.
        program: &'static str,
        /// Why.
        #[source]
        source: Box<ProgramError>,
    },
    /// Another program holds the cgroup exclusively.
    #[error(
        "another program is attached to the root cgroup exclusively (without BPF_F_ALLOW_MULTI); `bpftool cgroup show` names it: detach it, or attach it with 'multi'"
    )]
    Exclusive,
    /// The kernel refused something that probes in TLS libraries need.
    #[error("the kernel refused {what}; `headwater doctor` says what is missing")]
    Uprobe {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A map is missing from the object.
    #[error("the probe object lacks {name}; rebuild it with kernel-probes/rebuild")]
    Missing {
        /// Which program or map.
        name: &'static str,
    },
}

/// What the operator may set.
#[derive(Debug, Clone)]
pub(crate) struct ProbeSettings {
    /// Bytes copied of each turn.
    pub(crate) cap: u32,
    /// Bytes of the ring buffer, a power of two.
    pub(crate) ring_bytes: u32,
    /// Whether calls of TLS libraries are looked at,
    pub(crate) tls: bool,
    /// and of single processes alone.
    pub(crate) tls_of_some: bool,
    /// For tests and old kernels: behave as if the kernel had no BTF.
    pub(crate) without_btf: bool,
}

/// Counts of `headwater_schema::flow::counter`, summed over CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters(pub(crate) [u64; counter::COUNT as usize]);

impl Counters {
    /// One of them.
    pub(crate) fn of(&self, which: u32) -> u64 {
        self.0.get(which as usize).copied().unwrap_or(0)
    }

    /// Sums them up.
    pub(super) fn read(map: &PerCpuArray<MapData, u64>) -> Self {
        let mut sums = Self::default();
        for (index, sum) in (0..).zip(sums.0.iter_mut()) {
            *sum = map.get(&index, 0).map_or(0, |cpus| cpus.iter().sum());
        }
        sums
    }
}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct Flow(FlowState);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: FlowState is repr(C), holds integers only and has no padding (its size assertion), so any bytes are a value.
unsafe impl aya::Pod for Flow {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct UdpKey(UdpFlowKey);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: as `Flow`.
unsafe impl aya::Pod for UdpKey {}

#[repr(transparent)]
#[derive(Clone, Copy)]
struct UdpFlow(UdpFlowState);

#[expect(
    unsafe_code,
    reason = "aya's marker for types that may be filled from bytes"
)]
// SAFETY: as `Flow`.
unsafe impl aya::Pod for UdpFlow {}

/// Attached probes. Dropping them detaches.
pub(crate) struct Probes {
    records: RingBuf<MapData>,
    counters: PerCpuArray<MapData, u64>,
    flows: HashMap<MapData, u64, Flow>,
    udp_flows: HashMap<MapData, UdpKey, UdpFlow>,
    sessions: Sessions,
    /// For whoever attaches to TLS libraries; `None` when that was not asked for, or is not possible.
    pub(crate) uprobes: Option<Uprobes>,
    /// Packets dropped by reason, where the kernel tells reasons.
    drops: Option<PerCpuArray<MapData, u64>>,
    /// Their names.
    pub(crate) drop_reasons: DropReasons,
    /// For whoever names processes.
    pub(crate) forks: Forks,
    /// What could not be attached or known, in words for `coverage`.
    pub(crate) missing: Vec<Cow<'static, str>>,
    /// Whether the end of each socket is told.
    pub(crate) tells_sockets: bool,
    programs: Ebpf,
    links: Links,
}

/// What is attached; dropping it detaches.
struct Links {
    cgroup: Vec<CgroupSkbLink>,
    raw: Vec<RawTracePointLink>,
}

impl Probes {
    /// Loads and attaches everything. Optional parts that this kernel refuses are named in `missing`.
    ///
    /// # Errors
    /// `ProbeError`, for what capture cannot do without.
    pub(crate) fn attach(settings: &ProbeSettings) -> Result<Self, ProbeError> {
        let offsets = if settings.without_btf {
            Offsets::default()
        } else {
            Offsets::of_kernel()
        };
        let ((mut programs, cgroup), pid_helper) = match load(settings, &offsets, true) {
            Ok(loaded) => (loaded, true),
            // Linux before 6.10 or so does not let cgroup programs ask for the task's ids; BTF's offsets serve instead.
            Err(_) => (load(settings, &offsets, false)?, false),
        };
        let mut links = Links {
            cgroup,
            raw: Vec::new(),
        };
        let mut missing: Vec<Cow<'static, str>> = Vec::new();
        if !pid_helper && !offsets.task() {
            missing.push("this kernel has no BTF and is older than 6.10: processes and threads are not known, but for those that listen".into());
        } else if !offsets.socket_lock() {
            missing.push("the kernel has no BTF: owners are strong, not certain, evidence, and sockets that never send stay unowned".into());
        }
        if !offsets.netns() {
            missing.push("network namespaces cannot be told apart without BTF".into());
        }
        let lacks = offsets.socket_lacks();
        if !offsets.socket_end() {
            missing.push("the kernel has no BTF: how sockets ended, and what the kernel counted of connections (round trips, retransmissions, what came out of order)".into());
        } else if !lacks.is_empty() {
            missing.push(
                format!(
                    "of connections this kernel does not tell {}",
                    lacks.join(", ")
                )
                .into(),
            );
        }
        let tells_sockets =
            attach_tracepoints(&mut programs, &mut links, &mut missing) && offsets.socket_end();
        let tells_drops = !offsets.drop_reasons.is_empty()
            && attach_raw(&mut programs, "kfree_skb")
                .map(|link| links.raw.push(link))
                .is_ok();
        if !tells_drops {
            missing.push(
                "packets that the kernel drops (Linux 5.17 and later tell of them, with BTF)"
                    .into(),
            );
        }
        let uprobes = settings
            .tls
            .then(|| load_uprobes(&mut programs, settings.tls_of_some, &mut missing))
            .flatten();
        let take = |programs: &mut Ebpf, name: &'static str| {
            programs.take_map(name).ok_or(ProbeError::Missing { name })
        };
        let refused = |name: &'static str| move |_| ProbeError::Missing { name };
        Ok(Self {
            records: RingBuf::try_from(take(&mut programs, "RECORDS")?)
                .map_err(refused("RECORDS"))?,
            counters: PerCpuArray::try_from(take(&mut programs, "COUNTERS")?)
                .map_err(refused("COUNTERS"))?,
            flows: HashMap::try_from(take(&mut programs, "FLOWS")?).map_err(refused("FLOWS"))?,
            udp_flows: HashMap::try_from(take(&mut programs, "UDP_FLOWS")?)
                .map_err(refused("UDP_FLOWS"))?,
            drops: if tells_drops {
                let map = take(&mut programs, "DROP_REASONS")?;
                Some(PerCpuArray::try_from(map).map_err(refused("DROP_REASONS"))?)
            } else {
                None
            },
            drop_reasons: offsets.drop_reasons,
            forks: Forks::take(&mut programs),
            sessions: Sessions::take(&mut programs),
            uprobes,
            missing,
            tells_sockets,
            programs,
            links,
        })
    }

    /// Detaches everything: no record is begun from here on, and all that is counted and mapped can still be read.
    pub(crate) fn detach(&mut self) {
        self.links.cgroup.clear();
        self.links.raw.clear();
    }

    /// Gives every record that is ready to `each`, at most `limit` of them; returns how many.
    pub(crate) fn drain(&mut self, limit: usize, mut each: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < limit {
            let Some(record) = self.records.next() else {
                break;
            };
            each(&record);
            count += 1;
        }
        count
    }

    /// The counters now.
    pub(crate) fn counters(&self) -> Counters {
        Counters::read(&self.counters)
    }

    /// Packets that the kernel dropped so far, by the number of their reason; the last are those of all others.
    pub(crate) fn dropped(&self) -> Vec<u64> {
        let Some(map) = &self.drops else {
            return Vec::new();
        };
        // Those that have a name, and the last, which stands for all others.
        (0..self.drop_reasons.count())
            .chain([counter::DROP_REASONS - 1])
            .map(|reason| map.get(&reason, 0).map_or(0, |cpus| cpus.iter().sum()))
            .collect()
    }

    /// How often the kernel left a probe out because it was running on that processor already. 0 before Linux 5.12, which
    /// does not tell.
    pub(crate) fn recursion_misses(&self) -> u64 {
        let programs = self.programs.programs();
        programs
            .filter_map(|(_, program)| {
                let fd = program.fd().ok()?.as_fd().as_raw_fd();
                let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
                misses(&info)
            })
            .sum()
    }

    /// What the probes know of a socket now.
    pub(crate) fn flow(&self, cookie: u64) -> Option<FlowState> {
        self.flows.get(&cookie, 0).ok().map(|flow| flow.0)
    }

    /// What the probes know of a session of a TLS library now.
    pub(crate) fn session(&self, pid: u32, address: u64) -> Option<SessionState> {
        self.sessions.of(pid, address)
    }

    /// What the probes counted of a UDP flow so far.
    pub(crate) fn udp_flow(&self, key: &UdpFlowKey) -> Option<UdpFlowState> {
        self.udp_flows.get(&UdpKey(*key), 0).ok().map(|flow| flow.0)
    }
}

fn load(
    settings: &ProbeSettings,
    offsets: &Offsets,
    pid_helper: bool,
) -> Result<(Ebpf, Vec<CgroupSkbLink>), ProbeError> {
    let mount = cgroup_mount().ok_or(ProbeError::NoCgroup)?;
    let pid_helper = u32::from(pid_helper);
    let mut loader = EbpfLoader::new();
    loader.override_global("CAP", &settings.cap, true);
    loader.override_global("PID_HELPER", &pid_helper, true);
    let tls = u32::from(settings.tls);
    loader.override_global("TLS", &tls, true);
    for (name, value) in &offsets.settings {
        loader.override_global(name, value, true);
    }
    loader.map_max_entries("RECORDS", settings.ring_bytes);
    let mut programs = loader
        .load(OBJECT)
        .map_err(|error| ProbeError::Load(Box::new(error)))?;
    for (name, map, place) in [
        ("frames_egress", "GO_ON_EGRESS", go_on::FRAMES),
        ("frames_ingress", "GO_ON_INGRESS", go_on::FRAMES),
        ("upgrade_egress", "GO_ON_EGRESS", go_on::UPGRADE),
        ("upgrade_ingress", "GO_ON_INGRESS", go_on::UPGRADE),
        ("websocket_egress", "GO_ON_EGRESS", go_on::WEBSOCKET),
        ("websocket_ingress", "GO_ON_INGRESS", go_on::WEBSOCKET),
        ("tls_egress", "GO_ON_EGRESS", go_on::TLS),
        ("tls_ingress", "GO_ON_INGRESS", go_on::TLS),
        ("end_egress", "GO_ON_EGRESS", go_on::END),
        ("end_ingress", "GO_ON_INGRESS", go_on::END),
        ("udp_egress", "UDP_EGRESS", 0),
        ("udp_ingress", "UDP_INGRESS", 0),
    ] {
        put_go_on(&mut programs, name, map, place)?;
    }
    let links = attach_cgroup(
        &mut programs,
        [
            ("egress", CgroupSkbAttachType::Egress),
            ("ingress", CgroupSkbAttachType::Ingress),
        ],
        &mount,
    )?;
    Ok((programs, links))
}

fn cgroup_program<'p>(
    programs: &'p mut Ebpf,
    name: &'static str,
) -> Result<&'p mut CgroupSkb, ProbeError> {
    programs
        .program_mut(name)
        .ok_or(ProbeError::Missing { name })?
        .try_into()
        .map_err(|source| ProbeError::Program {
            program: name,
            source: Box::new(source),
        })
}

/// Loads programs and attaches them to the root of the cgroup tree: all are loaded before any is attached, so that no
/// connection is seen from one side alone meanwhile.
pub(super) fn attach_cgroup(
    programs: &mut Ebpf,
    hooks: [(&'static str, CgroupSkbAttachType); 2],
    mount: &Path,
) -> Result<Vec<CgroupSkbLink>, ProbeError> {
    for (name, _) in hooks {
        load_cgroup(programs, name)?;
    }
    let mut links = Vec::new();
    for (name, kind) in hooks {
        let refused = |source| ProbeError::Program {
            program: name,
            source: Box::new(source),
        };
        let root = File::open(mount).map_err(|source| ProbeError::Cgroup {
            path: mount.display().to_string(),
            source,
        })?;
        let program = cgroup_program(programs, name)?;
        // The default mode makes a link, and links coexist with each other and with 'multi' programs.
        let attached = program
            .attach(root, kind, CgroupAttachMode::default())
            .map_err(|error| {
                if is_permission(&error) {
                    ProbeError::Exclusive
                } else {
                    refused(error)
                }
            })?;
        links.push(program.take_link(attached).map_err(refused)?);
    }
    Ok(links)
}

fn load_cgroup<'p>(
    programs: &'p mut Ebpf,
    name: &'static str,
) -> Result<&'p mut CgroupSkb, ProbeError> {
    let program = cgroup_program(programs, name)?;
    program.load().map_err(|source| ProbeError::Program {
        program: name,
        source: Box::new(source),
    })?;
    Ok(program)
}

/// Loads a program that is only ever called by another, through `map`. The map lives as long as the program that names it.
fn put_go_on(
    programs: &mut Ebpf,
    name: &'static str,
    map: &'static str,
    place: u32,
) -> Result<(), ProbeError> {
    let missing = |_| ProbeError::Missing { name: map };
    let program = load_cgroup(programs, name)?;
    let fd = program
        .fd()
        .and_then(|fd| Ok(fd.try_clone()?))
        .map_err(|source| ProbeError::Program {
            program: name,
            source: Box::new(source),
        })?;
    let map = programs
        .map_mut(map)
        .ok_or(ProbeError::Missing { name: map })?;
    let mut jumps = ProgramArray::try_from(map).map_err(missing)?;
    jumps
        .set(place, &fd, 0)
        .map_err(|_| ProbeError::Missing { name })
}

/// Attaches to what the kernel tells of sockets and processes; says whether it tells of the ends of sockets.
fn attach_tracepoints(
    programs: &mut Ebpf,
    links: &mut Links,
    missing: &mut Vec<Cow<'static, str>>,
) -> bool {
    let mut tells_sockets = true;
    for (program, tells) in [
        (
            "inet_sock_set_state",
            "how sockets ended (time-outs look like silence)",
        ),
        (
            "sched_process_exec",
            "programs that end before they can be looked at in /proc",
        ),
        (
            "sched_process_fork",
            "who forked a process that does not call execve, when that is gone",
        ),
        (
            "sched_process_exit",
            "processes that ended while they held open exchanges",
        ),
    ] {
        if let Ok(link) = attach_raw(programs, program) {
            links.raw.push(link);
        } else {
            missing.push(tells.into());
            tells_sockets &= program != "inet_sock_set_state";
        }
    }
    tells_sockets
}

/// Loads the programs for TLS libraries.
fn load_uprobes(
    programs: &mut Ebpf,
    for_single: bool,
    missing: &mut Vec<Cow<'static, str>>,
) -> Option<Uprobes> {
    match Uprobes::load(programs, for_single) {
        Ok(uprobes) => Some(uprobes),
        Err(error) => {
            let why = std::error::Error::source(&error)
                .map_or_else(String::new, |why| format!(": {why}"));
            let words = format!("what TLS libraries encrypt and decrypt: {error}{why}");
            missing.push(words.into());
            None
        }
    }
}

fn attach_raw(programs: &mut Ebpf, name: &'static str) -> Result<RawTracePointLink, ProbeError> {
    let refused = |source| ProbeError::Program {
        program: name,
        source: Box::new(source),
    };
    let program: &mut RawTracePoint = programs
        .program_mut(name)
        .ok_or(ProbeError::Missing { name })?
        .try_into()
        .map_err(refused)?;
    program.load().map_err(refused)?;
    let attached = program.attach(name).map_err(refused)?;
    program.take_link(attached).map_err(refused)
}

fn is_permission(error: &ProgramError) -> bool {
    let mut at: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = at {
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::PermissionDenied)
        {
            return true;
        }
        at = error.source();
    }
    false
}

/// `recursion_misses` of a program's fdinfo (proc(5), Linux 5.12).
fn misses(info: &str) -> Option<u64> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("recursion_misses:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misses_are_read_where_the_kernel_tells_them() {
        let info = "pos:\t0\nprog_type:\t17\nrecursion_misses:\t12\nverified_insns:\t9\n";
        assert_eq!(misses(info), Some(12));
        assert_eq!(misses("pos:\t0\n"), None);
    }
}
