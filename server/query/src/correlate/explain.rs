//! `explain_failure`: from a symptom to the deepest hop that failed, and what is known below it.
//!
//! Owns: the choice of the suspect, and what is looked for around it. Says what was found, what was ruled out and what could
//! not be seen; the words are Headwater's, captured text stands apart.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::{AssertSqlSafe, Row};

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::exchange::{ProcessExit, span};
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::integer::{narrow, signed, unsigned};
use crate::names::{ServiceNames, with_port};
use crate::recorder::Runs;
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, outcome, segments};

use super::node::{Node, OPEN};
use super::{Confidence, Hop, Traced, everything, tree};

/// Something that is known of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `cause`, `known` (which may or may not bear on it), `ruled_out` or `not_seen`.
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

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failure {
    /// What was asked about, in words made by Headwater.
    pub symptom: String,
    /// Where it failed first, in words made by Headwater.
    pub verdict: String,
    /// Printable id of the exchange that failed first, or took the time.
    pub suspect: Option<String>,
    /// Service that answered it. Untrusted.
    pub suspect_service: Option<String>,
    /// From the symptom down to the suspect.
    pub chain: Vec<Hop>,
    /// What is known of the suspect.
    pub findings: Vec<Finding>,
}

/// Answers the question.
pub(crate) async fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    id: &str,
) -> Result<Answer<Failure>, QueryError> {
    let runs = Runs::load(snapshot).await?;
    let segments = segments::all(snapshot).await?;
    let traced = Traced::trace(snapshot, &segments, store, id).await?;
    let Some(symptom) = symptom(&traced) else {
        let window = everything(snapshot, &runs).await?;
        return Framed {
            about: About::Http,
            value: Failure::default(),
            empty: true,
            window,
            next_cursor: None,
            remarks: traced.remarks(window),
        }
        .finish(snapshot, &runs, &segments)
        .await;
    };
    let chain = chain(&traced, symptom);
    let suspect = chain.last().copied().unwrap_or(symptom);
    let hops = tree::path(snapshot, &traced, &chain).await?;
    let services = [suspect.server.service, suspect.client.service];
    let names = ServiceNames::load(snapshot, services.into()).await?;
    let tag = snapshot.tag();
    let mut findings = Vec::new();
    around(snapshot, &segments, &traced, suspect, &mut findings).await?;
    let window = Window {
        since_ns: symptom.start_ns,
        until_ns: symptom.end_ns.min(snapshot.now_ns).max(symptom.start_ns),
    };
    let value = Failure {
        symptom: words_of(symptom, snapshot.now_ns),
        verdict: verdict(&traced, (symptom, suspect), &hops, &findings),
        suspect: Some(ExchangeId(unsigned(suspect.id)).printed(&tag)),
        suspect_service: Some(names.of(suspect.server.service).shown),
        chain: hops,
        findings,
    };
    Framed {
        about: About::Http,
        value,
        empty: false,
        window,
        next_cursor: None,
        remarks: traced.remarks(window),
    }
    .finish(snapshot, &runs, &segments)
    .await
}

/// Of what was named the newest that failed, or the newest.
fn symptom(traced: &Traced) -> Option<&Node> {
    let named = || {
        let ids = traced.gathered.named.iter();
        ids.filter_map(|id| traced.gathered.nodes.get(id))
    };
    // Of one transaction the outermost: what it caused is found from there.
    let newest = |nodes: Vec<&'_ Node>| {
        nodes
            .into_iter()
            .max_by_key(|node| (node.start_ns, node.id))
            .map(|node| node.id)
    };
    let failed: Vec<&Node> = named().filter(|node| node.has_failed()).collect();
    let tops: Vec<&Node> = failed
        .iter()
        .filter(|node| {
            let cause = traced.cause(node.id);
            !cause.is_some_and(|cause| failed.iter().any(|other| other.id == cause))
        })
        .copied()
        .collect();
    let id = newest(tops).or_else(|| newest(named().collect()))?;
    traced.gathered.nodes.get(&id)
}

