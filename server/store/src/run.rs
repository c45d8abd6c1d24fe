//! The rows of recorders' lives, and what names the store.
//!
//! Owns: `recorder_run` and `meta`. Refuses a store whose hashes were made with another key.

use headwater_model::CoverageKind;
use rusqlite::{Connection, OptionalExtension, params};

use crate::coverage::{CoverageRows, Unseen};
use crate::integer::{signed, unsigned};
use crate::options::{Options, Source, StopReason};
use crate::segment;
use crate::state::{Ids, NEXT_CONNECTION, NEXT_DNS, NEXT_EXCHANGE};

/// What the store says of itself.
pub(crate) struct Identity {
    /// Four characters of Crockford's base 32.
    pub(crate) tag: String,
    /// Fingerprint of the key: 16 hexadecimal digits.
    pub(crate) key_fingerprint: String,
    pub(crate) ids: Ids,
}

impl Identity {
    /// Reads what names the store, or gives a new one its name.
    pub(crate) fn load(connection: &Connection, key_fingerprint: &str) -> rusqlite::Result<Self> {
        let random: i64 = connection.query_row("SELECT random()", [], |row| row.get(0))?;
        let mut insert = connection.prepare("INSERT OR IGNORE INTO meta VALUES (?, ?)")?;
        insert.execute(("store_tag", tag(unsigned(random & 0xf_ffff))))?;
        insert.execute(("key_fingerprint", key_fingerprint))?;
        insert.execute((NEXT_EXCHANGE, "1"))?;
        insert.execute((NEXT_CONNECTION, "1"))?;
        insert.execute((NEXT_DNS, "1"))?;
        let mut select = connection.prepare("SELECT value FROM meta WHERE key = ?")?;
        let mut value = |key: &str| select.query_row([key], |row| row.get::<_, String>(0));
        // A number that cannot be read would be a number given out twice.
        let number = |text: String| {
            text.parse::<i64>().map_err(|error| {
                rusqlite::Error::FromSqlConversionFailure(
                    0,
                    rusqlite::types::Type::Text,
                    Box::new(error),
                )
            })
        };
        let process: i64 =
            connection.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM process", [], |row| {
                row.get(0)
            })?;
        Ok(Self {
            tag: value("store_tag")?,
            key_fingerprint: value("key_fingerprint")?,
            ids: Ids {
                exchange: number(value(NEXT_EXCHANGE)?)?,
                connection: number(value(NEXT_CONNECTION)?)?,
                dns: number(value(NEXT_DNS)?)?,
                process,
            },
        })
    }
}

/// A life of a recorder begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    pub(crate) run_id: i64,
    /// The wall clock stands before the last sign of life of the recorder before.
    pub(crate) is_set_back: bool,
}

