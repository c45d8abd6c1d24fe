//! `search_dns`: DNS exchanges by time, service, name, type, response code and outcome.
//!
//! Owns: the question, its conditions and its page; `row` tells what was found. Rows are found by their start in each segment, newest segment first.

mod row;

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use headwater_protocols::dns;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::id::DnsId;
use crate::integer::{signed, unsigned};
use crate::names::{self, json_list};
use crate::recorder::{self, Runs};
use crate::search::checked_limit;
use crate::search::pattern::path_glob;
use crate::search::secret::Secrets;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;
use crate::window::rfc3339;
use crate::{Answer, QueryError, WindowArgument, cursor};

pub use row::DnsRow;
use row::{COLUMNS, told};

/// What to look for. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsQuery {
    /// When.
    pub window: WindowArgument,
    /// Name of the service that is asked, or part of it; `name:port` is exact.
    pub service: Option<String>,
    /// Name of the service that asks, or part of it.
    pub peer: Option<String>,
    /// Text that the name asked for contains; with a leading `=` exact; `*` is a wildcard.
    pub name: Option<String>,
    /// Types by name, such as `A` or `TYPE65`, several with commas.
    pub kind: Option<String>,
    /// Response codes by name, several with commas.
    pub rcode: Option<String>,
    /// Outcome names: answered, answered_late, no_answer, query_not_seen, unfinished; `failed` for no_answer and every answer
    /// but NOERROR.
    pub outcome: Option<String>,
    /// This one alone, by its printable id, whatever the window.
    pub id: Option<String>,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// Where a page ended: epoch of the clock, start and id of its last row.
type Behind = (i64, i64, i64);

/// Conditions, each with ` AND ` before it, and what is bound to them.
#[derive(Default)]
struct Filter {
    sql: String,
    values: Vec<String>,
}

impl Filter {
    fn add(&mut self, clause: &str, values: impl IntoIterator<Item = String>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(clause);
        self.values.extend(values);
    }
}

/// Answers a search.
pub(crate) async fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &DnsQuery,
) -> Result<Answer<Vec<DnsRow>>, QueryError> {
    let limit = checked_limit(query.limit)?;
    let runs = Runs::load(snapshot).await?;
    let segments = segments::all(snapshot).await?;
    if let Some(id) = &query.id {
        return one(snapshot, &runs, &segments, id).await;
    }
    let question = cursor::question(&format!(
        "{:?}",
        DnsQuery {
            limit: 0,
            cursor: None,
            ..query.clone()
        }
    ));
    let (window, behind) = match &query.cursor {
        None => {
            let reference = runs.reference(snapshot).await?;
            (query.window.resolve(reference)?, None)
        }
        Some(text) => {
            let [since_ns, length_ns, epoch, start_ns, id] = cursor::decode(question, text)?;
            let window = Window::from_cursor(since_ns, length_ns)?;
            (window, Some((signed(epoch), signed(start_ns), signed(id))))
        }
    };
    let filter = read(snapshot, store, query).await?;
    let mut found = Vec::new();
    for segment in &segments {
        let rows = matching(snapshot, segment, window, behind, &filter, limit + 1).await?;
        for row in rows {
            let place: Behind = (segment.clock_epoch, row.try_get(1)?, row.try_get(0)?);
            found.push((place, row));
        }
    }
    found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|(place, _)| {
        let length_ns = window.until_ns - window.since_ns;
        let (epoch, start_ns, id) = *place;
        let last = [epoch, start_ns, id].map(unsigned);
        let [epoch, start_ns, id] = last;
        cursor::encode(question, [window.since_ns, length_ns, epoch, start_ns, id])
    });
    let rows: Vec<SqliteRow> = found.into_iter().map(|(_, row)| row).collect();
    let value = told(snapshot, &rows).await?;
    let empty = value.is_empty();
    Framed {
        about: About::Dns,
        value,
        empty,
        window,
        next_cursor,
        remarks: Vec::new(),
    }
    .finish(snapshot, &runs, &segments)
    .await
}

