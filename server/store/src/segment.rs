//! The time segment being written, and the blocks of ids within it.
//!
//! Owns: making a segment's tables, closing it, and `exchange_block`. Invariant: a segment is closed and the next one made
//! between batches, in a transaction of its own, so a batch never lies in two.

use rusqlite::{Connection, OptionalExtension, params};

use crate::integer::{signed, unsigned};
use crate::{codes, rollup};

/// The segment being written. What it counts is that of committed batches after a `load`, and of the batch too before.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Segment {
    pub(crate) id: i64,
    pub(crate) created_ns: u64,
    pub(crate) rows: u64,
    /// Of other kinds: DNS exchanges, UDP flows.
    pub(crate) others: u64,
    /// The next id of a connection when it began.
    first_connection: i64,
    /// How often the wall clock was set back.
    clock_epoch: i64,
    /// Of exchanges and of what is counted in `others`.
    span_ns: Option<(i64, i64)>,
    block: Option<Block>,
    /// Whether the block has changed in this batch.
    is_block_new: bool,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first_id: i64,
    last_id: i64,
    span_ns: (i64, i64),
}

/// What the next segment begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) now_ns: u64,
    pub(crate) exchange_id: i64,
    pub(crate) connection_id: i64,
    /// Connections that may still be referred to.
    pub(crate) live_connections: Vec<i64>,
    /// The wall clock was set back since the last segment began.
    pub(crate) is_set_back: bool,
}

