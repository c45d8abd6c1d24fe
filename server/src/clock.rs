//! Two clocks: the boot clock, which orders, and the wall clock, which people read.
//!
//! Owns: the offset in force between them, and noticing when it jumps (somebody set the clock) or when the boot clock ran
//! ahead of the monotonic one (the machine slept).

use nix::time::{ClockId, clock_gettime};

/// A change of the offset under this is drift that NTP slews, not a step.
const STEP_NS: i64 = 20_000_000;
/// A sleep under this is scheduling noise.
const SLEEP_NS: u64 = 100_000_000;

/// What a look at the clocks found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockChange {
    /// The wall clock was set, by so many nanoseconds.
    Step(i64),
    /// The machine slept for so many nanoseconds.
    Slept(u64),
}

/// The offset in force.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    offset_ns: u64,
    asleep_ns: u64,
}

impl Clock {
    /// Reads the clocks.
    pub(crate) fn new() -> Self {
        Self {
            offset_ns: now_ns().saturating_sub(boot_ns()),
            asleep_ns: boot_ns().saturating_sub(monotonic_ns()),
        }
    }

    /// The wall-clock time of a moment on the boot clock.
    pub(crate) fn wall(&self, boot_ns: u64) -> u64 {
        if boot_ns == 0 {
            0
        } else {
            boot_ns.saturating_add(self.offset_ns)
        }
    }

    /// Reads the clocks again and tells what changed. Small drift is followed in silence.
    pub(crate) fn refresh(&mut self) -> Vec<ClockChange> {
        let mut changes = Vec::new();
        let asleep = boot_ns().saturating_sub(monotonic_ns());
        if asleep > self.asleep_ns + SLEEP_NS {
            changes.push(ClockChange::Slept(asleep - self.asleep_ns));
        }
        self.asleep_ns = asleep;
        let offset = now_ns().saturating_sub(boot_ns());
        let step = i64::try_from(i128::from(offset) - i128::from(self.offset_ns)).unwrap_or(0);
        if step.abs() >= STEP_NS {
            changes.push(ClockChange::Step(step));
        }
        self.offset_ns = offset;
        changes
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn now_ns() -> u64 {
    read(ClockId::CLOCK_REALTIME)
}

/// Nanoseconds since boot, sleep included.
pub(crate) fn boot_ns() -> u64 {
    read(ClockId::CLOCK_BOOTTIME)
}

fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

fn read(clock: ClockId) -> u64 {
    clock_gettime(clock)
        .ok()
        .and_then(|time| {
            let seconds = u64::try_from(time.tv_sec()).ok()?;
            let nanoseconds = u64::try_from(time.tv_nsec()).ok()?;
            seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
        })
        .unwrap_or(0)
}
