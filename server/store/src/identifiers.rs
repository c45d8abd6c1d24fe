//! The index of identifiers: which exchanges hold which.
//!
//! Hashes are random, so that a B-tree of them would be written all over. They are gathered instead, and written as a sorted
//! run for some thousands of exchanges, in one row for each first byte; runs are merged once. Exchanges behind the last run
//! are looked through one by one by whoever reads. Everything lies in the segment, which retention drops.
//!
//! Owns: what is gathered, and when a run is due. Surprising: a run may hold ids before its span: exchanges whose end came
//! late, of earlier segments too.

use headwater_model::{Exchange, Message};
use headwater_pack::identifiers::{
    Entry, FINE_BITS, FINE_PARTS, PARTS, place, read_part, write_part,
};
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
        // An empty span has its end before its beginning.
        let (first, last) = self.span.ids.unwrap_or((0, -1));
        let exchanges = last - first + 1;
        let is_due = match when {
            When::Full => self.entries.len() >= MOST_ENTRIES * 2,
            When::Due { now_ns } => {
                let has_enough =
                    exchanges >= EXCHANGES_OF_RUN || self.entries.len() >= MOST_ENTRIES;
                let is_old = now_ns.saturating_sub(self.written_ns) >= OLDER_WAIT_NS;
                let is_due = has_enough || self.span.has_older && is_old;
                if is_due {
                    self.written_ns = now_ns;
                }
                is_due
            }
            When::Now => exchanges > 0 || self.span.has_older,
        };
        // Nothing more comes to a segment that ends: what is left of small runs is read by every look-up from then on.
        let enough = if matches!(when, When::Now) { 2 } else { MERGED };
        if !is_due {
            return match when {
                When::Now => merge(connection, segment, enough),
                When::Full | When::Due { .. } => Ok(()),
            };
        }
        if self.kept.is_none() {
            let committed = self.entries.get(..self.committed.0);
            self.kept = Some(committed.unwrap_or_default().to_vec());
        }
        self.entries.sort_unstable();
        let run: i64 = connection
            .prepare_cached(&format!(
                "INSERT INTO identifier_run_{segment} (first_id, last_id, level) VALUES (?, ?, {SMALL}) RETURNING run"
            ))?
            .query_row([first, last], |row| row.get(0))?;
        write_run(connection, segment, run, &self.entries, |entry| {
            entry.part() << 4
        })?;
        self.entries.clear();
        self.span = Span::default();
        merge(connection, segment, enough)
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

/// Stores rows of a run; `sorted` is all of it, or a part. `row` says in which fine part the row of an entry begins.
fn write_run(
    connection: &Connection,
    segment: i64,
    run: i64,
    sorted: &[Entry],
    row: impl Fn(Entry) -> u32,
) -> rusqlite::Result<()> {
    let mut insert =
        connection.prepare_cached(&format!("INSERT INTO identifier_{segment} VALUES (?, ?)"))?;
    let mut data = Vec::new();
    for entries in sorted.chunk_by(|one, other| row(*one) == row(*other)) {
        let Some(first) = entries.first() else {
            continue;
        };
        data.clear();
        write_part(entries, &mut data);
        insert.execute(params![place(run, row(*first)), data])?;
    }
    Ok(())
}

/// Makes one run of the small ones, if there are so many. Their spans are kept: between them may be exchanges that no run
/// holds, where a recorder was killed.
fn merge(connection: &Connection, segment: i64, enough: i64) -> rusqlite::Result<()> {
    let (count, first_run, last_run): (i64, Option<i64>, Option<i64>) = connection
        .prepare_cached(&format!(
            "SELECT COUNT(*), MIN(run), MAX(run) FROM identifier_run_{segment} WHERE level = {SMALL}"
        ))?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let (Some(first_run), Some(last_run)) = (first_run, last_run) else {
        return Ok(());
    };
    if count < enough {
        return Ok(());
    }
    let run: i64 = connection
        .prepare_cached(&format!(
            "INSERT INTO identifier_run_{segment} (first_id, last_id, level) VALUES (0, -1, {LARGE}) RETURNING run"
        ))?
        .query_row([], |row| row.get(0))?;
    let sql = format!(
        "SELECT data FROM identifier_{segment} WHERE place IN \
         (SELECT run << {FINE_BITS} | (? << 4) FROM identifier_run_{segment} WHERE level = {SMALL})"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let mut entries = Vec::new();
    for part in 0..PARTS {
        entries.clear();
        let mut rows = select.query([part])?;
        while let Some(row) = rows.next()? {
            // A damaged row gives what can be read of it; the rest could not be found anyway.
            let _ = read_part(part, row.get_ref(0)?.as_blob()?, |entry| {
                entries.push(entry);
                true
            });
        }
        drop(rows);
        entries.sort_unstable();
        write_run(connection, segment, run, &entries, Entry::fine_part)?;
    }
    // A large run among them has the number of none of them.
    connection
        .prepare_cached(&format!(
            "DELETE FROM identifier_{segment} WHERE place BETWEEN ? AND ?"
        ))?
        .execute([place(first_run, 0), place(last_run, FINE_PARTS - 1)])?;
    connection.execute(
        &format!(
            "UPDATE identifier_run_{segment} SET level = {MERGED_LEVEL} WHERE level = {SMALL}"
        ),
        [],
    )?;
    Ok(())
}

/// `identifier_run_N.level`.
const SMALL: i64 = 0;
const LARGE: i64 = 1;
const MERGED_LEVEL: i64 = 2;
/// A run is written for so many exchanges,
const EXCHANGES_OF_RUN: i64 = 4_096;
/// or so many entries. Within a batch twice as many are held: a quarter of a MiB.
const MOST_ENTRIES: usize = 1 << 13;
/// What was told later of older exchanges waits so long.
const OLDER_WAIT_NS: u64 = 1_000_000_000;
/// So many runs are merged. What one look-up reads grows with a sixty-five-thousandth of the exchanges then.
const MERGED: i64 = 16;
/// Identifiers of one exchange; readers hold as many (`correlate::node`).
const MOST_OF_EXCHANGE: usize = 64;
