//! The runs of the index of identifiers become one when their segment is closed: a look-up reads one row of it then.
//!
//! Owns: the merge, a slice of it with each batch, so that no batch waits for all of it. A part lies in the runs or in the new one,
//! never in both, and whoever reads asks all of them. How far it has come stands in the row of the new run; a merge that was
//! cut off goes on where it was.

use std::collections::VecDeque;

use headwater_pack::identifiers::{Entry, FINE_BITS, PARTS, read_part};
use rusqlite::{Connection, OptionalExtension, params};

use crate::group::Groups;
use crate::identifiers::{LARGE, MERGING, NO_SPAN, SMALL, SPAN, insert_run, write_run};

/// Closed segments whose runs are not one yet, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Merges {
    waiting: VecDeque<i64>,
    groups: Groups,
}

impl Merges {
    /// Finds those that an earlier recorder left.
    pub(crate) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let closed = connection
            .prepare("SELECT id FROM segment WHERE closed_ns IS NOT NULL ORDER BY id")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut waiting = VecDeque::new();
        for segment in closed {
            if has_several(connection, segment)? {
                waiting.push_back(segment);
            }
        }
        Ok(Self {
            waiting,
            groups: Groups::default(),
        })
    }

    /// A segment is being closed.
    pub(crate) fn add(&mut self, segment: i64) {
        self.waiting.push_back(segment);
    }

    /// Segments before that one are gone.
    pub(crate) fn forget(&mut self, first_kept: i64) {
        self.waiting.retain(|segment| *segment >= first_kept);
    }

    /// Does a slice of what there is to do; `open` is the segment that is written.
    pub(crate) fn step(&mut self, connection: &Connection, open: i64) -> rusqlite::Result<()> {
        self.groups.step(connection)?;
        let Some(segment) = self.waiting.front().copied() else {
            return Ok(());
        };
        // One whose closing was rolled back is closed again later.
        if segment == open || !has_several(connection, segment)? {
            // What is done is seen here, with the next batch, lest this one be rolled back.
            self.waiting.pop_front();
            self.groups.look_again();
            return Ok(());
        }
        let begun: Option<(i64, u32)> = connection
            .prepare_cached(&format!(
                "SELECT run, first_id FROM identifier_run WHERE segment_id = ? AND level = {MERGING}"
            ))?
            .query_row([segment], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (run, next) = match begun {
            Some(begun) => begun,
            None => (insert_run(connection, segment, NO_SPAN, MERGING)?, 0),
        };
        let end = next.saturating_add(SLICE).min(PARTS);
        merge_parts(connection, segment, run, next..end)?;
        if end < PARTS {
            connection
                .prepare_cached(
                    "UPDATE identifier_run SET first_id = ? WHERE segment_id = ? AND run = ?",
                )?
                .execute([i64::from(end), segment, run])?;
            return Ok(());
        }
        finish(connection, segment, run)
    }
}

/// Whether there are several runs to be merged.
fn has_several(connection: &Connection, segment: i64) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(&format!(
            "SELECT COUNT(*) > 1 FROM identifier_run WHERE segment_id = ? AND level = {SMALL}"
        ))?
        .query_row([segment], |row| row.get(0))
}

fn merge_parts(
    connection: &Connection,
    segment: i64,
    run: i64,
    parts: std::ops::Range<u32>,
) -> rusqlite::Result<()> {
    let sql = format!(
        "SELECT data FROM identifier_{segment} WHERE place IN \
         (SELECT run << {FINE_BITS} | (?1 << 4) FROM identifier_run WHERE segment_id = ?2 AND level = {SMALL})"
    );
    let mut select = connection.prepare_cached(&sql)?;
    let sql = sql.replacen("SELECT data", "DELETE", 1);
    let mut delete = connection.prepare_cached(&sql)?;
    let mut entries = Vec::new();
    for part in parts {
        entries.clear();
        let mut rows = select.query(params![part, segment])?;
        while let Some(row) = rows.next()? {
            // A damaged row gives what can be read of it; the rest could not be found anyway.
            let _ = read_part(part, row.get_ref(0)?.as_blob()?, |entry| {
                entries.push(entry);
                true
            });
        }
        drop(rows);
        entries.sort_unstable();
        delete.execute(params![part, segment])?;
        write_run(connection, segment, run, &entries, Entry::fine_part)?;
    }
    Ok(())
}

/// The new run takes the place of those that it was made of, and has their span; or, where a recorder was killed between
/// them, the first of several, for there are exchanges that no run holds.
fn finish(connection: &Connection, segment: i64, run: i64) -> rusqlite::Result<()> {
    let mut spans = spans(connection, segment)?.into_iter();
    connection.execute(
        &format!("DELETE FROM identifier_run WHERE segment_id = ? AND level = {SMALL}"),
        [segment],
    )?;
    let (first_id, last_id) = spans.next().unwrap_or(NO_SPAN);
    connection.execute(
        &format!(
            "UPDATE identifier_run SET first_id = ?, last_id = ?, level = {LARGE} WHERE segment_id = ? AND run = ?"
        ),
        [first_id, last_id, segment, run],
    )?;
    for span in spans {
        insert_run(connection, segment, span, SPAN)?;
    }
    Ok(())
}

/// First and last ids of the small runs, those that follow one another as one.
fn spans(connection: &Connection, segment: i64) -> rusqlite::Result<Vec<(i64, i64)>> {
    let mut spans: Vec<(i64, i64)> = Vec::new();
    let mut select = connection.prepare_cached(&format!(
        "SELECT first_id, last_id FROM identifier_run \
         WHERE segment_id = ? AND level = {SMALL} AND last_id >= first_id ORDER BY first_id"
    ))?;
    let mut rows = select.query([segment])?;
    while let Some(row) = rows.next()? {
        let (first, last) = (row.get(0)?, row.get(1)?);
        match spans.last_mut() {
            Some(span) if span.1 + 1 == first => span.1 = last,
            _ => spans.push((first, last)),
        }
    }
    Ok(spans)
}

/// Parts that are merged with one batch, of 256.
const SLICE: u32 = 8;
