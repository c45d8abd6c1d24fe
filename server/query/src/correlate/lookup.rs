//! Which exchanges hold an identifier.
//!
//! Owns: reading the index of every segment, and the exchanges that no run of it holds yet. What is found begins like what
//! was looked for; whether it is the same is seen in the exchange itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use headwater_pack::identifiers::{Entry, FINE_BITS};
use headwater_redact::{IdentifierKind, Redactor, hashes_in, identifiers};

use crate::QueryError;
use crate::db::{query, query_as, query_scalar};
use crate::id::{ConnectionId, DnsId, ExchangeId};
use crate::names::json_list;
use crate::segments::{MOST_AT_ONCE, Segment, of_each};
use crate::snapshot::Snapshot;

use super::node::{self, Hash, Node};

/// What the question names.
pub(super) struct Named {
    /// The exchanges, newest last.
    pub(super) nodes: Vec<Node>,
    /// Hashes of which all exchanges are there.
    pub(super) exhausted: Vec<Hash>,
    /// More than so many hold the value.
    pub(super) common: Option<usize>,
    /// The value could not be hashed.
    pub(super) is_without_key: bool,
    /// For what else is looked up.
    pub(super) index: Index,
}

impl Named {
    /// Finds it.
    ///
    /// # Errors
    /// `Argument` when the text names nothing that can be looked for, and those of `get_exchange` for an id.
    pub(super) fn find(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        redactor: Option<&Redactor>,
        text: &str,
    ) -> Result<Self, QueryError> {
        let text = text.trim();
        let index = Index::open(snapshot, segments, redactor)?;
        if is_id(snapshot, text)? {
            let number = crate::exchange::number(snapshot, segments, text)?;
            let ids = BTreeSet::from([number]);
            return Ok(Self {
                nodes: node::load(snapshot, segments, redactor, &ids)?,
                exhausted: Vec::new(),
                common: None,
                is_without_key: false,
                index,
            });
        }
        if text.len() < SHORTEST_VALUE {
            return Err(QueryError::Argument {
                argument: "id",
                problem: "give an exchange id (x_…), or a value of at least 4 characters that requests carry: a trace id, \
                          a request id, an order number, a session cookie's value"
                    .to_owned(),
            });
        }
        let Some(hashes) = redactor.map(|redactor| redactor.identifiers_of(text.as_bytes())) else {
            return Ok(Self {
                nodes: Vec::new(),
                exhausted: Vec::new(),
                common: None,
                is_without_key: true,
                index,
            });
        };
        let found = index.look_up(snapshot, &hashes, MOST_NAMED, None)?;
        let is_common = found.values().any(|ids| ids.len() > MOST_NAMED);
        let ids: BTreeSet<i64> = found.into_values().flatten().collect();
        let is_all = ids.len() <= MOST_NAMED;
        let newest = ids.into_iter().rev().take(MOST_NAMED).collect();
        let nodes = node::load(snapshot, segments, redactor, &newest)?;
        let holds = |node: &Node| hashes.iter().any(|hash| node.holds(*hash));
        Ok(Self {
            nodes: nodes.into_iter().filter(holds).collect(),
            exhausted: if is_all { hashes } else { Vec::new() },
            common: is_common.then_some(MOST_NAMED),
            is_without_key: false,
            index,
        })
    }
}

