//! What changed or was repeated about a failure: names that began to mean another address, processes that were new,
//! requests that were sent again and again.

use std::collections::BTreeSet;

use crate::QueryError;
use crate::db::{query, query_as, query_scalar};
use crate::exchange::span;
use crate::id::{ConnectionId, DnsId};
use crate::integer::{signed, unsigned};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;

use super::Traced;
use super::findings::{Finding, exit_of, words_of};
use super::node::Node;

/// The name that a connection's server was found by, where it meant another address before.
pub(super) fn renamed(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    connections: &[i64],
    suspect: &Node,
) -> Result<Vec<Finding>, QueryError> {
    let (tag, mut findings, mut told) = (snapshot.tag(), Vec::new(), BTreeSet::new());
    for connection in connections.iter().take(MOST_CONNECTIONS) {
        let found = query(
            "SELECT r.name, r.dns_exchange_id, c.server_address FROM connection_resolution r JOIN connection c ON c.id = r.connection_id \
             WHERE r.connection_id = ?",
        )
        .bind(connection)
        .fetch_optional(snapshot.connection())?;
        let Some(found) = found else { continue };
        let (name, exchange): (String, i64) = (found.try_get(0)?, found.try_get(1)?);
        let address: String = found.try_get(2)?;
        if !told.insert(name.clone()) {
            continue;
        }
        let mut near: Vec<&Segment> =
            segments::beside(segments, suspect.segment, NEAR_SEGMENTS).collect();
        near.reverse();
        for segment in near {
            // Of the same family. An earlier answer with the same address: names rotate.
            let sql = format!(
                "SELECT start_ns, dns_answers, EXISTS (SELECT 1 FROM dns_rows({0}) WHERE id BETWEEN ?1 - ?4 AND ?1 - 1 AND dns_question_name = ?2 \
                 AND instr(',' || dns_answers || ',', ',' || ?3 || ',') > 0 AND start_ns < ?6) FROM dns_rows({0}) \
                 WHERE id BETWEEN ?1 - ?4 AND ?1 - 1 AND dns_question_name = ?2 AND error_kind IS NULL AND dns_answers IS NOT NULL \
                 AND instr(',' || dns_answers || ',', ',' || ?3 || ',') = 0 AND (instr(dns_answers, ':') > 0) = ?5 AND address_count > 0 \
                 ORDER BY id DESC LIMIT 1",
                segment.number
            );
            let before: Option<(i64, String, bool)> = query_as(sql)
                .bind(exchange)
                .bind(&name)
                .bind(&address)
                .bind(MOST_QUESTIONS)
                .bind(address.contains(':'))
                .bind(signed(suspect.start_ns.saturating_sub(ROTATION_NS)))
                .fetch_optional(snapshot.connection())?;
            let Some((at_ns, answers, false)) = before else {
                continue;
            };
            findings.push(Finding {
                is: "changed",
                after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
                what: "a name that it was found by meant another address then (captured: the name, what it means now, and what it \
                       meant then)"
                    .to_owned(),
                id: Some(DnsId(unsigned(exchange)).printed(&tag)),
                captured: Some(format!("{name} {address}, before {answers}")),
            });
            break;
        }
    }
    Ok(findings)
}

