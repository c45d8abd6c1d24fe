//! What the servers of some exchanges did while they had them to answer: traits that stand in none of their own fields.
//!
//! An event loop does many things at once, so that what it asked is linked to none of them. Yet what failed each time that others
//! failed, and never when they did not, bears on them.
//!
//! Owns: what is read for that, and its bounds. Whether it tells the failing from the good is for `traits` to say.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};

use headwater_redact::render_headers;

use crate::QueryError;
use crate::answer::Window;
use crate::db::{Row, query};
use crate::exchange::template;
use crate::integer::{signed, unsigned};
use crate::names::{ServiceNames, json_list, method_and_route, routes};
use crate::outcome;
use crate::search::{LATENCY, PATH};
use crate::segments::{self, Chunk, Segment};
use crate::snapshot::Snapshot;
use crate::traits::{Aspect, Sample};

use super::gather::CHUNK_SHIFT;
use super::node::OPEN;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Meanwhile {
    /// What was asked for, by sample.
    calls: HashMap<i64, Vec<Call>>,
    /// So much happened that nothing was compared.
    pub(super) is_too_much: bool,
}

/// Something that the server of a sample asked for meanwhile, for it or for others.
#[derive(Debug)]
pub(super) struct Call {
    /// The exchange.
    pub(super) id: i64,
    /// Service, method and route.
    place: String,
    /// What the trait says of it.
    pub(super) text: String,
    has_failed: bool,
}

/// An exchange that one of the servers asked for, or answered.
struct Event {
    id: i64,
    start_ns: i64,
    end_ns: i64,
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

impl Meanwhile {
    /// Adds the traits to those samples whose server is known.
    pub(super) fn add(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        samples: &mut [Sample],
    ) -> Result<Self, QueryError> {
        let mut found = Self::default();
        let Some(events) = read(snapshot, segments, samples)? else {
            found.is_too_much = true;
            return Ok(found);
        };
        let names =
            ServiceNames::load(snapshot, events.iter().map(|event| event.service).collect())?;
        let templates = routes(snapshot, events.iter().map(|event| event.route).collect())?;
        let place = |event: &Event| {
            let template = templates.get(&event.route).map(String::as_str);
            method_and_route(&event.method, template.or(Some(&event.path)))
        };
        let (mut asked, mut answered) = (HashMap::new(), HashMap::new());
        for event in &events {
            for (process, all) in [(event.client, &mut asked), (event.server, &mut answered)] {
                if let Some(process) = process {
                    let of_process: &mut Vec<&Event> = all.entry(process).or_default();
                    of_process.push(event);
                }
            }
        }
        for sample in samples {
            let Some(process) = sample.server_process else {
                continue;
            };
            let (id, from_ns, to_ns) = (sample.id, sample.start_ns, sample.end_ns);
            let asked: &[&Event] = asked.get(&process).map_or(&[], Vec::as_slice);
            let mut calls = asked
                .iter()
                .filter(|event| (from_ns..=to_ns).contains(&event.start_ns))
                .peekable();
            if calls.peek().is_none() {
                sample.add(Aspect::CalledNobody, String::new());
            }
            for event in calls {
                let place = format!("{} {}", names.of(event.service).shown, place(event));
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
                sample.add(aspect, text.clone());
                found.calls.entry(id).or_default().push(Call {
                    id: event.id,
                    place,
                    text,
                    has_failed: aspect == Aspect::CallFailed,
                });
            }
            let beside: &[&Event] = answered.get(&process).map_or(&[], Vec::as_slice);
            for event in beside.iter().filter(|event| {
                event.id != id && event.start_ns <= from_ns && from_ns < event.end_ns
            }) {
                sample.add(Aspect::Beside, place(event));
            }
        }
        Ok(found)
    }

    /// The exchange that a sample's trait is about, if it is about one.
    pub(super) fn call(&self, sample: i64, text: &str) -> Option<i64> {
        let of_text = self.of(sample).iter().find(|call| call.text == text);
        of_text.map(|call| call.id)
    }

