//! Exchanges as the correlation sees them.
//!
//! Owns: reading them, and the identifiers that each holds.

use std::collections::{BTreeMap, BTreeSet};

use headwater_redact::{IdentifierKind, Redactor, hashes_in, identifiers};

use crate::QueryError;
use crate::connection::round_trip_ns;
use crate::db::{Row, query};
use crate::integer::{narrow, unsigned};
use crate::names::json_list;
use crate::outcome;
use crate::search::PATH;
use crate::segments::Segment;
use crate::snapshot::Snapshot;

/// The hash of an identifier.
pub(super) type Hash = [u8; 8];

/// One end of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) process: Option<i64>,
    pub(super) service: i64,
    /// Whether the service is a caller's or a server's, two rows for one program: by this they are the same.
    pub(super) program: i64,
}

impl Who {
    /// Whether both are one process.
    pub(super) fn is_process(self, other: Self) -> bool {
        self.process.is_some() && self.process == other.process
    }

    /// Whether both may be one program: one process, or one service where a process is not known. Many programs have one name.
    pub(super) fn is_program(self, other: Self) -> bool {
        let is_unknown = self.process.is_none() || other.process.is_none();
        self.is_process(other) || is_unknown && self.program == other.program
    }
}

/// A thread that sent a message, by the socket's lock.
pub(super) type Thread = Option<u32>;

/// One exchange.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: i64,
    pub(super) segment: i64,
    pub(super) connection: i64,
    /// Position on its connection, from 0.
    pub(super) ordinal: i64,
    pub(super) start_ns: u64,
    /// The last byte of the response, or when the outcome was decided.
    pub(super) end_ns: u64,
    pub(super) client: Who,
    pub(super) server: Who,
    /// 0 when there is none.
    pub(super) route: i64,
    pub(super) method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) outcome: i64,
    /// As `exchange_N.error_kind`.
    pub(super) error_kind: Option<i64>,
    /// As `exchange_N.gaps`.
    pub(super) gaps: i64,
    /// The least round trip of its connection, as far as it is known.
    pub(super) round_trip_ns: Option<u64>,
    pub(super) asked_by: Thread,
    pub(super) answered_by: Thread,
    /// Ids of the header blocks of request and response, with their holes.
    pub(super) blocks: [(Option<i64>, Vec<u8>); 2],
    pub(super) traces: Vec<Hash>,
    pub(super) spans: Vec<Hash>,
    pub(super) parents: Vec<Hash>,
    /// Whatever else may identify it, of request and response, with the length of its plain form.
    pub(super) values: BTreeMap<Hash, u64>,
}

impl Node {
    /// Whether `self` was under way when `other` began, and `other` is called by whom `self` was answered by.
    pub(super) fn may_cause(&self, other: &Self) -> bool {
        // Of two that begin at once, as clocks of captures have it, the longer one is the cause.
        let is_before = self.start_ns < other.start_ns
            || self.start_ns == other.start_ns && self.end_ns > other.end_ns;
        self.id != other.id
            && is_before
            && other.start_ns <= self.end_ns
            && self.connection != other.connection
            && self.server.is_program(other.client)
    }

    /// Whether `other` asks for the same: proxies strip and add prefixes.
    pub(super) fn is_handed_on_as(&self, other: &Self) -> bool {
        let tail = |path: &Option<String>| {
            path.as_deref()
                .map(|path| path.trim_start_matches('/').to_owned())
        };
        match (tail(&self.path), tail(&other.path)) {
            (Some(one), Some(two)) if !one.is_empty() && !two.is_empty() => {
                self.method == other.method && (one.ends_with(&two) || two.ends_with(&one))
            }
            _ => false,
        }
    }

    /// Whether it is a failure of any kind.
    pub(super) fn has_failed(&self) -> bool {
        self.error_kind.is_some()
    }

    /// How bad a failure is: the client's own fault is less than the server's or the network's.
    pub(super) fn severity(&self) -> u8 {
        match self.error_kind {
            None => 0,
            Some(kind) if outcome::is_error(kind) => 2,
            Some(_) => 1,
        }
    }