/// The server's process, where it began not long before and another one answered there until then.
pub(super) fn restarted(
    snapshot: &mut Snapshot,
    suspect: &Node,
) -> Result<Option<Finding>, QueryError> {
    let row = query(
        "SELECT p.start_ns, p.pid, b.pid, p.executable_name FROM process p JOIN (SELECT server_process_id FROM connection \
         WHERE id BETWEEN ?2 - ?6 AND ?2 AND server_service_id = ?3 AND server_process_id <> ?1 ORDER BY id DESC LIMIT 1) c \
         JOIN process b ON b.id = c.server_process_id WHERE p.id = ?1 AND p.start_ns BETWEEN ?4 - ?5 AND ?4 \
         AND b.end_ns <= p.start_ns + ?7",
    )
    .bind(suspect.server.process)
    .bind(suspect.connection)
    .bind(suspect.server.service)
    .bind(signed(suspect.start_ns))
    .bind(signed(NEW_NS))
    .bind(NEAR_CONNECTIONS)
    .bind(signed(OVERLAP_NS))
    .fetch_optional(snapshot.connection())?;
    let Some(row) = row else { return Ok(None) };
    let started: i64 = row.try_get(0)?;
    Ok(Some(Finding {
        is: "changed",
        after_ns: Some(started.saturating_sub(signed(suspect.start_ns))),
        what: format!(
            "the process that answered (pid {}) began then; before it one with pid {} answered there, and ended",
            row.try_get::<i64>(1)?,
            row.try_get::<i64>(2)?
        ),
        id: None,
        captured: row.try_get(3)?,
    }))
}

/// How the last process ended that answered where connections came to nothing.
pub(super) fn listeners_gone(
    snapshot: &mut Snapshot,
    attempts: &[i64],
    suspect: &Node,
) -> Result<Vec<Finding>, QueryError> {
    let (mut findings, mut told) = (Vec::new(), BTreeSet::new());
    for attempt in attempts.iter().take(MOST_CONNECTIONS) {
        let row = query(
            "SELECT p.id, p.pid, p.end_ns, p.exit_code, p.exit_signal, p.executable_name FROM connection a \
             JOIN process p ON p.id = (SELECT b.server_process_id FROM connection b WHERE b.id BETWEEN a.id - ?2 AND a.id + ?2 \
             AND b.server_address = a.server_address AND b.server_port = a.server_port \
             AND (b.server_netns = a.server_netns OR a.server_netns = 0 AND b.server_netns = a.client_netns) \
             AND b.server_process_id IS NOT NULL AND b.start_ns <= a.start_ns ORDER BY b.start_ns DESC LIMIT 1) \
             WHERE a.id = ?1 AND a.close_reason IN ('refused', 'server_reset', 'timed_out') AND a.server_process_id IS NULL \
             AND p.end_ns <= COALESCE(a.end_ns, a.start_ns) + ?3",
        )
        .bind(attempt)
        .bind(NEAR_CONNECTIONS)
        .bind(signed(OVERLAP_NS))
        .fetch_optional(snapshot.connection())?;
        let Some(row) = row else { continue };
        if !told.insert(row.try_get::<i64>(0)?) {
            continue;
        }
        let ended: i64 = row.try_get(2)?;
        findings.push(Finding {
            is: "cause",
            after_ns: Some(ended.saturating_sub(signed(suspect.start_ns))),
            what: format!(
                "the process that had answered there ended (pid {}): {}",
                row.try_get::<i64>(1)?,
                exit_of(row.try_get(3)?, row.try_get(4)?)
            ),
            id: None,
            captured: row.try_get(5)?,
        });
    }
    Ok(findings)
}

