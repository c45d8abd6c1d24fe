//! Values that a caller may mean: names of services and callers, routes, header names, marks, ids of what failed.
//!
//! Owns: which may be offered at all, their order, and how many are looked at. What is offered goes where no answer declares it as
//! captured: so no text that is more than a short name is, whatever was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use headwater_redact::header_names;

use crate::db::{query, query_as, query_scalar};
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::integer::{narrow, unsigned};
use crate::names::{self, json_list, with_port};
use crate::recorder::Runs;
use crate::rollup::{self, Rollup, Selection};
use crate::segments;
use crate::snapshot::Snapshot;
use crate::tls::IS_COUNTED;
use crate::{QueryError, WindowArgument, marks};

/// What a value may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suggested {
    /// Services that answer, `name:port`: those with most requests in the default window first, then by name.
    Services,
    /// Services that call: likewise.
    Callers,
    /// Routes: likewise.
    Routes,
    /// Names of header fields in lower case, in the order of the alphabet.
    Headers,
    /// Marks, the latest first.
    Marks,
    /// Exchanges that failed, the newest first.
    Failures,
    /// These, and behind them DNS exchanges that failed.
    FailuresOfAnyKind,
    /// Attempts to connect that came to nothing, the newest first.
    FailedConnections,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuggestionsQuery {
    /// What the values are of.
    pub of: Suggested,
    /// What they begin with, in any case.
    pub prefix: String,
    /// Only routes of services whose name contains this.
    pub service: Option<String>,
}

/// Values that a caller may mean. Untrusted, though of `[A-Za-z0-9._:/{}@-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suggestions {
    /// At most `Suggestions::MOST`.
    pub values: Vec<String>,
    /// How many there are; `None` where not all were looked at.
    pub total: Option<usize>,
}

impl Suggestions {
    /// So many at most.
    pub const MOST: usize = 100;
}

/// Values in their order, and whether they are all.
struct Found {
    values: Vec<String>,
    is_all: bool,
}

/// Answers the question.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &SuggestionsQuery,
) -> Result<Suggestions, QueryError> {
    let exchange = |id, tag: &str| ExchangeId(id).printed(tag);
    let Found { values, is_all } = match query.of {
        Suggested::Services => services(snapshot, true)?,
        Suggested::Callers => services(snapshot, false)?,
        Suggested::Routes => routes(snapshot, query.service.as_deref())?,
        Suggested::Headers => headers(snapshot, &query.prefix)?,
        Suggested::Marks => {
            let mut marks = marks::all(store)?;
            marks.reverse();
            Found {
                values: marks.into_iter().map(|mark| mark.name).collect(),
                is_all: true,
            }
        }
        Suggested::Failures => failures(snapshot, "exchange", exchange)?,
        Suggested::FailuresOfAnyKind => {
            let mut found = failures(snapshot, "exchange", exchange)?;
            let of_dns = failures(snapshot, "dns_exchange", |id, tag| DnsId(id).printed(tag))?;
            found.values.extend(of_dns.values);
            found.is_all &= of_dns.is_all;
            found
        }
        Suggested::FailedConnections => connections(snapshot)?,
    };
    let mut values: Vec<String> = values
        .into_iter()
        .filter(|value| is_meant(value, &query.prefix))
        .collect();
    let total = is_all.then_some(values.len());
    values.truncate(Suggestions::MOST);
    Ok(Suggestions { values, total })
}

/// Whether a value may be offered, and is what is looked for.
fn is_meant(value: &str, prefix: &str) -> bool {
    let begin = value.get(..prefix.len());
    is_fit(value) && begin.is_some_and(|begin| begin.eq_ignore_ascii_case(prefix))
}

/// Whether a value may be offered.
fn is_fit(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/{}@-".contains(&byte);
    (1..=LONGEST).contains(&value.len()) && value.bytes().all(is_plain)
}

/// The same in SQL, so that what is not fit takes no place of what is.
fn fit(column: &str) -> String {
    format!(
        "length({column}) BETWEEN 1 AND {LONGEST} AND {column} NOT GLOB '*[^A-Za-z0-9._:/{{}}@-]*'"
    )
}

fn services(snapshot: &mut Snapshot, answering: bool) -> Result<Found, QueryError> {
    let of: fn(&Rollup) -> i64 = if answering {
        |row| row.server
    } else {
        |row| row.client
    };
    let used = uses(snapshot, of)?;
    let which = if answering { "port > 0" } else { "port = 0" };
    let sql = format!(
        "SELECT id, name, port FROM service WHERE {which} AND {} ORDER BY id DESC LIMIT {MOST_READ}",
        fit("name")
    );
    let rows = query(sql).fetch_all(snapshot.connection())?;
    let mut ranked = Ranked::default();
    for row in rows {
        let (id, name): (i64, &str) = (row.try_get(0)?, row.try_get(1)?);
        let shown = with_port(name, narrow(row.try_get(2)?));
        ranked.add(shown, used.get(&id).copied());
    }
    Ok(ranked.found())
}

fn routes(snapshot: &mut Snapshot, service: Option<&str>) -> Result<Found, QueryError> {
    let used = uses(snapshot, |row| row.route)?;
    let of = names::filtered(snapshot, service)?;
    let sql = format!(
        "SELECT id, template FROM route WHERE (?1 OR service_id IN (SELECT value FROM json_each(?2))) AND {} \
         ORDER BY id DESC LIMIT {MOST_READ}",
        fit("template")
    );
    let rows = query(sql)
        .bind(of.is_none())
        .bind(json_list(of.unwrap_or_default()))
        .fetch_all(snapshot.connection())?;
    let mut ranked = Ranked::default();
    for row in rows {
        let id: i64 = row.try_get(0)?;
        ranked.add(row.try_get(1)?, used.get(&id).copied());
    }
    Ok(ranked.found())
}

