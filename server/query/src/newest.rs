//! Pages of rows of segments, newest first: by epoch of the clock, start, and id.
//!
//! Owns: window, place and cursor of a page, and the statements that read it. Plain rows are found by their index; packs are
//! looked into one after the other, those that reach to the latest start first, until no later one can add to the page. What
//! a row is, and which are asked for, is the caller's.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use headwater_pack::Layout;

use crate::answer::Window;
use crate::db::{Row, query, query_as};
use crate::integer::{signed, unsigned};
use crate::names::{self, json_list};
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

    /// Adds who answers and who asks, by their names or parts of them.
    ///
    /// # Errors
    /// `Sql`.
    pub(crate) fn add_services(
        &mut self,
        snapshot: &mut Snapshot,
        service: Option<&str>,
        peer: Option<&str>,
    ) -> Result<(), QueryError> {
        for (column, name) in [
            ("r.server_service_id", service),
            ("r.client_service_id", peer),
        ] {
            if let Some(name) = name {
                let list = json_list(names::matching(snapshot, name)?);
                self.add(
                    &format!("{column} IN (SELECT value FROM json_each(?))"),
                    [list],
                );
            }
        }
        Ok(())
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
    pub(crate) fn read(
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
            None => (window.resolve(runs.reference(snapshot)?)?, None),
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

    /// The page's rows, and the cursor of the next one.
    pub(crate) fn rows(
        &self,
        snapshot: &mut Snapshot,
        segments: &[Segment],
        source: &Source,
        conditions: &Conditions,
    ) -> Result<(Vec<Row>, Option<String>), QueryError> {
        let mut found = Found {
            rows: BTreeMap::new(),
            want: self.limit + 1,
        };
        for segment in segments {
            let (mut until_ns, mut last_id) = (signed(self.window.until_ns), i64::MAX);
            match self.behind {
                Some((epoch, ..)) if segment.clock_epoch > epoch => continue,
                Some((epoch, start_ns, id)) if segment.clock_epoch == epoch => {
                    (until_ns, last_id) = (start_ns, id);
                }
                Some(_) | None => {}
            }
            let scan = Scan {
                segment,
                since_ns: signed(self.window.since_ns),
                until_ns,
                last_id,
                source,
                conditions,
            };
            scan.plain(snapshot, &mut found)?;
            if let Some(packed) = &source.packed {
                scan.packs(snapshot, packed, &mut found)?;
            }
        }
        let more = found.rows.len() > self.limit;
        while found.rows.len() > self.limit {
            found.rows.pop_first();
        }
        let last = found.rows.first_key_value();
        let next_cursor = last.filter(|_| more).map(|(place, _)| {
            let length_ns = self.window.until_ns - self.window.since_ns;
            let (epoch, start_ns, id) = *place;
            let [epoch, start_ns, id] = [epoch, start_ns, id].map(unsigned);
            cursor::encode(
                self.question,
                [self.window.since_ns, length_ns, epoch, start_ns, id],
            )
        });
        Ok((found.rows.into_values().rev().collect(), next_cursor))
    }
}

/// What pages are read from. In `columns` the row is `r`; its `id` and `start_ns` are among them.
pub(crate) struct Source {
    /// `SELECT` list.
    pub(crate) columns: &'static str,
    /// The table of plain rows, without the number of its segment.
    pub(crate) plain: &'static str,
    /// Where some of the rows are packed, how.
    pub(crate) packed: Option<&'static Layout>,
}

/// The newest rows so far, by their places. A row that is met twice is there once.
struct Found {
    rows: BTreeMap<Behind, Row>,
    want: usize,
}

impl Found {
    fn keep(&mut self, clock_epoch: i64, rows: Vec<Row>) -> Result<(), QueryError> {
        for row in rows {
            let place = (clock_epoch, row.try_get("start_ns")?, row.try_get("id")?);
            self.rows.insert(place, row);
            if self.rows.len() > self.want {
                self.rows.pop_first();
            }
        }
        Ok(())
    }

    /// The least start that can still add to what was found, in an epoch.
    fn floor_ns(&self, clock_epoch: i64) -> i64 {
        match self.rows.first_key_value() {
            Some(((epoch, start_ns, _), _)) if self.rows.len() >= self.want => {
                match epoch.cmp(&clock_epoch) {
                    Ordering::Less => i64::MIN,
                    Ordering::Equal => *start_ns,
                    Ordering::Greater => i64::MAX,
                }
            }
            _ => i64::MIN,
        }
    }
}

/// What is looked for in one segment.
struct Scan<'q> {
    segment: &'q Segment,
    since_ns: i64,
    until_ns: i64,
    /// Of the rows that began at `until_ns`, those before this one.
    last_id: i64,
    source: &'q Source,
    conditions: &'q Conditions,
}

