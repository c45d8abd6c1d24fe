//! Probes in programs and libraries: loading the programs for them, and attaching these to places in files.
//!
//! Links of many places at once (`uprobe_multi`, Linux 6.6) are used where the kernel has them: one descriptor for each sort of
//! place, cheaper to run, and no CAP_SYS_ADMIN is asked for. Older kernels get one perf event for each place. aya knows
//! neither how to load a program for the first nor the first itself, so that both ways are here.
//!
//! Owns: the descriptors. What is attached is detached when its `Attached` is dropped, or this process ends.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ffi::{CString, c_int, c_long},
    io,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
    sync::atomic::{AtomicUsize, Ordering},
};

use aya::{Ebpf, maps::Map, util::KernelVersion};
use aya_obj::Object;
use headwater_schema::{
    flow::go_on,
    session::{copied, read_done},
};
use headwater_sites::{Found, Hook, Kept, Saved, Site};

use super::attach::{OBJECT, ProbeError};

/// Programs without which nothing of TLS is seen.
const NEEDED: [&str; 12] = [
    "tls_write",
    "tls_read",
    "tls_write_out",
    "tls_write_fifth",
    "tls_read_out",
    "tls_write_stack",
    "tls_read_stack",
    "tls_send_file",
    "tls_leave",
    "tls_touch",
    "tls_free",
    "tls_made",
];
/// The program that sees a read at its end alone.
const READ_DONE: &str = "tls_read_done";
/// The program that sees what is copied to whoever reads.
const COPIED: &str = "tls_copied";
/// Programs that need something of newer kernels.
const OPTIONAL: [&str; 14] = [
    READ_DONE,
    COPIED,
    "tls_encrypts",
    "tls_in_records",
    "go_write",
    "go_read",
    "go_leave",
    "go_touch",
    "go_send",
    "go_free",
    "rustls_write",
    "rustls_read",
    "rustls_touch",
    "rustls_free",
];

/// The program for a place, and what it is told of it.
fn program_for(hook: Hook) -> (&'static str, u64) {
    match hook {
        Hook::WriteEnter => ("tls_write", 0),
        Hook::ReadEnter => ("tls_read", 0),
        Hook::WriteEnterOut => ("tls_write_out", 0),
        Hook::WriteEnterOutFifth => ("tls_write_fifth", 0),
        Hook::ReadEnterOut => ("tls_read_out", 0),
        Hook::WriteEnterStack => ("tls_write_stack", 0),
        Hook::ReadEnterStack => ("tls_read_stack", 0),
        Hook::SendFileEnter => ("tls_send_file", 0),
        Hook::Leave | Hook::LeaveReturn => ("tls_leave", 0),
        Hook::ReadDone {
            session,
            bytes,
            count,
            unless,
        } => {
            let registers = [
                (read_done::SESSION, Some(session)),
                (read_done::BYTES, Some(bytes)),
                (read_done::COUNT, Some(count)),
                (read_done::UNLESS, unless),
            ];
            let told = registers.map(|(place, register)| {
                register.map_or(0, number_of) << (place * read_done::BITS)
            });
            (READ_DONE, told.into_iter().fold(0, |all, one| all | one))
        }
        Hook::Copied {
            session,
            kind,
            peeks,
        } => {
            let places = [
                (copied::SESSION, session),
                (copied::TYPE, kind),
                (copied::PEEKS, peeks),
            ];
            let told = places.map(|(place, kept)| half_of(kept) << (place * copied::BITS));
            (COPIED, told.into_iter().fold(0, |all, one| all | one))
        }
        Hook::Encrypts => ("tls_encrypts", 0),
        Hook::EncryptsRecords => ("tls_in_records", 0),
        Hook::Touch => ("tls_touch", 0),
        Hook::Free => ("tls_free", 0),
        Hook::Made => ("tls_made", 0),
        Hook::GoWriteEnter => ("go_write", 0),
        Hook::GoReadEnter => ("go_read", 0),
        Hook::GoLeave => ("go_leave", 0),
        Hook::GoTouch => ("go_touch", 0),
        Hook::GoSend => ("go_send", 0),
        Hook::GoFree => ("go_free", 0),
        Hook::RustlsWriteEnter { key } => ("rustls_write", key.into()),
        Hook::RustlsRead { key } => ("rustls_read", key.into()),
        Hook::RustlsTouch { key } => ("rustls_touch", key.into()),
        Hook::RustlsFree { key } => ("rustls_free", key.into()),
    }
}

