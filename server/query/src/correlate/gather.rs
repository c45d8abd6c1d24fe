//! What belongs together: from the exchanges that were named to those that share identifiers with them, and to those of
//! the processes that they went through.
//!
//! Owns: the bounds of that walk. Refuses: to link; what is gathered here and linked to nothing is left out by `tree`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use headwater_redact::Redactor;

use crate::QueryError;
use crate::answer::Window;
use crate::integer::{signed, unsigned};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;

use super::lookup::{Index, Named};
use super::need::to_look_at;
use super::node::{self, Hash, Node};

/// That of a process was looked at which began from one time on until another, and went on at a third.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) process: i64,
    pub(super) since_ns: u64,
    pub(super) at_ns: u64,
    pub(super) until_ns: u64,
}

/// Exchanges that may belong together.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) nodes: BTreeMap<i64, Node>,
    /// Those for which something speaks.
    pub(super) related: BTreeSet<i64>,
    /// The ones that were named.
    pub(super) named: BTreeSet<i64>,
    /// Values that few exchanges hold.
    pub(super) rare: HashSet<Hash>,
    /// Identifiers that were looked up.
    pub(super) asked: HashSet<Hash>,
    /// What was looked at.
    pub(super) seen: Vec<Seen>,
    /// Exchanges that happened at the same time are not all there.
    pub(super) is_incomplete: bool,
    /// A bound was reached.
    pub(super) is_cut: bool,
}

/// Gathers.
pub(super) fn gather(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    named: &Named,
) -> Result<Gathered, QueryError> {
    let mut gathered = Gathered {
        is_cut: named.index.is_cut,
        ..Gathered::default()
    };
    gathered.named = named.nodes.iter().map(|node| node.id).collect();
    gathered.asked.extend(&named.exhausted);
    gathered.rare.extend(&named.exhausted);
    let fresh = named.nodes.clone();
    walk(
        snapshot,
        segments,
        redactor,
        &named.index,
        &mut gathered,
        fresh,
    )?;
    Ok(gathered)
}

/// Goes on from some exchanges.
pub(super) fn walk(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    index: &Index,
    gathered: &mut Gathered,
    mut fresh: Vec<Node>,
) -> Result<(), QueryError> {
    for _ in 0..MOST_ROUNDS {
        if fresh.is_empty() {
            break;
        }
        snapshot.check()?;
        let mut found = BTreeMap::new();
        let more = by_identifiers(snapshot, segments, redactor, index, gathered, &fresh)?;
        found.extend(more.into_iter().map(|node| (node.id, node)));
        for node in &fresh {
            gathered
                .nodes
                .entry(node.id)
                .or_insert_with(|| node.clone());
        }
        let needs = to_look_at(snapshot, segments, gathered, &found, &fresh)?;
        for (node, process) in needs {
            let more = around(snapshot, segments, redactor, gathered, node, process)?;
            found.extend(more.into_iter().map(|node| (node.id, node)));
        }
        gathered.related.extend(fresh.iter().map(|node| node.id));
        for node in found.into_values() {
            gathered.keep(node);
        }
        // What only happened at the same time is there to be compared with, and leads nowhere.
        fresh = gathered.new_related();
    }
    gathered.is_cut |= !fresh.is_empty();
    Ok(())
}

impl Gathered {
    /// Takes one more, as long as there is room.
    fn keep(&mut self, node: Node) {
        if self.nodes.len() < MOST_NODES {
            self.nodes.entry(node.id).or_insert(node);
        } else {
            (self.is_cut, self.is_incomplete) = (true, true);
        }
    }

    /// Whether something besides the time says that two exchanges belong together.
    fn relates(&self, one: &Node, other: &Node, busy: &BTreeSet<Worker>) -> bool {
        one.shares_trace(other)
            || (one.may_cause(other) || other.may_cause(one))
                && (self.shared(one, other).next().is_some()
                    || is_threaded(one, other, busy)
                    || is_threaded(other, one, busy))
    }

    /// Threads that were in the middle of several exchanges at once: event loops, and those that tasks are moved between.
    pub(super) fn busy_threads(&self) -> BTreeSet<Worker> {
        let mut answered: BTreeMap<Worker, Vec<(u64, u64)>> = BTreeMap::new();
        for node in self.nodes.values() {
            if let Some(worker) = node.server.process.zip(node.answered_by) {
                let spans = answered.entry(worker).or_default();
                spans.push((node.start_ns, node.end_ns));
            }
        }
        let overlap = |spans: &mut Vec<(u64, u64)>| {
            spans.sort_unstable();
            let is_overlap =
                |pair: &[(u64, u64)]| matches!(pair, [(_, end), (start, _)] if start < end);
            spans.windows(2).any(is_overlap)
        };
        answered
            .into_iter()
            .filter_map(|(worker, mut spans)| overlap(&mut spans).then_some(worker))
            .collect()
    }

