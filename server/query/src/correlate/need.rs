//! Of which processes all has to be looked at that they did about the time of an exchange.
//!
//! Owns: what can be known without that. Where trace context says who caused whom, only what was asked without it is in doubt;
//! and what never answers anything was caused by nothing that is recorded.

use std::collections::BTreeMap;

use headwater_redact::{IdentifierKind, identifiers};
use sqlx::AssertSqlSafe;

use crate::QueryError;
use crate::answer::Window;
use crate::integer::signed;
use crate::names::json_list;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::SLOT_NS;

use super::gather::{CHUNK_SHIFT, Gathered, LONGEST_NS, LOOK_BACK_NS, NEAR_SEGMENTS};
use super::node::Node;

/// The processes of an exchange of which more has to be known than what shares identifiers with it: looking at all that a
/// process did costs most of an answer.
pub(super) async fn to_look_at(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    gathered: &Gathered,
    found: &BTreeMap<i64, Node>,
    node: &Node,
) -> Result<Vec<i64>, QueryError> {
    let mut processes = Vec::new();
    let is_traced = !node.traces.is_empty();
    if let Some(server) = node.server.process
        && (!is_traced || asks_without_trace(snapshot, segments, node, server).await?)
    {
        processes.push(server);
    }
    let Some(client) = node.client.process else {
        return Ok(processes);
    };
    let mut others = gathered.nodes.values().chain(found.values());
    let has_cause =
        is_traced && others.any(|cause| cause.shares_trace(node) && cause.may_cause(node));
    if !has_cause && answers(snapshot, segments, node, client).await? {
        processes.push(client);
    }
    Ok(processes)
}

/// Whether a process asked for anything without trace context while it had an exchange to answer.
async fn asks_without_trace(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    node: &Node,
    process: i64,
) -> Result<bool, QueryError> {
    let window = Window {
        since_ns: node.start_ns,
        until_ns: node.end_ns.min(node.start_ns.saturating_add(LONGEST_NS)),
    };
    for chunk in segments::chunks(snapshot, segments, window, CHUNK_SHIFT).await? {
        let sql = format!(
            "SELECT e.request_header_holes FROM exchange_rows({}) e JOIN connection c ON c.id = e.connection_id \
             WHERE e.id BETWEEN ? AND ? AND e.start_ns BETWEEN ? AND ? AND c.client_process_id = ? LIMIT ?",
            chunk.segment
        );
        let asked: Vec<Option<Vec<u8>>> = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(chunk.first_id)
            .bind(chunk.last_id)
            .bind(signed(window.since_ns))
            .bind(signed(window.until_ns))
            .bind(process)
            .bind(MOST_ASKED)
            .fetch_all(snapshot.connection())
            .await?;
        let is_traced = |holes: &Option<Vec<u8>>| {
            let holes = holes.as_deref().unwrap_or_default();
            identifiers(holes).any(|found| found.kind == IdentifierKind::Trace)
        };
        let is_full = u32::try_from(asked.len()).is_ok_and(|asked| asked >= MOST_ASKED);
        if is_full || !asked.iter().all(is_traced) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the program of a process answered anything about the time, by the roll-ups: what only asks was caused by nothing
/// that is recorded.
async fn answers(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    node: &Node,
    process: i64,
) -> Result<bool, QueryError> {
    let services: Vec<i64> = sqlx::query_scalar(
        "SELECT o.id FROM process p JOIN service s ON s.id = p.service_id JOIN service o ON o.name = s.name AND o.kind = s.kind \
         WHERE p.id = ?",
    )
    .bind(process)
    .fetch_all(snapshot.connection())
    .await?;
    let since_ns = node.start_ns.saturating_sub(LOOK_BACK_NS);
    for segment in segments::beside(segments, node.segment, NEAR_SEGMENTS) {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM rollup_{} WHERE slot_ns BETWEEN ? AND ? \
             AND server_service_id IN (SELECT value FROM json_each(?)))",
            segment.number
        );
        let is_there: bool = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(signed(since_ns.saturating_sub(SLOT_NS)))
            .bind(signed(node.start_ns))
            .bind(json_list(services.iter().copied()))
            .fetch_one(snapshot.connection())
            .await?;
        if is_there {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Requests of a process that are looked at for trace context.
const MOST_ASKED: u32 = 500;
