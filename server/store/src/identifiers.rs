//! The index of identifiers: which exchanges hold which.
//!
//! Hashes are random, so that a B-tree of them would be written all over. They are gathered instead, and written as a sorted
//! run for some thousands of exchanges, in one row for each first byte; `merge` makes one of them later, and `group` one of those of
//! several segments. Exchanges behind the last run
//! are looked through one by one by whoever reads. Everything lies in the segment, which retention drops.
//!
//! Owns: what is gathered, and when a run is due. Surprising: a run may hold ids before its span: exchanges whose end came
//! late, of earlier segments too.

use headwater_model::{Exchange, Message};
use headwater_pack::identifiers::{Entry, FINE_BITS, place, write_part};
use headwater_redact::{IdentifierKind, identifiers};
use rusqlite::{Connection, params};

/// What is gathered for the next run.
#[derive(Debug, Default)]
pub(crate) struct Identifiers {
    entries: Vec<Entry>,
    span: Span,
    /// How many of them, and what span, are of committed batches.
    committed: (usize, Span),
    /// Those of committed batches, once this batch has written a run of them.
    kept: Option<Vec<Entry>>,
    /// Those of this batch that were left out of exchanges with too many.
    left_out: u64,
    /// When the last run was written, or the first was begun.
    written_ns: u64,
    /// Hashes of one exchange.
    scratch: Vec<[u8; 8]>,
}

/// Of the exchanges that are new: the first and the last id. And whether more was told of older ones, of which nobody can find
/// it before the next run.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    ids: Option<(i64, i64)>,
    has_older: bool,
}

/// When a run is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    /// Within a batch, when too much is held.
    Full,
    /// When it is time for one.
    Due { now_ns: u64 },
    /// In any case: the segment, or the recorder, ends.
    Now,
}

impl Identifiers {
    /// Gathers those of an exchange that is stored for the first time, or of which more is known than when it was.
    pub(crate) fn add(&mut self, id: i64, is_new: bool, exchange: &Exchange) {
        if is_new {
            let first = self.span.ids.map_or(id, |(first, _)| first);
            self.span.ids = Some((first, id));
        } else if self.span.ids.is_none_or(|(first, _)| id < first) {
            self.span.has_older = true;
        }
        self.scratch.clear();
        let request = exchange.request.as_ref().map(|request| &request.message);
        let response = exchange.response.as_ref().map(|response| &response.message);
        let messages = [request, response];
        for message in messages.into_iter().flatten() {
            gather(message, false, &mut self.scratch);
        }
        if let Some(request) = &exchange.request {
            self.scratch.extend(request.target.identifiers());
        }
        let first = self.scratch.len();
        for message in messages.into_iter().flatten() {
            gather(message, true, &mut self.scratch);
        }
        if self.scratch.len() > MOST_OF_EXCHANGE {
            // Traces and what the target holds are the last to go.
            let mut values = self.scratch.split_off(first);
            values.sort_unstable();
            values.dedup();
            self.scratch.append(&mut values);
            self.left_out += self.scratch.len().saturating_sub(MOST_OF_EXCHANGE) as u64;
            self.scratch.truncate(MOST_OF_EXCHANGE);
        }
        self.scratch.sort_unstable();
        self.scratch.dedup();
        let entries = self.scratch.iter().map(|hash| Entry::new(*hash, id));
        self.entries.extend(entries);
    }

    /// Writes a run if one is due.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        segment: i64,
        when: When,
    ) -> rusqlite::Result<()> {
        let (first, last) = self.span.ids.unwrap_or(NO_SPAN);
        let exchanges = last - first + 1;
        let is_due = match when {
            When::Full => self.entries.len() >= MOST_ENTRIES * 2,
            When::Due { now_ns } => {
                if self.written_ns == 0 {
                    self.written_ns = now_ns;
                }
                let has_enough =
                    exchanges >= EXCHANGES_OF_RUN || self.entries.len() >= MOST_ENTRIES;
                let is_old = now_ns.saturating_sub(self.written_ns) >= WAIT_NS;
                let is_due = has_enough
                    || is_old && (self.span.has_older || exchanges >= EXCHANGES_OF_SECOND);
                if is_due {
                    self.written_ns = now_ns;
                }
                is_due
            }
            When::Now => exchanges > 0 || self.span.has_older,
        };
        if !is_due {
            return Ok(());
        }
        if self.kept.is_none() {
            let committed = self.entries.get(..self.committed.0);
            self.kept = Some(committed.unwrap_or_default().to_vec());
        }
        self.entries.sort_unstable();
        let run = insert_run(connection, segment, (first, last), SMALL)?;
        write_run(connection, segment, run, &self.entries, |entry| {
            entry.part() << 4
        })?;
        self.entries.clear();
        self.span = Span::default();
        Ok(())
    }

    /// How many were left out since last asked.
    pub(crate) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// The batch is committed.
    pub(crate) fn confirm(&mut self) {
        self.kept = None;
        self.committed = (self.entries.len(), self.span);
    }

    /// The batch was rolled back.
    pub(crate) fn restore(&mut self) {
        let (entries, span) = self.committed;
        match self.kept.take() {
            Some(kept) => self.entries = kept,
            None => self.entries.truncate(entries),
        }
        self.span = span;
    }
}

