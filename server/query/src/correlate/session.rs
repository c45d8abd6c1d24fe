//! `get_session`: what one client did, as a time line.
//!
//! Owns: the way from one id of it to the next, and the time line. What an exchange says of ids is in `session_ids`. An exchange that another one of the session caused is left out: proxies hand cookies on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use headwater_redact::Redactor;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::db::query;
use crate::id::ExchangeId;
use crate::integer::unsigned;
use crate::names::{ServiceNames, json_list};
use crate::recorder::{Runs, everything};
use crate::search::secret::Secrets;
use crate::snapshot::Snapshot;
use crate::{Answer, CoverageItem, QueryError, outcome, segments};

use super::fields::Templates;
use super::header_names::{HeaderNames, Purpose};
use super::lookup::{Index, is_id};
use super::node::{self, Hash, Node};
use super::session_ids::{carried_in, hashes, session_values, told_by};
use super::{remark, without_key};

/// Whose session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionQuery {
    /// The plain value of a session's cookie, token or key, or the printed id of an exchange that carries one.
    pub id: String,
    /// Exchanges at most (1 to 200), the newest.
    pub limit: u32,
}

/// One exchange of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Printable id.
    pub id: String,
    /// Start, nanoseconds since the epoch.
    pub start_ns: u64,
    /// Calling service. Untrusted.
    pub client: String,
    /// Its address, without the port.
    pub client_address: Option<String>,
    /// Answering service. Untrusted.
    pub server: String,
    /// Untrusted.
    pub method: Option<String>,
    /// Path, redacted. Untrusted.
    pub path: Option<String>,
    /// Status code.
    pub status_code: Option<u16>,
    /// Outcome name.
    pub outcome: &'static str,
    /// First request byte to last response byte.
    pub latency_ns: u64,
    /// What is worth a word, in words made by Headwater.
    pub events: Vec<&'static str>,
}

/// What one client did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// Where its id stands: a header's name, or `cookie NAME`. Untrusted.
    pub carriers: Vec<String>,
    /// How many ids it had, one after the other.
    pub ids: usize,
    /// How many exchanges hold them, as far as looked at.
    pub exchanges: usize,
    /// How many more do, which others of them caused: proxies hand ids on.
    pub handed_on: usize,
    /// Of the exchanges, how many failed.
    pub failures: usize,
    /// Its time line, oldest first.
    pub rows: Vec<SessionRow>,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &SessionQuery,
) -> Result<Answer<Session>, QueryError> {
    let limit = crate::search::checked_limit(query.limit)?;
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let redactor = Secrets::load(store, snapshot.opened.key_fingerprint.as_deref()).redactor();
    let redactor = redactor.as_ref();
    let mut templates = Templates::default();
    let first = first_values(snapshot, &segments, redactor, &mut templates, &query.id)?;
    let is_without_key = first.is_none();
    let first = first.unwrap_or_default();
    let mut followed = follow(snapshot, &segments, redactor, &mut templates, first)?;
    let outermost = outermost(&followed.nodes);
    let exchanges = outermost.len();
    let handed_on = followed.nodes.len() - exchanges;
    let failures = outermost.iter().filter(|node| node.has_failed()).count();
    let window = match (outermost.first(), outermost.last()) {
        (Some(first), Some(last)) => Window {
            since_ns: first.start_ns,
            until_ns: last.end_ns.min(snapshot.now_ns).max(last.start_ns),
        },
        _ => everything(snapshot, &runs)?,
    };
    let mut rows = rows(snapshot, &outermost, &mut templates, &mut followed.events)?;
    let skipped = rows.len().saturating_sub(limit);
    followed.is_cut |= skipped > 0;
    if let Some(first) = rows.first_mut().filter(|_| !followed.is_cut) {
        first.events.insert(0, "first seen");
    }
    let mut remarks = followed.remarks(window);
    if is_without_key {
        remarks.push(without_key(window));
    }
    let empty = rows.is_empty();
    let value = Session {
        carriers: followed.carriers.into_iter().collect(),
        ids: followed.known.len(),
        exchanges,
        handed_on,
        failures,
        rows: rows.into_iter().skip(skipped).collect(),
    };
    Framed {
        about: About::Http,
        value,
        empty,
        window,
        next_cursor: None,
        remarks,
    }
    .finish(snapshot, &runs, &segments)
}

