//! `search_exchanges`: rows by time, service, peer, method, path, status, header, latency, outcome.
//!
//! Owns: the question, the page and its cursor. Conditions are in `filter` and `header`, the order of rows in `scan`.

pub(crate) mod caused;
pub(crate) mod filter;
mod header;
pub(crate) mod pattern;
mod scan;
pub(crate) mod secret;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::cursor;
use crate::db::query;
use crate::id::ExchangeId;
use crate::integer::{narrow, signed, unsigned};
use crate::names::{ServiceNames, json_list};
use crate::recorder::Runs;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::{Reference, rfc3339};
use crate::{Answer, CoverageItem, QueryError, WindowArgument, outcome};

use filter::Filter;
use header::HeaderFilter;
use scan::{Behind, Place, Scan};

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchOrder {
    /// By start time, descending.
    #[default]
    Newest,
    /// By latency, descending.
    Slowest,
}

/// What to look for. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SearchQuery {
    /// When.
    pub window: WindowArgument,
    /// Name of the service that answers, or part of it; `name:port` is exact.
    pub service: Option<String>,
    /// Name of the service that calls, or part of it.
    pub peer: Option<String>,
    /// Request method, exact.
    pub method: Option<String>,
    /// Text that the path contains; with a leading `=` exact; `*` is a wildcard.
    pub path: Option<String>,
    /// `404`, `5xx`, `400-499`, or several with commas.
    pub status: Option<String>,
    /// Header name that must be present in request or response, any case.
    pub header_name: Option<String>,
    /// Text that its (redacted) value contains; a plain secret is hashed with the store's key and compared too.
    pub header_value: Option<String>,
    /// Least latency (first request byte to last response byte) in milliseconds.
    pub min_latency_ms: Option<f64>,
    /// `http1`, `http2`, `grpc`, `websocket` or `sse`.
    pub protocol: Option<String>,
    /// Outcome names: complete, open, client_gave_up, server_reset, server_closed, timed_out, truncated, malformed, request_not_seen; `failed` for those between the two sides: not complete, open, truncated or request_not_seen.
    pub outcome: Option<String>,
    /// Exchanges of this process or its descendants only.
    pub process_tree: Option<u32>,
    /// Exchanges of processes in a cgroup whose folder has this name, or below it; with `process_tree`, either is enough.
    pub cgroup: Option<String>,
    /// Order.
    pub order: SearchOrder,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
    /// Only exchanges committed after this id (printable): how `wait_s` waits for the next match.
    pub after: Option<String>,
}

/// One exchange in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ExchangeRow {
    /// Printable id, `x_…`.
    pub id: String,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Calling service. Untrusted.
    pub client: String,
    /// Answering service. Untrusted.
    pub server: String,
    /// Untrusted.
    pub method: Option<String>,
    /// Path, redacted. Untrusted.
    pub path: Option<String>,
    /// Status code.
    pub status_code: Option<u16>,
    /// First request byte to last response byte (or to the end as far as known).
    pub latency_ns: Option<u64>,
    /// Outcome name.
    pub outcome: &'static str,
    /// Response body bytes on the wire.
    pub response_body_bytes: Option<u64>,
    /// Names of what could not be seen of it.
    pub gaps: Vec<&'static str>,
}

/// Answers a search.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &SearchQuery,
) -> Result<Answer<Vec<ExchangeRow>>, QueryError> {
    let limit = checked_limit(query.limit)?;
    let runs = Runs::load(snapshot)?;
    let reference = runs.reference(snapshot)?;
    let question = question(query);
    let (window, behind) = begin(query, question, reference)?;
    let secrets = filter::secrets(snapshot, store, query);
    let forms = query
        .header_value
        .as_deref()
        .map_or_else(Vec::new, |value| secrets.header_forms(value));
    let mut remarks = Vec::from_iter(secrets.remark(window, query));
    let filter = Filter::read(snapshot, query, &secrets)?;
    let segments = segments::all(snapshot)?;
    let mut scan = Scan {
        order: query.order,
        window,
        headers: HeaderFilter::new(query, forms),
        behind: behind.map(|(key, id)| Behind {
            // Of a segment that is gone since: as the oldest, so that nothing is repeated.
            clock_epoch: match query.order {
                SearchOrder::Newest => {
                    segments::holding(&segments, id).map_or(0, |segment| segment.clock_epoch)
                }
                SearchOrder::Slowest => 0,
            },
            key,
            id,
        }),
        want: limit + 1,
        best: BTreeSet::new(),
        limited_to_ns: None,
        filter,
    };
    if !scan.filter.nothing {
        let chunks = segments::chunks(snapshot, &segments, window, CHUNK_SHIFT)?;
        scan.run(snapshot, &chunks)?;
    }
    remarks.extend(scan.limited_to_ns.map(|to_ns| scan_limited(window, to_ns)));
    let mut places: Vec<Place> = scan.best.into_iter().rev().collect();
    let more = places.len() > limit;
    places.truncate(limit);
    let next_cursor = places.last().filter(|_| more).map(|last| {
        let length_ns = window.until_ns - window.since_ns;
        cursor::encode(
            question,
            [
                window.since_ns,
                length_ns,
                unsigned(last.key),
                unsigned(last.id),
            ],
        )
    });
    let value = rows(snapshot, &segments, &places)?;
    let empty = value.is_empty();
    Framed {
        about: About::Http,
        value,
        empty,
        window,
        next_cursor,
        remarks,
    }
    .finish(snapshot, &runs, &segments)
}