/// The values of a message, or what it tells of its trace.
fn gather(message: &Message, is_value: bool, hashes: &mut Vec<[u8; 8]>) {
    let blocks = [Some(&message.headers), message.trailers.as_ref()];
    for block in blocks.into_iter().flatten() {
        let found = identifiers(block.holes());
        let wanted = found.filter(|found| (found.kind == IdentifierKind::Value) == is_value);
        hashes.extend(wanted.map(|found| found.hash));
    }
}

/// Tells of a run of a segment; gives its number, which no rows have, not even those of recorders before migration 2.
pub(crate) fn insert_run(
    connection: &Connection,
    segment: i64,
    (first_id, last_id): (i64, i64),
    level: i64,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(&format!(
            "INSERT INTO identifier_run VALUES (?1, 1 + MAX(\
             (SELECT COALESCE(MAX(run), 0) FROM identifier_run WHERE segment_id = ?1), \
             (SELECT COALESCE(MAX(place), 0) >> {FINE_BITS} FROM identifier_{segment})), ?2, ?3, ?4) RETURNING run"
        ))?
        .query_row(params![segment, first_id, last_id, level], |row| row.get(0))
}

/// Stores rows of a run; `sorted` is all of it, or a part. `row` says in which fine part the row of an entry begins.
pub(crate) fn write_run(
    connection: &Connection,
    segment: i64,
    run: i64,
    sorted: &[Entry],
    row: impl Fn(Entry) -> u32,
) -> rusqlite::Result<()> {
    write_rows(connection, segment, sorted, |entry| place(run, row(entry)))
}

/// Stores entries in rows; `place` says in which each is.
pub(crate) fn write_rows(
    connection: &Connection,
    segment: i64,
    sorted: &[Entry],
    place: impl Fn(Entry) -> i64,
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached(&format!("INSERT INTO identifier_{segment} VALUES (?, ?)"))?;
    let mut data = Vec::new();
    for entries in sorted.chunk_by(|one, other| place(*one) == place(*other)) {
        let Some(first) = entries.first() else {
            continue;
        };
        data.clear();
        write_part(entries, &mut data);
        insert.execute(params![place(*first), data])?;
    }
    Ok(())
}

/// An empty span has its end before its beginning.
pub(crate) const NO_SPAN: (i64, i64) = (0, -1);
/// `identifier_run.level`: as it was written,
pub(crate) const SMALL: i64 = 0;
/// made of many,
pub(crate) const LARGE: i64 = 1;
/// a span more of a large one, which holds its entries,
pub(crate) const SPAN: i64 = 2;
/// or being made: `first_id` is the next of 256 parts, those before it are there.
pub(crate) const MERGING: i64 = 3;
/// And with the number of its segments, this one and those before it, a group's (`group`), which has no span,
pub(crate) const GROUP: i64 = 16;
/// and one that is being made: `first_id` is the next of 4,096 parts, those before it are there.
pub(crate) const GROUPING: i64 = 32;
/// A run is written for so many exchanges,
const EXCHANGES_OF_RUN: i64 = 4_096;
/// or so many entries. Within a batch twice as many are held: a MiB.
const MOST_ENTRIES: usize = 1 << 15;
/// After so long what was told later of older exchanges is written, and a run of fewer exchanges: a reader that looks through
/// what no run has takes ten microseconds for each.
const WAIT_NS: u64 = 1_000_000_000;
/// As many as that.
const EXCHANGES_OF_SECOND: i64 = 1_024;
/// Identifiers of one exchange; readers hold as many (`correlate::node`).
const MOST_OF_EXCHANGE: usize = 64;
