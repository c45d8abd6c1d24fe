//! The scan of a search: chunk by chunk, the best rows so far in a small ordered set.
//!
//! Owns: the order of rows. Newest is by (epoch of the wall clock, start, id), which is the order of the boot clock; slowest by
//! (latency, id); both descending. A row keeps its place whatever is committed meanwhile, so a page that begins behind
//! another's last row neither repeats nor skips one.

use std::collections::BTreeSet;

use super::LATENCY;
use super::filter::{Filter, Value, bound};
use super::header::HeaderFilter;
use crate::answer::Window;
use crate::db::Row;
use crate::integer::signed;
use crate::segments::Chunk;
use crate::snapshot::Snapshot;
use crate::{QueryError, SearchOrder};

/// Where a row stands: the greatest comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// How often the wall clock was set back before it; 0 where the order is not of time.
    pub(crate) clock_epoch: i64,
    /// Start or latency.
    pub(crate) key: i64,
    pub(crate) id: i64,
    pub(crate) segment: i64,
}

/// Behind which row a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Behind {
    /// As in `Place`.
    pub(crate) clock_epoch: i64,
    pub(crate) key: i64,
    pub(crate) id: i64,
}

/// A search under way.
pub(crate) struct Scan {
    pub(crate) order: SearchOrder,
    pub(crate) window: Window,
    pub(crate) filter: Filter,
    pub(crate) headers: Option<HeaderFilter>,
    /// The last row shown.
    pub(crate) behind: Option<Behind>,
    /// How many rows are wanted.
    pub(crate) want: usize,
    pub(crate) best: BTreeSet<Place>,
    /// Start of the earliest data looked at, when that is not all.
    pub(crate) limited_to_ns: Option<i64>,
}

impl Scan {
    /// Looks through `chunks`, which are ordered by their epoch and latest start.
    pub(crate) fn run(
        &mut self,
        snapshot: &mut Snapshot,
        chunks: &[Chunk],
    ) -> Result<(), QueryError> {
        let mut looked_at = 0_u64;
        for chunk in chunks {
            let newest = self.order == SearchOrder::Newest;
            if newest
                && self.least().is_some_and(|least| {
                    (least.clock_epoch, least.key) > (chunk.clock_epoch, chunk.max_start_ns)
                })
            {
                break;
            }
            if newest
                && self.behind.is_some_and(|behind| {
                    (chunk.clock_epoch, chunk.min_start_ns) > (behind.clock_epoch, behind.key)
                })
            {
                continue;
            }
            if !newest && looked_at >= SCAN_LIMIT {
                self.limited_to_ns = Some(chunk.max_start_ns);
                break;
            }
            looked_at = looked_at.saturating_add(chunk.ids);
            if self.headers.is_some() {
                self.chunk_by_rendering(snapshot, chunk)?;
            } else {
                let rows = bound(
                    self.sql(chunk, ""),
                    &self.values(chunk, chunk.first_id, None),
                )
                .fetch_all(snapshot.connection())?;
                self.keep(chunk, &rows)?;
            }
        }
        Ok(())
    }

    fn chunk_by_rendering(
        &mut self,
        snapshot: &mut Snapshot,
        chunk: &Chunk,
    ) -> Result<(), QueryError> {
        let mut first_id = chunk.first_id;
        loop {
            let Some(headers) = &self.headers else {
                return Ok(());
            };
            let lacking = headers.lacking(chunk.segment);
            let rows = bound(
                self.sql(chunk, HEADERS),
                &self.values(chunk, first_id, Some(lacking)),
            )
            .fetch_all(snapshot.connection())?;
            let full = rows.len() >= BATCH;
            let last_id: Option<i64> = rows.last().map(|row| row.try_get(0)).transpose()?;
            let Some(headers) = &mut self.headers else {
                return Ok(());
            };
            let matching = headers.matches(snapshot, chunk.segment, rows)?;
            self.keep(chunk, &matching)?;
            match last_id {
                Some(last_id) if full && last_id < chunk.last_id => first_id = last_id + 1,
                _ => return Ok(()),
            }
        }
    }