    /// What failed meanwhile of an earlier sample, and was not asked for meanwhile of another.
    pub(super) fn failed_once(&self, earlier: i64, sample: i64) -> Option<&Call> {
        let is_asked_again = |call: &Call| {
            self.of(sample)
                .iter()
                .any(|other| other.place == call.place)
        };
        let mut failed = self.of(earlier).iter().filter(|call| call.has_failed);
        failed.find(|call| !is_asked_again(call))
    }

    fn of(&self, sample: i64) -> &[Call] {
        self.calls.get(&sample).map_or(&[], Vec::as_slice)
    }
}

/// What the servers of samples asked for and answered while these were under way; `None` where that is too much.
fn read(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    samples: &[Sample],
) -> Result<Option<Vec<Event>>, QueryError> {
    let servers: BTreeSet<i64> = samples
        .iter()
        .filter_map(|sample| sample.server_process)
        .collect();
    let now_ns = signed(snapshot.now_ns);
    let spans: Vec<(i64, i64)> = samples
        .iter()
        .map(|sample| {
            let since_ns = sample.start_ns.saturating_sub(LOOK_BACK_NS);
            (since_ns, sample.end_ns.min(now_ns).max(sample.start_ns))
        })
        .collect();
    let (Some(since_ns), Some(until_ns)) = (
        spans.iter().map(|(since_ns, _)| *since_ns).min(),
        spans.iter().map(|(_, until_ns)| *until_ns).max(),
    ) else {
        return Ok(Some(Vec::new()));
    };
    let window = Window {
        since_ns: unsigned(since_ns),
        until_ns: unsigned(until_ns),
    };
    let mut chunks = segments::chunks(snapshot, segments, window, CHUNK_SHIFT)?;
    let is_met = |chunk: &Chunk| {
        spans.iter().any(|(since_ns, until_ns)| {
            *since_ns <= chunk.max_start_ns && chunk.min_start_ns <= *until_ns
        })
    };
    chunks.retain(is_met);
    if chunks.iter().map(|chunk| chunk.ids).sum::<u64>() > MOST_IDS {
        return Ok(None);
    }
    let mut events = Vec::new();
    for chunk in chunks {
        snapshot.check()?;
        events.extend(of_chunk(snapshot, &chunk, &servers)?);
        if events.len() > MOST {
            return Ok(None);
        }
    }
    Ok(Some(events))
}

fn of_chunk(
    snapshot: &mut Snapshot,
    chunk: &Chunk,
    servers: &BTreeSet<i64>,
) -> Result<Vec<Event>, QueryError> {
    let segment = chunk.segment;
    let sql = format!(
        "WITH own AS MATERIALIZED (SELECT value AS process FROM json_each(?1)) \
         SELECT e.id, e.start_ns, e.start_ns + {LATENCY} AS end_ns, c.client_process_id, c.server_process_id, \
         e.server_service_id, COALESCE(e.route_id, 0) AS route_id, e.http_request_method, {PATH} AS path, e.http_response_status_code, \
         e.error_kind, e.outcome, e.response_header_block_id, e.response_header_holes \
         FROM exchange_rows({segment}) e JOIN connection c ON c.id = e.connection_id WHERE e.id BETWEEN ?2 AND ?3 \
         AND (c.client_process_id IN (SELECT process FROM own) OR c.server_process_id IN (SELECT process FROM own))"
    );
    let rows = query(sql)
        .bind(json_list(servers.iter().copied()))
        .bind(chunk.first_id)
        .bind(chunk.last_id)
        .fetch_all(snapshot.connection())?;
    let (mut templates, mut events) = (HashMap::new(), Vec::with_capacity(rows.len()));
    for row in &rows {
        let mut event = event(row)?;
        // Of what was asked alone.
        let is_asked = event.client.is_some_and(|client| servers.contains(&client));
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
    Ok(Event {
        id: row.try_get("id")?,
        start_ns: row.try_get("start_ns")?,
        end_ns: match row.try_get("outcome")? {
            OPEN => i64::MAX,
            _ => row.try_get("end_ns")?,
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

/// What was under way when a sample began is looked for among what began so shortly before.
const LOOK_BACK_NS: i64 = 500_000_000;
/// Exchanges that are looked through,
const MOST_IDS: u64 = 200_000;
/// and those of the servers among them.
const MOST: usize = 40_000;
