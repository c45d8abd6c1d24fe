//! What is known around the suspect of `explain_failure`: what its server did and met while it was under way.
//!
//! Owns: what is looked for, and how much each finding says: a cause, something that may or may not bear on it, what was ruled
//! out, what could not be seen.

use crate::db::query;
use crate::exchange::{ProcessExit, span};
use crate::id::ConnectionId;
use crate::integer::{narrow, signed, unsigned};
use crate::names::with_port;
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{QueryError, outcome};

use super::Traced;
use super::node::Node;
use super::{calls, changes, handshakes, names};

/// Something that is known of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `cause`, `known` (which may or may not bear on it), `same_id` (an earlier failure with the same id), `common` (what those that failed
    /// alike have and good ones have not), `changed`, `retries`, `slow`, `ruled_out` or `not_seen`.
    pub is: &'static str,
    /// When, after the start of the suspect.
    pub after_ns: Option<i64>,
    /// What, in words made by Headwater.
    pub what: String,
    /// Printable id of what it is about.
    pub id: Option<String>,
    /// What was captured of it: a name, an address. Untrusted.
    pub captured: Option<String>,
}

/// What happened to an exchange.
pub(super) fn words_of(node: &Node, now_ns: u64) -> String {
    let lasted = span(node.end_ns.min(now_ns).saturating_sub(node.start_ns));
    match (node.error_kind, node.outcome) {
        (Some(kind), COMPLETE) => format!("{} after {lasted}", outcome::failure(kind)),
        (Some(kind), ended) => format!(
            "{} ({}) after {lasted}",
            outcome::failure(kind),
            outcome::name(ended)
        ),
        (None, ended) => format!("no failure: {}, {lasted}", outcome::name(ended)),
    }
}

/// Looks at what the suspect's server did and met while it was under way.
pub(super) fn around(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    traced: &Traced,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let mut connections = vec![suspect.connection];
    process_ends(snapshot, suspect, findings)?;
    connection(snapshot, suspect, findings)?;
    match suspect.server.process {
        Some(process) => {
            let others = traced.gathered.under_way(process, suspect.start_ns, suspect.end_ns);
            // Where not all was looked at, there may have been others.
            let is_unsure = !traced.gathered.has_seen(process, suspect, suspect);
            let others = others.saturating_sub(1).max(usize::from(is_unsure));
            connections.extend(attempts(snapshot, suspect, (process, others), findings)?);
            handshakes::failed(snapshot, suspect, (process, others), findings)?;
            names::not_found(snapshot, segments, suspect, (process, others), findings)?;
            names::slow(snapshot, segments, suspect, (process, others), findings)?;
            not_read(snapshot, suspect, process, findings)?;
        }
        None => findings.push(Finding {
            is: "not_seen",
            after_ns: None,
            what: "the process that answered is not on this machine, or is not known: what it called cannot be tied to this".to_owned(),
            id: None,
            captured: None,
        }),
    }
    findings.extend(changes::listeners_gone(snapshot, &connections, suspect)?);
    findings.extend(changes::keep_alive_race(snapshot, segments, suspect)?);
    findings.extend(changes::renamed(snapshot, segments, &connections, suspect)?);
    findings.extend(changes::restarted(snapshot, suspect)?);
    findings.extend(changes::retries(traced, suspect, snapshot.now_ns));
    calls::told(snapshot, traced, suspect, findings)?;
    let gaps = outcome::gaps(suspect.gaps);
    if !gaps.is_empty() {
        findings.push(Finding {
            is: "not_seen",
            after_ns: None,
            what: format!("of the suspect itself: {}", gaps.join(", ")),
            id: None,
            captured: None,
        });
    }
    Ok(())
}

/// How a process ended.
pub(super) fn exit_of(code: Option<i64>, signal: Option<i64>) -> String {
    match (code, signal) {
        (_, Some(signal)) => ProcessExit::Signal(narrow(signal)).to_string(),
        (Some(code), None) => ProcessExit::Code(narrow(code)).to_string(),
        (None, None) => "nobody saw how".to_owned(),
    }
}