/// The one with a printed id.
async fn one(
    snapshot: &mut Snapshot,
    runs: &Runs,
    segments: &[Segment],
    text: &str,
) -> Result<Answer<Vec<DnsRow>>, QueryError> {
    let tag = snapshot.tag();
    let id = DnsId::parse("id", &tag, text)?;
    for segment in segments {
        let sql = format!(
            "SELECT {COLUMNS} FROM dns_exchange_{} d WHERE d.id = ?",
            segment.number
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(signed(id.0))
            .fetch_optional(snapshot.connection())
            .await?;
        let Some(row) = row else { continue };
        let since_ns = unsigned(row.try_get(1)?);
        let value = told(snapshot, std::slice::from_ref(&row)).await?;
        let window = Window {
            since_ns,
            until_ns: since_ns,
        };
        let framed = Framed {
            about: About::Dns,
            value,
            empty: false,
            window,
            next_cursor: None,
            remarks: Vec::new(),
        };
        let answer = framed.finish(snapshot, runs, segments).await?;
        return Ok(Answer {
            window: None,
            ..answer
        });
    }
    let next: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'next_dns_exchange_id'")
            .fetch_optional(snapshot.connection())
            .await?;
    let next: u64 = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    let printed = id.printed(&tag);
    if id.0 == 0 || id.0 >= next {
        return Err(QueryError::Unknown { id: printed });
    }
    let oldest = recorder::oldest_ns(snapshot)
        .await?
        .map_or_else(|| "now on".to_owned(), rfc3339);
    Err(QueryError::Expired {
        id: printed,
        oldest,
    })
}

/// Reads the conditions.
async fn read(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &DnsQuery,
) -> Result<Filter, QueryError> {
    let mut filter = Filter::default();
    for (column, service) in [
        ("d.server_service_id", &query.service),
        ("d.client_service_id", &query.peer),
    ] {
        if let Some(service) = service {
            let list = json_list(names::matching(snapshot, service).await?);
            filter.add(
                &format!("{column} IN (SELECT value FROM json_each(?))"),
                [list],
            );
        }
    }
    if let Some(name) = &query.name {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let secrets = Secrets::load(store, snapshot.opened.key_fingerprint.as_deref());
        let mut patterns = vec![path_glob(&name)];
        let (exact, host) = name
            .strip_prefix('=')
            .map_or(("", name.as_str()), |host| ("=", host));
        let stored = secrets.redacted_host(host);
        patterns.extend(stored.map(|stored| path_glob(&format!("{exact}{stored}"))));
        let clauses: Vec<&str> = patterns
            .iter()
            .map(|_| "d.dns_question_name GLOB ?")
            .collect();
        filter.add(&format!("({})", clauses.join(" OR ")), patterns);
    }
    if let Some(kind) = &query.kind {
        filter.add(
            "d.question_type IN (SELECT value FROM json_each(?))",
            [json_list(types(kind)?)],
        );
    }
    if let Some(rcode) = &query.rcode {
        filter.add(
            "d.rcode IN (SELECT value FROM json_each(?))",
            [json_list(rcodes(rcode)?)],
        );
    }
    if let Some(outcome) = &query.outcome {
        let (numbers, failed) = outcomes(outcome)?;
        let or_failed = if failed {
            " OR d.error_kind IS NOT NULL"
        } else {
            ""
        };
        filter.add(
            &format!("(d.outcome IN (SELECT value FROM json_each(?)){or_failed})"),
            [json_list(numbers)],
        );
    }
    Ok(filter)
}

/// The numbers of record types.
pub(crate) fn types(text: &str) -> Result<Vec<i64>, QueryError> {
    numbers("type", text, u16::MAX, |code| dns::Type(code).to_string())
}

/// The numbers of response codes.
pub(crate) fn rcodes(text: &str) -> Result<Vec<i64>, QueryError> {
    numbers("rcode", text, MOST_RCODE, |code| {
        dns::Rcode(code).to_string()
    })
}

/// The numbers of outcomes, and whether all failures are asked for.
pub(crate) fn outcomes(text: &str) -> Result<(Vec<i64>, bool), QueryError> {
    let mut numbers = Vec::new();
    let mut failed = false;
    for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
        match OUTCOMES.iter().position(|known| *known == name) {
            Some(number) => numbers.push(i64::try_from(number).unwrap_or(-1)),
            None if name == "failed" => failed = true,
            None => {
                return Err(QueryError::Argument {
                    argument: "outcome",
                    problem: format!(
                        "give {} or failed, several with commas",
                        OUTCOMES.join(", ")
                    ),
                });
            }
        }
    }
    Ok((numbers, failed))
}