impl Segment {
    /// The segment that is being written, or a first one.
    pub(crate) fn load(connection: &Connection, beginning: &Beginning) -> rusqlite::Result<Self> {
        let open = connection
            .query_row(
                "SELECT id, created_ns, first_connection_id, clock_epoch FROM segment WHERE closed_ns IS NULL ORDER BY id DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
            )
            .optional()?;
        let Some((id, created_ns, first_connection, clock_epoch)) = open else {
            return Self::make(connection, beginning, 0);
        };
        let (rows, min_ns, max_ns): (i64, Option<i64>, Option<i64>) = connection.query_row(
            "SELECT COALESCE(SUM(last_id - first_id + 1), 0), MIN(min_start_ns), MAX(max_start_ns) \
             FROM exchange_block WHERE segment_id = ?",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let (others, first_ns, last_ns): (i64, Option<i64>, Option<i64>) = connection.query_row(
            &format!(
                "SELECT SUM(count), MIN(first), MAX(last) FROM \
                 (SELECT COUNT(*) AS count, MIN(start_ns) AS first, MAX(start_ns) AS last FROM dns_exchange_{id} UNION ALL \
                 SELECT COALESCE(SUM(row_count), 0), MIN(min_start_ns), MAX(max_start_ns) FROM dns_exchange_pack_{id} UNION ALL \
                 SELECT COUNT(*), MIN(start_ns), MAX(start_ns) FROM udp_flow_{id})"
            ),
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        let mut segment = Self {
            id,
            created_ns: unsigned(created_ns),
            rows: unsigned(rows),
            others: unsigned(others),
            first_connection,
            clock_epoch,
            span_ns: min_ns.zip(max_ns),
            ..Self::default()
        };
        for at_ns in [first_ns, last_ns].into_iter().flatten() {
            segment.span_ns = Some(widened(segment.span_ns, at_ns));
        }
        if beginning.is_set_back {
            segment.roll(connection, beginning)?;
        }
        Ok(segment)
    }

    /// Closes this segment and makes the next one.
    pub(crate) fn roll(
        &mut self,
        connection: &Connection,
        beginning: &Beginning,
    ) -> rusqlite::Result<()> {
        self.sum_up(connection)?;
        rollup::sum_up(connection, self.id)?;
        connection.execute(
            "UPDATE segment SET closed_ns = ? WHERE id = ?",
            params![signed(beginning.now_ns), self.id],
        )?;
        let clock_epoch = self.clock_epoch + i64::from(beginning.is_set_back);
        *self = Self::make(connection, beginning, clock_epoch)?;
        Ok(())
    }

    /// A row of another kind came.
    pub(crate) fn add_other(&mut self, at_ns: i64) {
        self.others += 1;
        self.span_ns = Some(widened(self.span_ns, at_ns));
    }

    /// Whether dropping it would drop anything: exchanges, or connections, on which there may be none.
    pub(crate) fn has_data(&self, next_connection: i64) -> bool {
        self.rows + self.others > 0 || next_connection > self.first_connection
    }

    /// Brings the segment's own row up to date.
    pub(crate) fn sum_up(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute(
            "UPDATE segment SET min_start_ns = ?, max_start_ns = ?, row_count = ? WHERE id = ?",
            params![
                self.span_ns.map(|span| span.0),
                self.span_ns.map(|span| span.1),
                signed(self.rows),
                self.id
            ],
        )?;
        Ok(())
    }

    /// An exchange is new in the batch.
    pub(crate) fn add(&mut self, id: i64, start_ns: i64) {
        self.rows += 1;
        self.span_ns = Some(widened(self.span_ns, start_ns));
        let span_ns = widened(self.block.map(|block| block.span_ns), start_ns);
        let first_id = self.block.map_or(id, |block| block.first_id);
        self.block = Some(Block {
            first_id,
            last_id: id,
            span_ns,
        });
        self.is_block_new = true;
    }

    /// Writes the block that the batch belongs to.
    pub(crate) fn write_block(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let Some(block) = self.block.filter(|_| self.is_block_new) else {
            return Ok(());
        };
        connection
            .prepare_cached("REPLACE INTO exchange_block VALUES (?, ?, ?, ?, ?)")?
            .execute(params![
                block.first_id,
                block.last_id,
                self.id,
                block.span_ns.0,
                block.span_ns.1
            ])?;
        Ok(())
    }

    /// The batch is committed: the next one shares its block only if both are small and close in time.
    pub(crate) fn confirm(&mut self) {
        self.is_block_new = false;
        self.block = self.block.filter(|block| {
            block.last_id - block.first_id < SMALL_BLOCK
                && block.span_ns.1 - block.span_ns.0 < SHORT_BLOCK_NS
        });
    }

    fn make(
        connection: &Connection,
        beginning: &Beginning,
        clock_epoch: i64,
    ) -> rusqlite::Result<Self> {
        let live: Vec<String> = beginning
            .live_connections
            .iter()
            .map(ToString::to_string)
            .collect();
        connection.execute(
            "INSERT INTO segment (created_ns, first_exchange_id, first_connection_id, live_connections, clock_epoch) \
             VALUES (?, ?, ?, ?, ?)",
            params![
                signed(beginning.now_ns),
                beginning.exchange_id,
                beginning.connection_id,
                format!("[{}]", live.join(",")),
                clock_epoch
            ],
        )?;
        let id = connection.last_insert_rowid();
        connection.execute_batch(&TABLES.replace("{N}", &id.to_string()))?;
        Ok(Self {
            id,
            created_ns: beginning.now_ns,
            first_connection: beginning.connection_id,
            clock_epoch,
            ..Self::default()
        })
    }
}

/// Nobody is there any more to end what was stored as open: its end was lost. A segment whose roll-ups know of nothing open
/// holds none, but for answers with an error's status, of which the segment being written is asked as well.
pub(crate) fn end_open(connection: &Connection) -> rusqlite::Result<()> {
    let segments = connection
        .prepare("SELECT id, closed_ns IS NULL FROM segment")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    for (id, is_written) in segments {
        if rollup::end_open(connection, id)? || is_written {
            let sql = format!("UPDATE exchange_{id} SET outcome = ? WHERE outcome = ?");
            connection.execute(&sql, [codes::TRUNCATED, codes::OPEN_OUTCOME])?;
        }
    }
    Ok(())
}

fn widened(span_ns: Option<(i64, i64)>, at_ns: i64) -> (i64, i64) {
    span_ns.map_or((at_ns, at_ns), |span| {
        (span.0.min(at_ns), span.1.max(at_ns))
    })
}

const TABLES: &str = include_str!("../../../schema/migrations/segment.sql");
/// Blocks of fewer exchanges take in the next batch.
const SMALL_BLOCK: i64 = 1_024;
/// Unless they reach over so long a time.
const SHORT_BLOCK_NS: i64 = 10_000_000_000;
