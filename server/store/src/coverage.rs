//! What was not seen, as rows.
//!
//! Owns: joining what follows closely on the row before of the same kind and detail, so that a loss that goes on for a week
//! is not a row for each tick.

use headwater_model::{Coverage, CoverageKind};
use rusqlite::{Connection, params};

use crate::codes::coverage_kind;
use crate::integer::signed;

/// The rows written last.
#[derive(Debug, Default)]
pub(crate) struct CoverageRows {
    recent: Vec<Recent>,
}

#[derive(Debug)]
struct Recent {
    id: i64,
    kind: CoverageKind,
    detail: Option<String>,
    from_ns: u64,
    until_ns: u64,
}

/// What is not seen; its detail in Headwater's own words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unseen<'a> {
    pub(crate) kind: CoverageKind,
    pub(crate) from_ns: u64,
    pub(crate) until_ns: u64,
    pub(crate) count: u64,
    pub(crate) detail: Option<&'a str>,
}

impl<'a> From<&'a Coverage> for Unseen<'a> {
    fn from(coverage: &'a Coverage) -> Self {
        Self {
            kind: coverage.kind,
            from_ns: coverage.from_ns,
            until_ns: coverage.until_ns,
            count: coverage.count,
            detail: coverage.detail.as_ref().map(headwater_redact::Text::as_str),
        }
    }
}

impl CoverageRows {
    /// Writes one, or adds it to the row before.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        run_id: i64,
        unseen: Unseen<'_>,
    ) -> rusqlite::Result<()> {
        if let Some(recent) = self.recent.iter_mut().find(|recent| recent.takes(&unseen)) {
            recent.until_ns = recent.until_ns.max(unseen.until_ns);
            connection
                .prepare_cached("UPDATE coverage SET until_ns = ?, count = count + ? WHERE id = ?")?
                .execute(params![
                    signed(recent.until_ns),
                    signed(unseen.count),
                    recent.id
                ])?;
            return Ok(());
        }
        connection
            .prepare_cached(
                "INSERT INTO coverage (run_id, kind, from_ns, until_ns, count, detail) VALUES (?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                run_id,
                coverage_kind(unseen.kind),
                signed(unseen.from_ns),
                signed(unseen.until_ns),
                signed(unseen.count),
                unseen.detail
            ])?;
        self.recent
            .retain(|recent| recent.kind != unseen.kind || recent.detail() != unseen.detail);
        if self.recent.len() >= MOST_RECENT {
            self.recent.remove(0);
        }
        self.recent.push(Recent {
            id: connection.last_insert_rowid(),
            kind: unseen.kind,
            detail: unseen.detail.map(str::to_owned),
            from_ns: unseen.from_ns,
            until_ns: unseen.until_ns,
        });
        Ok(())
    }

    /// Forgets the rows: some may have been rolled back or dropped.
    pub(crate) fn clear(&mut self) {
        self.recent.clear();
    }
}

impl Recent {
    fn takes(&self, unseen: &Unseen<'_>) -> bool {
        self.kind == unseen.kind
            && self.detail() == unseen.detail
            && unseen.from_ns >= self.from_ns
            && unseen.from_ns <= self.until_ns.saturating_add(NEAR_NS)
            && unseen.until_ns.saturating_sub(self.from_ns) <= LONGEST_NS
    }

    fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

/// Joined when no more than this lies between.
const NEAR_NS: u64 = 2_000_000_000;
/// And the row becomes no longer than this, since a window that touches a row is told all of it.
const LONGEST_NS: u64 = 10_000_000_000;
const MOST_RECENT: usize = 64;
