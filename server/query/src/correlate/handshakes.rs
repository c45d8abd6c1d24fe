//! Handshakes of TLS that failed around a suspect of `explain_failure`.

use crate::QueryError;
use crate::db::query;
use crate::id::ConnectionId;
use crate::integer::{narrow, signed, unsigned};
use crate::names::with_port;
use crate::snapshot::Snapshot;
use crate::tls::Tls;

use super::findings::{Finding, MOST_FINDINGS, NEAR_CONNECTIONS, whose};
use super::node::Node;

/// A handshake that goes on, of which nothing but the client's beginning has passed.
pub(super) const IS_WAITED_FOR: &str =
    "t.error_kind IS NULL AND t.tls_version IS NULL AND c.end_ns IS NULL AND c.server_bytes = 0";

/// Connections that the suspect's server tried to make meanwhile, on which no handshake came about.
pub(super) fn failed(
    snapshot: &mut Snapshot,
    suspect: &Node,
    (process, others): (i64, usize),
    findings: &mut Vec<Finding>,
) -> Result<(), QueryError> {
    // By the ids near its own: there is no index by process.
    let sql = format!(
        "SELECT c.id, c.start_ns, s.name, c.server_port, c.server_address FROM connection_tls t NOT INDEXED \
         CROSS JOIN connection c ON c.id = t.connection_id LEFT JOIN service s ON s.id = c.server_service_id \
         WHERE t.connection_id BETWEEN ?1 - ?5 AND ?1 + ?5 AND (t.error_kind IS NOT NULL OR {IS_WAITED_FOR}) \
         AND c.client_process_id = ?2 AND c.start_ns BETWEEN ?3 AND ?4 ORDER BY c.start_ns LIMIT ?6"
    );
    let rows = query(sql)
        .bind(suspect.connection)
        .bind(process)
        .bind(signed(suspect.start_ns))
        .bind(signed(suspect.end_ns))
        .bind(NEAR_CONNECTIONS)
        .bind(MOST_FINDINGS)
        .fetch_all(snapshot.connection())?;
    let tag = snapshot.tag();
    for row in rows {
        let (id, at_ns): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let Some(tls) = Tls::load(snapshot, id, unsigned(at_ns))? else {
            continue;
        };
        let (is, but) = whose(others);
        let port = narrow(row.try_get(3)?);
        let address = with_port(row.try_get(4)?, port);
        let name: Option<&str> = row.try_get(2)?;
        let name = name.map(|name| with_port(name, port));
        let what = match tls.explained() {
            Some(why) => format!("came to nothing{but}: {why}"),
            None => {
                format!("still waited for an answer to its TLS ClientHello when that was over{but}")
            }
        };
        findings.push(Finding {
            is,
            after_ns: Some(at_ns.saturating_sub(signed(suspect.start_ns))),
            what: format!("a connection that its server's process made meanwhile {what}"),
            id: Some(ConnectionId(unsigned(id)).printed(&tag)),
            captured: Some(match name {
                Some(name) if name != address => format!("{name} at {address}"),
                _ => address,
            }),
        });
    }
    Ok(())
}

/// What the suspect's own connection met: a server that speaks TLS, or a tunnel in which no handshake came about.
pub(super) fn of_its_own(
    snapshot: &mut Snapshot,
    suspect: &Node,
    start_ns: u64,
) -> Result<Option<Finding>, QueryError> {
    let tls = Tls::load(snapshot, suspect.connection, start_ns)?;
    Ok(tls.and_then(|tls| tls.explained()).map(|what| Finding {
        is: "cause",
        after_ns: None,
        what: format!("on its connection, {what}"),
        id: Some(ConnectionId(unsigned(suspect.connection)).printed(&snapshot.tag())),
        captured: None,
    }))
}