/// Names with how much each is used.
#[derive(Default)]
struct Ranked {
    uses: BTreeMap<String, u64>,
    read: usize,
}

impl Ranked {
    fn add(&mut self, name: String, uses: Option<u64>) {
        self.read += 1;
        let sum = self.uses.entry(name).or_default();
        *sum = sum.saturating_add(uses.unwrap_or(0));
    }

    fn found(self) -> Found {
        let mut ranked: Vec<(String, u64)> = self.uses.into_iter().collect();
        // Equals stay in the order of their names.
        ranked.sort_by_key(|(_, uses)| std::cmp::Reverse(*uses));
        Found {
            values: ranked.into_iter().map(|(name, _)| name).collect(),
            is_all: self.read < MOST_READ,
        }
    }
}

/// How many requests of the default window are of each.
fn uses(snapshot: &mut Snapshot, of: fn(&Rollup) -> i64) -> Result<BTreeMap<i64, u64>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let window = WindowArgument::default().resolve(runs.reference(snapshot)?)?;
    let segments = segments::all(snapshot)?;
    let selection = Selection::default();
    let mut uses: BTreeMap<i64, u64> = BTreeMap::new();
    rollup::each(snapshot, &segments, window.snapped(), &selection, |row| {
        let sum = uses.entry(of(&row)).or_default();
        *sum = sum.saturating_add(row.count);
    })?;
    Ok(uses)
}

/// From some templates at a time, the newest first, until enough of them, or of names, were looked at.
fn headers(snapshot: &mut Snapshot, prefix: &str) -> Result<Found, QueryError> {
    let mut names: BTreeSet<String> = BTreeSet::new();
    let (mut templates, mut looked_at) = (0, 0);
    for segment in segments::all(snapshot)?.into_iter().rev() {
        let mut before = i64::MAX;
        loop {
            let sql = format!(
                "SELECT id, template FROM header_block_{} WHERE id < ? ORDER BY id DESC LIMIT {AT_ONCE}",
                segment.number
            );
            let rows: Vec<(i64, Vec<u8>)> = query_as(sql)
                .bind(before)
                .fetch_all(snapshot.connection())?;
            let Some((id, _)) = rows.last() else {
                break;
            };
            before = *id;
            for (_, template) in &rows {
                templates += 1;
                // A name with braces was not readable, or not seen, and is not fit.
                for name in header_names(template) {
                    looked_at += 1;
                    if is_meant(name, prefix) {
                        names.insert(name.to_ascii_lowercase());
                    }
                }
                if templates >= MOST_TEMPLATES || looked_at >= MOST_NAMES {
                    return Ok(Found {
                        values: names.into_iter().collect(),
                        is_all: false,
                    });
                }
            }
            snapshot.check()?;
        }
    }
    Ok(Found {
        values: names.into_iter().collect(),
        is_all: true,
    })
}

/// The newest failures of a table of each segment, by their printed ids. They are most of its rows, what ended well being packed:
/// so it is walked from its end, and not through the index on kinds, which would have to be sorted.
fn failures(
    snapshot: &mut Snapshot,
    table: &str,
    printed: impl Fn(u64, &str) -> String,
) -> Result<Found, QueryError> {
    let tag = snapshot.tag();
    let mut values = Vec::new();
    for segment in segments::all(snapshot)?.into_iter().rev() {
        let sql = format!(
            "SELECT id FROM {table}_{} NOT INDEXED WHERE error_kind IS NOT NULL ORDER BY id DESC LIMIT ?",
            segment.number
        );
        let limit = i64::try_from(MOST_IDS - values.len()).unwrap_or(i64::MAX);
        let ids: Vec<i64> = query_scalar(sql)
            .bind(limit)
            .fetch_all(snapshot.connection())?;
        values.extend(ids.into_iter().map(|id| printed(unsigned(id), &tag)));
        if values.len() == MOST_IDS {
            break;
        }
    }
    Ok(Found {
        is_all: values.len() < MOST_IDS,
        values,
    })
}

fn connections(snapshot: &mut Snapshot) -> Result<Found, QueryError> {
    let tag = snapshot.tag();
    let sql = format!(
        "SELECT id FROM (SELECT id, start_ns FROM connection WHERE close_reason IN ('refused', 'timed_out', 'unreachable', 'gave_up') \
         UNION SELECT c.id, c.start_ns FROM connection_tls t JOIN connection c ON c.id = t.connection_id \
         WHERE {IS_COUNTED}) ORDER BY start_ns DESC LIMIT {MOST_IDS}"
    );
    let ids: Vec<i64> = query_scalar(sql).fetch_all(snapshot.connection())?;
    let printed = |id| ConnectionId(unsigned(id)).printed(&tag);
    Ok(Found {
        is_all: ids.len() < MOST_IDS,
        values: ids.into_iter().map(printed).collect(),
    })
}

/// Bytes of a value.
const LONGEST: usize = 64;
/// Names of services or routes that are looked at.
const MOST_READ: usize = 10_000;
/// Header blocks, so many read together,
const MOST_TEMPLATES: usize = 4_000;
const AT_ONCE: usize = 100;
/// and names in them.
const MOST_NAMES: usize = 200_000;
/// Ids.
const MOST_IDS: usize = 1_000;