/// The window, and key and id of the last row of the page before.
fn begin(
    query: &SearchQuery,
    question: u32,
    reference: Reference,
) -> Result<(Window, Option<(i64, i64)>), QueryError> {
    let Some(text) = &query.cursor else {
        return Ok((query.window.resolve(reference)?, None));
    };
    let [since_ns, length_ns, key, id] = cursor::decode(question, text)?;
    let window = Window::from_cursor(since_ns, length_ns)?;
    Ok((window, Some((signed(key), signed(id)))))
}

/// The number of rows asked for.
///
/// # Errors
/// `Argument` when it is not 1 to 200.
pub(crate) fn checked_limit(limit: u32) -> Result<usize, QueryError> {
    usize::try_from(limit)
        .ok()
        .filter(|limit| (1..=200).contains(limit))
        .ok_or_else(|| QueryError::Argument {
            argument: "limit",
            problem: "give a number from 1 to 200".to_owned(),
        })
}

fn question(query: &SearchQuery) -> u32 {
    cursor::question(&format!(
        "{:?}",
        SearchQuery {
            limit: 0,
            cursor: None,
            ..query.clone()
        }
    ))
}

fn scan_limited(window: Window, to_ns: i64) -> CoverageItem {
    CoverageItem {
        kind: "scan_limited".to_owned(),
        from_ns: window.since_ns,
        until_ns: unsigned(to_ns),
        count: 1,
        explanation: format!(
            "The window holds more than two million exchanges: only those since about {} were compared for the slowest. \
             Take a shorter window to see the others.",
            rfc3339(unsigned(to_ns))
        ),
    }
}

fn rows(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    places: &[Place],
) -> Result<Vec<ExchangeRow>, QueryError> {
    let mut found = BTreeMap::new();
    for segment in segments {
        let ids: Vec<i64> = places
            .iter()
            .filter(|place| place.segment == segment.number)
            .map(|place| place.id)
            .collect();
        if ids.is_empty() {
            continue;
        }
        let sql = format!(
            "SELECT e.id, e.client_service_id, e.server_service_id, e.start_ns, {LATENCY}, e.outcome, {PATH}, \
             e.http_request_method, e.http_response_status_code, e.http_response_body_size, e.gaps \
             FROM exchange_rows({}) e WHERE e.id IN (SELECT value FROM json_each(?))",
            segment.number
        );
        let rows = query(sql)
            .bind(json_list(ids))
            .fetch_all(snapshot.connection())?;
        for row in rows {
            found.insert(row.try_get::<i64>(0)?, row);
        }
    }
    let mut services = BTreeSet::new();
    for row in found.values() {
        services.extend([row.try_get::<i64>(1)?, row.try_get(2)?]);
    }
    let names = ServiceNames::load(snapshot, services)?;
    let tag = snapshot.tag();
    let in_order = places.iter().filter_map(|place| found.get(&place.id));
    in_order
        .map(|row| {
            let outcome: i64 = row.try_get(5)?;
            let latency: i64 = row.try_get(4)?;
            Ok(ExchangeRow {
                id: ExchangeId(unsigned(row.try_get(0)?)).printed(&tag),
                start_ns: unsigned(row.try_get(3)?),
                client: names.of(row.try_get(1)?).shown,
                server: names.of(row.try_get(2)?).shown,
                method: row.try_get(7)?,
                path: row.try_get(6)?,
                status_code: row.try_get::<Option<i64>>(8)?.map(narrow),
                latency_ns: (outcome != REQUEST_NOT_SEEN).then(|| unsigned(latency)),
                outcome: outcome::name(outcome),
                response_body_bytes: row.try_get::<Option<i64>>(9)?.map(unsigned),
                gaps: outcome::gaps(row.try_get(10)?),
            })
        })
        .collect()
}

/// First request byte to last response byte, or to the end as far as known.
pub(crate) const LATENCY: &str = "COALESCE(e.response_end_delta_ns, e.end_delta_ns)";
/// The path; of CONNECT, whose target has none, the authority.
pub(crate) const PATH: &str = "CASE e.target_form WHEN 2 THEN e.url_authority ELSE e.url_path END";
const REQUEST_NOT_SEEN: i64 = 8;
/// Chunks of at least 8,192 ids.
const CHUNK_SHIFT: u32 = 13;
