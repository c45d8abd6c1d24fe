//! What the server of an exchange did while it had that one to answer: traits that stand in none of its own fields.
//!
//! An event loop does many things at once, so that what it asked is linked to none of them. Yet what failed each time that others
//! failed, and never when they did not, bears on them.
//!
//! Owns: what is read for that, and its bounds. Whether it tells the failing from the good is for `traits` to say.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use headwater_redact::render_headers;

use crate::QueryError;
use crate::db::{Row, query};
use crate::exchange::template;
use crate::integer::unsigned;
use crate::names::{ServiceNames, json_list, method_and_route, routes};
use crate::outcome;
use crate::search::PATH;
use crate::snapshot::Snapshot;
use crate::traits::{Aspect, Sample};

/// An exchange that one of the servers asked for, or answered.
struct Event {
    id: i64,
    start_ns: u64,
    end_ns: u64,
    client: Option<i64>,
    server: Option<i64>,
    service: i64,
    route: i64,
    method: String,
    path: String,
    status: Option<i64>,
    error: Option<i64>,
    content_type: Option<String>,
}

/// Adds the traits to samples of one segment, of those whose server is known; what was asked for is remembered by its trait in `found`.
pub(super) fn add(
    snapshot: &mut Snapshot,
    segment: i64,
    samples: &mut [Sample],
    found: &mut BTreeMap<(i64, String), i64>,
) -> Result<(), QueryError> {
    let (Some(first), Some(last)) = (
        samples.iter().map(|sample| sample.id).min(),
        samples.iter().map(|sample| sample.id).max(),
    ) else {
        return Ok(());
    };
    let own = json_list(samples.iter().map(|sample| sample.id));
    let events = read(snapshot, segment, (first, last), &own)?;
    if events.len() >= usize::try_from(MOST).unwrap_or(usize::MAX) {
        // What is not all there would make differences.
        return Ok(());
    }
    let names = ServiceNames::load(snapshot, events.iter().map(|event| event.service).collect())?;
    let templates = routes(snapshot, events.iter().map(|event| event.route).collect())?;
    let by_id: HashMap<i64, &Event> = events.iter().map(|event| (event.id, event)).collect();
    let (mut asked, mut answered) = (BTreeMap::new(), BTreeMap::new());
    for event in &events {
        for (process, all) in [(event.client, &mut asked), (event.server, &mut answered)] {
            if let Some(process) = process {
                let of_process: &mut Vec<&Event> = all.entry(process).or_default();
                of_process.push(event);
            }
        }
    }
    for sample in samples {
        let Some(own) = by_id.get(&sample.id) else {
            continue;
        };
        let Some(process) = own.server else {
            continue;
        };
        let asked: &[&Event] = asked.get(&process).map_or(&[], Vec::as_slice);
        let is_meanwhile =
            |event: &&&Event| own.start_ns <= event.start_ns && event.start_ns <= own.end_ns;
        let mut calls_nobody = true;
        for event in asked.iter().filter(is_meanwhile) {
            calls_nobody = false;
            let template = templates.get(&event.route).map(String::as_str);
            let place = format!(
                "{} {}",
                names.of(event.service).shown,
                method_and_route(&event.method, template.or(Some(&event.path)))
            );
            let (aspect, text) = match (event.error, event.status) {
                (Some(kind), _) => (
                    Aspect::CallFailed,
                    format!("{place}: {}", outcome::failure(kind)),
                ),
                (None, Some(status)) => {
                    let of_type = event.content_type.as_deref().unwrap_or("no content-type");
                    (Aspect::CallAnswered, format!("{place}: {status} {of_type}"))
                }
                (None, None) => continue,
            };
            found.insert((sample.id, text.clone()), event.id);
            sample.add(aspect, text);
        }
        if calls_nobody {
            sample.add(Aspect::CalledNobody, String::new());
        }
        let beside: &[&Event] = answered.get(&process).map_or(&[], Vec::as_slice);
        let is_beside = |event: &&&Event| {
            event.id != own.id && event.start_ns <= own.start_ns && own.start_ns < event.end_ns
        };
        for event in beside.iter().filter(is_beside) {
            let template = templates.get(&event.route).map(String::as_str);
            let text = method_and_route(&event.method, template.or(Some(&event.path)));
            sample.add(Aspect::Beside, text);
            let end = |path: &str| path.rsplit('/').next().map(str::to_owned);
            if own.path.contains('/') && end(&own.path) == end(&event.path) {
                sample.add(Aspect::BesideSame, String::new());
            }
        }
    }
    Ok(())
}

