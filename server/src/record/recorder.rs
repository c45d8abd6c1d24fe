//! The recorder's thread: drains the ring buffer, assembles, writes.
//!
//! Owns: the rhythm. Records are drained every few milliseconds, or sooner when there were many; batches are committed
//! four times a second, so that rows are visible within one; time-driven work is done five times a second, accounts are
//! closed once, the store's limits are enforced every few seconds.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use headwater_assembly::{
    Assembly, Dropped, End, Input, Passed, SocketEnd, Spot, UdpPassed, UdpSocket, Way,
};
use headwater_model::Event;
use headwater_schema::flow::{UdpFlowKey, counter, direction_flag};
use headwater_store::StopReason;

use super::{
    accounts::Accounts,
    committer::Committer,
    decode::{Decoded, decode},
    icmp::{IcmpListener, may_ask_again, may_have_caused},
    identity::ProcIdentities,
    libraries::Libraries,
    priority::Priority,
    session::apply,
};
use crate::{
    clock::{Clock, ClockChange, boot_ns, now_ns},
    probes::Probes,
};

/// Between two drains while there is traffic. Records come in bursts then that find the caches warm; the shorter the burst,
/// the shorter what is observed has to wait for it.
const REST: Duration = Duration::from_millis(1);
/// Between two drains when there was nothing for a while; reached by doubling.
const LONGEST_REST: Duration = Duration::from_millis(32);
/// Looks for records of probes that were running when they were detached, a rest apart: they take microseconds.
const LAST_LOOKS: usize = 100;
/// Records drained before events are written.
const BATCH: usize = 512;
/// Events kept while the writer is away; beyond, records stay in the ring buffer. About a kilobyte each.
const MOST_WAITING: usize = 16_384;
/// Records drained without a rest that show that the recorder has fallen behind: a quarter of the default ring buffer, at the
/// size of a short head.
const MANY: usize = 8_192;
/// Between two looks at what waits.
const TICK: Duration = Duration::from_millis(200);
/// The recorder commits at least this often, so that rows are visible within a second.
const COMMIT: Duration = Duration::from_millis(250);
/// Rows in one transaction at most.
const COMMIT_ROWS: usize = 20_000;
/// The store is not said to reach less far than this, since a recorder that says nothing for five seconds is taken for dead.
const FURTHEST_BEHIND_NS: u64 = 3_000_000_000;
/// Between two enforcements of the age and size limits.
const RETAIN: Duration = Duration::from_secs(5);
/// Between two closings of the accounts.
const ACCOUNTS: Duration = Duration::from_secs(1);

/// The recorder.
pub(crate) struct Recorder {
    pub(crate) probes: Probes,
    pub(crate) assembly: Assembly<ProcIdentities>,
    pub(crate) accounts: Accounts,
    pub(crate) icmp: IcmpListener,
    pub(crate) libraries: Option<Libraries>,
    /// Whether it was said that these are not followed.
    pub(crate) is_stuck: bool,
    pub(crate) committer: Committer,
    /// What the store takes next.
    pub(crate) events: Vec<Event>,
    /// Events since the last commit.
    pub(crate) rows: usize,
    pub(crate) clock: Clock,
    /// What the clock did since the accounts were closed.
    pub(crate) clock_changes: Vec<ClockChange>,
    pub(crate) stop: Arc<AtomicBool>,
    /// For tests of overload: rest this long between drains.
    pub(crate) slowness: Option<Duration>,
}

/// What the recorder saw in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Records that the probes wanted to write.
    pub(crate) fired: u64,
    /// Records read.
    pub(crate) delivered: u64,
    /// Records lost.
    pub(crate) lost: u64,
}

impl Recorder {
    /// Runs until told to stop, then drains what is left.
    pub(crate) fn run(mut self) -> Totals {
        let mut ticked = Instant::now();
        let mut accounted = Instant::now();
        let mut committed = Instant::now();
        let mut retained = Instant::now();
        let mut drained = 0;
        let mut rest = REST;
        let mut priority = Priority::nice();
        while !self.stop.load(Ordering::Relaxed) {
            let count = if self.events.len() < MOST_WAITING {
                self.drain(BATCH)
            } else {
                0
            };
            drained += count;
            if let Some(priority) = &mut priority
                && (drained >= MANY || count < BATCH)
            {
                priority.is_behind(drained >= MANY);
            }
            if ticked.elapsed() >= TICK {
                ticked = Instant::now();
                self.tick();
                self.icmp.tick();
                self.follow_clock();
            }
            if accounted.elapsed() >= ACCOUNTS {
                accounted = Instant::now();
                self.close_accounts();
            }
            self.follow_namespaces();
            self.write();
            // What waits for the writer is told already, so that it goes in first.
            let is_due = committed.elapsed() >= COMMIT || self.rows >= COMMIT_ROWS;
            if is_due && self.events.is_empty() {
                let retain = retained.elapsed() >= RETAIN;
                let reached_ns = self.reached_ns();
                if self.committer.commit(reached_ns, retain) {
                    self.rows = 0;
                    committed = Instant::now();
                    if retain {
                        retained = committed;
                    }
                }
            }
            if let Some(slowness) = self.slowness {
                std::thread::sleep(slowness);
            } else if count < BATCH {
                drained = 0;
                rest = if count > 0 {
                    REST
                } else {
                    LONGEST_REST.min(rest * 2)
                };
                std::thread::sleep(rest);
            }
        }
        self.finish()
    }