    /// From the first to the last byte.
    pub(super) fn lasted_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }

    /// Whether they are of one trace.
    pub(super) fn shares_trace(&self, other: &Self) -> bool {
        self.traces.iter().any(|trace| other.traces.contains(trace))
    }
}

/// Reads exchanges by their ids; those that are gone are left out.
pub(super) fn load(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    redactor: Option<&Redactor>,
    ids: &BTreeSet<i64>,
) -> Result<Vec<Node>, QueryError> {
    let mut nodes = Vec::with_capacity(ids.len());
    for segment in segments {
        let here: Vec<i64> = ids
            .range(segment.first_id..segment.end_id.max(segment.first_id))
            .copied()
            .collect();
        if here.is_empty() {
            continue;
        }
        let sql = format!(
            "SELECT {COLUMNS}, {PATH} AS path FROM exchange_rows({}) e LEFT JOIN connection c ON c.id = e.connection_id {SERVICES} \
             WHERE e.id IN (SELECT value FROM json_each(?))",
            segment.number
        );
        let rows = query(sql)
            .bind(json_list(here))
            .fetch_all(snapshot.connection())?;
        for row in rows {
            nodes.push(read(segment.number, &row, redactor)?);
        }
    }
    Ok(nodes)
}

/// Reads what a process asked and answered in a range of ids: what began from some time on until another, and went on
/// at a third.
pub(super) fn of_process(
    snapshot: &mut Snapshot,
    redactor: Option<&Redactor>,
    (segment, first_id, last_id): (i64, i64, i64),
    [from_ns, to_ns, at_ns]: [i64; 3],
    process: i64,
) -> Result<Vec<Node>, QueryError> {
    let sql = format!(
        "SELECT {COLUMNS}, {PATH} AS path FROM exchange_rows({segment}) e JOIN connection c ON c.id = e.connection_id {SERVICES} \
         WHERE e.id BETWEEN ? AND ? AND e.start_ns BETWEEN ? AND ? \
         AND (e.outcome = {OPEN} OR e.start_ns + COALESCE(e.response_end_delta_ns, e.end_delta_ns) >= ?) \
         AND (c.client_process_id = ? OR c.server_process_id = ?)"
    );
    let rows = query(sql)
        .bind(first_id)
        .bind(last_id)
        .bind(from_ns)
        .bind(to_ns)
        .bind(at_ns)
        .bind(process)
        .bind(process)
        .fetch_all(snapshot.connection())?;
    rows.iter()
        .map(|row| read(segment, row, redactor))
        .collect()
}