/// A connection that had been idle and was closed as the request came.
pub(super) fn keep_alive_race(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    suspect: &Node,
) -> Result<Option<Finding>, QueryError> {
    let is_closed = matches!(suspect.outcome, SERVER_RESET | SERVER_CLOSED);
    let lasted_ns = suspect.lasted_ns();
    let is_exit = matches!(suspect.error_kind, Some(9..=12));
    if !is_closed
        || is_exit
        || suspect.status.is_some()
        || suspect.ordinal == 0
        || lasted_ns > QUICK_NS
    {
        return Ok(None);
    }
    for (segment, first, _) in segments::near(segments, suspect.id, NEAR_EXCHANGES) {
        let sql = format!(
            "SELECT start_ns + COALESCE(response_end_delta_ns, end_delta_ns) FROM exchange_rows({segment}) \
             WHERE id BETWEEN ?1 AND ?2 AND connection_id = ?3 AND ordinal = ?4"
        );
        let before: Option<i64> = query_scalar(sql)
            .bind(first)
            .bind(suspect.id - 1)
            .bind(suspect.connection)
            .bind(suspect.ordinal - 1)
            .fetch_optional(snapshot.connection())?;
        let Some(before) = before else { continue };
        let idle_ns = suspect.start_ns.saturating_sub(unsigned(before));
        if idle_ns < lasted_ns.saturating_mul(10).max(LEAST_IDLE_NS) {
            return Ok(None);
        }
        // Too soon for the request to have been read, after a time that servers leave connections open for.
        let soon_ns = suspect
            .round_trip_ns
            .unwrap_or(0)
            .saturating_mul(2)
            .max(SOON_NS);
        let (is, race) = if lasted_ns <= soon_ns && idle_ns >= LONG_IDLE_NS {
            ("cause", "a keep-alive race: ")
        } else {
            ("known", "perhaps a keep-alive race: ")
        };
        return Ok(Some(Finding {
            is,
            after_ns: Some(signed(lasted_ns)),
            what: format!(
                "{race}its connection had carried {} exchanges and was idle for {}; the server closed it {} after the request was sent, \
                 without a byte of an answer",
                suspect.ordinal,
                span(idle_ns),
                span(lasted_ns)
            ),
            id: Some(ConnectionId(unsigned(suspect.connection)).printed(&snapshot.tag())),
            captured: None,
        }));
    }
    Ok(None)
}

/// Whether the suspect is one of several tries of the same.
pub(super) fn retries(traced: &Traced, suspect: &Node, now_ns: u64) -> Option<Finding> {
    let cause = traced.cause(suspect.id)?;
    let is_same = |node: &&Node| {
        node.method == suspect.method
            && node.path == suspect.path
            && node.server.service == suspect.server.service
    };
    let tries: Vec<&Node> = traced.caused(cause).into_iter().filter(is_same).collect();
    let failed = tries.iter().filter(|node| node.has_failed()).count();
    if tries.len() < 2 || failed == 0 {
        return None;
    }
    let first = tries.iter().map(|node| node.start_ns).min()?;
    let last = tries.iter().map(|node| node.end_ns.min(now_ns)).max()?;
    let storm = if tries.len() >= STORM {
        " (a retry storm)"
    } else {
        ""
    };
    Some(Finding {
        is: "retries",
        after_ns: Some(signed(first).saturating_sub(signed(suspect.start_ns))),
        what: format!(
            "its caller asked for the same {} times within {}{storm}: {failed} of them failed; this one: {}",
            tries.len(),
            span(last.saturating_sub(first)),
            words_of(suspect, now_ns)
        ),
        id: None,
        captured: None,
    })
}

const SERVER_RESET: i64 = 3;
const SERVER_CLOSED: i64 = 4;
const QUICK_NS: u64 = 50_000_000;
/// No server has read a request and thought about it so soon.
const SOON_NS: u64 = 2_000_000;
/// Servers leave idle connections open for a second and more.
const LONG_IDLE_NS: u64 = 1_000_000_000;
const LEAST_IDLE_NS: u64 = 20_000_000;
/// Exchanges before that are looked at for the one before on the connection.
const NEAR_EXCHANGES: i64 = 65_536;
/// Connections before and after that are looked at.
const NEAR_CONNECTIONS: i64 = 20_000;
const MOST_CONNECTIONS: usize = 4;
const NEAR_SEGMENTS: i64 = 2;
/// An address that a name had so long before is none that is new.
const ROTATION_NS: u64 = 60_000_000_000;
/// Questions before the one that counted, that are looked at for another answer.
const MOST_QUESTIONS: i64 = 50_000;
const OVERLAP_NS: u64 = 2_000_000_000;
/// A process that is older is not new.
const NEW_NS: u64 = 600_000_000_000;
const STORM: usize = 4;