    fn keep(&mut self, chunk: &Chunk, rows: &[Row]) -> Result<(), QueryError> {
        for row in rows {
            self.best.insert(Place {
                clock_epoch: self.epoch_of(chunk),
                id: row.try_get(0)?,
                key: row.try_get(1)?,
                segment: chunk.segment,
            });
            if self.best.len() > self.want {
                self.best.pop_first();
            }
        }
        Ok(())
    }

    /// The last row that still matters once enough are there.
    fn least(&self) -> Option<Place> {
        (self.best.len() >= self.want).then(|| self.best.first().copied())?
    }

    /// The least key that still matters in a chunk.
    fn floor(&self, chunk: &Chunk) -> i64 {
        self.least()
            .filter(|least| least.clock_epoch == self.epoch_of(chunk))
            .map_or(0, |least| least.key)
    }

    /// The row behind which those of a chunk begin; all of an earlier epoch do.
    fn behind(&self, chunk: &Chunk) -> Option<Behind> {
        self.behind
            .filter(|behind| behind.clock_epoch == self.epoch_of(chunk))
    }

    /// In the order of the rows.
    fn epoch_of(&self, chunk: &Chunk) -> i64 {
        match self.order {
            SearchOrder::Newest => chunk.clock_epoch,
            SearchOrder::Slowest => 0,
        }
    }

    fn key(&self) -> &'static str {
        match self.order {
            SearchOrder::Newest => "e.start_ns",
            SearchOrder::Slowest => LATENCY,
        }
    }

    /// With `headers` the rows come by id, to be rendered in batches; without, the best come first.
    fn sql(&self, chunk: &Chunk, headers: &str) -> String {
        let (key, segment, filter) = (self.key(), chunk.segment, self.filter.sql());
        let columns = if headers.is_empty() { "" } else { BLOCKS };
        let order = if headers.is_empty() {
            format!("{key} DESC, e.id DESC")
        } else {
            "e.id".to_owned()
        };
        let behind = if self.behind(chunk).is_some() {
            format!(" AND ({key}, e.id) < (?, ?)")
        } else {
            String::new()
        };
        let latency_known = if self.order == SearchOrder::Slowest {
            " AND e.outcome <> 8"
        } else {
            ""
        };
        format!(
            "SELECT e.id, {key}{columns} FROM exchange_rows({segment}) e WHERE e.id BETWEEN ? AND ? \
             AND e.start_ns BETWEEN ? AND ? AND {key} >= ?{behind}{latency_known}{filter}{headers} \
             ORDER BY {order} LIMIT ?"
        )
    }

    fn values(&self, chunk: &Chunk, first_id: i64, lacking: Option<String>) -> Vec<Value> {
        let mut values = vec![
            Value::Integer(first_id),
            Value::Integer(chunk.last_id),
            Value::Integer(signed(self.window.since_ns)),
            Value::Integer(signed(self.window.until_ns)),
            Value::Integer(self.floor(chunk)),
        ];
        if let Some(behind) = self.behind(chunk) {
            values.extend([Value::Integer(behind.key), Value::Integer(behind.id)]);
        }
        values.extend(self.filter.values().iter().cloned());
        let limit = if lacking.is_some() { BATCH } else { self.want };
        if let Some(lacking) = lacking {
            values.extend([Value::Text(lacking.clone()), Value::Text(lacking)]);
        }
        values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
        values
    }
}

const BLOCKS: &str = ", e.request_header_block_id, e.request_header_holes, e.response_header_block_id, \
                      e.response_header_holes";
const HEADERS: &str = " AND (e.request_header_block_id NOT IN (SELECT value FROM json_each(?)) \
                       OR e.response_header_block_id NOT IN (SELECT value FROM json_each(?)))";
/// Rows rendered at a time.
const BATCH: usize = 1_000;
/// The slowest are looked for among so many of the latest exchanges of the window.
const SCAN_LIMIT: u64 = 2_000_000;
