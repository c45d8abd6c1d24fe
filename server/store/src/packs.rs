//! Packs of exchanges that ended well.
//!
//! Owns: when a pack is full, and its row. What is in it is `headwater_pack`'s.

use headwater_pack::{Layout, Packer};
use rusqlite::{CachedStatement, params};

use crate::integer::signed;

/// The statement that stores a pack.
pub(crate) fn insert(layout: &Layout, segment: i64) -> String {
    let packs = layout.packs;
    format!("INSERT INTO {packs}_{segment} VALUES (?, ?, ?, ?, ?, ?)")
}

/// Ends a row, and stores the pack when it is full.
pub(crate) fn end_row(
    packer: &mut Packer,
    insert: &mut CachedStatement<'_>,
) -> rusqlite::Result<()> {
    packer.end_row();
    let (rows, bytes) = packer.size();
    if rows >= MOST_ROWS || bytes >= MOST_BYTES {
        store(packer, insert)?;
    }
    Ok(())
}

/// Stores the pack, and begins the next one.
pub(crate) fn store(packer: &mut Packer, insert: &mut CachedStatement<'_>) -> rusqlite::Result<()> {
    if let Some(pack) = packer.pack() {
        let (ids, span_ns) = (pack.ids, pack.span_ns);
        let rows = signed(pack.rows);
        insert.execute(params![ids.1, ids.0, span_ns.0, span_ns.1, rows, pack.data])?;
    }
    packer.clear();
    Ok(())
}

/// A pack is stored when it has so many rows,
const MOST_ROWS: u64 = 256;
/// or so many bytes: a search for one exchange reads a pack whole.
const MOST_BYTES: usize = 24 << 10;