/// What was found from id to id.
#[derive(Default)]
struct Followed {
    nodes: BTreeMap<i64, Node>,
    known: Vec<Hash>,
    carriers: BTreeSet<String>,
    events: BTreeMap<i64, Vec<&'static str>>,
    /// Not all exchanges of an id were looked at.
    is_cut: bool,
    /// Not all ids were followed.
    has_later_ids: bool,
}

impl Followed {
    fn remarks(&self, window: Window) -> Vec<CoverageItem> {
        let later = format!(
            "It had more than {MOST_VALUES} ids; the later ones were not followed, so that its newest exchanges are missing."
        );
        let older = "More exchanges belong to this session than are told: these are the newest.";
        let told = [(self.has_later_ids, later), (self.is_cut, older.to_owned())];
        told.into_iter()
            .filter_map(|(is_so, words)| is_so.then(|| remark(window, "transaction_cut", words)))
            .collect()
    }
}

/// The exchanges that hold these values, and those that servers set in their place.
fn follow(
    snapshot: &mut Snapshot,
    segments: &[segments::Segment],
    redactor: Option<&Redactor>,
    templates: &mut Templates,
    first: Vec<Hash>,
) -> Result<Followed, QueryError> {
    let index = Index::open(snapshot, segments, redactor)?;
    let mut followed = Followed {
        is_cut: index.is_cut,
        ..Followed::default()
    };
    let mut next = first;
    while !next.is_empty() {
        snapshot.check()?;
        followed.known.extend(&next);
        let found = index.look_up(snapshot, &next, MOST_EXCHANGES, None)?;
        followed.is_cut |= found.values().any(|ids| ids.len() > MOST_EXCHANGES);
        let ids: BTreeSet<i64> = found
            .into_values()
            .flatten()
            .filter(|id| !followed.nodes.contains_key(id))
            .collect();
        followed.is_cut |= ids.len() > MOST_EXCHANGES;
        let newest: BTreeSet<i64> = ids.into_iter().rev().take(MOST_EXCHANGES).collect();
        let mut successors = BTreeSet::new();
        for node in node::load(snapshot, segments, redactor, &newest)? {
            if !next.iter().any(|value| node.holds(*value)) {
                continue;
            }
            let [request, response] = templates.fields(snapshot, &node)?;
            let carried = next.iter().flat_map(|value| carried_in(&request, *value));
            followed.carriers.extend(carried);
            let told = told_by(&request, &response, &followed.known);
            successors.extend(told.successors);
            followed
                .events
                .entry(node.id)
                .or_default()
                .extend(told.events);
            followed.nodes.insert(node.id, node);
        }
        let room = MOST_VALUES.saturating_sub(followed.known.len());
        followed.has_later_ids |= successors.len() > room;
        next = successors.into_iter().take(room).collect();
    }
    Ok(followed)
}

