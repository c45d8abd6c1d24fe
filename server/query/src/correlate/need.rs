//! Of which processes all has to be looked at that they did about the time of an exchange.
//!
//! Owns: what can be known without that. Where trace context says who caused whom, only what was asked without it is in doubt;
//! and what never answers anything was caused by nothing that is recorded.

use std::collections::{BTreeMap, BTreeSet};

use headwater_redact::{IdentifierKind, identifiers};

use crate::QueryError;
use crate::answer::Window;
use crate::db::{query_as, query_scalar};
use crate::integer::{signed, unsigned};
use crate::names::json_list;
use crate::segments::{self, MOST_AT_ONCE, Segment};
use crate::snapshot::Snapshot;
use crate::window::SLOT_NS;

use super::gather::{CHUNK_SHIFT, Gathered, LONGEST_NS, LOOK_BACK_NS, NEAR_SEGMENTS};
use super::node::Node;

/// An exchange, and a process of it of which more has to be known than what shares identifiers with it.
pub(super) type Need<'n> = (&'n Node, i64);

/// What has to be looked at of each: looking at all that a process did costs most of an answer.
pub(super) fn to_look_at<'n>(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    gathered: &Gathered,
    found: &BTreeMap<i64, Node>,
    nodes: &'n [Node],
) -> Result<Vec<Need<'n>>, QueryError> {
    let (mut needs, mut traced) = (Vec::new(), Vec::new());
    for node in nodes {
        if let Some(server) = node.server.process {
            let of = if node.traces.is_empty() {
                &mut needs
            } else {
                &mut traced
            };
            of.push((node, server));
        }
    }
    needs.extend(asked_without_trace(snapshot, segments, traced)?);
    for node in nodes {
        let Some(client) = node.client.process else {
            continue;
        };
        let mut others = gathered.nodes.values().chain(found.values());
        let has_cause = !node.traces.is_empty()
            && others.any(|cause| cause.shares_trace(node) && cause.may_cause(node));
        if !has_cause && answers(snapshot, segments, node, client)? {
            needs.push((node, client));
        }
    }
    Ok(needs)
}

/// Those whose process asked for anything without trace context while it had the exchange to answer.
fn asked_without_trace<'n>(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    mut needs: Vec<Need<'n>>,
) -> Result<Vec<Need<'n>>, QueryError> {
    needs.sort_unstable_by_key(|(node, _)| node.start_ns);
    let mut without = Vec::new();
    // Exchanges of one transaction are under way at one time: what they all may have asked for is read once.
    let mut left = needs.as_slice();
    while let Some((first, _)) = left.first() {
        let mut window = answering(first);
        let is_near = |(node, _): &Need| {
            let is_near = node.start_ns <= window.until_ns.saturating_add(NEAR_NS);
            window.until_ns = window.until_ns.max(answering(node).until_ns);
            is_near
        };
        let (together, rest) =
            left.split_at(left.iter().map(is_near).take_while(|near| *near).count());
        left = rest;
        without.extend(asking(snapshot, segments, window, together)?);
    }
    Ok(without)
}

/// While it was to be answered, as far as that is looked at.
fn answering(node: &Node) -> Window {
    Window {
        since_ns: node.start_ns,
        until_ns: node.end_ns.min(node.start_ns.saturating_add(LONGEST_NS)),
    }
}

/// Of exchanges that were under way in a window, those whose process asked without trace context meanwhile.
fn asking<'n>(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    needs: &[Need<'n>],
) -> Result<Vec<Need<'n>>, QueryError> {
    let processes: BTreeSet<i64> = needs.iter().map(|(_, process)| *process).collect();
    let most = MOST_ASKED.saturating_mul(processes.len());
    let mut without: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for chunk in segments::chunks(snapshot, segments, window, CHUNK_SHIFT)? {
        let sql = format!(
            "SELECT c.client_process_id, e.start_ns, e.request_header_holes FROM exchange_rows({}) e \
             JOIN connection c ON c.id = e.connection_id WHERE e.id BETWEEN ? AND ? AND e.start_ns BETWEEN ? AND ? \
             AND c.client_process_id IN (SELECT value FROM json_each(?)) LIMIT ?",
            chunk.segment
        );
        let asked: Vec<(i64, i64, Option<Vec<u8>>)> = query_as(sql)
            .bind(chunk.first_id)
            .bind(chunk.last_id)
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(json_list(processes.iter().copied()))
            .bind(i64::try_from(most).unwrap_or(i64::MAX))
            .fetch_all(snapshot.connection())?;
        if asked.len() >= most {
            return Ok(needs.to_vec());
        }
        for (process, start_ns, holes) in asked {
            let holes = holes.unwrap_or_default();
            if !identifiers(&holes).any(|found| found.kind == IdentifierKind::Trace) {
                without.entry(process).or_default().push(unsigned(start_ns));
            }
        }
    }
    let is_without = |(node, process): &&Need| {
        let Window { since_ns, until_ns } = answering(node);
        let starts = without.get(process).into_iter().flatten();
        starts
            .into_iter()
            .any(|start_ns| (since_ns..=until_ns).contains(start_ns))
    };
    Ok(needs.iter().filter(is_without).copied().collect())
}

/// Whether the program of a process answered anything about the time: what only asks was caused by nothing that is recorded.
fn answers(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    node: &Node,
    process: i64,
) -> Result<bool, QueryError> {
    let window = Window {
        since_ns: node.start_ns.saturating_sub(LOOK_BACK_NS),
        until_ns: node.start_ns,
    };
    let segments = segments::beside(segments, node.segment, NEAR_SEGMENTS);
    is_counted(snapshot, segments, window, process, "server_service_id")
}

/// Whether the program of a process asked for anything while it had an exchange to answer: what only answers is the end of
/// what is recorded.
pub(super) fn asks(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    node: &Node,
    process: i64,
) -> Result<bool, QueryError> {
    let window = answering(node);
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    let segments = segments
        .iter()
        .filter(|segment| segment.may_hold(since_ns, until_ns));
    is_counted(snapshot, segments, window, process, "client_service_id")
}

/// Whether the roll-ups have a program, by one of its processes, in the column of a side.
fn is_counted<'s>(
    snapshot: &mut Snapshot,
    segments: impl Iterator<Item = &'s Segment>,
    window: Window,
    process: i64,
    side: &str,
) -> Result<bool, QueryError> {
    let of_each: Vec<String> = segments
        .map(|segment| {
            format!(
                "EXISTS (SELECT 1 FROM rollup_{} WHERE slot_ns BETWEEN ?1 AND ?2 AND {side} IN (SELECT id FROM own))",
                segment.number
            )
        })
        .collect();
    let mut is_there = false;
    for of_each in of_each.chunks(MOST_AT_ONCE) {
        let sql = format!(
            "WITH own AS MATERIALIZED (SELECT o.id FROM process p JOIN service s ON s.id = p.service_id \
             JOIN service o ON o.name = s.name AND o.kind = s.kind WHERE p.id = ?3) SELECT {}",
            of_each.join(" OR ")
        );
        is_there |= query_scalar::<bool>(sql)
            .bind(signed(window.since_ns.saturating_sub(SLOT_NS)))
            .bind(signed(window.until_ns))
            .bind(process)
            .fetch_one(snapshot.connection())?;
    }
    Ok(is_there)
}

/// What was under way so shortly before or after is read together.
const NEAR_NS: u64 = 100_000_000;
/// Requests of a process that are looked at for trace context.
const MOST_ASKED: usize = 500;
