//! Pages of rows that lie one to a row in tables of segments, newest first: by epoch of the clock, start, and id.
//!
//! Owns: window, place and cursor of a page, and the statement that reads it. What a row is, and which are asked for, is the
//! caller's.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row};

use crate::answer::Window;
use crate::integer::{signed, unsigned};
use crate::recorder::Runs;
use crate::search::checked_limit;
use crate::segments::Segment;
use crate::snapshot::Snapshot;
use crate::{QueryError, WindowArgument, cursor};

/// Where a page ended: epoch of the clock, start and id of its last row.
type Behind = (i64, i64, i64);

/// Conditions, each with ` AND ` before it, and what is bound to them.
#[derive(Default)]
pub(crate) struct Conditions {
    sql: String,
    values: Vec<String>,
}

impl Conditions {
    /// Adds one that holds values.
    pub(crate) fn add(&mut self, clause: &str, values: impl IntoIterator<Item = String>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(clause);
        self.values.extend(values);
    }
}

/// A page that is asked for.
pub(crate) struct Newest {
    pub(crate) window: Window,
    behind: Option<Behind>,
    limit: usize,
    question: u32,
}

impl Newest {
    /// Reads the arguments that every list has; `question` is all that decides the list.
    ///
    /// # Errors
    /// `Argument`.
    pub(crate) async fn read(
        snapshot: &mut Snapshot,
        runs: &Runs,
        window: &WindowArgument,
        limit: u32,
        cursor: Option<&str>,
        question: &str,
    ) -> Result<Self, QueryError> {
        let limit = checked_limit(limit)?;
        let question = cursor::question(question);
        let (window, behind) = match cursor {
            None => (window.resolve(runs.reference(snapshot).await?)?, None),
            Some(text) => {
                let [since_ns, length_ns, epoch, start_ns, id] = cursor::decode(question, text)?;
                let window = Window::from_cursor(since_ns, length_ns)?;
                (window, Some((signed(epoch), signed(start_ns), signed(id))))
            }
        };
        Ok(Self {
            window,
            behind,
            limit,
            question,
        })
    }

    /// The page's rows, and the cursor of the next one. `from` gives `SELECT … FROM … r` for a segment's number; the columns
    /// `id` and `start_ns` are among those selected.
    pub(crate) async fn rows(
        &self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        from: impl Fn(i64) -> String,
        conditions: &Conditions,
    ) -> Result<(Vec<SqliteRow>, Option<String>), QueryError> {
        let mut found: Vec<(Behind, SqliteRow)> = Vec::new();
        for segment in segments {
            let (mut until_ns, mut last_id) = (signed(self.window.until_ns), i64::MAX);
            match self.behind {
                Some((epoch, ..)) if segment.clock_epoch > epoch => continue,
                Some((epoch, start_ns, id)) if segment.clock_epoch == epoch => {
                    (until_ns, last_id) = (start_ns, id);
                }
                Some(_) | None => {}
            }
            let sql = format!(
                "{} WHERE r.start_ns BETWEEN ? AND ? AND (r.start_ns, r.id) < (?, ?){} ORDER BY r.start_ns DESC, r.id DESC \
                 LIMIT ?",
                from(segment.number),
                conditions.sql
            );
            let sought = sqlx::query(AssertSqlSafe(sql))
                .bind(signed(self.window.since_ns))
                .bind(until_ns)
                .bind(until_ns)
                .bind(last_id);
            let sought = conditions
                .values
                .iter()
                .fold(sought, |sought, value| sought.bind(value.clone()));
            let rows = sought
                .bind(i64::try_from(self.limit + 1).unwrap_or(i64::MAX))
                .fetch_all(snapshot.connection())
                .await?;
            for row in rows {
                let place = (
                    segment.clock_epoch,
                    row.try_get("start_ns")?,
                    row.try_get("id")?,
                );
                found.push((place, row));
            }
        }
        found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let next_cursor = found.last().filter(|_| more).map(|(place, _)| {
            let length_ns = self.window.until_ns - self.window.since_ns;
            let (epoch, start_ns, id) = *place;
            let [epoch, start_ns, id] = [epoch, start_ns, id].map(unsigned);
            cursor::encode(
                self.question,
                [self.window.since_ns, length_ns, epoch, start_ns, id],
            )
        });
        Ok((found.into_iter().map(|(_, row)| row).collect(), next_cursor))
    }
}