/// Ends of the two processes.
fn process_ends(
    snapshot: &mut Snapshot,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    for (who, end) in [("server", suspect.server), ("client", suspect.client)] {
        let row = query("SELECT pid, end_ns, exit_code, exit_signal, executable_name FROM process WHERE id = ? AND end_ns BETWEEN ? AND ?")
            .bind(end.process)
            .bind(signed(suspect.start_ns))
            .bind(signed(suspect.end_ns.saturating_add(AFTER_NS)))
            .fetch_optional(snapshot.connection())?;
        let Some(row) = row else { continue };
        let at_ns: i64 = row.try_get(1)?;
        let (code, signal): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let exit = exit_of(code, signal);
        // A client that ended when it had its answer explains nothing.
        let cut_short = matches!(suspect.outcome, CLIENT_GAVE_UP | SERVER_RESET);
        if who == "client" && !(cut_short && at_ns <= signed(suspect.end_ns)) {
            continue;
        }
        // An end that caused a failure came before the failure was decided.
        let is_after = suspect.outcome == COMPLETE && at_ns > signed(suspect.end_ns);
        let is = if is_after { "known" } else { "cause" };
        findings.push(Finding {
            is,
            after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
            what: format!(
                "the process of its {who} ended (pid {}): {exit}",
                row.try_get::<i64>(0)?
            ),
            id: None,
            captured: row.try_get(4)?,
        });
    }
    Ok(())
}

/// What its own connection met.
fn connection(
    snapshot: &mut Snapshot,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let row = query(
        "SELECT retransmits, close_reason, end_ns, packet_drops, start_ns FROM connection WHERE id = ?",
    )
    .bind(suspect.connection)
    .fetch_optional(snapshot.connection())?;
    let Some(row) = row else { return Ok(()) };
    let id = Some(ConnectionId(unsigned(suspect.connection)).printed(&snapshot.tag()));
    let (retransmits, reason): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
    let end_ns: Option<i64> = row.try_get(2)?;
    let ended_meanwhile =
        end_ns.is_some_and(|end_ns| end_ns <= signed(suspect.end_ns.saturating_add(1_000_000)));
    if suspect.outcome != COMPLETE && ended_meanwhile && reason != "fin" {
        findings.push(Finding {
            is: "cause",
            after_ns: end_ns.map(|end_ns| end_ns.saturating_sub(signed(suspect.start_ns))),
            what: format!("its connection ended: {reason}; get_connection tells the story"),
            id: id.clone(),
            captured: None,
        });
    }
    if retransmits > 0 {
        findings.push(Finding {
            is: "known",
            after_ns: None,
            what: format!("its connection has {retransmits} retransmissions, not all of them in its time perhaps"),
            id: id.clone(),
            captured: None,
        });
    }
    let (drops, start_ns): (Option<&str>, i64) = (row.try_get(3)?, row.try_get(4)?);
    // What was left in a queue when the socket closed is dropped too, and explains nothing.
    let until = signed(suspect.end_ns).saturating_sub(start_ns);
    let meanwhile = |drop: &str| {
        let first = drop
            .rsplit(':')
            .next()
            .and_then(|first| first.parse::<i64>().ok());
        first.is_some_and(|first| first <= until)
    };
    if drops.is_some_and(|drops| drops.split(',').any(meanwhile)) {
        findings.push(Finding {
            is: "known",
            after_ns: None,
            what:
                "this machine's kernel dropped packets of its connection: get_connection says why"
                    .to_owned(),
            id,
            captured: None,
        });
    }
    findings.extend(handshakes::of_its_own(
        snapshot,
        suspect,
        unsigned(start_ns),
    )?);
    Ok(())
}