const _: () = assert!(Kept::REACH as usize == 8 * copied::FRAME);

/// The number of the first half of where something is kept.
fn half_of(kept: Kept) -> u64 {
    match kept {
        Kept::Register(register) => 2 * number_of(register),
        Kept::Frame(distance) => 2 * copied::REGISTERS as u64 + u64::from(distance / 4),
    }
}

fn number_of(register: Saved) -> u64 {
    match register {
        Saved::Rbx => read_done::RBX,
        Saved::Rbp => read_done::RBP,
        Saved::R12 => read_done::R12,
        Saved::R13 => read_done::R13,
        Saved::R14 => read_done::R14,
        Saved::R15 => read_done::R15,
    }
}

/// Programs that the others go on with.
const GO_ON: [(&str, u32); 4] = [
    ("tls_frames", go_on::FRAMES),
    ("tls_upgrade", go_on::UPGRADE),
    ("tls_websocket", go_on::WEBSOCKET),
    ("tls_plaintext", go_on::PLAINTEXT),
];

/// Bytes of the verifier's log.
const LOG: usize = 1 << 20;
/// Lines of it that are told.
const LOG_LINES: usize = 6;

/// Numbers of linux/bpf.h.
mod bpf {
    pub(super) const PROG_LOAD: i32 = 5;
    pub(super) const LINK_CREATE: i32 = 28;
    pub(super) const PROG_TYPE_KPROBE: u32 = 2;
    pub(super) const TRACE_UPROBE_MULTI: u32 = 48;
    pub(super) const F_UPROBE_MULTI_RETURN: u32 = 1;
}

/// The part of `union bpf_attr` that BPF_PROG_LOAD reads here.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// The part that BPF_LINK_CREATE reads for links of many places.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_fd: u32,
    attach_type: u32,
    flags: u32,
    path: u64,
    offsets: u64,
    ref_ctr_offsets: u64,
    cookies: u64,
    cnt: u32,
    multi_flags: u32,
    pid: u32,
    reserved: u32,
}

/// `struct perf_event_attr`, up to what Linux 2.6.34 had.
#[repr(C)]
#[derive(Default)]
pub(super) struct PerfEventAttr {
    pub(super) kind: u32,
    pub(super) size: u32,
    pub(super) config: u64,
    pub(super) sample_period: u64,
    pub(super) sample_type: u64,
    pub(super) read_format: u64,
    pub(super) flags: u64,
    pub(super) wakeup: u32,
    pub(super) bp_type: u32,
    pub(super) config1: u64,
    pub(super) config2: u64,
}

/// The programs, loaded.
pub(crate) struct Uprobes {
    programs: HashMap<&'static str, OwnedFd>,
    way: Way,
    /// Links that there are now.
    links: std::sync::Arc<AtomicUsize>,
}

/// How places are attached to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All of one sort at once.
    Multi,
    /// One by one, as perf events of this type.
    Perf { kind: u32 },
}

/// What is attached to one file; dropping it detaches, beginnings of calls before their ends.
pub(crate) struct Attached {
    links: Vec<OwnedFd>,
    count: std::sync::Arc<AtomicUsize>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.count.fetch_sub(self.links.len(), Ordering::Relaxed);
    }
}

