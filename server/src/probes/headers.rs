//! The programs that tell headers of packets, for as long as somebody looks.
//!
//! Owns: an instance of the object of its own, so that a recorder beside it is not touched. Its tables that nobody fills
//! here are made as small as they can be.

use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray, RingBuf},
    programs::{CgroupSkbAttachType, cgroup_skb::CgroupSkbLink},
};
use headwater_schema::flow::counter;

use super::{
    Offsets, ProbeError,
    attach::{Counters, OBJECT, attach_cgroup},
    cgroup_mount,
};

/// What a packet must be to be told by the kernel; all of it must hold, 0 stands for anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct HeaderFilter {
    /// 4 or 6.
    pub(crate) family: u32,
    /// IANA's number, 1 for ICMP of both families.
    pub(crate) protocol: u32,
    /// Either port.
    pub(crate) port: u32,
    /// Any of these.
    pub(crate) tcp_flags: u32,
    /// Either address, under the mask: first half and second half.
    pub(crate) net: [u64; 2],
    /// As above.
    pub(crate) mask: [u64; 2],
}

/// Attached programs. Dropping them detaches.
pub(crate) struct HeaderProbes {
    records: RingBuf<MapData>,
    counters: PerCpuArray<MapData, u64>,
    _links: Vec<CgroupSkbLink>,
}

impl HeaderProbes {
    /// Loads and attaches them.
    ///
    /// # Errors
    /// `ProbeError`.
    pub(crate) fn attach(filter: &HeaderFilter, ring_bytes: u32) -> Result<Self, ProbeError> {
        let offsets = Offsets::of_kernel();
        // Linux before 6.10 or so does not let cgroup programs ask for the task's ids; BTF's offsets serve instead.
        let (mut programs, links) = load(filter, ring_bytes, &offsets, 1)
            .or_else(|_| load(filter, ring_bytes, &offsets, 0))?;
        let mut take =
            |name: &'static str| programs.take_map(name).ok_or(ProbeError::Missing { name });
        let (records, counters) = (take("RECORDS")?, take("COUNTERS")?);
        Ok(Self {
            records: RingBuf::try_from(records)
                .map_err(|_| ProbeError::Missing { name: "RECORDS" })?,
            counters: PerCpuArray::try_from(counters)
                .map_err(|_| ProbeError::Missing { name: "COUNTERS" })?,
            _links: links,
        })
    }

    /// The next record, if one is ready.
    pub(crate) fn next(&mut self) -> Option<impl std::ops::Deref<Target = [u8]> + '_> {
        self.records.next()
    }

    /// Packets that the filter took but for which the ring buffer had no room, and packets whose headers were not read.
    pub(crate) fn not_told(&self) -> (u64, u64) {
        let counters = Counters::read(&self.counters);
        (counters.of(counter::LOST), counters.of(counter::UNPARSED))
    }
}

fn load(
    filter: &HeaderFilter,
    ring_bytes: u32,
    offsets: &Offsets,
    pid_helper: u32,
) -> Result<(Ebpf, Vec<CgroupSkbLink>), ProbeError> {
    let mount = cgroup_mount().ok_or(ProbeError::NoCgroup)?;
    let mut loader = EbpfLoader::new();
    loader.override_global("PID_HELPER", &pid_helper, true);
    for (name, value) in &offsets.settings {
        loader.override_global(name, value, true);
    }
    for (name, value) in [
        ("FILTER_FAMILY", &filter.family),
        ("FILTER_PROTOCOL", &filter.protocol),
        ("FILTER_PORT", &filter.port),
        ("FILTER_TCP_FLAGS", &filter.tcp_flags),
    ] {
        loader.override_global(name, value, true);
    }
    for (name, value) in [
        ("FILTER_NET_HIGH", &filter.net[0]),
        ("FILTER_NET_LOW", &filter.net[1]),
        ("FILTER_MASK_HIGH", &filter.mask[0]),
        ("FILTER_MASK_LOW", &filter.mask[1]),
    ] {
        loader.override_global(name, value, true);
    }
    loader.map_max_entries("RECORDS", ring_bytes);
    for table in ["FLOWS", "FORKS", "UDP_FLOWS", "UDP_OWNERS"] {
        loader.map_max_entries(table, 1);
    }
    let mut programs = loader
        .load(OBJECT)
        .map_err(|error| ProbeError::Load(Box::new(error)))?;
    let links = attach_cgroup(
        &mut programs,
        [
            ("headers_egress", CgroupSkbAttachType::Egress),
            ("headers_ingress", CgroupSkbAttachType::Ingress),
        ],
        &mount,
    )?;
    Ok((programs, links))
}
