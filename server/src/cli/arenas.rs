//! One arena of memory for all threads of a recorder.
//!
//! glibc gives each thread an arena of its own. What the recorder's thread allocates, others free, and each arena keeps what
//! it once needed: a third of what a busy recorder held was nobody's. The number of arenas can be set before a program begins,
//! so it begins again.

use std::os::unix::process::CommandExt;

/// mallopt(3), of glibc; another C library takes no notice.
pub(super) const VARIABLE: &str = "MALLOC_ARENA_MAX";

/// Begins this program again with one arena, unless somebody has said how many. Goes on as it is where that fails.
pub(super) fn ask_for_one() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).env(VARIABLE, "1");
    let error = again.exec();
    tracing::info!(%error, "the recorder goes on with an arena for each thread");
}
