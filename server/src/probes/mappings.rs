//! Files that are mapped to be run, processes forked and ended, as the kernel tells them: perf events of no counter at all, one for each
//! processor, read without looking through `/proc`.
//!
//! Owns: the events and their ring buffers. A ring buffer that was full has lost some: that is told, and whoever needs to know looks
//! through `/proc` once.

use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use rustix::time::ClockId;

use super::uprobes::{PerfEventAttr, perf_event_open};

/// Pages of records for each processor, a power of two: about a thousand mappings.
const PAGES: usize = 32;
/// The least time asleep that is taken for it.
const SLEEP: Duration = Duration::from_millis(50);
/// PROT_EXEC of mmap(2).
const PROT_EXEC: u32 = 4;

/// Numbers and offsets of linux/perf_event.h.
mod perf {
    pub(super) const TYPE_SOFTWARE: u32 = 1;
    pub(super) const COUNT_SW_DUMMY: u64 = 9;
    /// Bits of the attributes: mmap, task, watermark, mmap2.
    pub(super) const FLAGS: u64 = 1 << 8 | 1 << 13 | 1 << 14 | 1 << 23;
    pub(super) const RECORD_LOST: u32 = 2;
    pub(super) const RECORD_EXIT: u32 = 4;
    pub(super) const RECORD_FORK: u32 = 7;
    pub(super) const RECORD_MMAP2: u32 = 10;
    /// Places of `data_head` and `data_tail` in the first page.
    pub(super) const DATA_HEAD: usize = 1024;
    pub(super) const DATA_TAIL: usize = 1032;
}

/// What the kernel told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A file was mapped to be run.
    Mapped {
        /// By whom.
        pid: u32,
        /// From where in its memory, up to where.
        range: (u64, u64),
        /// Device, as stat(2) gives it, and inode; of file systems made of others these may be the other one's.
        file: (u64, u64),
        /// Its path, as that process names it.
        path: Vec<u8>,
    },
    /// A process was forked: it has all that its parent had mapped.
    Forked {
        /// The new one.
        pid: u32,
        /// Its parent.
        parent: u32,
    },
    /// A process ended.
    Ended {
        /// Which.
        pid: u32,
    },
    /// So many of these were lost.
    Lost(u64),
}

/// The events of all processors.
pub(crate) struct Mappings {
    rings: Vec<Ring>,
    machine: Machine,
}

/// What events do not outlive: those of a processor are off once it has been, as all but one are while the machine sleeps.
struct Machine {
    online: String,
    slept: Duration,
}

impl Machine {
    fn now() -> io::Result<Self> {
        let clock = |id| Duration::try_from(rustix::time::clock_gettime(id)).unwrap_or_default();
        let slept = clock(ClockId::Boottime).saturating_sub(clock(ClockId::Monotonic));
        Ok(Self {
            online: std::fs::read_to_string("/sys/devices/system/cpu/online")?,
            slept,
        })
    }

    fn is_as(&self, before: &Self) -> bool {
        // The two clocks are asked one after the other.
        self.online == before.online && self.slept.abs_diff(before.slept) < SLEEP
    }
}

struct Ring {
    event: OwnedFd,
    base: NonNull<c_void>,
    page: usize,
}

#[expect(unsafe_code, reason = "memory that is shared with the kernel")]
// SAFETY: the memory belongs to this value alone, and nothing about it is tied to a thread.
unsafe impl Send for Ring {}

impl Mappings {
    /// Begins to listen.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn listen() -> io::Result<Self> {
        let machine = Machine::now()?;
        let rings = processors(machine.online.trim())
            .map(Ring::open)
            .collect::<io::Result<_>>()?;
        Ok(Self { rings, machine })
    }

    /// Begins anew where the machine slept or has other processors now, and says whether it did: something may have been missed.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn refresh(&mut self) -> io::Result<bool> {
        if Machine::now()?.is_as(&self.machine) {
            return Ok(false);
        }
        *self = Self::listen()?;
        Ok(true)
    }

    /// What becomes readable when there is news.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.rings.iter().map(|ring| ring.event.as_fd())
    }

    /// What has come since last asked, of one processor after the other. All is taken before anything is done about it, which
    /// takes a while.
    pub(crate) fn read(&mut self, heard: &mut Vec<Heard>) {
        for ring in &mut self.rings {
            ring.read(heard);
        }
    }
}

/// The numbers in a list such as `0-3,5`.
fn processors(list: &str) -> impl Iterator<Item = i32> {
    list.split(',').flat_map(|part| {
        let (first, end) = part.split_once('-').unwrap_or((part, part));
        let first = first.parse::<i32>().unwrap_or(0);
        first..=end.parse().unwrap_or(first).min(first.saturating_add(4096))
    })
}

