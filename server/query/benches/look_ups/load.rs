//! The load: a client, a gateway, a service and a base behind it, three exchanges for each chain, with trace context.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_model::Event;
use headwater_redact::{Key, Policy, Redactor};
use headwater_store::{LogMover, Options, StopReason, Writer};

use crate::events::{connection, exchange, process};

pub(crate) const HOPS: u64 = 3;
/// Connections of each hop.
pub(crate) const LANES: u64 = 16;
pub(crate) const BATCH: u64 = 6_000;
/// Between two exchanges.
pub(crate) const STEP_NS: u64 = 20_000;
pub(crate) const START: u64 = 1_700_000_000_000_000_000;

/// No two alike, and none like a number that is counted up.
pub(crate) fn trace_of(chain: u64) -> u128 {
    let mixed = (chain + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31) ^ 0xabcd_1234_5678_9abc)
}

/// The writer, and what it writes.
pub(crate) struct Load {
    writer: Writer,
    log: LogMover,
    redactor: Redactor,
    /// Exchanges that were made.
    pub(crate) made: u64,
}

impl Load {
    /// Begins, or goes on behind so many.
    pub(crate) fn open(path: &Path, made: u64) -> Self {
        let key = Key::load_or_create(&path.with_extension("key")).unwrap();
        let mut redactor = Redactor::new(&key, &Policy::default());
        let mut options = Options::new(path, key.fingerprint());
        options.max_bytes = u64::MAX;
        let mut writer = Writer::open(options, START + made * STEP_NS).unwrap();
        for number in 0..4_u32 {
            writer.apply(&process(&mut redactor, number)).unwrap();
        }
        for number in 0..HOPS * LANES {
            writer.apply(&connection(&mut redactor, number)).unwrap();
        }
        Self {
            writer,
            log: LogMover::open(path).unwrap(),
            redactor,
            made,
        }
    }

    /// The next exchanges: the innermost of a chain ends first.
    pub(crate) fn make(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for chain in self.made / HOPS..(self.made + BATCH) / HOPS {
            for hop in (0..HOPS).rev() {
                events.push(exchange(&mut self.redactor, chain, hop));
            }
        }
        self.made += BATCH;
        events
    }

    pub(crate) fn write(&mut self, events: &[Event]) {
        let now_ns = START + self.made * STEP_NS;
        self.writer.apply_all(events).unwrap();
        self.writer.commit(now_ns).unwrap();
        self.writer.retain(now_ns).unwrap();
    }

    /// Ends as a recorder does.
    pub(crate) fn close(self) {
        let now_ns = START + self.made * STEP_NS;
        self.writer.close(now_ns, StopReason::Signal).unwrap();
    }

    /// Writes what was made, fifty thousand a second, until told to stop. Gives how many came in, for how long.
    pub(crate) fn go_on(&mut self, made: &[Vec<Event>], stop: &AtomicBool) -> (u64, f64) {
        let (mut count, began) = (0, Instant::now());
        for events in made {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            count += BATCH;
            self.write_at(events, began, count);
        }
        (count, began.elapsed().as_secs_f64())
    }

    /// Makes as many and writes them, for so long. Gives how many a second came in.
    pub(crate) fn make_for(&mut self, time: Duration) -> f64 {
        let (mut count, began) = (0, Instant::now());
        while began.elapsed() < time {
            let events = self.make();
            count += BATCH;
            self.write_at(&events, began, count);
        }
        count as f64 / began.elapsed().as_secs_f64()
    }

    /// Writes a batch when it is due.
    fn write_at(&mut self, events: &[Event], began: Instant, count: u64) {
        let due = Duration::from_nanos(count * STEP_NS);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        self.write(events);
        self.log.move_if_long().unwrap();
    }
}
