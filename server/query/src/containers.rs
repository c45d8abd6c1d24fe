//! Containers that came up while a command ran: what an engine's daemon may have started on its behalf.
//!
//! Owns: only which they are. Whether the command asked for them cannot be told: they are the daemon's children.

use crate::QueryError;
use crate::db::query_scalar;
use crate::integer::signed;
use crate::search::caused;
use crate::snapshot::Snapshot;

/// Whose containers are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainersQuery {
    /// Begun from here on, nanoseconds of the boot clock, in the boot of the newest recorder.
    pub since_boot_ns: u64,
    /// Begun until then.
    pub until_boot_ns: u64,
    /// But for those with a process in this tree.
    pub process_tree: Option<u32>,
    /// But for those with a process in a cgroup whose folder has this name, or below it.
    pub cgroup: Option<String>,
}

const TICK_NS: u64 = 10_000_000;

/// Names of the services, as they are searched by. Untrusted.
pub(crate) fn answer(
    snapshot: &mut Snapshot,
    query: &ContainersQuery,
) -> Result<Vec<String>, QueryError> {
    let own = caused::processes(snapshot, query.process_tree, query.cgroup.as_deref())?;
    let names = query_scalar(
        "SELECT service.name FROM process JOIN service ON service.id = process.service_id \
         WHERE service.kind = 'container' AND run_id IN (SELECT id FROM recorder_run WHERE boot_id = \
         (SELECT boot_id FROM recorder_run WHERE source = 'live' ORDER BY id DESC LIMIT 1)) GROUP BY service.name \
         HAVING MIN(start_boot_ns) BETWEEN ? AND ? AND NOT MAX(process.id IN (SELECT value FROM json_each(?))) \
         ORDER BY MIN(start_boot_ns)",
    )
    // The times of processes are cut to ticks of the kernel's.
    .bind(signed(query.since_boot_ns.saturating_sub(TICK_NS)))
    .bind(signed(query.until_boot_ns))
    .bind(crate::names::json_list(own))
    .fetch_all(snapshot.connection())?;
    Ok(names)
}
