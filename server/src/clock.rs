//! Two clocks: the boot clock, which orders, and the wall clock, which people read.
//!
//! Owns: the offset between them, and noticing when it jumps (somebody set the clock) or when the boot clock ran ahead of the
//! monotonic one (the machine slept). NTP slews both alike, so that between two settings the offset is a constant and the
//! order of times is that of the boot clock, to the nanosecond.

use nix::time::{ClockId, clock_gettime};

/// A smaller change of the offset is left alone until it has grown: exact order is worth more.
const STEP_NS: u64 = 5_000_000;
/// A sleep under this is scheduling noise.
const SLEEP_NS: u64 = 100_000_000;
/// The three clocks are read again when reading them took longer, at most so often.
const READING_NS: u64 = 20_000;
const READINGS: usize = 8;
/// Settings remembered for what began before them.
const MOST_SETTINGS: usize = 64;

/// What a look at the clocks found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClockChange {
    /// The wall clock was set, by so many nanoseconds.
    Step(i64),
    /// The machine slept for so many nanoseconds.
    Slept(u64),
}

impl ClockChange {
    /// Whether wall-clock times that have been are coming again.
    pub(crate) fn is_back(self) -> bool {
        matches!(self, Self::Step(by_ns) if by_ns < 0)
    }
}

/// The offset in force, and those before it.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// From when on the boot clock, and how far the wall clock is ahead of it; never empty. Begins anew when the clock is set
    /// back, so that what follows is never told under a time from before.
    settings: Vec<(u64, u64)>,
    asleep_ns: u64,
}

/// The clocks, read together, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    boot: u64,
    wall: u64,
    monotonic: u64,
}

impl Clock {
    /// Reads the clocks.
    pub(crate) fn new() -> Self {
        let now = Reading::take();
        Self {
            settings: vec![(0, now.offset_ns())],
            asleep_ns: now.asleep_ns(),
        }
    }

    /// How far the wall clock was ahead of the boot clock at a moment on the latter.
    pub(crate) fn offset_ns(&self, at_boot_ns: u64) -> u64 {
        let in_force = self
            .settings
            .iter()
            .rev()
            .find(|(from_ns, _)| *from_ns <= at_boot_ns)
            .or(self.settings.first());
        in_force.map_or(0, |(_, offset_ns)| *offset_ns)
    }

    /// Reads the clocks again and tells what changed.
    pub(crate) fn refresh(&mut self) -> Vec<ClockChange> {
        self.follow(Reading::take())
    }

    fn follow(&mut self, now: Reading) -> Vec<ClockChange> {
        let mut changes = Vec::new();
        if now.asleep_ns() > self.asleep_ns + SLEEP_NS {
            changes.push(ClockChange::Slept(now.asleep_ns() - self.asleep_ns));
            self.asleep_ns = now.asleep_ns();
        }
        let (before, after) = (self.offset_ns(now.boot), now.offset_ns());
        if before.abs_diff(after) >= STEP_NS {
            if after < before {
                self.settings.clear();
            } else if self.settings.len() >= MOST_SETTINGS {
                self.settings.remove(0);
            }
            self.settings.push((now.boot, after));
            let step = i128::from(after) - i128::from(before);
            changes.push(ClockChange::Step(i64::try_from(step).unwrap_or(0)));
        }
        changes
    }
}

impl Reading {
    /// Between two readings of the boot clock that are close: an interruption in between would look like a step.
    fn take() -> Self {
        let mut best: Option<(u64, Self)> = None;
        for _ in 0..READINGS {
            let before_ns = boot_ns();
            let (wall, monotonic) = (now_ns(), monotonic_ns());
            let took_ns = boot_ns().saturating_sub(before_ns);
            if best.is_none_or(|(least_ns, _)| took_ns < least_ns) {
                let reading = Self {
                    boot: before_ns.saturating_add(took_ns / 2),
                    wall,
                    monotonic,
                };
                best = Some((took_ns, reading));
            }
            if took_ns < READING_NS {
                break;
            }
        }
        best.map(|(_, reading)| reading).unwrap_or_default()
    }

