//! Containers that came up while a command ran: what an engine's daemon may have started on its behalf.
//!
//! Owns: only which they are. Whether the command asked for them cannot be told: they are the daemon's children.

use crate::QueryError;
use crate::integer::signed;
use crate::search::caused;
use crate::snapshot::Snapshot;

/// Whose containers are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainersQuery {
    /// First seen from here on, nanoseconds since the epoch.
    pub since_ns: u64,
    /// First seen until then.
    pub until_ns: u64,
    /// But for those with a process in this tree.
    pub process_tree: Option<u32>,
    /// But for those with a process in a cgroup whose folder has this name, or below it.
    pub cgroup: Option<String>,
}

/// Names of the services, as they are searched by. Untrusted.
pub(crate) async fn answer(
    snapshot: &mut Snapshot,
    query: &ContainersQuery,
) -> Result<Vec<String>, QueryError> {
    let own = caused::processes(snapshot, query.process_tree, query.cgroup.as_deref()).await?;
    let names = sqlx::query_scalar(
        "SELECT service.name FROM process JOIN service ON service.id = process.service_id \
         WHERE service.kind = 'container' GROUP BY service.name \
         HAVING MIN(first_seen_ns) BETWEEN ? AND ? AND NOT MAX(process.id IN (SELECT value FROM json_each(?))) \
         ORDER BY MIN(first_seen_ns)",
    )
    .bind(signed(query.since_ns))
    .bind(signed(query.until_ns))
    .bind(crate::names::json_list(own))
    .fetch_all(snapshot.connection())
    .await?;
    Ok(names)
}