/// Whether a text is the printed id of an exchange, and no value that only begins like one.
///
/// # Errors
/// `Argument` where it is an id of another kind, `Foreign` where another store printed it.
pub(super) fn is_id(snapshot: &Snapshot, text: &str) -> Result<bool, QueryError> {
    let tag = snapshot.tag();
    let is_other =
        ConnectionId::parse("id", &tag, text).is_ok() || DnsId::parse("id", &tag, text).is_ok();
    match ExchangeId::parse("id", &tag, text) {
        Ok(_) => Ok(true),
        Err(error) if is_other || matches!(error, QueryError::Foreign { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

impl Node {
    /// Whether an identifier is in it.
    pub(super) fn holds(&self, hash: Hash) -> bool {
        self.values.contains_key(&hash)
            || [&self.traces, &self.spans, &self.parents]
                .into_iter()
                .any(|hashes| hashes.contains(&hash))
    }
}

/// The index of all segments.
pub(super) struct Index {
    segments: Vec<i64>,
    /// By the first four bytes of the hash: exchanges that are in no run.
    unindexed: HashMap<u32, Vec<i64>>,
    /// More were not indexed than are looked through.
    pub(super) is_cut: bool,
}

impl Index {
    /// Reads what is not indexed.
    pub(super) fn open(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        redactor: Option<&Redactor>,
    ) -> Result<Self, QueryError> {
        let mut index = Self {
            segments: segments
                .iter()
                .rev()
                .map(|segment| segment.number)
                .collect(),
            unindexed: HashMap::new(),
            is_cut: false,
        };
        let mut left = MOST_UNINDEXED;
        for segment in Self::incomplete(snapshot, segments)?.into_iter().rev() {
            let gaps = gaps(snapshot, segment)?;
            for gap in gaps.into_iter().rev().filter(|(first, last)| first <= last) {
                let segment = segment.number;
                let read = index.read_gap(snapshot, redactor, segment, gap, left)?;
                left = left.saturating_sub(read);
            }
        }
        Ok(index)
    }

    /// Segments whose runs may not hold all of them: the one that is written, and others after a kill.
    fn incomplete<'s>(
        snapshot: &mut Snapshot,
        segments: &'s [Segment],
    ) -> Result<Vec<&'s Segment>, QueryError> {
        let mut incomplete = BTreeSet::new();
        for segments in segments.chunks(MOST_AT_ONCE) {
            // Spans do not overlap.
            let sql = of_each(segments.iter(), |segment| {
                let (number, ids) = (segment.number, segment.end_id - segment.first_id);
                format!(
                    "SELECT {number} WHERE {ids} > (SELECT COALESCE(SUM(last_id - first_id + 1), 0) \
                     FROM identifier_run_{number} WHERE last_id >= first_id)"
                )
            });
            let found: Vec<i64> = query_scalar(sql).fetch_all(snapshot.connection())?;
            incomplete.extend(found);
        }
        let is_incomplete = |segment: &&Segment| incomplete.contains(&segment.number);
        Ok(segments.iter().filter(is_incomplete).collect())
    }

    fn read_gap(
        &mut self,
        snapshot: &mut Snapshot,
        redactor: Option<&Redactor>,
        segment: i64,
        (first, last): (i64, i64),
        most: usize,
    ) -> Result<usize, QueryError> {
        let sql = format!(
            "SELECT id, request_header_holes, response_header_holes, request_trailer_holes, response_trailer_holes, url_path, url_query \
             FROM exchange_rows({segment}) WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
        );
        let rows = query(sql)
            .bind(first)
            .bind(last)
            .bind(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
            .fetch_all(snapshot.connection())?;
        let read = rows.len();
        self.is_cut |= read > most;
        for row in rows {
            let id: i64 = row.try_get(0)?;
            for column in 1..=4 {
                let Some(holes): Option<&[u8]> = row.try_get(column)? else {
                    continue;
                };
                // Traces stand behind the values, and are never left out.
                let mut values = 0;
                for found in identifiers(holes) {
                    let is_value = found.kind == IdentifierKind::Value;
                    values += usize::from(is_value);
                    if !is_value || values <= node::MOST_VALUES {
                        self.add(found.hash, id);
                    }
                }
            }
            let (path, query): (Option<&str>, Option<&str>) = (row.try_get(5)?, row.try_get(6)?);
            for (hash, _) in path
                .zip(redactor)
                .into_iter()
                .flat_map(|(path, redactor)| redactor.identifiers_in(path))
                .chain(query.into_iter().flat_map(hashes_in))
            {
                self.add(hash, id);
            }
        }
        Ok(read)
    }

    fn add(&mut self, hash: Hash, id: i64) {
        let ids = self
            .unindexed
            .entry(Entry::new(hash, id).prefix)
            .or_default();
        if ids.last() != Some(&id) {
            ids.push(id);
        }
    }

    /// The exchanges of these segments (of all, without) that may hold each of these; of each the newest, one more than `most`
    /// where there are more.
    pub(super) fn look_up(
        &self,
        snapshot: &mut Snapshot,
        hashes: &[Hash],
        most: usize,
        near: Option<&BTreeSet<i64>>,
    ) -> Result<BTreeMap<Hash, BTreeSet<i64>>, QueryError> {
        if hashes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut wanted: BTreeMap<u32, Vec<Hash>> = BTreeMap::new();
        let mut found: BTreeMap<Hash, BTreeSet<i64>> = BTreeMap::new();
        for hash in hashes {
            let prefix = Entry::new(*hash, 0).prefix;
            wanted.entry(prefix).or_default().push(*hash);
            found.entry(*hash).or_default();
        }
        let parts: BTreeSet<u32> = wanted
            .keys()
            .map(|prefix| prefix >> (32 - FINE_BITS))
            .collect();
        let parts = json_list(parts.into_iter().map(i64::from));
        let prefixes = headwater_pack::wanted(wanted.keys().copied());
        let is_near = |segment: &&i64| near.is_none_or(|near| near.contains(*segment));
        let segments: Vec<&i64> = self.segments.iter().filter(is_near).collect();
        for segments in segments.chunks(MOST_AT_ONCE) {
            snapshot.check()?;
            // One statement for all: each costs more than a row does.
            let sql = of_each(segments.iter(), |segment| {
                format!(
                    "SELECT identifier_matches(place, data, ?2) FROM identifier_run_{segment} CROSS JOIN json_each(?1) \
                     CROSS JOIN identifier_{segment} ON place = run << {FINE_BITS} | CASE level WHEN {SMALL} THEN value & -16 ELSE value END \
                     WHERE level <> {SPAN} AND identifier_matches(place, data, ?2) IS NOT NULL"
                )
            });
            let rows = query(sql)
                .bind(&parts)
                .bind(&prefixes)
                .fetch_all(snapshot.connection())?;
            for row in rows {
                for entry in headwater_pack::matches(row.try_get(0)?) {
                    for hash in wanted.get(&entry.prefix).into_iter().flatten() {
                        let ids = found.entry(*hash).or_default();
                        ids.insert(entry.id);
                        // The newest are kept.
                        if ids.len() > most + 1 {
                            ids.pop_first();
                        }
                    }
                }
            }
        }
        for hash in hashes {
            let unindexed = self.unindexed.get(&Entry::new(*hash, 0).prefix);
            let ids = found.entry(*hash).or_default();
            ids.extend(unindexed.into_iter().flatten());
            while ids.len() > most + 1 {
                ids.pop_first();
            }
        }
        Ok(found)
    }
}

/// Ids of a segment that no run holds, first and last.
fn gaps(snapshot: &mut Snapshot, segment: &Segment) -> Result<Vec<(i64, i64)>, QueryError> {
    let sql = format!(
        "SELECT first_id, last_id FROM identifier_run_{} WHERE last_id >= first_id ORDER BY first_id, last_id",
        segment.number
    );
    let spans: Vec<(i64, i64)> = query_as(sql).fetch_all(snapshot.connection())?;
    let (mut gaps, mut next) = (Vec::new(), segment.first_id);
    for (first, last) in spans {
        gaps.push((next, first.saturating_sub(1)));
        next = next.max(last.saturating_add(1));
    }
    gaps.push((next, segment.end_id.saturating_sub(1)));
    Ok(gaps)
}

/// `identifier_run_N.level` of runs as they were written, cut into fewer parts,
const SMALL: i64 = 0;
/// and of spans without rows.
const SPAN: i64 = 2;
/// Exchanges that are shown of a value that many hold.
const MOST_NAMED: usize = 32;
/// Exchanges of no run that are looked through.
const MOST_UNINDEXED: usize = 20_000;
const SHORTEST_VALUE: usize = 4;
