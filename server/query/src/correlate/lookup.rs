//! Which exchanges hold an identifier.
//!
//! Owns: reading the index of every segment, and the exchanges that no run of it holds yet. What is found begins like what
//! was looked for; whether it is the same is seen in the exchange itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use headwater_pack::identifiers::{Entry, FINE_BITS, GROUP_BITS, group_place, place};
use headwater_redact::{IdentifierKind, Redactor, hashes_in, identifiers};

use crate::QueryError;
use crate::db::{query, query_as, query_scalar};
use crate::id::{ConnectionId, DnsId, ExchangeId, GroupId};
use crate::names::json_list;
use crate::segments::Segment;
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
    let is_other = ConnectionId::parse("id", &tag, text).is_ok()
        || DnsId::parse("id", &tag, text).is_ok()
        || GroupId::parse("id", &tag, text).is_ok();
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
    /// Newest first.
    segments: Vec<Indexed>,
    /// By the first four bytes of the hash: exchanges that are in no run.
    unindexed: HashMap<u32, Vec<i64>>,
    /// More were not indexed than are looked through.
    pub(super) is_cut: bool,
}

/// The runs of a segment.
#[derive(Default)]
struct Indexed {
    segment: i64,
    /// Of its exchanges.
    first_id: i64,
    /// Numbers of those with parts as they were written,
    small: Vec<i64>,
    /// of those with as many as there are,
    large: Vec<i64>,
    /// of those that hold what this and older segments had, with how many these are,
    groups: Vec<(i64, usize)>,
    /// First and last ids.
    spans: Vec<(i64, i64)>,
}

