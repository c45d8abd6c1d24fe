//! Time segments, and which ids of them a window can hold.
//!
//! Owns: the way from a window to ranges of ids. Ids grow in order of commit, so each committed batch (`exchange_block`)
//! names the times it holds; batches are put together to chunks, so that a store of many small ones stays cheap to read.

use crate::QueryError;
use crate::answer::Window;
use crate::db::{query, query_scalar};
use crate::integer::{signed, unsigned};
use crate::snapshot::Snapshot;

/// A time segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    /// The N of `exchange_N`.
    pub(crate) number: i64,
    pub(crate) first_id: i64,
    /// The first id behind it.
    pub(crate) end_id: i64,
    pub(crate) closed: bool,
    pub(crate) min_start_ns: Option<i64>,
    pub(crate) max_start_ns: Option<i64>,
    pub(crate) row_count: u64,
    /// How often the wall clock was set back before it.
    pub(crate) clock_epoch: i64,
}

/// A range of ids within one segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk {
    /// Of its segment: what is in a later one is newer, whatever the time.
    pub(crate) clock_epoch: i64,
    pub(crate) segment: i64,
    pub(crate) first_id: i64,
    pub(crate) last_id: i64,
    pub(crate) min_start_ns: i64,
    pub(crate) max_start_ns: i64,
    /// How many ids its blocks hold.
    pub(crate) ids: u64,
}

/// All segments, oldest first.
pub(crate) fn all(snapshot: &mut Snapshot) -> Result<Vec<Segment>, QueryError> {
    let rows = query(
        "SELECT id, first_exchange_id, closed_ns IS NOT NULL, min_start_ns, max_start_ns, row_count, \
         clock_epoch FROM segment ORDER BY first_exchange_id, id",
    )
    .fetch_all(snapshot.connection())?;
    let mut segments: Vec<Segment> = Vec::with_capacity(rows.len());
    for row in rows {
        let first_id = row.try_get(1)?;
        if let Some(before) = segments.last_mut() {
            before.end_id = first_id;
        }
        segments.push(Segment {
            number: row.try_get(0)?,
            first_id,
            end_id: i64::MAX,
            closed: row.try_get(2)?,
            min_start_ns: row.try_get(3)?,
            max_start_ns: row.try_get(4)?,
            row_count: unsigned(row.try_get(5)?),
            clock_epoch: row.try_get(6)?,
        });
    }
    Ok(segments)
}

/// One statement that asks the same of each segment.
pub(crate) fn of_each<S>(
    segments: impl Iterator<Item = S>,
    select: impl Fn(S) -> String,
) -> String {
    segments.map(select).collect::<Vec<_>>().join(" UNION ALL ")
}

/// The segment that holds an id, when it is kept.
pub(crate) fn holding(segments: &[Segment], id: i64) -> Option<&Segment> {
    segments
        .iter()
        .rev()
        .find(|segment| segment.first_id <= id && id < segment.end_id)
}

/// Those at most `reach` before or behind one.
pub(crate) fn beside(
    segments: &[Segment],
    number: i64,
    reach: i64,
) -> impl Iterator<Item = &Segment> {
    segments
        .iter()
        .filter(move |segment| (segment.number - number).abs() <= reach)
}

/// Segments with the ids of them that are at most `reach` before or behind one: number, first and last id.
pub(crate) fn near(segments: &[Segment], id: i64, reach: i64) -> Vec<(i64, i64, i64)> {
    let span = |segment: &Segment| {
        let first = segment.first_id.max(id.saturating_sub(reach));
        let last = (segment.end_id - 1).min(id.saturating_add(reach));
        (first <= last).then_some((segment.number, first, last))
    };
    segments.iter().filter_map(span).collect()
}

/// Start of the oldest exchange that is kept.
pub(crate) fn oldest_ns(segments: &[Segment]) -> Option<u64> {
    let oldest = segments.iter().filter_map(|segment| segment.min_start_ns);
    oldest.min().map(unsigned)
}