/// What the servers of some exchanges asked for and answered, those among it, about the same ids.
fn read(
    snapshot: &mut Snapshot,
    segment: i64,
    (first, last): (i64, i64),
    own: &str,
) -> Result<Vec<Event>, QueryError> {
    let sql = format!(
        "WITH own AS MATERIALIZED (SELECT DISTINCT c.server_process_id AS process FROM exchange_rows({segment}) e \
         JOIN connection c ON c.id = e.connection_id WHERE e.id IN (SELECT value FROM json_each(?1)) AND c.server_process_id IS NOT NULL) \
         SELECT e.id, e.start_ns, e.start_ns + COALESCE(e.response_end_delta_ns, e.end_delta_ns) AS end_ns, c.client_process_id, c.server_process_id, \
         e.server_service_id, COALESCE(e.route_id, 0) AS route_id, e.http_request_method, {PATH} AS path, e.http_response_status_code, e.error_kind, \
         e.outcome, e.response_header_block_id, e.response_header_holes FROM exchange_rows({segment}) e JOIN connection c ON c.id = e.connection_id \
         WHERE e.id BETWEEN ?2 AND ?3 AND (c.client_process_id IN (SELECT process FROM own) OR c.server_process_id IN (SELECT process FROM own)) \
         LIMIT ?4"
    );
    let rows = query(sql)
        .bind(own)
        .bind(first.saturating_sub(BEFORE))
        .bind(last.saturating_add(BEHIND))
        .bind(MOST)
        .fetch_all(snapshot.connection())?;
    snapshot.check()?;
    let (mut templates, mut events) = (HashMap::new(), Vec::with_capacity(rows.len()));
    let clients: BTreeSet<i64> = rows
        .iter()
        .filter_map(|row| row.try_get::<Option<i64>>("server_process_id").ok()?)
        .collect();
    for row in &rows {
        let mut event = event(row)?;
        // Of what was asked alone.
        let is_asked = event.client.is_some_and(|client| clients.contains(&client));
        if is_asked && let Some(block) = row.try_get::<Option<i64>>("response_header_block_id")? {
            let template = match templates.entry(block) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(template(snapshot, segment, block)?.unwrap_or_default())
                }
            };
            let holes: Option<&[u8]> = row.try_get("response_header_holes")?;
            let fields = render_headers(template, holes.unwrap_or_default());
            let mut fields = fields.into_iter();
            let field = fields.find(|field| field.name.eq_ignore_ascii_case("content-type"));
            event.content_type = field.map(|field| field.value.text);
        }
        events.push(event);
    }
    Ok(events)
}

fn event(row: &Row) -> Result<Event, QueryError> {
    let outcome: i64 = row.try_get("outcome")?;
    Ok(Event {
        id: row.try_get("id")?,
        start_ns: unsigned(row.try_get("start_ns")?),
        end_ns: match outcome {
            super::node::OPEN => u64::MAX,
            _ => unsigned(row.try_get("end_ns")?),
        },
        client: row.try_get("client_process_id")?,
        server: row.try_get("server_process_id")?,
        service: row.try_get("server_service_id")?,
        route: row.try_get("route_id")?,
        method: row
            .try_get::<Option<String>>("http_request_method")?
            .unwrap_or_default(),
        path: row.try_get::<Option<String>>("path")?.unwrap_or_default(),
        status: row.try_get("http_response_status_code")?,
        error: row.try_get("error_kind")?,
        content_type: None,
    })
}

/// Ids before the first sample and behind the last that may be of what happened meanwhile: they grow in the order of ends.
const BEFORE: i64 = 4_096;
const BEHIND: i64 = 1_024;
const MOST: i64 = 40_000;
