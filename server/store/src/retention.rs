//! Dropping what is too old or too much, a whole segment at a time.
//!
//! Owns: the limits. A segment's age is that of its closing, not of its exchanges, so a replayed old capture is kept. Pages
//! of a dropped segment are used again by the next ones, which bounds the file. What is not in segments follows: connections
//! that no kept segment can refer to, processes and names that nothing refers to, coverage and runs past the age. Those
//! past the age are looked for now and then even when no segment goes.

use std::collections::HashSet;

use headwater_model::CoverageKind;
use headwater_pack::{Cell, DNS_EXCHANGES, Unpacker};
use rusqlite::{Connection, OptionalExtension, params};

use crate::coverage::Unseen;
use crate::integer::{signed, unsigned};
use crate::state::State;
use crate::{WriteError, Writer};

/// What retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retained {
    /// Segments dropped.
    pub segments: u64,
    /// Exchanges dropped with them.
    pub exchanges: u64,
    /// Bytes of the file that are in use.
    pub used_bytes: u64,
}

/// A closed segment.
struct ClosedSegment {
    id: i64,
    created_ns: u64,
    closed_ns: u64,
    span_ns: Option<(u64, u64)>,
    rows: u64,
}

impl Writer {
    /// Drops what the limits do not allow. To be called between batches, every few seconds; one call drops a few segments
    /// at most, so that it does not hold up the recorder.
    ///
    /// # Errors
    /// When the store cannot be written any more.
    pub fn retain(&mut self, now_ns: u64) -> Result<Retained, WriteError> {
        let mut retained = Retained::default();
        if self.has_batch() {
            self.commit(now_ns)?;
        }
        if self.has_batch() {
            return Ok(retained);
        }
        self.roll_if_large(now_ns)?;
        let before = self.used_bytes()?;
        for _ in 0..MOST_DROPPED {
            let Some((segment, why)) = self.overdue(now_ns)? else {
                break;
            };
            let result = self.in_transaction(|connection, state| {
                drop_segment(connection, state, &segment, why, now_ns)
            });
            if !self.passing(result)? {
                break;
            }
            self.state.forget_segments(segment.id + 1);
            retained.segments += 1;
            retained.exchanges += segment.rows;
        }
        if retained.segments > 0 || now_ns.abs_diff(self.looked_through_ns) >= LOOK_THROUGH_NS {
            self.looked_through_ns = now_ns;
            self.drop_rows(now_ns, retained.segments > 0)?;
        }
        retained.used_bytes = self.used_bytes()?;
        // What was freed is not to hide how the segment grows.
        let freed = before.saturating_sub(retained.used_bytes);
        self.segment_begun_bytes = self
            .segment_begun_bytes
            .map(|begun| begun.saturating_sub(freed));
        Ok(retained)
    }

    /// Drops what is in no segment. Names are looked through only after a segment has gone, for only that frees any.
    fn drop_rows(&mut self, now_ns: u64, names_too: bool) -> Result<(), WriteError> {
        let cutoff_ns = signed(now_ns.saturating_sub(nanoseconds(self.options.max_age)));
        let result = self.in_transaction(|connection, state| {
            drop_old_rows(connection, state, cutoff_ns)?;
            drop_unused_processes(connection, state)?;
            if names_too {
                drop_unused_names(connection, state)?;
            }
            Ok(())
        });
        self.passing(result)?;
        Ok(())
    }