    fn offset_ns(self) -> u64 {
        self.wall.saturating_sub(self.boot)
    }

    fn asleep_ns(self) -> u64 {
        self.boot.saturating_sub(self.monotonic)
    }
}

/// When a moment of the wall clock, which has just been, was on the boot clock: never earlier than it was. What is told as
/// earlier than what it came of finds nothing that it is about.
pub(crate) fn boot_of(wall_ns: u64) -> u64 {
    let mut least_ns = u64::MAX;
    for _ in 0..READINGS {
        let before_ns = boot_ns();
        let now_ns = now_ns();
        // Read last: an interruption before it makes the moment later.
        let boot_ns = boot_ns();
        least_ns = least_ns.min(boot_ns.saturating_sub(now_ns.saturating_sub(wall_ns)));
        if boot_ns.saturating_sub(before_ns) < READING_NS {
            break;
        }
    }
    least_ns
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

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_moment_is_never_told_too_early() {
        for _ in 0..20_000 {
            let (before_ns, wall_ns) = (boot_ns(), now_ns());
            assert!(boot_of(wall_ns) >= before_ns);
        }
    }

    fn reading(boot_s: u64, offset_ns: u64, slept_s: u64) -> Reading {
        let boot = boot_s * SECOND;
        Reading {
            boot,
            wall: boot + offset_ns,
            monotonic: boot - slept_s * SECOND,
        }
    }

    fn at(offset_ns: u64) -> Clock {
        Clock {
            settings: vec![(0, offset_ns)],
            asleep_ns: 0,
        }
    }

    #[test]
    fn what_began_before_a_step_forwards_keeps_its_time() {
        let mut clock = at(1_000 * SECOND);
        let changes = clock.follow(reading(50, 4_600 * SECOND, 0));
        assert_eq!(changes, [ClockChange::Step(3_600_000_000_000)]);
        assert_eq!(clock.offset_ns(49 * SECOND), 1_000 * SECOND);
        assert_eq!(clock.offset_ns(50 * SECOND), 4_600 * SECOND);
        assert_eq!(clock.follow(reading(51, 4_600 * SECOND, 0)), []);
    }

    #[test]
    fn after_a_step_back_nothing_is_told_under_a_time_from_before() {
        let mut clock = at(1_000 * SECOND);
        let changes = clock.follow(reading(50, 400 * SECOND, 0));
        assert_eq!(changes, [ClockChange::Step(-600_000_000_000)]);
        assert!(changes[0].is_back());
        assert_eq!(clock.offset_ns(10 * SECOND), 400 * SECOND);
    }

    #[test]
    fn a_small_change_is_left_alone_until_it_has_grown() {
        let mut clock = at(1_000 * SECOND);
        for (boot_s, off_ns) in [(50, 2_000_000), (51, 4_000_000)] {
            let changes = clock.follow(reading(boot_s, 1_000 * SECOND + off_ns, 0));
            assert_eq!(changes, [], "{off_ns}");
            assert_eq!(clock.offset_ns(boot_s * SECOND), 1_000 * SECOND);
        }
        let changes = clock.follow(reading(52, 1_000 * SECOND + 6_000_000, 0));
        assert_eq!(changes, [ClockChange::Step(6_000_000)]);
    }

    #[test]
    fn sleep_is_told_once() {
        let mut clock = at(1_000 * SECOND);
        let asleep = reading(50, 1_000 * SECOND, 7);
        assert_eq!(clock.follow(asleep), [ClockChange::Slept(7_000_000_000)]);
        assert_eq!(clock.follow(asleep), []);
    }

    #[test]
    fn settings_are_bounded() {
        let mut clock = at(1_000 * SECOND);
        for step in 1..200 {
            clock.follow(reading(50 + step, (1_000 + step) * SECOND, 0));
        }
        assert!(clock.settings.len() <= MOST_SETTINGS);
        assert_eq!(clock.offset_ns(u64::MAX), 1_199 * SECOND);
    }
}