    /// Those that were not known to be related and are.
    fn new_related(&self) -> Vec<Node> {
        let known: Vec<&Node> = self
            .related
            .iter()
            .filter_map(|id| self.nodes.get(id))
            .collect();
        let (mut found, busy) = (BTreeSet::new(), self.busy_threads());
        for node in self
            .nodes
            .values()
            .filter(|node| !self.related.contains(&node.id))
        {
            if known.iter().any(|known| self.relates(known, node, &busy)) || self.is_alone(node) {
                found.insert(node.id);
            }
        }
        // And what alone may have caused one that is.
        for node in known {
            found.extend(
                self.only_cause(node)
                    .filter(|id| !self.related.contains(id)),
            );
        }
        found
            .iter()
            .filter_map(|id| self.nodes.get(id))
            .cloned()
            .collect()
    }

    /// Whether one exchange alone, which is related, may have caused it.
    fn is_alone(&self, node: &Node) -> bool {
        self.only_cause(node)
            .is_some_and(|cause| self.related.contains(&cause))
    }

    /// The one exchange of the process that asked which was under way then, or which was of that path, if it was one.
    fn only_cause(&self, node: &Node) -> Option<i64> {
        let is_cause =
            |cause: &&Node| cause.server.is_process(node.client) && cause.may_cause(node);
        let only = |mut causes: Box<dyn Iterator<Item = &Node> + '_>| {
            let first = causes.next()?;
            causes.next().is_none().then_some(first.id)
        };
        let causes = || self.nodes.values().filter(is_cause);
        only(Box::new(causes())).or_else(|| {
            only(Box::new(
                causes().filter(|cause| cause.is_handed_on_as(node)),
            ))
        })
    }

    /// Whether all is there that a process did from the start of one exchange to that of another.
    pub(super) fn has_seen(&self, process: i64, from: &Node, to: &Node) -> bool {
        let covers = |seen: &Seen| {
            seen.process == process && seen.at_ns <= from.start_ns && to.start_ns <= seen.until_ns
        };
        !self.is_incomplete && self.seen.iter().any(covers)
    }

    /// Whether what a process did while an exchange was under way was looked at, as far as that is done.
    pub(super) fn has_looked(&self, process: i64, node: &Node) -> bool {
        let until_ns = node.end_ns.min(node.start_ns.saturating_add(LONGEST_NS));
        let covers = |seen: &Seen| {
            seen.process == process && seen.since_ns <= node.start_ns && until_ns <= seen.until_ns
        };
        self.seen.iter().any(covers)
    }

    /// Rare values that both hold.
    pub(super) fn shared<'g>(
        &'g self,
        one: &'g Node,
        other: &'g Node,
    ) -> impl Iterator<Item = Shared> {
        let held = one.values.iter();
        held.filter(|(hash, _)| other.values.contains_key(*hash) && self.rare.contains(*hash))
            .map(|(hash, length)| Shared {
                hash: *hash,
                length: *length,
            })
    }

    /// How many exchanges a process had to answer when one began, as far as is known.
    pub(super) fn under_way(&self, process: i64, from_ns: u64, to_ns: u64) -> usize {
        let is_it = |node: &&Node| {
            node.server.process == Some(process) && node.start_ns <= to_ns && from_ns <= node.end_ns
        };
        self.nodes.values().filter(is_it).count()
    }

    /// Whether each request that a process sent in this time was sent by the thread that answered one of those under way, and
    /// by that of one alone: so that a thread does one request. Of few requests that may be chance.
    pub(super) fn is_thread_per_request(&self, process: i64, busy: &BTreeSet<Worker>) -> bool {
        let mut sent = 0;
        for effect in self
            .nodes
            .values()
            .filter(|node| node.client.process == Some(process))
        {
            let causes = || {
                let nodes = self.nodes.values();
                nodes.filter(|cause| {
                    cause.server.is_process(effect.client) && cause.may_cause(effect)
                })
            };
            // The cause may have begun before what was looked at, or not have been answered.
            if causes().next().is_none() || causes().any(|cause| cause.answered_by.is_none()) {
                continue;
            }
            if causes()
                .filter(|cause| is_threaded(cause, effect, busy))
                .count()
                != 1
            {
                return false;
            }
            // One that was alone shows nothing.
            sent += usize::from(causes().count() > 1);
        }
        sent >= LEAST_SENT
    }
}

/// A value that two exchanges hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    pub(super) hash: Hash,
    /// Of its plain form, in bytes.
    pub(super) length: u64,
}

/// Process and thread.
pub(super) type Worker = (i64, u32);

/// Whether the thread that answered `cause` sent the request of `effect`, before it answered, and does one thing at a time.
pub(super) fn is_threaded(cause: &Node, effect: &Node, busy: &BTreeSet<Worker>) -> bool {
    let worker = cause.server.process.zip(cause.answered_by);
    cause.server.is_process(effect.client)
        && cause.answered_by == effect.asked_by
        && worker.is_some_and(|worker| !busy.contains(&worker))
        && cause.may_cause(effect)
}