impl Uprobes {
    /// Loads the programs. `programs` has the maps. `for_single`: they will be attached for single processes, which links of
    /// many places take for single threads before Linux 6.10.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn load(programs: &mut Ebpf, for_single: bool) -> Result<Self, ProbeError> {
        let object = relocated(programs)?;
        let is_fit = !for_single
            || KernelVersion::current().is_ok_and(|now| now >= KernelVersion::new(6, 10, 0));
        let way = if is_fit && knows_multi(&object) {
            Way::Multi
        } else {
            let kind = perf_kind().map_err(|source| ProbeError::Uprobe {
                what: "perf events for uprobes",
                source,
            })?;
            Way::Perf { kind }
        };
        Self::load_for(programs, &object, way)
    }

    fn load_for(programs: &mut Ebpf, object: &Object, way: Way) -> Result<Self, ProbeError> {
        let attach_type = match way {
            Way::Multi => bpf::TRACE_UPROBE_MULTI,
            Way::Perf { .. } => 0,
        };
        for (name, place) in GO_ON {
            let program = load_program(object, name, attach_type)?;
            set_program(programs, place, program.as_raw_fd())
                .map_err(|source| ProbeError::Uprobe { what: name, source })?;
        }
        let mut loaded = HashMap::new();
        for name in NEEDED {
            loaded.insert(name, load_program(object, name, attach_type)?);
        }
        for name in OPTIONAL {
            match load_program(object, name, attach_type) {
                Ok(program) => {
                    loaded.insert(name, program);
                }
                Err(error) => tracing::debug!(program = name, %error, "not loaded"),
            }
        }
        Ok(Self {
            programs: loaded,
            way,
            links: std::sync::Arc::default(),
        })
    }

    /// How many descriptors all that is attached takes.
    pub(crate) fn links(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }

    /// Whether links of many places are used.
    pub(crate) fn is_multi(&self) -> bool {
        self.way == Way::Multi
    }

    /// Whether calls of which one place tells all have one probe.
    fn sees_ends_alone(&self) -> bool {
        self.is_multi() && self.programs.contains_key(READ_DONE)
    }

    /// Attaches to the places of a library in a file, for all processes or for one: to the fewer, where this kernel tells a
    /// program a number with each.
    ///
    /// # Errors
    /// The kernel's; then nothing is attached.
    pub(crate) fn attach(
        &self,
        path: &CString,
        found: &Found,
        pid: Option<u32>,
    ) -> io::Result<Attached> {
        if self.sees_ends_alone() && !found.fewer.is_empty() {
            match self.attach_to(path, &found.fewer, pid) {
                // The kernel may refuse one of these places.
                Err(error) if error.raw_os_error() != Some(libc::EMFILE) => {
                    tracing::debug!(%error, "each call has two probes");
                }
                attached => return attached,
            }
        }
        self.attach_to(path, &found.sites, pid)
    }

    fn attach_to(&self, path: &CString, sites: &[Site], pid: Option<u32>) -> io::Result<Attached> {
        // Ends of calls first: a beginning that was seen has its end seen too.
        let mut sorts = BTreeMap::<_, Vec<(u64, u64)>>::new();
        for site in sites {
            let (name, cookie) = program_for(site.hook);
            let is_end = matches!(site.hook, Hook::Leave | Hook::LeaveReturn | Hook::GoLeave);
            sorts
                .entry((!is_end, site.hook.is_return(), name))
                .or_default()
                .push((site.offset, cookie));
        }
        let refused = || io::Error::new(io::ErrorKind::Unsupported, "this kernel is too old");
        // Nothing is put into a running program only to be taken out again.
        for ((_, _, name), places) in &sorts {
            let has_cookie = places.iter().any(|(_, cookie)| *cookie != 0);
            if !self.programs.contains_key(name) || has_cookie && self.way != Way::Multi {
                return Err(refused());
            }
        }
        let mut links = Vec::new();
        for ((_, is_return, name), places) in sorts {
            let program = self.programs.get(name).ok_or_else(refused)?.as_raw_fd();
            match self.way {
                Way::Multi => links.push(link_multi(program, path, &places, is_return, pid)?),
                Way::Perf { kind } => {
                    for (offset, _) in places {
                        links.push(link_perf(kind, program, path, offset, is_return, pid)?);
                    }
                }
            }
        }
        self.links.fetch_add(links.len(), Ordering::Relaxed);
        // They are dropped from the front.
        links.reverse();
        Ok(Attached {
            links,
            count: std::sync::Arc::clone(&self.links),
        })
    }
}