impl Index {
    /// Reads which runs there are, and what is in none.
    pub(super) fn open(
        snapshot: &mut Snapshot,
        segments: &[Segment],
        redactor: Option<&Redactor>,
    ) -> Result<Self, QueryError> {
        let mut index = Self {
            segments: Vec::with_capacity(segments.len()),
            unindexed: HashMap::new(),
            is_cut: false,
        };
        let mut runs: HashMap<i64, Indexed> = HashMap::new();
        let rows: Vec<(i64, i64, i64, i64, i64)> =
            query_as("SELECT segment_id, run, first_id, last_id, level FROM identifier_run")
                .fetch_all(snapshot.connection())?;
        for (segment, run, first, last, level) in rows {
            let of = runs.entry(segment).or_default();
            match level {
                SMALL => of.small.push(run),
                SPAN => {}
                GROUP.. => {
                    let count = usize::try_from(level % GROUP).unwrap_or(0);
                    of.groups.push((run, count));
                }
                _ => of.large.push(run),
            }
            if level != MERGING && level < GROUP {
                of.spans.push((first, last));
            }
        }
        let mut left = MOST_UNINDEXED;
        for segment in segments.iter().rev() {
            let mut indexed = runs.remove(&segment.number).unwrap_or_default();
            indexed.segment = segment.number;
            indexed.first_id = segment.first_id;
            for gap in gaps(segment, &mut indexed.spans).into_iter().rev() {
                let read = index.read_gap(snapshot, redactor, segment.number, gap, left)?;
                left = left.saturating_sub(read);
            }
            index.segments.push(indexed);
        }
        Ok(index)
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
        let prefixes = headwater_pack::wanted(wanted.keys().copied());
        let is_near = |indexed: &Indexed| near.is_none_or(|near| near.contains(&indexed.segment));
        for (at, indexed) in self.segments.iter().enumerate() {
            snapshot.check()?;
            let mut take = |entry: Entry| {
                for hash in wanted.get(&entry.prefix).into_iter().flatten() {
                    let ids = found.entry(*hash).or_default();
                    ids.insert(entry.id);
                    // The newest are kept.
                    if ids.len() > most + 1 {
                        ids.pop_first();
                    }
                }
            };
            if is_near(indexed) {
                let places = indexed.places(&parts);
                for blob in matches(snapshot, indexed.segment, 0, &places, &prefixes)? {
                    headwater_pack::matches(&blob).for_each(&mut take);
                }
            }
            for (run, count) in &indexed.groups {
                let mut of = self.segments.iter().skip(at).take(*count);
                let oldest = of.clone().next_back();
                if !of.any(is_near) {
                    continue;
                }
                let first_id = oldest.map_or(0, |oldest| oldest.first_id);
                let places: BTreeSet<i64> = wanted
                    .keys()
                    .map(|prefix| group_place(*run, *prefix))
                    .collect();
                let places = Vec::from_iter(places);
                for blob in matches(snapshot, indexed.segment, GROUP_BITS, &places, &prefixes)? {
                    let mut last = None;
                    for entry in headwater_pack::matches(&blob) {
                        // What was told again when it ended, in a segment of the group that is not known any more.
                        let is_again = last.replace(entry) == Some(entry);
                        let is_late = is_again || entry.id < first_id;
                        let of = self.segment_of(entry.id);
                        if of.is_some_and(|of| is_late || is_near(of)) {
                            take(entry);
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

impl Index {
    /// The segment that an exchange is in; none of one that is gone.
    fn segment_of(&self, id: i64) -> Option<&Indexed> {
        let newer = self
            .segments
            .partition_point(|indexed| indexed.first_id > id);
        self.segments.get(newer)
    }
}

impl Indexed {
    /// Rows that may hold these of 4,096 parts.
    fn places(&self, parts: &BTreeSet<u32>) -> Vec<i64> {
        let small: BTreeSet<u32> = parts.iter().map(|part| part & !SMALL_PARTS).collect();
        let in_runs = |runs: &[i64], parts: &BTreeSet<u32>| -> Vec<i64> {
            let in_run = |run: &i64| {
                parts
                    .iter()
                    .map(|part| place(*run, *part))
                    .collect::<Vec<_>>()
            };
            runs.iter().flat_map(in_run).collect()
        };
        let mut places = in_runs(&self.small, &small);
        places.extend(in_runs(&self.large, parts));
        places
    }
}

/// What the rows at these places hold of what is looked for.
fn matches(
    snapshot: &mut Snapshot,
    segment: i64,
    shift: u32,
    places: &[i64],
    prefixes: &[u8],
) -> Result<Vec<Vec<u8>>, QueryError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let select = format!(
        "SELECT identifier_matches(place >> {shift}, data, ?2) FROM identifier_{segment} WHERE place"
    );
    // Most often there is one: then a list costs more than the row.
    let rows: Vec<Option<Vec<u8>>> = if let [place] = places {
        query_scalar(format!("{select} = ?1"))
            .bind(*place)
            .bind(prefixes)
            .fetch_all(snapshot.connection())?
    } else {
        query_scalar(format!("{select} IN (SELECT value FROM json_each(?1))"))
            .bind(json_list(places.iter().copied()))
            .bind(prefixes)
            .fetch_all(snapshot.connection())?
    };
    Ok(rows.into_iter().flatten().collect())
}

/// Ids of a segment that no run holds, first and last.
fn gaps(segment: &Segment, spans: &mut [(i64, i64)]) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let (mut gaps, mut next) = (Vec::new(), segment.first_id);
    for (first, last) in spans.iter().filter(|(first, last)| first <= last) {
        gaps.push((next, first.saturating_sub(1)));
        next = next.max(last.saturating_add(1));
    }
    gaps.push((next, segment.end_id.saturating_sub(1)));
    gaps.retain(|(first, last)| first <= last);
    gaps
}

/// `identifier_run.level` of runs as they were written, cut into fewer parts,
const SMALL: i64 = 0;
/// of spans without rows,
const SPAN: i64 = 2;
/// of those being made, which have no span yet,
const MERGING: i64 = 3;
/// and, with the number of its segments, of a group's, which has no span; 16 more while it is made.
const GROUP: i64 = 16;
/// Bits of a part that small runs do not tell apart.
const SMALL_PARTS: u32 = 15;
/// Exchanges that are shown of a value that many hold.
const MOST_NAMED: usize = 32;
/// Exchanges of no run that are looked through.
const MOST_UNINDEXED: usize = 20_000;
const SHORTEST_VALUE: usize = 4;