/// From the symptom to the deepest that failed; where nothing failed, to the one that took the time.
fn chain<'t>(traced: &'t Traced, symptom: &'t Node) -> Vec<&'t Node> {
    let mut chain = vec![symptom];
    let mut seen = BTreeSet::from([symptom.id]);
    while let Some(last) = chain.last().copied() {
        let caused = traced.caused(last.id);
        let next = if symptom.has_failed() {
            // As bad as the symptom: a 404 below a 502 may well be in order. Of several the last: an answer waits for it.
            let failed = caused
                .into_iter()
                .filter(|node| node.severity() >= symptom.severity().max(1))
                // What failed later explains nothing.
                .filter(|node| node.end_ns <= last.end_ns);
            failed.max_by_key(|node| (node.severity(), node.end_ns, node.id))
        } else {
            // While most of its time is spent below.
            let slowest = caused.into_iter().max_by_key(|node| node.lasted_ns());
            slowest.filter(|node| node.lasted_ns().saturating_mul(2) > last.lasted_ns())
        };
        match next {
            Some(next) if seen.insert(next.id) => chain.push(next),
            _ => return chain,
        }
    }
    chain
}

/// What happened to an exchange.
fn words_of(node: &Node, now_ns: u64) -> String {
    let lasted = span(node.end_ns.min(now_ns).saturating_sub(node.start_ns));
    match (node.error_kind, node.outcome) {
        (Some(kind), 0) => format!("{} after {lasted}", outcome::failure(kind)),
        (Some(kind), ended) => format!(
            "{} ({}) after {lasted}",
            outcome::failure(kind),
            outcome::name(ended)
        ),
        (None, ended) => format!("no failure: {}, {lasted}", outcome::name(ended)),
    }
}

fn verdict(
    traced: &Traced,
    (symptom, suspect): (&Node, &Node),
    hops: &[Hop],
    findings: &[Finding],
) -> String {
    let causes = findings
        .iter()
        .filter(|finding| finding.is == "cause")
        .count();
    let below = match causes {
        0 => String::new(),
        1 => " One thing is known below it that may well be the cause: see findings.".to_owned(),
        many => {
            format!(" {many} things are known below it that may well be the cause: see findings.")
        }
    };
    let is_weak = |hop: &Hop| {
        let confidence = hop.link.as_ref().map(|link| link.confidence);
        confidence == Some(Confidence::Weak)
    };
    let (perhaps, weakly) = if hops.iter().any(is_weak) {
        ("Perhaps it", ", by a weak link, which may be chance")
    } else {
        ("It", "")
    };
    if !symptom.has_failed() {
        let part = if suspect.id == symptom.id {
            "it was spent in the suspect service itself, or in what it did that could not be seen"
                .to_owned()
        } else {
            format!("most of it was spent at the suspect, below{weakly}")
        };
        return format!("Nothing failed. Of its time {part}.{below}");
    }
    if suspect.id == symptom.id {
        let has_failed = traced
            .caused(suspect.id)
            .iter()
            .any(|node| node.has_failed());
        let called = if has_failed {
            "what the suspect called meanwhile failed too, but later or less badly: see findings"
        } else {
            "nothing that the suspect called meanwhile is known to have failed"
        };
        return format!(
            "It failed at this hop first, as far as it could be seen: {called}.{below}"
        );
    }
    let hops = match hops.len().saturating_sub(1) {
        1 => "one hop".to_owned(),
        many => format!("{many} hops"),
    };
    format!(
        "{perhaps} failed {hops} below first, at the suspect{weakly}; what is above it failed after that.{below}"
    )
}

