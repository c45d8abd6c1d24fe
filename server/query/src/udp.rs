//! UDP flows that carry no DNS: by time, service and the name that a client of QUIC gave.
//!
//! Owns: the question and its conditions.

use std::collections::BTreeSet;
use std::path::Path;

use crate::coverage::{About, Framed};
use crate::db::Row;
use crate::icmp::kinds_in_words;
use crate::integer::{narrow, unsigned};
use crate::names::{ServiceNames, with_port};
use crate::newest::{Conditions, Newest, Source};
use crate::recorder::Runs;
use crate::search::secret::Secrets;
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, WindowArgument, segments};

/// What to look for. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UdpQuery {
    /// When.
    pub window: WindowArgument,
    /// Name of the service that was sent to, or part of it; `name:port` is exact.
    pub service: Option<String>,
    /// Name of the service that sent first, or part of it.
    pub peer: Option<String>,
    /// Text that the server name of QUIC contains; with a leading `=` exact; `*` is a wildcard.
    pub name: Option<String>,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// One flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpRow {
    /// First datagram.
    pub start_ns: u64,
    /// First to last datagram.
    pub duration_ns: u64,
    /// Who sent first. Untrusted.
    pub client: String,
    /// Untrusted.
    pub server: String,
    /// Address and port.
    pub client_address: String,
    /// Process that sent first.
    pub client_pid: Option<u32>,
    /// Address and port.
    pub server_address: String,
    /// Datagrams and bytes of payload that the client sent.
    pub client_sent: (u64, u64),
    /// Those of the server.
    pub server_sent: (u64, u64),
    /// Version of QUIC; none when it is not QUIC.
    pub quic_version: Option<u32>,
    /// Name of the server in the client's first message, redacted. Untrusted.
    pub tls_server_name: Option<String>,
    /// Errors that ICMP told of it, in words.
    pub icmp: Option<String>,
}

/// Answers a search.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &UdpQuery,
) -> Result<Answer<Vec<UdpRow>>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let question = format!(
        "{:?}",
        UdpQuery {
            limit: 0,
            cursor: None,
            ..query.clone()
        }
    );
    let cursor = query.cursor.as_deref();
    let page = Newest::read(
        snapshot,
        &runs,
        &query.window,
        query.limit,
        cursor,
        &question,
    )?;
    let conditions = read(snapshot, store, query)?;
    let source = Source {
        columns: "r.*, (SELECT p.pid FROM process p WHERE p.id = r.client_process_id) AS pid",
        plain: "udp_flow",
        packed: None,
    };
    let (rows, next_cursor) = page.rows(snapshot, &segments, &source, &conditions)?;
    let value = told(snapshot, &rows)?;
    let empty = value.is_empty();
    Framed {
        about: About::Everything,
        value,
        empty,
        window: page.window,
        next_cursor,
        remarks: Vec::new(),
    }
    .finish(snapshot, &runs, &segments)
}

/// Reads the conditions.
fn read(snapshot: &mut Snapshot, store: &Path, query: &UdpQuery) -> Result<Conditions, QueryError> {
    let mut conditions = Conditions::default();
    conditions.add_services(snapshot, query.service.as_deref(), query.peer.as_deref())?;
    if let Some(name) = &query.name {
        let patterns = Secrets::load(store, snapshot.opened.key_fingerprint.as_deref())
            .host_patterns(&name.to_ascii_lowercase());
        let clauses: Vec<&str> = patterns
            .iter()
            .map(|_| "r.tls_server_name GLOB ?")
            .collect();
        conditions.add(&format!("({})", clauses.join(" OR ")), patterns);
    }
    Ok(conditions)
}

fn told(snapshot: &mut Snapshot, rows: &[Row]) -> Result<Vec<UdpRow>, QueryError> {
    let mut services = BTreeSet::new();
    for row in rows {
        services.extend([
            row.try_get::<i64>("client_service_id")?,
            row.try_get("server_service_id")?,
        ]);
    }
    let names = ServiceNames::load(snapshot, services)?;
    rows.iter().map(|row| line(row, &names)).collect()
}

fn line(row: &Row, names: &ServiceNames) -> Result<UdpRow, QueryError> {
    let count = |column: &str| row.try_get::<i64>(column).map(unsigned);
    let address = |end: &str| -> Result<String, QueryError> {
        let port = row.try_get::<i64>(format!("{end}_port").as_str())?;
        Ok(with_port(
            row.try_get(format!("{end}_address").as_str())?,
            narrow(port),
        ))
    };
    let sent = |end: &str| -> Result<(u64, u64), QueryError> {
        Ok((
            count(&format!("{end}_packets"))?,
            count(&format!("{end}_bytes"))?,
        ))
    };
    let pid: Option<i64> = row.try_get("pid")?;
    let version: Option<i64> = row.try_get("quic_version")?;
    Ok(UdpRow {
        start_ns: count("start_ns")?,
        duration_ns: count("last_delta_ns")?,
        client: names.of(row.try_get("client_service_id")?).shown,
        server: names.of(row.try_get("server_service_id")?).shown,
        client_address: address("client")?,
        client_pid: pid.map(narrow),
        server_address: address("server")?,
        client_sent: sent("client")?,
        server_sent: sent("server")?,
        quic_version: version.map(narrow),
        tls_server_name: row.try_get("tls_server_name")?,
        icmp: row
            .try_get::<Option<&str>>("icmp")?
            .and_then(kinds_in_words),
    })
}
