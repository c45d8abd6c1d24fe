//! `list_services`: who serves and who calls whom, from the roll-ups.
//!
//! Owns: the groups and their ranking, most requests first. Does not read exchanges but one for each row shown, whose
//! connection tells an address and a process, and whose answer may name a gateway.

use std::collections::{BTreeMap, BTreeSet};

use headwater_redact::render_headers;

use crate::coverage::{About, Framed};
use crate::db::query;
use crate::exchange::template;
use crate::integer::narrow;
use crate::names::{ServiceNames, filtered, method_and_route, routes, with_port};
use crate::page::Page;
use crate::quantile::Latencies;
use crate::recorder::Runs;
use crate::rollup::{self, Rollup, Selection};
use crate::segments;
use crate::snapshot::Snapshot;
use crate::{Answer, QueryError, WindowArgument, gateway, outcome};

/// What to list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServicesQuery {
    /// When. Snapped outward to the roll-ups' ten seconds; the answer says the window used.
    pub window: WindowArgument,
    /// Only services whose name contains this (as server or as caller).
    pub service: Option<String>,
    /// One row for each route instead of one for each pair of services.
    pub by_route: bool,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// One service being called by another.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceCall {
    /// Answering service, `name:port`. Untrusted.
    pub server: String,
    /// container, unit, program, host or address.
    pub server_kind: String,
    /// Calling service. Untrusted.
    pub client: String,
    /// Its kind.
    pub client_kind: String,
    /// An address the server was reached at.
    pub address: Option<String>,
    /// A process id of the server, when local and known.
    pub pid: Option<u32>,
    /// The name of that process's executable. Untrusted.
    pub program: Option<String>,
    /// The proxy or API gateway that the server is: a program of that name that calls others in the window or, where the program
    /// is not known, what header fields of its answers name; these too where it is built on that program, as Kong is on nginx.
    pub gateway: Option<&'static str>,
    /// Method and route when listed by route. Untrusted.
    pub route: Option<String>,
    /// Exchanges.
    pub requests: u64,
    /// Of these, failures (5xx, resets, closes, refusals, time-outs, give-ups, malformed; and 4xx in `client_errors`).
    pub errors: u64,
    /// Responses 400 to 499.
    pub client_errors: u64,
    /// Median latency.
    pub p50_ns: Option<u64>,
    /// 95th percentile.
    pub p95_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// Last seen.
    pub last_ns: u64,
}

/// Server, client, route and method; the latter two only when listed by route.
type Key = (i64, i64, i64, String);

#[derive(Default)]
struct Group {
    requests: u64,
    errors: u64,
    client_errors: u64,
    last_ns: u64,
    /// Segment and id of the newest exchange.
    newest: Option<(i64, i64)>,
    latencies: Latencies,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    query: &ServicesQuery,
) -> Result<Answer<Vec<ServiceCall>>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let question = format!(
        "{:?}",
        ServicesQuery {
            limit: 0,
            cursor: None,
            ..query.clone()
        }
    );
    let cursor = query.cursor.as_deref();
    let page = Page::read(
        snapshot,
        &runs,
        &query.window,
        query.limit,
        cursor,
        &question,
    )?;
    let servers = filtered(snapshot, query.service.as_deref())?;
    let segments = segments::all(snapshot)?;
    let selection = Selection {
        servers,
        or_clients: true,
        latency: true,
    };
    let mut groups: BTreeMap<Key, Group> = BTreeMap::new();
    rollup::each(snapshot, &segments, page.window, &selection, |row| {
        let (route, method) = if query.by_route {
            (row.route, row.method.clone())
        } else {
            (0, String::new())
        };
        groups
            .entry((row.server, row.client, route, method))
            .or_default()
            .add(&row);
    })?;
    let callers = groups.keys().map(|(_, client, ..)| *client).collect();
    let callers = ServiceNames::load(snapshot, callers)?.programs();
    let mut ranked: Vec<(Key, Group)> = groups.into_iter().collect();
    ranked.sort_by(|(key, group), (other_key, other)| {
        (other.requests, key).cmp(&(group.requests, other_key))
    });
    let (shown, next_cursor) = page.cut(ranked);
    let is_all = next_cursor.is_none() && query.cursor.is_none();
    let value = rows(snapshot, shown, query.by_route, &callers, is_all)?;
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