impl Ring {
    #[expect(unsafe_code, reason = "mmap(2)")]
    fn open(processor: i32) -> io::Result<Self> {
        let attributes = PerfEventAttr {
            kind: perf::TYPE_SOFTWARE,
            size: u32::try_from(size_of::<PerfEventAttr>()).unwrap_or(0),
            config: perf::COUNT_SW_DUMMY,
            flags: perf::FLAGS,
            wakeup: 1,
            ..PerfEventAttr::default()
        };
        let event = perf_event_open(&attributes, -1, processor)?;
        let page = rustix::param::page_size();
        // SAFETY: a new mapping of a descriptor that is open, of the length that perf_event_open(2) asks for.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                page * (PAGES + 1),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                event.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base).ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { event, base, page })
    }

    #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
    fn position(&self, place: usize) -> &AtomicU64 {
        // SAFETY: both places are in the first page, which is mapped as long as this value lives, and are aligned.
        unsafe { &*self.base.as_ptr().byte_add(place).cast::<AtomicU64>() }
    }

    fn read(&mut self, into: &mut Vec<Heard>) {
        let head = self.position(perf::DATA_HEAD).load(Ordering::Acquire);
        let mut at = self.position(perf::DATA_TAIL).load(Ordering::Relaxed);
        let mut record = Vec::new();
        while at < head {
            self.copy(at, 8, &mut record);
            let length = u16_at(&record, 6).unwrap_or(0);
            if length < 8 {
                break;
            }
            self.copy(at, length.into(), &mut record);
            into.extend(decode(&record));
            at += u64::from(length);
        }
        self.position(perf::DATA_TAIL)
            .store(head, Ordering::Release);
    }

    /// Copies `length` bytes at a position, which may go round the end of the memory.
    #[expect(unsafe_code, reason = "memory that is shared with the kernel")]
    fn copy(&self, at: u64, length: usize, into: &mut Vec<u8>) {
        into.clear();
        let size = self.page * PAGES;
        let mut place = usize::try_from(at % size as u64).unwrap_or(0);
        let mut left = length.min(size);
        while left > 0 {
            let part = left.min(size - place);
            // SAFETY: within the pages behind the first, which the kernel does not write between tail and head.
            let bytes = unsafe {
                std::slice::from_raw_parts(
                    self.base.as_ptr().byte_add(self.page + place).cast::<u8>(),
                    part,
                )
            };
            into.extend_from_slice(bytes);
            left -= part;
            place = 0;
        }
    }
}

impl Drop for Ring {
    #[expect(unsafe_code, reason = "munmap(2)")]
    fn drop(&mut self) {
        // SAFETY: mapped by `open` with this length, and nothing borrows it any more.
        unsafe {
            libc::munmap(self.base.as_ptr(), self.page * (PAGES + 1));
        }
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// `perf_event_open(2)`, "PERF_RECORD_MMAP2" and so on.
fn decode(record: &[u8]) -> Option<Heard> {
    match u32_at(record, 0)? {
        perf::RECORD_MMAP2 => {
            if u32_at(record, 64)? & PROT_EXEC == 0 {
                return None;
            }
            let path = record.get(72..)?;
            let path = path.split(|byte| *byte == 0).next()?;
            let device = rustix::fs::makedev(u32_at(record, 40)?, u32_at(record, 44)?);
            let (from, length) = (u64_at(record, 16)?, u64_at(record, 24)?);
            let inode = u64_at(record, 48)?;
            // Memory of no file, as that of compilers that run what they make, has no inode.
            (inode != 0 && path.starts_with(b"/")).then(|| Heard::Mapped {
                pid: u32_at(record, 8).unwrap_or(0),
                range: (from, from.saturating_add(length)),
                file: (device, inode),
                path: path.to_vec(),
            })
        }
        kind @ (perf::RECORD_FORK | perf::RECORD_EXIT) => {
            let (pid, parent) = (u32_at(record, 8)?, u32_at(record, 12)?);
            let (thread, _) = (u32_at(record, 16)?, u32_at(record, 20)?);
            if pid != thread {
                return None;
            }
            Some(if kind == perf::RECORD_FORK {
                Heard::Forked { pid, parent }
            } else {
                Heard::Ended { pid }
            })
        }
        // An id, then how many.
        perf::RECORD_LOST => Some(Heard::Lost(u64_at(record, 16)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(processors("0-3,5").collect::<Vec<_>>(), [0, 1, 2, 3, 5]);
        assert_eq!(processors("0").collect::<Vec<_>>(), [0]);
    }

    #[test]
    fn damaged_records_are_left_out() {
        let mut record = vec![0; 96];
        record[..4].copy_from_slice(&perf::RECORD_MMAP2.to_ne_bytes());
        record[64..68].copy_from_slice(&PROT_EXEC.to_ne_bytes());
        record[72..80].copy_from_slice(b"/a/b.so\0");
        assert_eq!(decode(&record), None, "no file has no inode");
        record[48] = 7;
        assert!(matches!(decode(&record), Some(Heard::Mapped { path, .. }) if path == b"/a/b.so"));
        for cut in 0..72 {
            assert_eq!(decode(&record[..cut]), None, "{cut}");
        }
    }
}