    /// The oldest closed segment, when it has to go, and why.
    fn overdue(&self, now_ns: u64) -> rusqlite::Result<Option<(ClosedSegment, &'static str)>> {
        let oldest = self
            .connection
            .prepare_cached(
                "SELECT id, closed_ns, min_start_ns, max_start_ns, row_count, created_ns FROM segment \
                 WHERE closed_ns IS NOT NULL ORDER BY id LIMIT 1",
            )?
            .query_row([], |row| {
                let span: (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
                Ok(ClosedSegment {
                    id: row.get(0)?,
                    closed_ns: unsigned(row.get(1)?),
                    span_ns: span.0.map(unsigned).zip(span.1.map(unsigned)),
                    rows: unsigned(row.get(4)?),
                    created_ns: unsigned(row.get(5)?),
                })
            })
            .optional()?;
        let Some(oldest) = oldest else {
            return Ok(None);
        };
        let max_age = nanoseconds(self.options.max_age);
        if now_ns.saturating_sub(oldest.closed_ns) > max_age {
            return Ok(Some((oldest, "age")));
        }
        // What comes before the next look has to find room, too.
        let limit = self.options.max_bytes - 2 * self.segment_bytes();
        Ok((self.used_bytes()? > limit).then_some((oldest, "size")))
    }

    /// Segments are small against the limit, so that dropping one is not dropping all.
    fn roll_if_large(&mut self, now_ns: u64) -> Result<(), WriteError> {
        let used_bytes = self.used_bytes()?;
        let begun = *self.segment_begun_bytes.get_or_insert(used_bytes);
        let has_grown = used_bytes.saturating_sub(begun) > self.segment_bytes();
        if has_grown && self.state.segment_has_data() && self.roll(now_ns)? {
            self.segment_begun_bytes = Some(used_bytes);
        }
        Ok(())
    }

    fn segment_bytes(&self) -> u64 {
        self.options.max_bytes / SEGMENTS
    }

    fn used_bytes(&self) -> rusqlite::Result<u64> {
        let number = |pragma: &str| {
            let value: rusqlite::Result<i64> =
                self.connection
                    .pragma_query_value(None, pragma, |row| row.get(0));
            value.map(unsigned)
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        Ok(pages.saturating_mul(number("page_size")?))
    }
}

fn drop_segment(
    connection: &Connection,
    state: &mut State,
    segment: &ClosedSegment,
    why: &'static str,
    now_ns: u64,
) -> rusqlite::Result<()> {
    let id = segment.id;
    let others: i64 = connection.query_row(
        &format!(
            "SELECT (SELECT COUNT(*) FROM dns_exchange_{id}) + (SELECT COUNT(*) FROM udp_flow_{id}) \
             + (SELECT COALESCE(SUM(row_count), 0) FROM dns_exchange_pack_{id})"
        ),
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch(&format!(
        "DROP TABLE IF EXISTS dns_exchange_{id}; DROP TABLE IF EXISTS dns_exchange_pack_{id}; \
         DROP TABLE IF EXISTS udp_flow_{id}; DROP TABLE IF EXISTS identifier_run_{id}; DROP TABLE IF EXISTS identifier_{id}; DROP TABLE IF EXISTS exchange_{id}; DROP TABLE IF EXISTS exchange_pack_{id}; DROP TABLE IF EXISTS header_block_{id}; DROP TABLE IF EXISTS rollup_{id};"
    ))?;
    connection.execute("DELETE FROM exchange_block WHERE segment_id = ?", [id])?;
    connection.execute("DELETE FROM identifier_run WHERE segment_id = ?", [id])?;
    connection.execute("DELETE FROM segment WHERE id = ?", [id])?;
    let connections = connection.execute(
        "DELETE FROM connection WHERE id < (SELECT first_connection_id FROM segment ORDER BY id LIMIT 1) \
         AND id NOT IN (SELECT value FROM json_each((SELECT live_connections FROM segment ORDER BY id LIMIT 1)))",
        [],
    )?;
    connection.execute(
        "DELETE FROM connection_resolution WHERE connection_id NOT IN (SELECT id FROM connection)",
        [],
    )?;
    connection.execute(
        "DELETE FROM connection_proxied WHERE connection_id NOT IN (SELECT id FROM connection)",
        [],
    )?;
    connection.execute(
        "DELETE FROM connection_tls WHERE connection_id NOT IN (SELECT id FROM connection)",
        [],
    )?;
    let others = connections.saturating_add(usize::try_from(others).unwrap_or(0));
    let Some(((from_ns, until_ns), count)) = segment.told(others, now_ns) else {
        return Ok(());
    };
    let unseen = Unseen {
        kind: CoverageKind::Retention,
        from_ns,
        until_ns,
        count,
        detail: Some(why),
    };
    state.coverage.write(connection, state.run_id, unseen)
}

impl ClosedSegment {
    /// What is told of its going: the span and number of its exchanges, or where there are none that of other rows.
    fn told(&self, others: usize, now_ns: u64) -> Option<((u64, u64), u64)> {
        if self.rows > 0 {
            return Some((self.span_ns.unwrap_or((now_ns, now_ns)), self.rows));
        }
        let others = u64::try_from(others).unwrap_or(u64::MAX);
        let span_ns = (self.created_ns.min(self.closed_ns), self.closed_ns);
        (others > 0).then_some((span_ns, others))
    }
}

/// Coverage of live runs has the clock's times; that of a replay has the capture's and goes with its run. What a run cannot
/// see at all stays as long as anything of that run does. Ids of runs grow, and so do those of their connections.
fn drop_old_rows(
    connection: &Connection,
    state: &mut State,
    cutoff_ns: i64,
) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM coverage WHERE until_ns < ?1 AND kind <> 'unsupported' \
         AND run_id IN (SELECT id FROM recorder_run WHERE source = 'live')",
        [cutoff_ns],
    )?;
    // Without such a run, which is the rule, the table is not read.
    connection.execute(
        "DELETE FROM coverage WHERE EXISTS (SELECT 1 FROM recorder_run WHERE heartbeat_ns < ?1 AND id <> ?2) \
         AND run_id IN (SELECT id FROM recorder_run WHERE heartbeat_ns < ?1 AND id <> ?2) AND (kind <> 'unsupported' \
         OR run_id < COALESCE((SELECT run_id FROM connection ORDER BY id LIMIT 1), ?2))",
        params![cutoff_ns, state.run_id],
    )?;
    connection.execute(
        "DELETE FROM replayed_file WHERE run_id IN (SELECT id FROM recorder_run WHERE heartbeat_ns < ?)",
        [cutoff_ns],
    )?;
    connection.execute(
        "DELETE FROM kernel_drop WHERE last_ns < ? AND run_id <> ?",
        params![cutoff_ns, state.run_id],
    )?;
    connection.execute(
        "DELETE FROM recorder_run WHERE heartbeat_ns < ? AND id <> ? \
         AND id NOT IN (SELECT run_id FROM process UNION ALL SELECT run_id FROM coverage)",
        params![cutoff_ns, state.run_id],
    )?;
    Ok(())
}

/// Processes that nothing refers to, when there are many new ones. This reads a lot, and is done rarely.
fn drop_unused_processes(connection: &Connection, state: &mut State) -> rusqlite::Result<()> {
    if state.processes_since_prune() < MANY_PROCESSES {
        return Ok(());
    }
    let known: Vec<String> = state
        .processes
        .values()
        .map(|known| known.id.to_string())
        .collect();
    // Not one condition for each table: there may be more segments than an expression may be deep.
    connection.execute_batch("CREATE TEMP TABLE used (process_id INTEGER)")?;
    let mut tables = vec!["connection".to_owned()];
    for id in segments(connection)? {
        tables.extend([format!("dns_exchange_{id}"), format!("udp_flow_{id}")]);
    }
    for table in tables {
        connection.execute_batch(&format!(
            "INSERT INTO used SELECT DISTINCT client_process_id FROM {table} WHERE client_process_id IS NOT NULL; \
             INSERT INTO used SELECT DISTINCT server_process_id FROM {table} WHERE server_process_id IS NOT NULL;"
        ))?;
    }
    for id in segments(connection)? {
        use_packed_processes(connection, id)?;
    }
    connection.execute(
        "DELETE FROM process WHERE id NOT IN (SELECT value FROM json_each(?)) \
         AND id NOT IN (SELECT process_id FROM used)",
        [format!("[{}]", known.join(","))],
    )?;
    connection.execute_batch("DROP TABLE used")?;
    state.processes_pruned();
    Ok(())
}

/// Notes the processes in a segment's packs of DNS as used.
fn use_packed_processes(connection: &Connection, segment: i64) -> rusqlite::Result<()> {
    let (columns, packs) = (DNS_EXCHANGES.columns, DNS_EXCHANGES.packs);
    let places: Vec<usize> = columns
        .iter()
        .zip(0..)
        .filter_map(|(column, place)| column.ends_with("_process_id").then_some(place))
        .collect();
    let mut used = HashSet::new();
    let mut statement = connection.prepare(&format!("SELECT data FROM {packs}_{segment}"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mut pack = Unpacker::new(&DNS_EXCHANGES, row.get(0)?);
        let mut last = vec![Cell::Null; places.len()];
        // The processes behind a damage are not shown any more.
        while let Ok(true) = pack.advance() {
            for (place, last) in places.iter().zip(&mut last) {
                let cell = pack.cell(*place);
                if cell != *last
                    && let Cell::Integer(id) = cell
                {
                    used.insert(id);
                }
                *last = cell;
            }
        }
    }
    let mut insert = connection.prepare("INSERT INTO used VALUES (?)")?;
    used.into_iter()
        .try_for_each(|id: i64| insert.execute([id]).map(drop))
}

/// Routes and services that nothing refers to, when there are many. This reads a lot, too.
fn drop_unused_names(connection: &Connection, state: &mut State) -> rusqlite::Result<()> {
    if !state.names.is_nearly_full() {
        return Ok(());
    }
    connection.execute_batch(
        "CREATE TEMP TABLE used (service_id INTEGER, route_id INTEGER); \
         INSERT INTO used SELECT DISTINCT client_service_id, NULL FROM connection; \
         INSERT INTO used SELECT DISTINCT server_service_id, NULL FROM connection; \
         INSERT INTO used SELECT DISTINCT service_id, NULL FROM process;",
    )?;
    for id in segments(connection)? {
        connection.execute_batch(&format!(
            "INSERT INTO used SELECT DISTINCT server_service_id, route_id FROM rollup_{id}; \
             INSERT INTO used SELECT DISTINCT client_service_id, NULL FROM rollup_{id}; \
             INSERT INTO used SELECT DISTINCT server_service_id, NULL FROM udp_flow_{id}; \
             INSERT INTO used SELECT DISTINCT client_service_id, NULL FROM udp_flow_{id};"
        ))?;
    }
    connection.execute_batch(
        "DELETE FROM route WHERE id NOT IN (SELECT route_id FROM used WHERE route_id IS NOT NULL); \
         DELETE FROM service WHERE id NOT IN (SELECT service_id FROM used WHERE service_id IS NOT NULL) \
         AND id NOT IN (SELECT service_id FROM route); DROP TABLE used;",
    )?;
    state.names.load(connection)
}

fn segments(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare("SELECT id FROM segment")?
        .query_map([], |row| row.get(0))?
        .collect()
}

fn nanoseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The limit of size is that of so many segments.
const SEGMENTS: u64 = 16;
/// Between two looks through the rows that are in no segment, unless one is dropped meanwhile.
const LOOK_THROUGH_NS: u64 = 60_000_000_000;
/// In one call.
const MOST_DROPPED: usize = 4;
/// Processes are looked through when there are so many new ones.
const MANY_PROCESSES: i64 = 20_000;