impl Group {
    fn add(&mut self, row: &Rollup) {
        self.requests = self.requests.saturating_add(row.count);
        if outcome::is_error(row.kind) {
            self.errors = self.errors.saturating_add(row.count);
        }
        if outcome::is_client_error(row.kind) {
            self.client_errors = self.client_errors.saturating_add(row.count);
        }
        self.last_ns = self.last_ns.max(row.last_ns);
        // Ids of DNS exchanges are others.
        if let Some((segment, _, id)) = row.newest.span.filter(|_| !outcome::is_dns(row.kind)) {
            self.newest = self.newest.max(Some((segment, id)));
        }
        self.latencies.add(&row.latency);
    }
}

fn rows(
    snapshot: &mut Snapshot,
    shown: Vec<(Key, Group)>,
    by_route: bool,
    callers: &BTreeSet<(String, String)>,
    is_all: bool,
) -> Result<Vec<ServiceCall>, QueryError> {
    let ids: BTreeSet<i64> = shown
        .iter()
        .flat_map(|((server, client, ..), _)| [*server, *client])
        .collect();
    let names = ServiceNames::load(snapshot, ids)?;
    let templates = routes(
        snapshot,
        shown.iter().map(|((_, _, route, _), _)| *route).collect(),
    )?;
    let mut ends = Vec::with_capacity(shown.len());
    // Who gets answers that name a gateway, and which.
    let mut told: BTreeSet<(String, String, &str)> = BTreeSet::new();
    for ((_, client, ..), group) in &shown {
        let end = match group.newest {
            Some((segment, id)) => server_end(snapshot, segment, id)?,
            None => ServerEnd::default(),
        };
        let client = names.of(*client);
        told.extend(end.says.map(|says| (client.kind, client.name, says)));
        ends.push(end);
    }
    let mut rows = Vec::with_capacity(shown.len());
    for (((server, client, route, method), group), end) in shown.into_iter().zip(ends) {
        let (server, client) = (names.of(server), names.of(client));
        // What serves files alone is none, whatever its name; of what is elsewhere nobody sees whom it calls.
        let forwards =
            end.program.is_none() || callers.contains(&(server.kind.clone(), server.name.clone()));
        // Header fields may be another's, handed on: they count where the program is not known, or where what is built on it says
        // what nothing that it calls does, as far as all of that is shown.
        let of_program = end.program.as_deref().map(gateway::of_program);
        let gateway = match (of_program, end.says) {
            (Some(Some(program)), Some(says))
                if is_all
                    && gateway::is_built_on(says, program)
                    && !told.contains(&(server.kind.clone(), server.name.clone(), says)) =>
            {
                Some(says)
            }
            (Some(program), _) => program,
            (None, says) => says,
        };
        let gateway = gateway.filter(|_| forwards);
        let template = templates.get(&route).map(String::as_str);
        rows.push(ServiceCall {
            server: server.shown,
            server_kind: server.kind,
            client: client.shown,
            client_kind: client.kind,
            address: end.address,
            pid: end.pid,
            program: end.program,
            gateway,
            route: by_route.then(|| method_and_route(&method, template)),
            requests: group.requests,
            errors: group.errors,
            client_errors: group.client_errors,
            p50_ns: group.latencies.quantile(50),
            p95_ns: group.latencies.quantile(95),
            p99_ns: group.latencies.quantile(99),
            last_ns: group.last_ns,
        });
    }
    Ok(rows)
}

/// The address and process that one exchange reached.
#[derive(Default)]
struct ServerEnd {
    address: Option<String>,
    pid: Option<u32>,
    program: Option<String>,
    /// The gateway that its answer's header fields name.
    says: Option<&'static str>,
}

fn server_end(snapshot: &mut Snapshot, segment: i64, id: i64) -> Result<ServerEnd, QueryError> {
    let sql = format!(
        "SELECT c.server_address, c.server_port, p.pid, p.executable_name, e.response_header_block_id, e.response_header_holes \
         FROM exchange_rows({segment}) e \
         JOIN connection c ON c.id = e.connection_id LEFT JOIN process p ON p.id = c.server_process_id WHERE e.id = ?"
    );
    let row = query(sql).bind(id).fetch_optional(snapshot.connection())?;
    let Some(row) = row else {
        return Ok(ServerEnd::default());
    };
    let mut says = None;
    if let Some(block) = row.try_get(4)? {
        let template = template(snapshot, segment, block)?.unwrap_or_default();
        let holes: Option<&[u8]> = row.try_get(5)?;
        let fields = render_headers(&template, holes.unwrap_or_default());
        let fields = fields
            .iter()
            .map(|field| (field.name.as_str(), field.value.text.as_str()));
        says = gateway::of_headers(fields);
    }
    Ok(ServerEnd {
        says,
        address: Some(with_port(row.try_get(0)?, narrow(row.try_get(1)?))),
        pid: row.try_get::<Option<i64>>(2)?.map(narrow),
        program: row.try_get(3)?,
    })
}
