//! `find_errors`: failures grouped by service, route and kind, from the roll-ups.
//!
//! Owns: the groups, and their ranking: those first of which there are most more than in the time before. Routes that became slow
//! are groups as well. Examples are in `examples`, where these failed first in `suspects`, the groups' ids in `fingerprint`.

pub(crate) mod examples;
mod fingerprint;
pub(crate) mod suspects;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::names::{ServiceNames, filtered, method_and_route, routes};
use crate::page::Page;
use crate::quantile::Latencies;
use crate::recorder::Runs;
use crate::rollup::{self, Rollup, Selection};
use crate::segments::{self, Segment};
use crate::slow::{self, Occurrences, Slow};
use crate::snapshot::Snapshot;
use crate::{Answer, CoverageItem, QueryError, Suspect, WindowArgument, outcome};

pub(crate) use fingerprint::Fingerprint;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ErrorsQuery {
    /// When. Snapped outward to the roll-ups' ten seconds.
    pub window: WindowArgument,
    /// Only services whose name contains this.
    pub service: Option<String>,
    /// Whether responses 400 to 499 count (default true in the tools).
    pub include_client_errors: bool,
    /// At most this many groups (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// One group of failures.
#[derive(Debug, Clone, PartialEq)]
pub struct ErrorGroup {
    /// Its printable id, `g_…`, by service, route, method and kind: the same whenever it is asked for.
    pub id: String,
    /// Answering service. Untrusted.
    pub server: String,
    /// Calling service with the most of them. Untrusted.
    pub client: String,
    /// Method and route. Untrusted.
    pub route: String,
    /// `status 502`, `reset`, `closed`, `refused`, `gave_up`, `timed_out`, `malformed`, `unreachable`,
    /// `server_process_killed`, `server_process_failed`, `client_process_killed`, `client_process_failed`.
    /// `dns_nxdomain` and the like, `dns_no_answer`, `dns_unreachable`.
    /// `grpc unavailable`, `http2 internal_error`, `websocket 1006 abnormal_closure`.
    /// `tls_handshake unknown_ca`: the alert's name, or `encrypted_alert`, `not_answered`, `not_finished`, `server_spoke_no_tls`,
    /// `client_spoke_no_tls`.
    /// `slow`: requests that ended well and took more than three times as long as half of those of their route did in the equally
    /// long time before, and 20 ms more, where these are more than chance makes.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Requests of the same service and route in the window, good and bad.
    pub of_requests: u64,
    /// First.
    pub first_ns: u64,
    /// Last.
    pub last_ns: u64,
    /// Printable ids of a few, newest first: of DNS exchanges (`d_…`) for kinds of DNS, of connections (`c_…`) where no
    /// exchange came to be.
    pub examples: Vec<String>,
    /// How many there were in the equally long time before; `None` where not all of that was recorded, or is kept, and of a
    /// route that was learned since, as whose requests those before were not counted.
    pub before: Option<u64>,
    /// Where the newest examples failed first; `None` where that was not looked at, or they are no exchanges.
    pub suspect: Option<Suspect>,
    /// How many of so many examples failed first there: it is looked at until two agree.
    pub agreeing: (usize, usize),
}

/// Server, route and method.
type Place = (i64, i64, String);

#[derive(Default)]
struct Group {
    count: u64,
    first_ns: Option<u64>,
    last_ns: u64,
    /// As `ErrorGroup::before`.
    before: Option<u64>,
    /// Failures by calling service.
    clients: BTreeMap<i64, u64>,
    /// Segment, first and last id of the newest ten seconds that have exchanges.
    newest: Option<(i64, i64, i64)>,
    /// Ids that the roll-ups name.
    ids: BTreeSet<i64>,
    /// It is none of failures.
    slow: Option<Slow>,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &ErrorsQuery,
) -> Result<Answer<Vec<ErrorGroup>>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let question = format!(
        "{:?}",
        ErrorsQuery {
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
        or_clients: false,
        latency: true,
    };
    let mut totals: BTreeMap<Place, u64> = BTreeMap::new();
    let mut well: BTreeMap<Place, Latencies> = BTreeMap::new();
    let mut groups: BTreeMap<(Place, i64), Group> = BTreeMap::new();
    rollup::each(snapshot, &segments, page.window, &selection, |row| {
        let place = (row.server, row.route, row.method.clone());
        let total = totals.entry(place.clone()).or_default();
        *total = total.saturating_add(row.count);
        if row.kind == 0 {
            well.entry(place.clone()).or_default().add(&row.latency);
        }
        let client_error = query.include_client_errors && outcome::is_client_error(row.kind);
        if outcome::is_error(row.kind) || client_error {
            groups.entry((place, row.kind)).or_default().add(&row);
        }
    })?;
    let before = Before::read(snapshot, &runs, &segments, page.window, &selection)?;
    for (place, now) in &well {
        let slow = before.well.get(place).and_then(|then| Slow::of(now, then));
        if let Some(slow) = slow {
            let group = Group {
                count: slow.count,
                slow: Some(slow),
                ..Group::default()
            };
            groups.insert((place.clone(), outcome::SLOW), group);
        }
    }
    let mut ranked: Vec<((Place, i64), Group)> = groups.into_iter().collect();
    for (key, group) in &mut ranked {
        let counted = || before.counts.get(key).copied().unwrap_or(0);
        let count = group.slow.map_or_else(counted, |slow| slow.before);
        group.before = before.is_recorded.then_some(count);
    }
    ranked.sort_by(|(key, group), (other_key, other)| {
        (other.more(), other.count, other.last_ns, key).cmp(&(
            group.more(),
            group.count,
            group.last_ns,
            other_key,
        ))
    });
    let (mut shown, next_cursor) = page.cut(ranked);
    for ((place, _), group) in &mut shown {
        if let Some(slow) = group.slow {
            let (server, route, method) = place;
            let place = (*server, *route, method.as_str());
            let found = slow::occurrences(snapshot, &segments, page.window, place, slow.limit_ns);
            group.told_by(found?);
        }
    }
    let mut value = rows(snapshot, shown, &totals, &before)?;
    let is_late = !suspects::follow(snapshot, &segments, store, &mut value)?;
    let remarks = is_late.then(|| CoverageItem {
        kind: "suspects_not_sought".to_owned(),
        from_ns: page.window.since_ns,
        until_ns: page.window.until_ns,
        count: 1,
        explanation: "For want of time not every group was followed to where it failed first; explain_failure does that for an example."
            .to_owned(),
    });
    let empty = value.is_empty();
    Framed {
        about: About::Everything,
        value,
        empty,
        window: page.window,
        next_cursor,
        remarks: Vec::from_iter(remarks),
    }
    .finish(snapshot, &runs, &segments)
}

impl Group {
    fn add(&mut self, row: &Rollup) {
        self.count = self.count.saturating_add(row.count);
        self.first_ns = Some(
            self.first_ns
                .map_or(row.first_ns, |first| first.min(row.first_ns)),
        );
        self.last_ns = self.last_ns.max(row.last_ns);
        let client = self.clients.entry(row.client).or_default();
        *client = client.saturating_add(row.count);
        if let Some((segment, first, last)) = row.newest.span
            && self.newest.is_none_or(|(.., newest)| newest < last)
        {
            self.newest = Some((segment, first, last));
        }
        self.ids.extend(&row.newest.ids);
        while self.ids.len() > EXAMPLES {
            self.ids.pop_first();
        }
    }

    /// Takes what was found of the slow ones.
    fn told_by(&mut self, found: Occurrences) {
        (self.first_ns, self.last_ns) = (found.first_ns, found.last_ns);
        self.clients = found.clients;
        self.ids = found.examples.into_iter().collect();
    }

    /// How many more than before.
    fn more(&self) -> u64 {
        self.count.saturating_sub(self.before.unwrap_or(0))
    }

    /// The service that met most of the failures; of equals the one known first.
    fn client(&self) -> i64 {
        let most = self
            .clients
            .iter()
            .max_by_key(|(id, count)| (**count, std::cmp::Reverse(**id)));
        most.map_or(0, |(id, _)| *id)
    }
}

/// The equally long time before.
#[derive(Default)]
struct Before {
    counts: BTreeMap<(Place, i64), u64>,
    /// How long what ended well took.
    well: BTreeMap<Place, Latencies>,
    /// Nearly all of that time was recorded, and is kept.
    is_recorded: bool,
}

impl Before {
    /// Whether there was anything of a place.
    fn has(&self, place: &Place) -> bool {
        let of_kind = |kind| (place.clone(), kind);
        let mut failures = self.counts.range(of_kind(i64::MIN)..=of_kind(i64::MAX));
        self.well.contains_key(place) || failures.next().is_some()
    }

    fn read(
        snapshot: &mut Snapshot,
        runs: &Runs,
        segments: &[Segment],
        window: Window,
        selection: &Selection,
    ) -> Result<Self, QueryError> {
        let length_ns = window.until_ns - window.since_ns;
        let earlier = Window {
            since_ns: window.since_ns.saturating_sub(length_ns + 1),
            until_ns: window.since_ns.saturating_sub(1),
        };
        let mut before = Self {
            is_recorded: runs.recorded_ns(earlier, segments) >= length_ns / 10 * 9,
            ..Self::default()
        };
        rollup::each(snapshot, segments, earlier, selection, |row| {
            let place = (row.server, row.route, row.method);
            if row.kind == 0 {
                before.well.entry(place).or_default().add(&row.latency);
            } else {
                let count = before.counts.entry((place, row.kind)).or_default();
                *count = count.saturating_add(row.count);
            }
        })?;
        Ok(before)
    }
}

fn rows(
    snapshot: &mut Snapshot,
    shown: Vec<((Place, i64), Group)>,
    totals: &BTreeMap<Place, u64>,
    before: &Before,
) -> Result<Vec<ErrorGroup>, QueryError> {
    let ids = shown
        .iter()
        .flat_map(|(((server, ..), _), group)| [*server, group.client()])
        .collect();
    let names = ServiceNames::load(snapshot, ids)?;
    let templates = routes(
        snapshot,
        shown.iter().map(|(((_, route, _), _), _)| *route).collect(),
    )?;
    let tag = snapshot.tag();
    let mut rows = Vec::with_capacity(shown.len());
    for ((place, kind), group) in shown {
        let examples = examples::of(snapshot, &place, kind, &group)?;
        let (server, route, method) = &place;
        let template = templates.get(route).map(String::as_str);
        let is_learned =
            template.is_some_and(|template| template.contains("{name}")) && !before.has(&place);
        rows.push(ErrorGroup {
            id: Fingerprint::of(&place, kind).printed(&tag),
            server: names.of(*server).shown,
            client: names.of(group.client()).shown,
            route: method_and_route(method, template),
            kind: outcome::failure(kind),
            count: group.count,
            of_requests: totals.get(&place).copied().unwrap_or(group.count),
            first_ns: group.first_ns.unwrap_or(0),
            last_ns: group.last_ns,
            examples,
            before: group.before.filter(|_| !is_learned),
            suspect: None,
            agreeing: (0, 0),
        });
    }
    Ok(rows)
}

const EXAMPLES: usize = 3;