impl Scan<'_> {
    fn plain(&self, snapshot: &mut Snapshot, found: &mut Found) -> Result<(), QueryError> {
        let table = format!("{}_{}", self.source.plain, self.segment.number);
        self.look(snapshot, &table, None, found)
    }

    /// Looks into packs, until the page is full of rows that began after all that those left can hold.
    fn packs(
        &self,
        snapshot: &mut Snapshot,
        layout: &Layout,
        found: &mut Found,
    ) -> Result<(), QueryError> {
        let (packs, number) = (layout.packs, self.segment.number);
        let table = format!("{}({number})", layout.rows.to_string_lossy());
        let sql = format!(
            "SELECT first_id, last_id, max_start_ns FROM {packs}_{number} WHERE max_start_ns >= ? AND min_start_ns <= ? \
             AND (max_start_ns, last_id) < (?, ?) ORDER BY max_start_ns DESC, last_id DESC LIMIT {PACKS}"
        );
        let mut before = (i64::MAX, i64::MAX);
        loop {
            let read = query_as::<(i64, i64, i64)>(sql.clone())
                .bind(self.since_ns)
                .bind(self.until_ns)
                .bind(before.0)
                .bind(before.1)
                .fetch_all(snapshot.connection())?;
            for (first_id, last_id, max_start_ns) in &read {
                if *max_start_ns < found.floor_ns(self.segment.clock_epoch) {
                    return Ok(());
                }
                let ids = Some((*first_id, *last_id));
                self.look(snapshot, &table, ids, found)?;
            }
            match read.last() {
                Some((_, last_id, max_start_ns)) if read.len() == PACKS => {
                    before = (*max_start_ns, *last_id);
                }
                _ => return Ok(()),
            }
        }
    }

    /// The newest rows of a table, or of a range of its ids.
    fn look(
        &self,
        snapshot: &mut Snapshot,
        table: &str,
        ids: Option<(i64, i64)>,
        found: &mut Found,
    ) -> Result<(), QueryError> {
        let within = if ids.is_some() {
            " AND r.id BETWEEN ? AND ?"
        } else {
            ""
        };
        let sql = format!(
            "SELECT {} FROM {table} r WHERE r.start_ns BETWEEN ? AND ? AND (r.start_ns, r.id) < (?, ?){within}{} \
             ORDER BY r.start_ns DESC, r.id DESC LIMIT ?",
            self.source.columns, self.conditions.sql
        );
        let clock_epoch = self.segment.clock_epoch;
        let mut sought = query(sql)
            .bind(self.since_ns.max(found.floor_ns(clock_epoch)))
            .bind(self.until_ns)
            .bind(self.until_ns)
            .bind(self.last_id);
        if let Some((first, last)) = ids {
            sought = sought.bind(first).bind(last);
        }
        for value in &self.conditions.values {
            sought = sought.bind(value.clone());
        }
        let rows = sought
            .bind(i64::try_from(found.want).unwrap_or(i64::MAX))
            .fetch_all(snapshot.connection())?;
        found.keep(clock_epoch, rows)
    }
}

/// Packs whose spans are read at a time.
const PACKS: usize = 64;
