//! Names that mean other addresses than before.

use std::collections::{BTreeMap, BTreeSet};

use crate::QueryError;
use crate::answer::Window;
use crate::db::query_as;
use crate::integer::signed;
use crate::segments::{self, Segment};
use crate::snapshot::Snapshot;

use super::{Change, Ranked};

/// Addresses by name and family.
type Meanings = BTreeMap<(String, bool), BTreeSet<String>>;

/// `None` where there are too many to look through.
pub(super) fn read(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    (baseline, window): (Window, Window),
) -> Result<Option<Vec<Ranked>>, QueryError> {
    let before = meanings(snapshot, segments, baseline)?;
    let after = meanings(snapshot, segments, window)?;
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(None);
    };
    let mut found = Vec::new();
    for ((name, is_v6), now) in after {
        let Some(then) = before.get(&(name.clone(), is_v6)) else {
            continue;
        };
        // Those that share one rotate; of a large pool two answers have none in common.
        let is_pool = then.len() > MOST_ADDRESSES || now.len() > MOST_ADDRESSES;
        if then.is_disjoint(&now) && !is_pool {
            let list = |of: &BTreeSet<String>| {
                of.iter()
                    .take(MOST_ADDRESSES)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            found.push(Ranked {
                rank: 3,
                chance: 1.0,
                change: Change {
                    what: "name",
                    server: None,
                    client: None,
                    route: None,
                    before: format!("{} addresses", then.len()),
                    after: format!("{} others", now.len()),
                    captured: Some(format!("{name} {}, before {}", list(&now), list(then))),
                    chance: None,
                },
            });
        }
    }
    Ok(Some(found))
}

fn meanings(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
) -> Result<Option<Meanings>, QueryError> {
    // A resolver of a whole network is not looked through.
    if segments::count_dns(snapshot, segments, window)? > MOST_QUESTIONS {
        return Ok(None);
    }
    let mut meanings = Meanings::new();
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    for segment in segments
        .iter()
        .filter(|segment| segment.may_hold(since_ns, until_ns))
    {
        let sql = format!(
            "SELECT DISTINCT dns_question_name, dns_answers FROM dns_rows({}) WHERE start_ns BETWEEN ? AND ? \
             AND error_kind IS NULL AND address_count > 0 AND dns_question_name IS NOT NULL AND dns_answers IS NOT NULL",
            segment.number
        );
        let rows: Vec<(String, String)> = query_as(sql)
            .bind(since_ns)
            .bind(until_ns)
            .fetch_all(snapshot.connection())?;
        for (name, answers) in rows {
            for address in answers.split(',') {
                let key = (name.clone(), address.contains(':'));
                meanings.entry(key).or_default().insert(address.to_owned());
            }
        }
    }
    Ok(Some(meanings))
}

const MOST_QUESTIONS: u64 = 50_000;
const MOST_ADDRESSES: usize = 4;
