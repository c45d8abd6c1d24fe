//! One row of `dns_rows(N)` as it is told.

use std::collections::BTreeSet;

use headwater_protocols::dns;

use super::OUTCOMES;
use crate::db::Row;
use crate::icmp::IcmpError;
use crate::id::{ConnectionId, DnsId};
use crate::integer::{narrow, unsigned};
use crate::names::{ServiceNames, with_port};
use crate::snapshot::Snapshot;
use crate::{QueryError, outcome};

/// One DNS exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRow {
    /// Printable id, `d_…`.
    pub id: String,
    /// The query's first try.
    pub start_ns: u64,
    /// Asking service. Untrusted.
    pub client: String,
    /// Answering service. Untrusted.
    pub server: String,
    /// Name asked for, redacted. Untrusted.
    pub name: Option<String>,
    /// Type, by name.
    pub kind: Option<String>,
    /// Class, by name.
    pub class: Option<String>,
    /// Response code, by name.
    pub rcode: Option<String>,
    /// Outcome name.
    pub outcome: &'static str,
    /// First try to answer, or to the message of ICMP that there will be none.
    pub latency_ns: Option<u64>,
    /// The message of ICMP by which it is unreachable, in words.
    pub icmp: Option<String>,
    /// Addresses in the answer, at most sixteen.
    pub addresses: Vec<String>,
    /// How many addresses there were.
    pub address_count: u64,
    /// What aliases in the answer stand for, redacted. Untrusted.
    pub aliases: Vec<String>,
    /// Records of other types.
    pub other_count: u64,
    /// The least time to live, in seconds.
    pub minimum_ttl_s: Option<u64>,
    /// udp or tcp.
    pub transport: &'static str,
    /// How often the query was sent again.
    pub retries: u64,
    /// Whether the answer did not fit.
    pub truncated: bool,
    /// Address and port of who asked.
    pub client_address: String,
    /// Process that asked.
    pub client_pid: Option<u32>,
    /// none, socket_lock, turn_start, proc.
    pub client_evidence: String,
    /// Address and port of who was asked.
    pub server_address: String,
    /// Printable connection id, over TCP.
    pub connection_id: Option<String>,
}

/// Tells rows that were read by `COLUMNS`.
pub(super) fn told(snapshot: &mut Snapshot, rows: &[Row]) -> Result<Vec<DnsRow>, QueryError> {
    let mut services = BTreeSet::new();
    for row in rows {
        services.extend([row.try_get::<i64>(3)?, row.try_get(4)?]);
    }
    let names = ServiceNames::load(snapshot, services)?;
    let tag = snapshot.tag();
    rows.iter().map(|row| line(row, &names, &tag)).collect()
}

fn line(row: &Row, names: &ServiceNames, tag: &str) -> Result<DnsRow, QueryError> {
    let count = |column: &str| row.try_get::<i64>(column).map(unsigned);
    let code = |column: &str| {
        row.try_get::<Option<i64>>(column)
            .map(|code| code.map(narrow::<u16>))
    };
    let list = |column: &str| {
        row.try_get::<Option<&str>>(column).map(|text| {
            let parts = text.into_iter().flat_map(|text| text.split(','));
            parts.map(str::to_owned).collect::<Vec<_>>()
        })
    };
    let address = |end: &str| -> Result<String, QueryError> {
        let port = row.try_get::<i64>(format!("{end}_port").as_str())?;
        Ok(with_port(
            row.try_get(format!("{end}_address").as_str())?,
            narrow(port),
        ))
    };
    let number: i64 = row.try_get("outcome")?;
    let latency: Option<i64> = row.try_get(2)?;
    let flags: i64 = row.try_get("flags")?;
    let connection: Option<i64> = row.try_get("connection_id")?;
    let pid: Option<i64> = row.try_get("pid")?;
    let ttl: Option<i64> = row.try_get("minimum_ttl_s")?;
    let icmp: Option<&str> = row.try_get("icmp")?;
    let icmp = icmp.and_then(IcmpError::read);
    Ok(DnsRow {
        id: DnsId(unsigned(row.try_get(0)?)).printed(tag),
        start_ns: unsigned(row.try_get(1)?),
        client: names.of(row.try_get(3)?).shown,
        server: names.of(row.try_get(4)?).shown,
        name: row.try_get("dns_question_name")?,
        kind: code("question_type")?.map(|code| dns::Type(code).to_string()),
        class: code("question_class")?.map(|code| dns::Class(code).to_string()),
        rcode: code("rcode")?.map(|code| outcome::rcode(code.into())),
        outcome: name(number),
        latency_ns: latency
            .filter(|_| number != QUERY_NOT_SEEN)
            .map(unsigned)
            .or(icmp.map(|error| error.after_ns)),
        icmp: icmp.map(|error| error.words()),
        addresses: list("dns_answers")?,
        address_count: count("address_count")?,
        aliases: list("aliases")?,
        other_count: count("other_count")?,
        minimum_ttl_s: ttl.map(unsigned),
        transport: if count("network_transport")? == 1 {
            "tcp"
        } else {
            "udp"
        },
        retries: count("retries")?,
        truncated: flags & 2 != 0,
        client_address: address("client")?,
        client_pid: pid.map(narrow),
        client_evidence: row.try_get("client_process_evidence")?,
        server_address: address("server")?,
        connection_id: connection.map(|id| ConnectionId(unsigned(id)).printed(tag)),
    })
}

fn name(outcome: i64) -> &'static str {
    usize::try_from(outcome)
        .ok()
        .and_then(|outcome| OUTCOMES.get(outcome))
        .copied()
        .unwrap_or("unknown")
}

const QUERY_NOT_SEEN: i64 = 3;
/// What is read of each.
pub(super) const COLUMNS: &str = "r.id, r.start_ns, r.answer_delta_ns, r.client_service_id, r.server_service_id, r.client_address, \
    r.client_port, r.server_address, r.server_port, r.client_process_evidence, r.network_transport, r.connection_id, \
    r.dns_question_name, r.question_type, r.question_class, r.retries, r.outcome, r.rcode, r.flags, r.dns_answers, \
    r.address_count, r.aliases, r.other_count, r.minimum_ttl_s, r.icmp, \
    (SELECT p.pid FROM process p WHERE p.id = r.client_process_id) AS pid";