/// Whether the kernel has links of many places: it refuses to put one into a folder, and says so in its own way. Asked with a
/// program that calls no other: the array of those takes programs of one sort alone, that of the first.
fn knows_multi(object: &Object) -> bool {
    let Ok(program) = load_program(object, "tls_free", bpf::TRACE_UPROBE_MULTI) else {
        return false;
    };
    let error = link_multi(program.as_raw_fd(), c"/", &[(1, 0)], false, None)
        .err()
        .and_then(|error| error.raw_os_error());
    error == Some(libc::EBADF)
}

/// The object anew, with the maps that are there: aya keeps what it loaded to itself.
fn relocated(programs: &Ebpf) -> Result<Object, ProbeError> {
    let refused = || ProbeError::Missing {
        name: "a program for TLS",
    };
    let mut object = Object::parse(OBJECT).map_err(|_| refused())?;
    let mut maps = Vec::new();
    for (name, map) in &object.maps {
        if let Some(there) = programs.map(name).and_then(map_fd) {
            maps.push((name.clone(), there, map.clone()));
        }
    }
    // No program for TLS calls a function.
    let no_functions = HashSet::new();
    let maps = maps.iter().map(|(name, fd, map)| (name.as_str(), *fd, map));
    object
        .relocate_maps(maps, &no_functions)
        .map_err(|_| refused())?;
    Ok(object)
}

fn map_fd(map: &Map) -> Option<RawFd> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::ProgramArray(data)
    | Map::RingBuf(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd().as_raw_fd())
}

#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper for this")]
fn bpf_call<T>(command: c_int, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the structure is as long as it says, begins as `union bpf_attr` does for this command, and all that it points to
    // lives until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    descriptor(result)
}

#[expect(unsafe_code, reason = "taking what a system call gave")]
fn descriptor(result: c_long) -> io::Result<OwnedFd> {
    let fd = i32::try_from(result).unwrap_or(-1);
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn load_program(
    object: &Object,
    name: &'static str,
    attach_type: u32,
) -> Result<OwnedFd, ProbeError> {
    let missing = || ProbeError::Missing { name };
    let program = object.programs.get(name).ok_or_else(missing)?;
    let function = object
        .functions
        .get(&program.function_key())
        .ok_or_else(missing)?;
    let mut attributes = ProgLoad {
        prog_type: bpf::PROG_TYPE_KPROBE,
        insn_cnt: u32::try_from(function.instructions.len()).unwrap_or(0),
        insns: function.instructions.as_ptr() as u64,
        license: program.license.as_ptr() as u64,
        expected_attach_type: attach_type,
        ..ProgLoad::default()
    };
    for (to, from) in attributes.prog_name.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    let refused = match bpf_call(bpf::PROG_LOAD, &attributes) {
        Ok(program) => return Ok(program),
        Err(error) => error,
    };
    // Once more, for the verifier's reasons.
    let mut log = vec![0u8; LOG];
    attributes.log_level = 1;
    attributes.log_size = u32::try_from(log.len()).unwrap_or(0);
    attributes.log_buf = log.as_mut_ptr() as u64;
    match bpf_call(bpf::PROG_LOAD, &attributes) {
        Ok(program) => Ok(program),
        Err(_) => Err(ProbeError::Uprobe {
            what: name,
            source: io::Error::new(refused.kind(), format!("{refused}{}", last_words(&log))),
        }),
    }
}

/// The end of the verifier's log.
fn last_words(log: &[u8]) -> String {
    let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let lines: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LOG_LINES)..);
    last.unwrap_or_default()
        .iter()
        .fold(String::new(), |words, line| words + "; " + line)
}