    /// How far what was written reaches. Where that is long ago, as under a load that is not kept up with, a sign of life all the same.
    fn reached_ns(&self) -> u64 {
        let told_ns = self.assembly.told_until_ns();
        let told_ns = told_ns.saturating_add(self.clock.offset_ns(told_ns));
        let now_ns = now_ns();
        told_ns.clamp(now_ns.saturating_sub(FURTHEST_BEHIND_NS), now_ns)
    }

    fn drain(&mut self, limit: usize) -> usize {
        let Self {
            probes,
            assembly,
            accounts,
            icmp,
            ..
        } = self;
        icmp.read();
        let began_ns = boot_ns();
        // Out of the way of the borrow for a moment.
        let reasons = std::mem::take(&mut probes.drop_reasons);
        let count = probes.drain(limit, |bytes| match decode(bytes) {
            Decoded::Drop(drop) => assembly.take(&Input::Dropped(Dropped {
                end: drop.end,
                reason: reasons.name(drop.reason),
            })),
            Decoded::Input(input) => {
                if may_have_caused(&input) {
                    icmp.read();
                }
                // Only these two end connections.
                if let Input::Socket(SocketEnd { at_ns, .. }) | Input::Close(End { at_ns, .. }) =
                    input
                {
                    icmp.give(at_ns, |message| assembly.take(message));
                }
                if let Input::Datagram(datagram) = &input
                    && may_ask_again(datagram)
                {
                    icmp.read_until(datagram.at_ns);
                    icmp.give(datagram.at_ns, |message| assembly.take(message));
                }
                assembly.take(&input);
            }
            Decoded::Exec(exec) => assembly.identities().begun(&exec),
            Decoded::Exit(exit) => {
                if let Some(end) = assembly.identities().ended(&exit) {
                    assembly.process_ended(end);
                }
            }
            Decoded::Unknown => accounts.unknown += 1,
        });
        probes.drop_reasons = reasons;
        accounts.delivered += count as u64;
        if count < limit {
            // The records of what these are about have been read.
            icmp.give(began_ns, |message| assembly.take(message));
        }
        // Until the ring buffer has been found empty once, nothing is known of what is late.
        assembly.caught_up(if count < limit { began_ns } else { 0 });
        count
    }

    fn tick(&mut self) {
        let Self {
            probes, assembly, ..
        } = self;
        assembly.tick(boot_ns(), |spot| {
            let (flow, way, done) = match spot {
                Spot::Socket { cookie, way } => (probes.flow(cookie)?, way, None),
                Spot::Session {
                    id,
                    pid,
                    address,
                    way,
                } => {
                    let session = probes.session(pid, address)?;
                    // Its place may have been used again.
                    if session.id != id {
                        return None;
                    }
                    (session.flow, way, Some(session.done))
                }
            };
            let [egress, ingress] = flow.directions;
            let (side, done) = match way {
                Way::Egress => (egress, done.map(|[egress, _]| egress)),
                Way::Ingress => (ingress, done.map(|[_, ingress]| ingress)),
            };
            Some(Passed {
                bytes: done.unwrap_or(side.bytes),
                last_ns: side.last_ns,
                last_chunk: side.flags & direction_flag::LAST_CHUNK != 0,
            })
        });
    }

    /// Listens for ICMP where connections are.
    fn follow_namespaces(&mut self) {
        for (netns, pid) in self.assembly.namespaces_met() {
            self.icmp.met(netns, pid);
        }
        self.icmp.follow_namespaces();
    }