/// Looks at what the suspect's server did and met while it was under way.
async fn around(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    traced: &Traced,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let tag = snapshot.tag();
    let after = |at_ns: i64| Some(at_ns.saturating_sub(signed(suspect.start_ns)));
    process_ends(snapshot, suspect, findings).await?;
    connection(snapshot, suspect, findings).await?;
    match suspect.server.process {
        Some(process) => {
            let others = traced.gathered.under_way(process, suspect.start_ns, suspect.end_ns);
            // Where not all was looked at, there may have been others.
            let is_unsure = !traced.gathered.has_seen(process, suspect, suspect);
            let others = others.saturating_sub(1).max(usize::from(is_unsure));
            attempts(snapshot, suspect, (process, others), findings).await?;
            names_not_found(snapshot, segments, suspect, (process, others), findings).await?;
            not_read(snapshot, suspect, process, findings).await?;
        }
        None => findings.push(Finding {
            is: "not_seen",
            after_ns: None,
            what: "the process that answered is not on this machine, or is not known: what it called cannot be tied to this".to_owned(),
            id: None,
            captured: None,
        }),
    }
    let caused = traced.caused(suspect.id);
    for node in caused
        .iter()
        .filter(|node| node.has_failed())
        .take(MOST_OTHERS)
    {
        findings.push(Finding {
            is: "known",
            after_ns: after(signed(node.start_ns)),
            what: format!(
                "an exchange that it made meanwhile: {}",
                words_of(node, snapshot.now_ns)
            ),
            id: Some(ExchangeId(unsigned(node.id)).printed(&tag)),
            captured: node.path.clone(),
        });
    }
    let (good, outlasting): (Vec<&Node>, Vec<&Node>) = caused
        .into_iter()
        .filter(|node| !node.has_failed())
        .partition(|node| node.outcome != OPEN && node.end_ns <= suspect.end_ns);
    for node in outlasting.iter().take(MOST_OTHERS) {
        let lasted = node
            .end_ns
            .min(snapshot.now_ns)
            .saturating_sub(node.start_ns);
        findings.push(Finding {
            is: "known",
            after_ns: after(signed(node.start_ns)),
            what: format!(
                "an exchange that it made meanwhile went on when this was over: {}, as far as known",
                span(lasted)
            ),
            id: Some(ExchangeId(unsigned(node.id)).printed(&tag)),
            captured: node.path.clone(),
        });
    }
    if let Some(slowest) = good.iter().max_by_key(|node| node.lasted_ns()) {
        findings.push(Finding {
            is: "ruled_out",
            after_ns: after(signed(slowest.start_ns)),
            what: match good.len() {
                1 => format!(
                    "what it called meanwhile ended well, after {}",
                    span(slowest.lasted_ns())
                ),
                many => format!(
                    "{many} exchanges that it made meanwhile ended well, the slowest after {}",
                    span(slowest.lasted_ns())
                ),
            },
            id: Some(ExchangeId(unsigned(slowest.id)).printed(&tag)),
            captured: slowest.path.clone(),
        });
    }
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

/// Ends of the two processes.
async fn process_ends(
    snapshot: &mut Snapshot,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    for (who, end) in [("server", suspect.server), ("client", suspect.client)] {
        let row = sqlx::query("SELECT pid, end_ns, exit_code, exit_signal, executable_name FROM process WHERE id = ? AND end_ns BETWEEN ? AND ?")
            .bind(end.process)
            .bind(signed(suspect.start_ns))
            .bind(signed(suspect.end_ns.saturating_add(AFTER_NS)))
            .fetch_optional(snapshot.connection())
            .await?;
        let Some(row) = row else { continue };
        let at_ns: i64 = row.try_get(1)?;
        let (code, signal): (Option<i64>, Option<i64>) = (row.try_get(2)?, row.try_get(3)?);
        let exit = match (code, signal) {
            (_, Some(signal)) => ProcessExit::Signal(narrow(signal)).to_string(),
            (Some(code), None) => ProcessExit::Code(narrow(code)).to_string(),
            (None, None) => "nobody saw how".to_owned(),
        };
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
                row.try_get::<i64, _>(0)?
            ),
            id: None,
            captured: row.try_get(4)?,
        });
    }
    Ok(())
}

/// What its own connection met.
async fn connection(
    snapshot: &mut Snapshot,
    suspect: &Node,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let row = sqlx::query(
        "SELECT retransmits, close_reason, end_ns, packet_drops, start_ns FROM connection WHERE id = ?",
    )
    .bind(suspect.connection)
    .fetch_optional(snapshot.connection())
    .await?;
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
    Ok(())
}

