//! What the suspect of `explain_failure` asked DNS for while it was under way.

use crate::db::{query, query_as};
use crate::exchange::span;
use crate::id::DnsId;
use crate::integer::{signed, unsigned};
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::{QueryError, outcome};

use super::findings::{AFTER_NS, Finding, MOST_FINDINGS, whose};
use super::node::Node;

/// Names that the server asked for and that were not found.
pub(super) fn not_found(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let tag = snapshot.tag();
    let from_ns = signed(suspect.start_ns.saturating_sub(AFTER_NS));
    // What is told late lies in the next segment.
    for segment in segments::beside(segments, suspect.segment, 1) {
        let number = segment.number;
        // The last of each name, those of its own time first.
        let sql = format!(
            "SELECT MAX(id), start_ns, error_kind, dns_question_name FROM dns_exchange_{number} WHERE start_ns BETWEEN ?1 AND ?2 \
             AND error_kind IS NOT NULL AND client_process_id = ?3 GROUP BY dns_question_name ORDER BY start_ns < ?5, start_ns DESC LIMIT ?4"
        );
        let rows = query(sql)
            .bind(from_ns)
            .bind(signed(suspect.end_ns))
            .bind(process)
            .bind(MOST_FINDINGS)
            .bind(signed(suspect.start_ns))
            .fetch_all(snapshot.connection())?;
        for row in rows {
            let (id, name): (i64, Option<String>) = (row.try_get(0)?, row.try_get(3)?);
            // Resolvers try a name with every suffix, and most of these do not exist; or they ask for both families at once.
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM dns_rows({number}) WHERE start_ns BETWEEN ?1 AND ?2 AND client_process_id = ?3 \
                 AND error_kind IS NULL AND address_count > 0), EXISTS (SELECT 1 FROM dns_rows({number}) WHERE id BETWEEN ?4 - ?5 AND ?4 - 1 \
                 AND dns_question_name = ?6 AND start_ns < ?1 AND error_kind IS NULL AND address_count > 0)"
            );
            let (was_found, before): (bool, bool) = query_as(sql)
                .bind(row.try_get::<i64>(1)?.saturating_sub(AT_ONCE_NS))
                .bind(signed(suspect.end_ns))
                .bind(process)
                .bind(id)
                .bind(NEAR_QUESTIONS)
                .bind(name)
                .fetch_one(snapshot.connection())?;
            let (is, mut but) = if was_found {
                ("known", ", and another name was found".to_owned())
            } else {
                whose(others)
            };
            if before && !was_found {
                but.push_str("; it had been found before");
            }
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

/// Questions for names that took most of the time.
pub(super) fn slow(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    let tag = snapshot.tag();
    let until_ns = suspect.end_ns.min(snapshot.now_ns);
    for segment in segments::beside(segments, suspect.segment, 1) {
        let sql = format!(
            "SELECT id, start_ns, end_delta_ns, dns_question_name FROM dns_rows({}) WHERE start_ns BETWEEN ?1 AND ?2 \
             AND client_process_id = ?3 AND end_delta_ns * 2 > ?2 - ?1 AND start_ns + end_delta_ns <= ?2 ORDER BY end_delta_ns DESC LIMIT 2",
            segment.number
        );
        let rows = query(sql)
            .bind(signed(suspect.start_ns))
            .bind(signed(until_ns))
            .bind(process)
            .fetch_all(snapshot.connection())?;
        for row in rows {
            let (is, but) = whose(others);
            let at_ns: i64 = row.try_get(1)?;
            findings.push(Finding {
                is,
                after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
                what: format!(
                    "a name that its server's process asked for meanwhile took most of the time: {}{but}",
                    span(unsigned(row.try_get(2)?))
                ),
                id: Some(DnsId(unsigned(row.try_get(0)?)).printed(&tag)),
                captured: row.try_get(3)?,
            });
        }
    }
    Ok(())
}

/// Questions of one look-up.
const AT_ONCE_NS: i64 = 50_000_000;
/// Questions before that are looked at for an answer to the same.
const NEAR_QUESTIONS: i64 = 50_000;