/// Exchanges that share an identifier with these.
fn by_identifiers(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    index: &Index,
    gathered: &mut Gathered,
    fresh: &[Node],
) -> Result<Vec<Node>, QueryError> {
    let mut traces: Vec<Hash> = fresh.iter().flat_map(|node| node.traces.clone()).collect();
    traces.retain(|trace| gathered.asked.insert(*trace));
    let mut values: Vec<Hash> = fresh
        .iter()
        .flat_map(|node| node.values.keys().copied())
        .collect();
    values.retain(|value| gathered.asked.insert(*value));
    if values.len() > MOST_VALUES {
        values.truncate(MOST_VALUES);
        gathered.is_cut = true;
    }
    let mut ids = BTreeSet::new();
    let near: BTreeSet<i64> = fresh
        .iter()
        .flat_map(|node| node.segment - NEAR_SEGMENTS..=node.segment + NEAR_SEGMENTS)
        .collect();
    for (hashes, most) in [(&traces, MOST_OF_TRACE), (&values, MOST_OF_VALUE)] {
        let found = index.look_up(snapshot, hashes, most, Some(&near))?;
        for (hash, found) in found {
            if found.len() <= most {
                gathered.rare.insert(hash);
                ids.extend(found);
            } else if most == MOST_OF_TRACE {
                (gathered.is_cut, gathered.is_incomplete) = (true, true);
                ids.extend(found);
            }
        }
    }
    ids.retain(|id| !gathered.nodes.contains_key(id));
    node::load(snapshot, segments, redactor, &ids)
}

/// Looks at all that the server's process of a gathered exchange asked and answered about the same time, where that was not
/// done for want of need.
pub(super) fn look_around(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    gathered: &mut Gathered,
    node: &Node,
) -> Result<(), QueryError> {
    let Some(process) = node.server.process else {
        return Ok(());
    };
    for node in around(snapshot, segments, redactor, gathered, node, process)? {
        gathered.keep(node);
    }
    Ok(())
}

/// What a process of an exchange asked and answered about the same time.
fn around(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    gathered: &mut Gathered,
    node: &Node,
    process: i64,
) -> Result<Vec<Node>, QueryError> {
    snapshot.check()?;
    let window = Window {
        since_ns: node.start_ns.saturating_sub(LOOK_BACK_NS),
        until_ns: node.end_ns.min(node.start_ns.saturating_add(LONGEST_NS)),
    };
    let is_seen = |seen: &Seen| {
        seen.process == process
            && seen.since_ns <= window.since_ns
            && seen.at_ns <= node.start_ns
            && window.until_ns <= seen.until_ns
    };
    if gathered.seen.iter().any(is_seen) {
        return Ok(Vec::new());
    }
    if gathered.seen.len() >= MOST_SCANS {
        gathered.is_cut = true;
        return Ok(Vec::new());
    }
    let (mut found, mut looked_at, mut since_ns) = (Vec::new(), 0, window.since_ns);
    // Latest first: what is near is looked at before what is far.
    for chunk in segments::chunks(snapshot, segments, window, CHUNK_SHIFT)? {
        if looked_at >= MOST_LOOKED_AT {
            gathered.is_cut = true;
            since_ns = since_ns.max(unsigned(chunk.max_start_ns));
            continue;
        }
        looked_at += chunk.ids;
        let span = [window.since_ns, window.until_ns, node.start_ns].map(signed);
        let range = (chunk.segment, chunk.first_id, chunk.last_id);
        found.extend(node::of_process(snapshot, redactor, range, span, process)?);
    }
    gathered.seen.push(Seen {
        process,
        since_ns,
        at_ns: since_ns.max(node.start_ns),
        until_ns: window.until_ns,
    });
    Ok(found)
}

/// Requests of a process that show how it uses threads.
const LEAST_SENT: usize = 4;
/// Segments before and after that what shares an identifier is looked for in: each has 250,000 exchanges, or lasts six hours.
pub(super) const NEAR_SEGMENTS: i64 = 1;
/// How often the walk goes on from what it found: the depth of a transaction, both ways.
const MOST_ROUNDS: usize = 12;
const MOST_NODES: usize = 2_000;
/// Exchanges of one trace.
const MOST_OF_TRACE: usize = 1_000;
/// A value that more exchanges hold is common, and identifies nothing.
const MOST_OF_VALUE: usize = 64;
const MOST_VALUES: usize = 1_024;
/// An exchange may have been caused by one that began so long before.
pub(super) const LOOK_BACK_NS: u64 = 5_000_000_000;
/// What an exchange that lasts longer caused later is not looked for by time.
pub(super) const LONGEST_NS: u64 = 60_000_000_000;
/// Processes and times that are looked at.
const MOST_SCANS: usize = 48;
/// Exchanges that are looked at for one process.
const MOST_LOOKED_AT: u64 = 30_000;
/// Chunks of at least 1,024 ids.
pub(super) const CHUNK_SHIFT: u32 = 10;
