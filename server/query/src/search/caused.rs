//! Whose exchanges count as a command's: those of its process tree, and of its cgroup.

use crate::QueryError;
use crate::db::query_scalar;
use crate::snapshot::Snapshot;

/// Processes of a tree, or of a cgroup and those below it: either is enough. A cgroup goes by the name of its folder: what
/// is above that in its path may be redacted.
pub(crate) fn processes(
    snapshot: &mut Snapshot,
    tree: Option<u32>,
    cgroup: Option<&str>,
) -> Result<Vec<i64>, QueryError> {
    let ids = query_scalar(
        "SELECT id FROM process WHERE pid = ?1 OR instr(',' || replace(ancestors, ' ', '') || ',', ',' || ?1 || ',') > 0 \
         OR instr(cgroup || '/', '/' || ?2 || '/') > 0",
    )
    .bind(tree.map(i64::from))
    .bind(cgroup)
    .fetch_all(snapshot.connection())?;
    Ok(ids)
}