/// Puts a program into the array that others go on by.
#[expect(unsafe_code, reason = "bpf(2) has no safe wrapper for this")]
fn set_program(programs: &mut Ebpf, place: u32, program: RawFd) -> io::Result<()> {
    /// The part of `union bpf_attr` that BPF_MAP_UPDATE_ELEM reads.
    #[repr(C)]
    struct MapUpdate {
        map_fd: u32,
        reserved: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    const MAP_UPDATE_ELEM: c_int = 2;
    let map = programs
        .map("GO_ON_PLAINTEXT")
        .and_then(map_fd)
        .ok_or(io::ErrorKind::NotFound)?;
    let attributes = MapUpdate {
        map_fd: map.cast_unsigned(),
        reserved: 0,
        key: std::ptr::from_ref(&place) as u64,
        value: std::ptr::from_ref(&program) as u64,
        flags: 0,
    };
    // SAFETY: as in `bpf_call`; key and value are four bytes each, as the map wants.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_UPDATE_ELEM,
            std::ptr::from_ref(&attributes),
            size_of::<MapUpdate>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn link_multi(
    program: RawFd,
    path: &std::ffi::CStr,
    places: &[(u64, u64)],
    is_return: bool,
    pid: Option<u32>,
) -> io::Result<OwnedFd> {
    let (offsets, cookies): (Vec<u64>, Vec<u64>) = places.iter().copied().unzip();
    let attributes = LinkCreate {
        prog_fd: program.cast_unsigned(),
        attach_type: bpf::TRACE_UPROBE_MULTI,
        path: path.as_ptr() as u64,
        offsets: offsets.as_ptr() as u64,
        cookies: cookies.as_ptr() as u64,
        cnt: u32::try_from(offsets.len()).unwrap_or(0),
        multi_flags: if is_return {
            bpf::F_UPROBE_MULTI_RETURN
        } else {
            0
        },
        pid: pid.unwrap_or(0),
        ..LinkCreate::default()
    };
    bpf_call(bpf::LINK_CREATE, &attributes)
}

/// The number that this kernel has given to perf events of uprobes.
fn perf_kind() -> io::Result<u32> {
    let text = std::fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")?;
    text.trim()
        .parse()
        .map_err(|_| io::ErrorKind::InvalidData.into())
}

fn link_perf(
    kind: u32,
    program: RawFd,
    path: &std::ffi::CStr,
    offset: u64,
    is_return: bool,
    pid: Option<u32>,
) -> io::Result<OwnedFd> {
    let attributes = PerfEventAttr {
        kind,
        size: u32::try_from(size_of::<PerfEventAttr>()).unwrap_or(0),
        config: u64::from(is_return),
        config1: path.as_ptr() as u64,
        config2: offset,
        ..PerfEventAttr::default()
    };
    let (pid, cpu) = match pid {
        Some(pid) => (pid.cast_signed(), -1),
        None => (-1, 0),
    };
    let event = perf_event_open(&attributes, pid, cpu)?;
    set_event_program(&event, program)?;
    Ok(event)
}

#[expect(unsafe_code, reason = "perf_event_open(2) has no wrapper")]
pub(super) fn perf_event_open(
    attributes: &PerfEventAttr,
    pid: i32,
    cpu: i32,
) -> io::Result<OwnedFd> {
    const FLAG_FD_CLOEXEC: u64 = 1 << 3;
    // SAFETY: the structure says how long it is, and what it points to lives until the call returns.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            std::ptr::from_ref(attributes),
            pid,
            cpu,
            -1,
            FLAG_FD_CLOEXEC,
        )
    };
    descriptor(result)
}

#[expect(unsafe_code, reason = "ioctl(2) of perf events has no wrapper")]
fn set_event_program(event: &OwnedFd, program: RawFd) -> io::Result<()> {
    const SET_BPF: u64 = 0x4004_2408;
    const ENABLE: u64 = 0x2400;
    // SAFETY: both take a number.
    let results = unsafe {
        [
            libc::ioctl(event.as_raw_fd(), SET_BPF, program),
            libc::ioctl(event.as_raw_fd(), ENABLE, 0),
        ]
    };
    if results == [0, 0] {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