/// Connections that the server tried to make and could not; gives their ids.
fn attempts(
    snapshot: &mut Snapshot,
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<Vec<i64>, QueryError> {
    let rows = query(
        "SELECT c.id, c.start_ns, c.close_reason, s.name, c.server_port, c.server_address, EXISTS (SELECT 1 FROM connection o \
         WHERE o.id BETWEEN c.id - ?5 AND c.id + ?5 AND o.client_process_id = ?3 AND o.server_port = c.server_port AND o.start_ns >= c.start_ns \
         AND o.start_ns <= ?2 AND o.close_reason NOT IN ('refused', 'timed_out', 'unreachable', 'gave_up')) FROM connection c LEFT JOIN service s ON s.id = c.server_service_id \
         WHERE c.start_ns BETWEEN ?1 AND ?2 AND c.close_reason IN ('refused', 'timed_out', 'unreachable', 'gave_up') \
         AND c.client_process_id = ?3 ORDER BY c.start_ns LIMIT ?4",
    )
    .bind(signed(suspect.start_ns))
    .bind(signed(suspect.end_ns))
    .bind(process)
    .bind(MOST_FINDINGS)
    .bind(NEAR_ATTEMPTS)
    .fetch_all(snapshot.connection())?;
    let (tag, mut ids) = (snapshot.tag(), Vec::new());
    for row in rows {
        ids.push(row.try_get(0)?);
        let at_ns: i64 = row.try_get(1)?;
        // As with a name that has an address of IPv6 where nobody listens, and one of IPv4.
        let (is, but) = if row.try_get(6)? {
            ("known", ", and another to that port came about".to_owned())
        } else {
            whose(others)
        };
        let address = with_port(row.try_get(5)?, narrow(row.try_get(4)?));
        let name: Option<String> = row.try_get(3)?;
        let name = name.map_or_else(
            || address.clone(),
            |name| with_port(&name, narrow(row.try_get::<i64>(4).unwrap_or(0))),
        );
        findings.push(Finding {
            is,
            after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
            what: format!(
                "a connection that its server's process tried to make meanwhile: {}{but}",
                row.try_get::<&str>(2)?
            ),
            id: Some(ConnectionId(unsigned(row.try_get(0)?)).printed(&tag)),
            captured: Some(if name == address {
                address
            } else {
                format!("{name} at {address}")
            }),
        });
    }
    Ok(ids)
}

/// What a process did is the suspect's where it answered nothing else meanwhile.
pub(super) fn whose(others: usize) -> (&'static str, String) {
    match others {
        0 => ("cause", String::new()),
        1 => (
            "known",
            ", for this or perhaps for another exchange that it was answering".to_owned(),
        ),
        many => (
            "known",
            format!(", for this or for one of {many} others that it was answering"),
        ),
    }
}

/// Connections of the server whose content nobody can read here.
fn not_read(
    snapshot: &mut Snapshot,
    suspect: &Node,
    process: i64,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let sql = format!(
        "SELECT COALESCE(c.network_protocol_name, ''), s.name, s.port, COUNT(*), MIN(c.id) FROM connection c \
         LEFT JOIN service s ON s.id = c.server_service_id WHERE c.id BETWEEN ?1 - ?5 AND ?1 + ?5 AND c.client_process_id = ?2 \
         AND c.start_ns <= ?3 AND (c.end_ns IS NULL OR c.end_ns >= ?4) \
         AND COALESCE(c.network_protocol_name, '') NOT IN ('http', 'http2', 'websocket', 'dns') \
         AND c.close_reason NOT IN ('refused', 'timed_out', 'unreachable', 'gave_up') \
         AND NOT EXISTS (SELECT 1 FROM connection_tls t WHERE t.connection_id = c.id AND (t.error_kind IS NOT NULL OR {})) \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT ?6",
        handshakes::IS_WAITED_FOR
    );
    let rows = query(sql)
        .bind(suspect.connection)
        .bind(process)
        .bind(signed(suspect.end_ns))
        .bind(signed(suspect.start_ns))
        .bind(NEAR_CONNECTIONS)
        .bind(MOST_FINDINGS)
        .fetch_all(snapshot.connection())?;
    let tag = snapshot.tag();
    for row in rows {
        let protocol: String = row.try_get(0)?;
        let name: Option<String> = row.try_get(1)?;
        let port: Option<i64> = row.try_get(2)?;
        let what = match protocol.as_str() {
            "tls" => "encrypted (TLS)",
            _ => "in a protocol that is not read here",
        };
        findings.push(Finding {
            is: "not_seen",
            after_ns: None,
            what: format!("its server's process had {} connections meanwhile {what}: what passed there may be the cause", row.try_get::<i64>(3)?),
            id: Some(ConnectionId(unsigned(row.try_get(4)?)).printed(&tag)),
            captured: name.map(|name| with_port(&name, narrow(port.unwrap_or(0)))),
        });
    }
    Ok(())
}

const COMPLETE: i64 = 0;
const CLIENT_GAVE_UP: i64 = 2;
const SERVER_RESET: i64 = 3;
/// What comes so soon after belongs to it.
pub(super) const AFTER_NS: u64 = 1_000_000_000;
/// Connections that are looked at for another try, before and after one that failed.
const NEAR_ATTEMPTS: i64 = 200;
/// Of each kind.
pub(super) const MOST_FINDINGS: i64 = 5;
/// Connections that are looked at for what is not read, before and after the suspect's own.
pub(super) const NEAR_CONNECTIONS: i64 = 20_000;
