//! The index of identifiers: which exchanges hold which.
//!
//! Hashes are random, so that a B-tree of them would be written all over. They are gathered instead, and written as a sorted
//! run for some thousands of exchanges, in one row for each first byte; runs are merged once. Exchanges behind the last run
//! are looked through one by one by whoever reads. Everything lies in the segment, which retention drops.
//!
//! Owns: what is gathered, and when a run is due. Surprising: a run may hold ids before its span: exchanges whose end came
//! late, of earlier segments too.

use headwater_model::{Exchange, Message, Outcome};
use headwater_pack::identifiers::{Entry, PARTS, read_part, write_part};
use headwater_redact::identifiers;
use rusqlite::{Connection, params};

/// What is gathered for the next run.
#[derive(Debug, Default)]
pub(crate) struct Identifiers {
    entries: Vec<Entry>,
    /// How many of them are of committed batches.
    committed: (usize, Span),
    span: Span,
    /// This batch has written a run of all of them.
    is_written: bool,
    /// When the last run was written.
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
    /// When it is time for one.
    Due { now_ns: u64 },
    /// In any case: the segment, or the recorder, ends.
    Now,
}

impl Identifiers {
    /// Gathers those of an exchange that is stored, for the first time or again.
    pub(crate) fn add(&mut self, id: i64, is_new: bool, exchange: &Exchange) {
        if is_new {
            let first = self.span.ids.map_or(id, |(first, _)| first);
            self.span.ids = Some((first, id));
        } else if exchange.outcome == Outcome::Open {
            return;
        } else if self.span.ids.is_none_or(|(first, _)| id < first) {
            self.span.has_older = true;
        }
        self.scratch.clear();
        if let Some(request) = &exchange.request {
            self.scratch.extend(request.target.identifiers());
            gather(&request.message, &mut self.scratch);
        }
        if let Some(response) = &exchange.response {
            gather(&response.message, &mut self.scratch);
        }
        if self.scratch.is_empty() {
            return;
        }
        self.scratch.sort_unstable();
        self.scratch.dedup();
        let entries = self.scratch.iter().take(MOST_OF_EXCHANGE);
        self.entries
            .extend(entries.map(|hash| Entry::new(*hash, id)));
    }

    /// Writes a run if one is due, or `must`.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        segment: i64,
        when: When,
    ) -> rusqlite::Result<()> {
        // An empty span has its end before its beginning.
        let (first, last) = self.span.ids.unwrap_or((0, -1));
        let exchanges = last - first + 1;
        let has_enough = exchanges >= EXCHANGES_OF_RUN || self.entries.len() >= MOST_ENTRIES;
        let is_due = match when {
            When::Due { now_ns } => {
                let is_old = now_ns.saturating_sub(self.written_ns) >= OLDER_WAIT_NS;
                let is_due = has_enough || self.span.has_older && is_old;
                if is_due {
                    self.written_ns = now_ns;
                }
                is_due
            }
            When::Now => exchanges > 0 || self.span.has_older,
        };
        if self.is_written || !is_due {
            return Ok(());
        }
        let mut sorted = self.entries.clone();
        sorted.sort_unstable();
        let run: i64 = connection
            .prepare_cached(&format!(
                "INSERT INTO identifier_run_{segment} (first_id, last_id, level) VALUES (?, ?, 0) RETURNING run"
            ))?
            .query_row([first, last], |row| row.get(0))?;
        write_run(connection, segment, run, &sorted)?;
        self.is_written = true;
        merge(connection, segment)
    }

    /// The batch is committed.
    pub(crate) fn confirm(&mut self) {
        if self.is_written {
            self.entries.clear();
            self.span = Span::default();
            self.is_written = false;
        }
        self.committed = (self.entries.len(), self.span);
    }

    /// The batch was rolled back.
    pub(crate) fn restore(&mut self) {
        let (entries, span) = self.committed;
        self.entries.truncate(entries);
        self.span = span;
        self.is_written = false;
    }
}

fn gather(message: &Message, hashes: &mut Vec<[u8; 8]>) {
    for block in [Some(&message.headers), message.trailers.as_ref()]
        .into_iter()
        .flatten()
    {
        hashes.extend(identifiers(block.holes()).map(|found| found.hash));
    }
}

/// Stores the rows of a run; `sorted` is all of it.
fn write_run(
    connection: &Connection,
    segment: i64,
    run: i64,
    sorted: &[Entry],
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached(&format!("INSERT INTO identifier_{segment} VALUES (?, ?)"))?;
    let mut data = Vec::new();
    for entries in sorted.chunk_by(|one, other| one.part() == other.part()) {
        let Some(first) = entries.first() else {
            continue;
        };
        data.clear();
        write_part(entries, &mut data);
        insert.execute(params![place(first.part(), run), data])?;
    }
    Ok(())
}

/// Makes one run of many small ones, if there are so many.
fn merge(connection: &Connection, segment: i64) -> rusqlite::Result<()> {
    let small: (i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>) = connection
        .prepare_cached(&format!(
            "SELECT COUNT(*), MIN(run), MAX(run), MIN(first_id), MAX(last_id) FROM identifier_run_{segment} WHERE level = 0"
        ))?
        .query_row([], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
        })?;
    let (MERGED.., Some(first_run), Some(last_run), Some(first_id), Some(last_id)) = small else {
        return Ok(());
    };
    let run: i64 = connection
        .prepare_cached(&format!(
            "INSERT INTO identifier_run_{segment} (first_id, last_id, level) VALUES (?, ?, 1) RETURNING run"
        ))?
        .query_row([first_id, last_id], |row| row.get(0))?;
    let sql = format!("SELECT data FROM identifier_{segment} WHERE place BETWEEN ? AND ?");
    let mut select = connection.prepare_cached(&sql)?;
    let sql = format!("DELETE FROM identifier_{segment} WHERE place BETWEEN ? AND ?");
    let mut delete = connection.prepare_cached(&sql)?;
    let mut entries = Vec::new();
    for part in 0..PARTS {
        entries.clear();
        let span = [place(part, first_run), place(part, last_run)];
        let mut rows = select.query(span)?;
        while let Some(row) = rows.next()? {
            // A damaged row gives what can be read of it; the rest could not be found anyway.
            let _ = read_part(part, row.get_ref(0)?.as_blob()?, |entry| {
                entries.push(entry);
            });
        }
        drop(rows);
        delete.execute(span)?;
        entries.sort_unstable();
        write_run(connection, segment, run, &entries)?;
    }
    connection.execute(
        &format!("DELETE FROM identifier_run_{segment} WHERE level = 0"),
        [],
    )?;
    Ok(())
}

/// The key of the row of one part of a run.
fn place(part: u32, run: i64) -> i64 {
    i64::from(part) << 32 | run
}

/// A run is written for so many exchanges,
const EXCHANGES_OF_RUN: i64 = 4_096;
/// or so many entries.
const MOST_ENTRIES: usize = 1 << 18;
/// What was told later of older exchanges waits so long.
const OLDER_WAIT_NS: u64 = 1_000_000_000;
/// So many runs are merged. What one look-up reads grows with a sixty-five-thousandth of the exchanges then.
const MERGED: i64 = 16;
/// Identifiers of one exchange.
const MOST_OF_EXCHANGE: usize = 64;