/// A number as such, or behind TYPE, by which types go that have no name or not yet (RFC 3597, section 5).
fn as_number(given: &str) -> Option<u16> {
    let behind = given
        .split_at_checked(4)
        .filter(|(word, _)| word.eq_ignore_ascii_case("type"));
    behind.map_or(given, |(_, number)| number).parse().ok()
}

/// The numbers of names, or of numbers written as such names are.
fn numbers(
    argument: &'static str,
    text: &str,
    most: u16,
    name_of: impl Fn(u16) -> String,
) -> Result<Vec<i64>, QueryError> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    let mut numbers = BTreeSet::new();
    let mut found = BTreeSet::new();
    for code in 0..=most {
        let name = name_of(code);
        let given = names
            .iter()
            .find(|given| given.eq_ignore_ascii_case(&name) || as_number(given) == Some(code));
        if let Some(given) = given {
            numbers.insert(i64::from(code));
            found.insert(*given);
        }
    }
    if names.iter().any(|name| !found.contains(name)) {
        let example = if argument == "type" {
            "A, AAAA, CNAME, SRV or TYPE65"
        } else {
            "NOERROR, NXDOMAIN, SERVFAIL or REFUSED"
        };
        return Err(QueryError::Argument {
            argument,
            problem: format!("give names such as {example}, several with commas"),
        });
    }
    Ok(numbers.into_iter().collect())
}

async fn matching(
    snapshot: &mut Snapshot,
    segment: &Segment,
    window: Window,
    behind: Option<Behind>,
    filter: &Filter,
    want: usize,
) -> Result<Vec<SqliteRow>, QueryError> {
    let (mut until_ns, mut last_id) = (signed(window.until_ns), i64::MAX);
    match behind {
        Some((epoch, ..)) if segment.clock_epoch > epoch => return Ok(Vec::new()),
        Some((epoch, start_ns, id)) if segment.clock_epoch == epoch => {
            (until_ns, last_id) = (start_ns, id);
        }
        Some(_) | None => {}
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM dns_exchange_{} d WHERE d.start_ns BETWEEN ? AND ? AND (d.start_ns, d.id) < (?, ?){} \
         ORDER BY d.start_ns DESC, d.id DESC LIMIT ?",
        segment.number, filter.sql
    );
    let sought = sqlx::query(AssertSqlSafe(sql))
        .bind(signed(window.since_ns))
        .bind(until_ns)
        .bind(until_ns)
        .bind(last_id);
    let sought = filter
        .values
        .iter()
        .fold(sought, |sought, value| sought.bind(value.clone()));
    let rows = sought
        .bind(i64::try_from(want).unwrap_or(i64::MAX))
        .fetch_all(snapshot.connection())
        .await?;
    Ok(rows)
}

/// In the order of `dns_exchange_N.outcome`.
const OUTCOMES: [&str; 5] = [
    "answered",
    "answered_late",
    "no_answer",
    "query_not_seen",
    "unfinished",
];
/// RFC 6891, 6.1.3: twelve bits.
const MOST_RCODE: u16 = 4095;