    fn close_accounts(&mut self) {
        let Self {
            probes, assembly, ..
        } = self;
        assembly.tick_datagrams(boot_ns(), |socket| {
            let flow = probes.udp_flow(&udp_key(socket))?;
            let [egress, ingress] = flow.directions;
            let side = match socket.way {
                Way::Egress => egress,
                Way::Ingress => ingress,
            };
            Some(UdpPassed {
                packets: side.packets,
                bytes: side.bytes,
                first_ns: side.first_ns,
                last_ns: side.last_ns,
            })
        });
        let tally = self.assembly.tally();
        let forgotten = self.assembly.identities().news_of_forgotten();
        self.accounts.icmp(self.icmp.news_of_missed());
        self.hear_libraries();
        let lines = self.accounts.close(
            now_ns(),
            self.probes.counters(),
            self.probes.recursion_misses(),
            &tally,
            forgotten,
            &std::mem::take(&mut self.clock_changes),
        );
        self.events.extend(lines);
        let dropped = self.probes.dropped();
        let drops = self
            .accounts
            .drops(now_ns(), dropped, &self.probes.drop_reasons);
        self.events.extend(drops);
    }

    /// Looks at the clocks. Only while the writer is here: after a step back what comes next is kept apart from what was
    /// before, for wall-clock times are coming again.
    fn follow_clock(&mut self) {
        self.collect();
        if self.committer.writer().is_none() {
            return;
        }
        let changes = self.clock.refresh();
        if changes.iter().any(|change| change.is_back()) {
            self.write();
            if let Some(writer) = self.committer.writer()
                && let Err(error) = writer.clock_set_back(now_ns())
            {
                tracing::error!(%error, "what follows cannot be told from what was before the clock was set back");
            }
            self.rows = 0;
        }
        self.clock_changes.extend(changes);
    }

    /// Takes what came out of the assembly, with its times on the wall clock: each event's by the offset in force when what
    /// it tells of began, so that what lies between two of its times is right whatever was done to the clock.
    fn collect(&mut self) {
        let clock = &self.clock;
        let events = self.assembly.events().map(|mut event| {
            event.move_later(clock.offset_ns(event.start_ns().unwrap_or(0)));
            event
        });
        self.events.extend(events);
    }

    /// Puts what came out into the open batch, if the writer is here. What cannot be written is counted by the store and
    /// told in coverage; the recorder goes on.
    fn write(&mut self) {
        self.collect();
        if self.events.is_empty() {
            return;
        }
        if let Some(writer) = self.committer.writer() {
            self.rows += self.events.len();
            apply(writer, &self.events);
            self.events.clear();
        }
    }

    /// Whether every record that was begun has been read or counted as lost.
    fn is_balanced(&self) -> bool {
        let counters = self.probes.counters();
        let of = |which| counters.of(which);
        of(counter::FIRED) == self.accounts.delivered + of(counter::LOST)
    }

    /// What is not seen of TLS, as far as met.
    fn hear_libraries(&mut self) {
        let Some(libraries) = &self.libraries else {
            return;
        };
        let lines = self.accounts.libraries(now_ns(), libraries.news());
        self.events.extend(lines);
        // Said once: what is missed from then on is not known.
        let is_stuck = libraries.is_stuck();
        if is_stuck && !self.is_stuck {
            let words = "of programs that have started lately, since it takes long to look into one of their files";
            self.events
                .push(self.accounts.tls_from_here_on(now_ns(), words));
        }
        self.is_stuck |= is_stuck;
        if libraries.is_broken() {
            let words =
                "of all programs, since the thread that looks for their libraries has ended";
            self.events
                .push(self.accounts.tls_from_here_on(now_ns(), words));
            self.libraries = None;
        }
    }

    fn finish(mut self) -> Totals {
        if let Some(libraries) = &mut self.libraries {
            libraries.stop();
        }
        self.probes.detach();
        // A probe that was running when it was detached may still be about to write its record.
        for _ in 0..LAST_LOOKS {
            while self.drain(BATCH) > 0 {
                self.write();
            }
            std::thread::sleep(REST);
            if self.is_balanced() {
                break;
            }
        }
        self.assembly.finish_all(boot_ns());
        self.close_accounts();
        self.collect();
        let counters = self.probes.counters();
        let delivered = self.accounts.delivered;
        if let Some(mut writer) = self.committer.wait() {
            apply(&mut writer, &self.events);
            if let Err(error) = writer.close(now_ns(), StopReason::Signal) {
                tracing::error!(%error, "the store could not be closed in order; nothing committed is lost");
            }
        }
        Totals {
            fired: counters.of(counter::FIRED),
            delivered,
            lost: counters.of(counter::LOST),
        }
    }
}

/// The flow's name in the probes' map.
fn udp_key(socket: &UdpSocket) -> UdpFlowKey {
    let mut remote = [0; 16];
    let family = match socket.remote.ip() {
        IpAddr::V4(address) => {
            if let Some(front) = remote.first_chunk_mut() {
                *front = address.octets();
            }
            4
        }
        IpAddr::V6(address) => {
            remote = address.octets();
            6
        }
    };
    UdpFlowKey {
        cookie: socket.cookie,
        remote,
        remote_port: socket.remote.port(),
        local_port: socket.local.port(),
        family,
    }
}
