//! The runs of several closed segments become one: a look-up reads one row of it then in place of one of each segment.
//!
//! Owns: that merge, a slice with each batch. The new run lies in the table of the newest of its segments, which retention drops last;
//! ids of segments that are gone meanwhile are nobody's. A part lies in the runs or in the new one, and whoever reads asks all of
//! them. All that is known of it stands in `identifier_run`, so that a merge that was cut off goes on where it was.

use headwater_pack::identifiers::{
    Entry, FINE_BITS, FINE_PARTS, GROUP_RUNS, group_place, place, read_part,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::identifiers::{GROUP, GROUPING, LARGE, MERGING, SMALL, SPAN, write_rows};

/// Whether there may be something to do.
#[derive(Debug)]
pub(crate) struct Groups {
    has_work: bool,
}

impl Default for Groups {
    /// An earlier recorder may have left something.
    fn default() -> Self {
        Self { has_work: true }
    }
}

impl Groups {
    /// The runs of a segment became one.
    pub(crate) fn look_again(&mut self) {
        self.has_work = true;
    }

    /// Does a slice of what there is to do.
    pub(crate) fn step(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.has_work {
            return Ok(());
        }
        if let Some(group) = begun(connection)? {
            return group.go_on(connection);
        }
        self.has_work = begin(connection)?;
        Ok(())
    }
}

/// A run that is being made.
struct Begun {
    /// The newest of its segments,
    home: i64,
    run: i64,
    /// the next fine part,
    next: u32,
    /// and of how many segments it is.
    segments: i64,
}

fn begun(connection: &Connection) -> rusqlite::Result<Option<Begun>> {
    connection
        .prepare_cached(
            "SELECT segment_id, run, first_id, level - ?1 FROM identifier_run WHERE level >= ?1",
        )?
        .query_row([GROUPING], |row| {
            Ok(Begun {
                home: row.get(0)?,
                run: row.get(1)?,
                next: row.get(2)?,
                segments: row.get(3)?,
            })
        })
        .optional()
}

/// Begins with the oldest segments that are in no group, when there are enough, each with one run at most; says whether it did.
fn begin(connection: &Connection) -> rusqlite::Result<bool> {
    let chosen: (i64, Option<i64>, i64) = connection
        .prepare_cached(
            "WITH chosen AS (SELECT id FROM segment WHERE closed_ns IS NOT NULL \
             AND id > (SELECT COALESCE(MAX(segment_id), -1) FROM identifier_run WHERE level >= ?1) ORDER BY id LIMIT ?2) \
             SELECT COUNT(*), MAX(id), (SELECT COUNT(*) FROM (SELECT 1 FROM identifier_run WHERE segment_id IN chosen \
             AND level IN (?3, ?4, ?5) GROUP BY segment_id HAVING COUNT(*) > 1)) FROM chosen",
        )?
        .query_row(params![GROUP, SEGMENTS, SMALL, LARGE, MERGING], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
    let (SEGMENTS, Some(home), 0) = chosen else {
        return Ok(false);
    };
    // Rows of a run of a group have the room of several.
    connection.execute(
        &format!(
            "INSERT INTO identifier_run SELECT ?1, (next + ?2 - 1) / ?2 * ?2, 0, -1, ?3 FROM (SELECT 1 + MAX(\
             (SELECT COALESCE(MAX(run), 0) FROM identifier_run WHERE segment_id = ?1), \
             (SELECT COALESCE(MAX(place), 0) >> {FINE_BITS} FROM identifier_{home})) AS next)"
        ),
        params![home, GROUP_RUNS, GROUPING + SEGMENTS],
    )?;
    Ok(true)
}

impl Begun {
    fn go_on(&self, connection: &Connection) -> rusqlite::Result<()> {
        let end = self.next.saturating_add(SLICE).min(FINE_PARTS);
        let sources = self.sources(connection)?;
        self.merge_parts(connection, &sources, self.next..end)?;
        if end < FINE_PARTS {
            connection
                .prepare_cached(
                    "UPDATE identifier_run SET first_id = ? WHERE segment_id = ? AND run = ?",
                )?
                .execute([i64::from(end), self.home, self.run])?;
            return Ok(());
        }
        for source in &sources {
            connection.execute(
                "UPDATE identifier_run SET level = ? WHERE segment_id = ? AND run = ?",
                [SPAN, source.segment, source.run],
            )?;
        }
        connection.execute(
            "UPDATE identifier_run SET first_id = 0, level = ? WHERE segment_id = ? AND run = ?",
            [GROUP + self.segments, self.home, self.run],
        )?;
        Ok(())
    }

    fn sources(&self, connection: &Connection) -> rusqlite::Result<Vec<Source>> {
        connection
            .prepare_cached(
                "SELECT segment_id, run, level FROM identifier_run WHERE level IN (?1, ?2) \
                 AND segment_id IN (SELECT id FROM segment WHERE id <= ?3 ORDER BY id DESC LIMIT ?4)",
            )?
            .query_map(params![SMALL, LARGE, self.home, self.segments], |row| {
                Ok(Source {
                    segment: row.get(0)?,
                    run: row.get(1)?,
                    is_fine: row.get::<_, i64>(2)? == LARGE,
                })
            })?
            .collect()
    }

    fn merge_parts(
        &self,
        connection: &Connection,
        sources: &[Source],
        parts: std::ops::Range<u32>,
    ) -> rusqlite::Result<()> {
        let mut selects = Vec::with_capacity(sources.len());
        for source in sources {
            let sql = format!(
                "SELECT data FROM identifier_{} WHERE place = ?",
                source.segment
            );
            selects.push((source, connection.prepare_cached(&sql)?));
        }
        let mut entries = Vec::new();
        for part in parts.clone() {
            entries.clear();
            for (source, select) in &mut selects {
                let begin = entries.len();
                let mut rows = select.query([source.place(part)])?;
                while let Some(row) = rows.next()? {
                    // A damaged row gives what can be read of it; the rest could not be found anyway.
                    let _ = read_part(part >> 4, row.get_ref(0)?.as_blob()?, |entry: Entry| {
                        if entry.fine_part() == part {
                            entries.push(entry);
                        }
                        entry.fine_part() <= part
                    });
                }
                drop(rows);
                thin(&mut entries, begin);
            }
            // What stands there twice was told again when it ended: readers tell by that what came late.
            entries.sort_unstable();
            write_rows(connection, self.home, &entries, |entry| {
                group_place(self.run, entry.prefix)
            })?;
        }
        // A slice has all parts of a row that has several.
        for source in sources {
            connection
                .prepare_cached(&format!(
                    "DELETE FROM identifier_{} WHERE place >= ? AND place < ?",
                    source.segment
                ))?
                .execute([parts.start, parts.end].map(|part| source.begin(part)))?;
        }
        Ok(())
    }
}

/// A run that goes into the new one.
struct Source {
    segment: i64,
    run: i64,
    is_fine: bool,
}

impl Source {
    /// The first place of a fine part, or that behind the last.
    fn begin(&self, part: u32) -> i64 {
        place(self.run, 0) + i64::from(part)
    }

    /// The row that has a fine part.
    fn place(&self, part: u32) -> i64 {
        place(self.run, if self.is_fine { part } else { part & !15 })
    }
}

/// Of what stands behind `begin`, the entries of one segment in their order, leaves the newest of each hash: whoever asks is told
/// of so many that there are too many, never of all, and what every exchange carries would take all memory.
fn thin(entries: &mut Vec<Entry>, begin: usize) {
    // As nearly always.
    if entries.len() - begin <= MOST_OF_HASH {
        return;
    }
    let mut kept = begin;
    let mut at = begin;
    while let Some(first) = entries.get(at).copied() {
        let same = entries.iter().skip(at);
        let count = same
            .take_while(|entry| entry.prefix == first.prefix)
            .count();
        let end = at + count;
        let newest = at.max(end.saturating_sub(MOST_OF_HASH));
        entries.copy_within(newest..end, kept);
        kept += end - newest;
        at = end;
    }
    entries.truncate(kept);
}

/// Segments of a group.
const SEGMENTS: i64 = 8;
/// Fine parts, of 4,096, that are merged with one batch: all sixteen of a row of a run as it was written.
const SLICE: u32 = 32;
/// Of one hash and segment. Whoever reads asks for a thousand and one.
const MOST_OF_HASH: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_hash_the_newest_are_left() {
        let entry = |prefix, id| Entry { prefix, id };
        let mut entries = vec![entry(9, 1), entry(1, 1)];
        entries.extend((0..5_000).map(|id| entry(2, id)));
        entries.extend([entry(3, 1), entry(3, 2)]);
        thin(&mut entries, 1);
        assert_eq!(entries.len(), 4 + MOST_OF_HASH);
        assert_eq!(entries.get(..2), Some(&[entry(9, 1), entry(1, 1)][..]));
        let oldest = 5_000 - i64::try_from(MOST_OF_HASH).unwrap();
        assert_eq!(entries.get(2), Some(&entry(2, oldest)));
        assert_eq!(entries.last(), Some(&entry(3, 2)));
        thin(&mut entries, 4 + MOST_OF_HASH);
        assert_eq!(entries.len(), 4 + MOST_OF_HASH);
    }
}