/// Marks the runs that ended without saying so, and begins a new one. Nobody else runs: the lock is held.
pub(crate) fn begin(
    connection: &Connection,
    options: &Options,
    now_ns: u64,
) -> rusqlite::Result<Begun> {
    let killed = connection
        .prepare("SELECT id, heartbeat_ns, source FROM recorder_run WHERE stopped_ns IS NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(i64, i64, String)>>>()?;
    if !killed.is_empty() {
        segment::end_open(connection)?;
    }
    for (id, heartbeat_ns, source) in killed {
        connection.execute(
            "UPDATE recorder_run SET stopped_ns = heartbeat_ns, stop_reason = 'killed' WHERE id = ?",
            [id],
        )?;
        if source == Source::Live.name() {
            let unseen = Unseen {
                kind: CoverageKind::RecorderKilled,
                from_ns: unsigned(heartbeat_ns),
                until_ns: now_ns.max(unsigned(heartbeat_ns)),
                count: 1,
                detail: None,
            };
            CoverageRows::default().write(connection, id, unseen)?;
        }
    }
    let last_ns: Option<i64> = connection
        .query_row(
            "SELECT heartbeat_ns FROM recorder_run WHERE source = 'live' ORDER BY id DESC LIMIT 1",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let run_id = insert(connection, options, now_ns)?;
    let last_ns = last_ns.map_or(0, unsigned);
    let is_set_back = options.source == Source::Live && last_ns > now_ns;
    if is_set_back {
        let unseen = Unseen {
            kind: CoverageKind::ClockStep,
            from_ns: now_ns,
            until_ns: last_ns,
            count: (last_ns - now_ns) / 1_000_000,
            detail: None,
        };
        CoverageRows::default().write(connection, run_id, unseen)?;
    }
    Ok(Begun {
        run_id,
        is_set_back,
    })
}

/// Ends a run where the clock was set back, and begins the next, whose times come again.
pub(crate) fn set_back(
    connection: &Connection,
    options: &Options,
    run_id: i64,
    now_ns: u64,
) -> rusqlite::Result<i64> {
    connection.execute(
        "UPDATE recorder_run SET stopped_ns = heartbeat_ns, stop_reason = ? WHERE id = ?",
        params![StopReason::ClockSetBack.name(), run_id],
    )?;
    let next_id = insert(connection, options, now_ns)?;
    // The kernel is the same, and so is what it cannot show.
    connection.execute(
        "INSERT INTO coverage (run_id, kind, from_ns, until_ns, count, detail) \
         SELECT ?1, kind, ?2, ?2, count, detail FROM coverage WHERE run_id = ?3 AND kind = 'unsupported'",
        params![next_id, signed(now_ns), run_id],
    )?;
    Ok(next_id)
}

fn insert(connection: &Connection, options: &Options, now_ns: u64) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO recorder_run (source, boot_id, pid, version, settings, started_ns, heartbeat_ns) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            options.source.name(),
            options.boot_id,
            std::process::id(),
            options.version,
            options.settings_json,
            signed(now_ns),
            signed(now_ns)
        ],
    )?;
    Ok(connection.last_insert_rowid())
}

/// The run is alive, and its data reaches so far. Its times do not go back: where the clock does, the next run begins.
pub(crate) fn heartbeat(
    connection: &Connection,
    run_id: i64,
    reached_ns: u64,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE recorder_run SET heartbeat_ns = MAX(heartbeat_ns, ?) WHERE id = ?")?
        .execute(params![signed(reached_ns), run_id])?;
    Ok(())
}

/// The run ends.
pub(crate) fn end(
    connection: &Connection,
    run_id: i64,
    now_ns: u64,
    reason: StopReason,
) -> rusqlite::Result<()> {
    connection.execute(
        "UPDATE recorder_run SET heartbeat_ns = MAX(heartbeat_ns, ?1), stopped_ns = MAX(heartbeat_ns, ?1), stop_reason = ?2 \
         WHERE id = ?3",
        params![signed(now_ns), reason.name(), run_id],
    )?;
    Ok(())
}

/// Whether a file of that hash was replayed.
pub(crate) fn is_replayed(connection: &Connection, sha256: &str) -> rusqlite::Result<bool> {
    let found = connection
        .query_row(
            "SELECT 1 FROM replayed_file WHERE sha256 = ?",
            [sha256],
            |_| Ok(()),
        )
        .optional()?;
    Ok(found.is_some())
}

/// Says that a file of that hash was replayed.
pub(crate) fn mark_replayed(
    connection: &Connection,
    run_id: i64,
    sha256: &str,
    now_ns: u64,
) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR IGNORE INTO replayed_file VALUES (?, ?, ?)",
        params![sha256, run_id, signed(now_ns)],
    )?;
    Ok(())
}

/// Twenty bits in Crockford's base 32 (<https://www.crockford.com/base32.html>).
fn tag(bits: u64) -> String {
    let digit = |place: u32| {
        let value = usize::try_from(bits >> (place * 5) & 31).unwrap_or(0);
        ALPHABET.get(value).copied().map_or('0', char::from)
    };
    (0..4).rev().map(digit).collect()
}

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_four_characters() {
        assert_eq!(tag(0), "0000");
        assert_eq!(tag(0xf_ffff), "zzzz");
        assert_eq!(tag(1 << 5), "0010");
    }
}
