//! DNS exchanges: one by its id, or many by time, service, name, type, response code and outcome.
//!
//! Owns: the question, its conditions; `row` tells what was found.

mod row;

use std::collections::BTreeSet;
use std::path::Path;

use headwater_pack::DNS_EXCHANGES;
use headwater_protocols::dns;

use crate::answer::Window;
use crate::coverage::{About, Framed};
use crate::db::{query, query_scalar};
use crate::id::DnsId;
use crate::integer::{signed, unsigned};
use crate::names::json_list;
use crate::newest::{Conditions, Newest, Source};
use crate::recorder::{self, Runs};
use crate::search::secret::Secrets;
use crate::segments;
use crate::snapshot::Snapshot;
use crate::window::rfc3339;
use crate::{Answer, QueryError, WindowArgument};

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
    /// Outcome names: answered, answered_late, no_answer, query_not_seen, unfinished, unreachable; `failed` for no_answer,
    /// unreachable and every answer but NOERROR.
    pub outcome: Option<String>,
    /// At most this many rows (1 to 200).
    pub limit: u32,
    /// Where a page before ended.
    pub cursor: Option<String>,
}

/// Answers a search.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    store: &Path,
    query: &DnsQuery,
) -> Result<Answer<Vec<DnsRow>>, QueryError> {
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    let question = format!(
        "{:?}",
        DnsQuery {
            limit: 0,
            cursor: None,
            ..query.clone()
        }
    );
    let cursor = query.cursor.as_deref();
    let page = Newest::read(
        snapshot,
        &runs,
        &query.window,
        query.limit,
        cursor,
        &question,
    )?;
    let conditions = read(snapshot, store, query)?;
    let source = Source {
        columns: COLUMNS,
        plain: DNS_EXCHANGES.plain,
        packed: Some(&DNS_EXCHANGES),
    };
    let (rows, next_cursor) = page.rows(snapshot, &segments, &source, &conditions)?;
    let value = told(snapshot, &rows)?;
    let empty = value.is_empty();
    Framed {
        about: About::Dns,
        value,
        empty,
        window: page.window,
        next_cursor,
        remarks: Vec::new(),
    }
    .finish(snapshot, &runs, &segments)
}

/// The one with a printed id, whenever it was.
pub(crate) fn one(snapshot: &mut Snapshot, text: &str) -> Result<Answer<DnsRow>, QueryError> {
    let tag = snapshot.tag();
    let id = DnsId::parse("id", &tag, text)?;
    let runs = Runs::load(snapshot)?;
    let segments = segments::all(snapshot)?;
    for segment in &segments {
        let sql = format!(
            "SELECT {COLUMNS} FROM dns_rows({}) r WHERE r.id = ?",
            segment.number
        );
        let row = query(sql)
            .bind(signed(id.0))
            .fetch_optional(snapshot.connection())?;
        let Some(row) = row else { continue };
        let since_ns = unsigned(row.try_get(1)?);
        let mut value = told(snapshot, std::slice::from_ref(&row))?;
        let Some(value) = value.pop() else { continue };
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
        let answer = framed.finish(snapshot, &runs, &segments)?;
        return Ok(Answer {
            window: None,
            ..answer
        });
    }
    let next: Option<String> =
        query_scalar("SELECT value FROM meta WHERE key = 'next_dns_exchange_id'")
            .fetch_optional(snapshot.connection())?;
    let next: u64 = next.and_then(|next| next.parse().ok()).unwrap_or(0);
    let printed = id.printed(&tag);
    if id.0 == 0 || id.0 >= next {
        return Err(QueryError::Unknown { id: printed });
    }
    let oldest = recorder::oldest_ns(snapshot)?.map_or_else(|| "now on".to_owned(), rfc3339);
    Err(QueryError::Expired {
        id: printed,
        oldest,
    })
}

/// Reads the conditions.
fn read(snapshot: &mut Snapshot, store: &Path, query: &DnsQuery) -> Result<Conditions, QueryError> {
    let mut filter = Conditions::default();
    filter.add_services(snapshot, query.service.as_deref(), query.peer.as_deref())?;
    if let Some(name) = &query.name {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let patterns =
            Secrets::load(store, snapshot.opened.key_fingerprint.as_deref()).host_patterns(&name);
        let clauses: Vec<&str> = patterns
            .iter()
            .map(|_| "r.dns_question_name GLOB ?")
            .collect();
        filter.add(&format!("({})", clauses.join(" OR ")), patterns);
    }
    if let Some(kind) = &query.kind {
        filter.add(
            "r.question_type IN (SELECT value FROM json_each(?))",
            [json_list(types(kind)?)],
        );
    }
    if let Some(rcode) = &query.rcode {
        filter.add(
            "r.rcode IN (SELECT value FROM json_each(?))",
            [json_list(rcodes(rcode)?)],
        );
    }
    if let Some(outcome) = &query.outcome {
        let (numbers, failed) = outcomes(outcome)?;
        let or_failed = if failed {
            " OR r.error_kind IS NOT NULL"
        } else {
            ""
        };
        filter.add(
            &format!("(r.outcome IN (SELECT value FROM json_each(?)){or_failed})"),
            [json_list(numbers)],
        );
    }
    Ok(filter)
}

/// The numbers of record types.
pub(crate) fn types(text: &str) -> Result<Vec<i64>, QueryError> {
    numbers("method", text, u16::MAX, |code| dns::Type(code).to_string())
}

/// The numbers of response codes.
pub(crate) fn rcodes(text: &str) -> Result<Vec<i64>, QueryError> {
    numbers("status", text, MOST_RCODE, |code| {
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
        let example = if argument == "method" {
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

/// In the order of `dns_exchange_N.outcome`.
const OUTCOMES: [&str; 6] = [
    "answered",
    "answered_late",
    "no_answer",
    "query_not_seen",
    "unfinished",
    "unreachable",
];
/// RFC 6891, 6.1.3: twelve bits.
const MOST_RCODE: u16 = 4095;
