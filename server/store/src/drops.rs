//! What the kernel dropped: of one connection, and of the whole machine.

use std::fmt::Write as _;

use headwater_model::{KernelDrops, PacketDrop, Side};
use rusqlite::{Connection, params};

use crate::integer::signed;

/// `connection.packet_drops`; `None` when there are none.
pub(crate) fn packet_drops(drops: &[PacketDrop], start_ns: u64) -> Option<String> {
    let mut text = String::new();
    for drops in drops {
        let by = match drops.by {
            Side::Client => "client",
            Side::Server => "server",
        };
        let comma = if text.is_empty() { "" } else { "," };
        let after = drops.first_ns.saturating_sub(start_ns);
        // Into a string this cannot fail.
        let _ = write!(text, "{comma}{by}:{}:{}:{after}", drops.reason, drops.count);
    }
    (!text.is_empty()).then_some(text)
}

/// Adds to what this run has counted.
pub(crate) fn kernel_drops(
    connection: &Connection,
    run_id: i64,
    drops: &KernelDrops,
) -> rusqlite::Result<()> {
    let mut add = connection.prepare_cached(
        "INSERT INTO kernel_drop VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (run_id, reason) DO UPDATE SET \
         count = count + excluded.count, last_ns = excluded.last_ns",
    )?;
    let until_ns = signed(drops.until_ns);
    for (reason, count) in &drops.by_reason {
        add.execute(params![run_id, reason, signed(*count), until_ns])?;
    }
    Ok(())
}