/// Connections that the server tried to make and could not.
async fn attempts(
    snapshot: &mut Snapshot,
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let rows = sqlx::query(
        "SELECT c.id, c.start_ns, c.close_reason, s.name, s.port, EXISTS (SELECT 1 FROM connection o \
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
    .fetch_all(snapshot.connection())
    .await?;
    let tag = snapshot.tag();
    for row in rows {
        let at_ns: i64 = row.try_get(1)?;
        // As with a name that has an address of IPv6 where nobody listens, and one of IPv4.
        let (is, but) = if row.try_get(5)? {
            ("known", ", and another to that port came about".to_owned())
        } else {
            whose(others)
        };
        let name: Option<String> = row.try_get(3)?;
        let port: Option<i64> = row.try_get(4)?;
        findings.push(Finding {
            is,
            after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
            what: format!(
                "a connection that its server's process tried to make meanwhile: {}{but}",
                row.try_get::<&str, _>(2)?
            ),
            id: Some(ConnectionId(unsigned(row.try_get(0)?)).printed(&tag)),
            captured: name.map(|name| with_port(&name, narrow(port.unwrap_or(0)))),
        });
    }
    Ok(())
}

/// What a process did is the suspect's where it answered nothing else meanwhile.
fn whose(others: usize) -> (&'static str, String) {
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

/// Names that the server asked for and that were not found.
async fn names_not_found(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let tag = snapshot.tag();
    let from_ns = signed(suspect.start_ns.saturating_sub(AFTER_NS));
    // What is told late lies in the next segment.
    for segment in segments
        .iter()
        .filter(|segment| (segment.number - suspect.segment).abs() <= 1)
    {
        let number = segment.number;
        let sql = format!(
            "SELECT id, start_ns, error_kind, dns_question_name FROM dns_exchange_{number} WHERE start_ns BETWEEN ? AND ? \
             AND error_kind IS NOT NULL AND client_process_id = ? ORDER BY start_ns LIMIT ?"
        );
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(from_ns)
            .bind(signed(suspect.end_ns))
            .bind(process)
            .bind(MOST_FINDINGS)
            .fetch_all(snapshot.connection())
            .await?;
        if rows.is_empty() {
            continue;
        }
        // Resolvers try a name with every suffix, and most of these do not exist.
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM dns_rows({number}) WHERE start_ns BETWEEN ? AND ? AND client_process_id = ? \
             AND error_kind IS NULL AND address_count > 0)"
        );
        let was_found: bool = sqlx::query_scalar(AssertSqlSafe(sql))
            .bind(from_ns)
            .bind(signed(suspect.end_ns))
            .bind(process)
            .fetch_one(snapshot.connection())
            .await?;
        for row in rows {
            let (is, but) = if was_found {
                ("known", ", and another name was found".to_owned())
            } else {
                whose(others)
            };
            let at_ns: i64 = row.try_get(1)?;
            findings.push(Finding {
                is,
                after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
                what: format!(
                    "a name that its server's process asked for: {}{but}",
                    outcome::failure(row.try_get(2)?)
                ),
                id: Some(DnsId(unsigned(row.try_get(0)?)).printed(&tag)),
                captured: row.try_get(3)?,
            });
        }
    }
    Ok(())
}

/// Connections of the server whose content nobody can read here.
async fn not_read(
    snapshot: &mut Snapshot,
    suspect: &Node,
    process: i64,
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let rows = sqlx::query(
        "SELECT COALESCE(c.network_protocol_name, ''), s.name, s.port, COUNT(*), MIN(c.id) FROM connection c \
         LEFT JOIN service s ON s.id = c.server_service_id WHERE c.id BETWEEN ?1 - ?5 AND ?1 + ?5 AND c.client_process_id = ?2 \
         AND c.start_ns <= ?3 AND (c.end_ns IS NULL OR c.end_ns >= ?4) \
         AND COALESCE(c.network_protocol_name, '') NOT IN ('http', 'http2', 'websocket', 'dns') \
         AND c.close_reason NOT IN ('refused', 'timed_out', 'unreachable', 'gave_up') \
         GROUP BY 1, 2, 3 ORDER BY 4 DESC LIMIT ?6",
    )
    .bind(suspect.connection)
    .bind(process)
    .bind(signed(suspect.end_ns))
    .bind(signed(suspect.start_ns))
    .bind(NEAR_CONNECTIONS)
    .bind(MOST_FINDINGS)
    .fetch_all(snapshot.connection())
    .await?;
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
            what: format!("its server's process had {} connections meanwhile {what}: what passed there may be the cause", row.try_get::<i64, _>(3)?),
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
const AFTER_NS: u64 = 1_000_000_000;
/// Exchanges below the suspect that are told one by one.
const MOST_OTHERS: usize = 3;
/// Connections that are looked at for another try, before and after one that failed.
const NEAR_ATTEMPTS: i64 = 200;
/// Of each kind.
const MOST_FINDINGS: i64 = 5;
/// Connections that are looked at for what is not read, before and after the suspect's own.
const NEAR_CONNECTIONS: i64 = 20_000;