/// The values that the question means; `None` where the key is needed and is not at hand.
fn first_values(
    snapshot: &mut Snapshot,
    segments: &[segments::Segment],
    redactor: Option<&Redactor>,
    templates: &mut Templates,
    text: &str,
) -> Result<Option<Vec<Hash>>, QueryError> {
    let text = text.trim();
    if !is_id(snapshot, text)? {
        if text.len() < 4 {
            return Err(QueryError::Argument {
                argument: "id",
                problem: "give the plain value of a session's cookie, token or key, of at least 4 characters, or the id (x_…) of an exchange \
                          that carries one"
                    .to_owned(),
            });
        }
        let value = |redactor: &Redactor| {
            redactor
                .identifiers_of(text.as_bytes())
                .into_iter()
                .take(1)
                .collect()
        };
        return Ok(redactor.map(value));
    }
    let number = crate::exchange::number(snapshot, segments, text)?;
    let nodes = node::load(snapshot, segments, redactor, &BTreeSet::from([number]))?;
    let names = HeaderNames::load(snapshot, Purpose::Session)?;
    for node in &nodes {
        let [request, response] = templates.fields(snapshot, node)?;
        let asked = session_values(&request, &names);
        let given = session_values(&response, &names);
        // What it brought along, or was given.
        if let Some(value) = asked.first().or(given.first()) {
            return Ok(Some(vec![*value]));
        }
    }
    Err(QueryError::Argument {
        argument: "id",
        problem: "that exchange carries nothing that is known to name a session (a session cookie, a bearer token, an API key, \
                  Mcp-Session-Id, a header that the recorder was told of with --session-header); give the plain value that does"
            .to_owned(),
    })
}

/// Those that no other of them caused, oldest first.
fn outermost(nodes: &BTreeMap<i64, Node>) -> Vec<&Node> {
    let mut by_start: Vec<&Node> = nodes.values().collect();
    by_start.sort_by_key(|node| (node.start_ns, node.id));
    let is_caused = |node: &Node| by_start.iter().any(|cause| cause.may_cause(node));
    by_start
        .iter()
        .copied()
        .filter(|node| !is_caused(node))
        .collect()
}

fn rows(
    snapshot: &mut Snapshot,
    nodes: &[&Node],
    templates: &mut Templates,
    events: &mut BTreeMap<i64, Vec<&'static str>>,
) -> Result<Vec<SessionRow>, QueryError> {
    let services = nodes
        .iter()
        .flat_map(|node| [node.client.service, node.server.service]);
    let names = ServiceNames::load(snapshot, services.collect())?;
    let connections = json_list(
        nodes
            .iter()
            .map(|node| node.connection)
            .collect::<BTreeSet<_>>(),
    );
    let found = query(
        "SELECT id, client_address FROM connection WHERE id IN (SELECT value FROM json_each(?))",
    )
    .bind(connections)
    .fetch_all(snapshot.connection())?;
    let mut addresses: HashMap<i64, String> = HashMap::new();
    for row in found {
        addresses.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let tag = snapshot.tag();
    let (mut address_before, mut identity_before) = (None, None);
    let mut rows = Vec::with_capacity(nodes.len());
    for node in nodes {
        let mut told = events.remove(&node.id).unwrap_or_default();
        let address = addresses.get(&node.connection).cloned();
        // Calls of one gateway come from its address, whoever asked it.
        if address_before.is_some() && address.is_some() && address_before != address {
            told.push("another client address");
        }
        address_before = address.clone().or(address_before);
        let [request, _] = templates.fields(snapshot, node)?;
        let bearer = request
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case("authorization"));
        let identity = bearer.and_then(|field| hashes(&field.value.text).next());
        if identity_before.is_some() && identity.is_some() && identity_before != identity {
            told.push("another credential");
        }
        identity_before = identity.or(identity_before);
        match node.status {
            Some(401) => told.push("not logged in, or no longer"),
            Some(403) => told.push("forbidden"),
            _ => {}
        }
        rows.push(SessionRow {
            id: ExchangeId(unsigned(node.id)).printed(&tag),
            start_ns: node.start_ns,
            client: names.of(node.client.service).shown,
            client_address: address,
            server: names.of(node.server.service).shown,
            method: node.method.clone(),
            path: node.path.clone(),
            status_code: node.status,
            outcome: outcome::name(node.outcome),
            latency_ns: node
                .end_ns
                .min(snapshot.now_ns)
                .saturating_sub(node.start_ns),
            events: told,
        });
    }
    Ok(rows)
}

/// Exchanges of one id that are looked at, the newest.
const MOST_EXCHANGES: usize = 500;
/// Ids of one session.
const MOST_VALUES: usize = 16;