/// The chunks that can hold exchanges of the window, latest first. `shift` sets how many ids a chunk has at least.
pub(crate) fn chunks(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
    shift: u32,
) -> Result<Vec<Chunk>, QueryError> {
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    let mut chunks = Vec::new();
    for segment in segments
        .iter()
        .filter(|segment| segment.may_hold(since_ns, until_ns))
    {
        let rows = query(
            "SELECT MIN(first_id), MAX(last_id), MIN(min_start_ns), MAX(max_start_ns), SUM(last_id - first_id + 1) \
             FROM exchange_block WHERE first_id >= ?1 AND first_id < ?2 AND segment_id = ?3 AND max_start_ns >= ?4 AND min_start_ns <= ?5 \
             GROUP BY first_id >> ?6",
        )
        .bind(segment.first_id)
        .bind(segment.end_id)
        .bind(segment.number)
        .bind(since_ns)
        .bind(until_ns)
        .bind(i64::from(shift))
        .fetch_all(snapshot.connection())?;
        for row in rows {
            chunks.push(Chunk {
                clock_epoch: segment.clock_epoch,
                segment: segment.number,
                first_id: row.try_get(0)?,
                last_id: row.try_get(1)?,
                min_start_ns: row.try_get(2)?,
                max_start_ns: row.try_get(3)?,
                ids: unsigned(row.try_get(4)?),
            });
        }
    }
    chunks.sort_by_key(|chunk| {
        std::cmp::Reverse((chunk.clock_epoch, chunk.max_start_ns, chunk.first_id))
    });
    Ok(chunks)
}

/// How many exchanges of any kind the window holds.
pub(crate) fn count(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
) -> Result<u64, QueryError> {
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    let mut sum = 0_u64;
    for chunk in chunks(snapshot, segments, window, 12)? {
        let sql = format!(
            "SELECT COUNT(*) FROM exchange_rows({}) WHERE id BETWEEN ? AND ? AND start_ns BETWEEN ? AND ?",
            chunk.segment
        );
        let inside = chunk.min_start_ns >= since_ns && chunk.max_start_ns <= until_ns;
        // Ids are given out without holes within a block.
        if inside && chunk.ids > EXACT {
            sum = sum.saturating_add(chunk.ids);
            continue;
        }
        let count: i64 = query_scalar(sql)
            .bind(chunk.first_id)
            .bind(chunk.last_id)
            .bind(since_ns)
            .bind(until_ns)
            .fetch_one(snapshot.connection())?;
        sum = sum.saturating_add(unsigned(count));
    }
    Ok(sum)
}

/// How many DNS exchanges the window holds.
pub(crate) fn count_dns(
    snapshot: &mut Snapshot,
    segments: &[Segment],
    window: Window,
) -> Result<u64, QueryError> {
    let (since_ns, until_ns) = (signed(window.since_ns), signed(window.until_ns));
    let mut sum = 0_u64;
    for segment in segments
        .iter()
        .filter(|segment| segment.may_hold(since_ns, until_ns))
    {
        let sql = COUNT_DNS.replace("{N}", &segment.number.to_string());
        let count: i64 = query_scalar(sql)
            .bind(since_ns)
            .bind(until_ns)
            .fetch_one(snapshot.connection())?;
        sum = sum.saturating_add(unsigned(count));
    }
    Ok(sum)
}

impl Segment {
    /// Whether it may hold anything of a window.
    pub(crate) fn may_hold(&self, since_ns: i64, until_ns: i64) -> bool {
        // The open segment's row may lag behind its blocks.
        !self.closed
            || self.min_start_ns.is_none_or(|min| min <= until_ns)
                && self.max_start_ns.is_none_or(|max| max >= since_ns)
    }
}

/// Segments that one statement asks: SQLite takes five hundred terms.
pub(crate) const MOST_AT_ONCE: usize = 200;
/// Chunks up to this size are counted row by row.
const EXACT: u64 = 4_096;
/// Plain rows by their index; packs that lie within by what they say of themselves; the others, which are few, by looking
/// into them, where the plain rows between theirs are seen again.
const COUNT_DNS: &str = "SELECT \
    (SELECT COUNT(*) FROM dns_exchange_{N} WHERE start_ns BETWEEN ?1 AND ?2) + \
    (SELECT COALESCE(SUM(row_count), 0) FROM dns_exchange_pack_{N} WHERE min_start_ns >= ?1 AND max_start_ns BETWEEN ?1 AND ?2) + \
    (SELECT COALESCE(SUM((SELECT COUNT(*) FROM dns_rows({N}) r WHERE r.id BETWEEN p.first_id AND p.last_id AND r.start_ns BETWEEN ?1 AND ?2) - \
    (SELECT COUNT(*) FROM dns_exchange_{N} r WHERE r.id BETWEEN p.first_id AND p.last_id AND r.start_ns BETWEEN ?1 AND ?2)), 0) \
    FROM dns_exchange_pack_{N} p WHERE p.max_start_ns >= ?1 AND p.min_start_ns <= ?2 AND (p.min_start_ns < ?1 OR p.max_start_ns > ?2))";