fn read(segment: i64, row: &Row, redactor: Option<&Redactor>) -> Result<Node, QueryError> {
    let start_ns = unsigned(row.try_get("start_ns")?);
    let ended: Option<i64> = row.try_get("response_end_delta_ns")?;
    let decided: i64 = row.try_get("end_delta_ns")?;
    let outcome: i64 = row.try_get("outcome")?;
    let end_ns = match outcome {
        // Nobody knows how long it will go on.
        OPEN => u64::MAX,
        _ => start_ns.saturating_add(unsigned(ended.unwrap_or(decided))),
    };
    let evidence: i64 = row.try_get::<Option<i64>>("thread_evidence")?.unwrap_or(0);
    let thread = |column: &str, evidence: i64| -> Result<Thread, QueryError> {
        let thread: Option<i64> = row.try_get(column)?;
        // By the lock alone: a thread that began a turn may have sent for another.
        Ok(thread.filter(|_| evidence & 3 == SOCKET_LOCK).map(narrow))
    };
    let who = |process: &str, service: &str, program: &str| -> Result<Who, QueryError> {
        Ok(Who {
            process: row.try_get(process)?,
            service: row.try_get(service)?,
            program: row.try_get::<Option<i64>>(program)?.unwrap_or(0),
        })
    };
    let bytes = |column: &str| -> Result<Vec<u8>, QueryError> {
        Ok(row.try_get::<Option<Vec<u8>>>(column)?.unwrap_or_default())
    };
    let mut node = Node {
        id: row.try_get("id")?,
        segment,
        connection: row.try_get("connection_id")?,
        ordinal: row.try_get("ordinal")?,
        start_ns,
        end_ns,
        client: who("client_process_id", "client_service_id", "client_program")?,
        server: who("server_process_id", "server_service_id", "server_program")?,
        route: row.try_get::<Option<i64>>("route_id")?.unwrap_or(0),
        method: row.try_get("http_request_method")?,
        path: row.try_get("path")?,
        status: row
            .try_get::<Option<i64>>("http_response_status_code")?
            .map(narrow),
        outcome,
        error_kind: row.try_get("error_kind")?,
        gaps: row.try_get("gaps")?,
        round_trip_ns: round_trip_ns(row.try_get("client_tcp")?, row.try_get("server_tcp")?),
        asked_by: thread("request_thread_id", evidence)?,
        answered_by: thread("response_thread_id", evidence >> 2)?,
        blocks: [
            (
                row.try_get("request_header_block_id")?,
                bytes("request_header_holes")?,
            ),
            (
                row.try_get("response_header_block_id")?,
                bytes("response_header_holes")?,
            ),
        ],
        traces: Vec::new(),
        spans: Vec::new(),
        parents: Vec::new(),
        values: BTreeMap::new(),
    };
    let [(_, request), (_, response)] = &node.blocks;
    let trailers = [
        bytes("request_trailer_holes")?,
        bytes("response_trailer_holes")?,
    ];
    let holes = [
        (request, true),
        (response, false),
        (&trailers[0], false),
        (&trailers[1], false),
    ];
    let mut values = BTreeMap::new();
    for (holes, is_request) in holes {
        for found in identifiers(holes) {
            match found.kind {
                IdentifierKind::Trace if is_request => node.traces.push(found.hash),
                IdentifierKind::Span if is_request => node.spans.push(found.hash),
                IdentifierKind::ParentSpan if is_request => node.parents.push(found.hash),
                IdentifierKind::Value if values.len() < MOST_VALUES => {
                    values.insert(found.hash, found.length);
                }
                // What a server tells of a trace may be another's.
                _ => {}
            }
        }
    }
    // As the index has them: of a path what identifies something, of a query what was hashed of it.
    let form: i64 = row.try_get("target_form")?;
    if let (Some(path), Some(redactor)) = (node.path.as_deref(), redactor)
        && form != AUTHORITY_FORM
    {
        values.extend(redactor.identifiers_in(path).into_iter().take(MOST_VALUES));
    }
    if let Some(query) = row.try_get::<Option<&str>>("url_query")? {
        values.extend(hashes_in(query).take(MOST_VALUES));
    }
    node.values = values;
    Ok(node)
}

const COLUMNS: &str = "e.id, e.connection_id, e.ordinal, e.start_ns, e.response_end_delta_ns, e.end_delta_ns, e.client_service_id, \
    e.server_service_id, e.route_id, e.http_request_method, e.target_form, e.url_query, \
    e.http_response_status_code, e.outcome, e.error_kind, e.gaps, e.request_thread_id, e.response_thread_id, e.thread_evidence, \
    e.request_header_block_id, e.request_header_holes, e.response_header_block_id, e.response_header_holes, \
    e.request_trailer_holes, e.response_trailer_holes, c.client_process_id, c.server_process_id, c.client_tcp, c.server_tcp, \
    cs.program AS client_program, ss.program AS server_program";
/// The first row of the same kind and name stands for all of a program.
const SERVICES: &str = "LEFT JOIN (SELECT s.id, (SELECT MIN(o.id) FROM service o WHERE o.name = s.name AND o.kind = s.kind) AS program \
    FROM service s) cs ON cs.id = e.client_service_id LEFT JOIN (SELECT s.id, (SELECT MIN(o.id) FROM service o WHERE o.name = s.name \
    AND o.kind = s.kind) AS program FROM service s) ss ON ss.id = e.server_service_id";
/// Values of one exchange; the index holds as many of each.
pub(super) const MOST_VALUES: usize = 64;
const SOCKET_LOCK: i64 = 1;
pub(super) const OPEN: i64 = 1;
const AUTHORITY_FORM: i64 = 2;
