//! What the recorder's threads may do once its probes are attached.
//!
//! Owns: which capabilities(7) a thread keeps. Each gives up for good what it does not need: none that reads bytes which
//! anybody may send may itself load a module or change the clock, the network or a user. Threads that a thread starts have
//! no more than it has.

use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

/// To write the store in whosever folder it is, and give it to the group that may read it.
pub(super) const STORE: CapabilitySet = CapabilitySet::DAC_OVERRIDE
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID);

/// To know processes of all users, their files and their sockets.
pub(super) const PROCESSES: CapabilitySet = CapabilitySet::SYS_PTRACE
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::CHECKPOINT_RESTORE);

/// To look into the probes' maps, to attach to programs that begin later, and to hear of them from processors that come later.
/// CAP_SYS_ADMIN is asked for perf events by hardened kernels, and stands for the others where only that one was given.
const PROBES: CapabilitySet = CapabilitySet::BPF
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::SYS_ADMIN);

/// What the thread needs that drains the ring buffer: the store where it has not been sent to be committed, processes,
/// ICMP in the network namespaces of others, and to be less nice when it falls behind.
pub(super) const RECORDER: CapabilitySet = STORE
    .union(PROCESSES)
    .union(PROBES)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_NICE);

/// What the thread needs that attaches to libraries.
const LIBRARIES: CapabilitySet = PROCESSES.union(PROBES);

/// The same where the kernel links many places at once (Linux 6.6), which does not ask for CAP_SYS_ADMIN: where nothing of what it
/// would stand for is lacking.
pub(super) fn for_libraries(is_multi: bool) -> CapabilitySet {
    let narrower = LIBRARIES.difference(CapabilitySet::SYS_ADMIN);
    let instead = CapabilitySet::BPF
        .union(CapabilitySet::PERFMON)
        .union(CapabilitySet::CHECKPOINT_RESTORE);
    match capabilities(None) {
        Ok(now) if is_multi && now.effective.contains(instead) => narrower,
        Ok(_) | Err(_) => LIBRARIES,
    }
}

/// Gives up, for the calling thread, all that is not in `kept`; no program that it may start gets anything back.
///
/// It goes on with what it has where the kernel refuses, which is told in the log.
pub(crate) fn keep(kept: CapabilitySet) {
    let is_kept = reduce_to(kept).and_then(|()| set_no_new_privs(true));
    if let Err(error) = is_kept {
        tracing::warn!(%error, "a thread keeps capabilities that it does not need");
    }
}

/// Gives up, for the calling thread, all that is not in `kept`.
///
/// # Errors
/// The kernel's; then nothing is given up.
pub(crate) fn reduce_to(kept: CapabilitySet) -> io::Result<()> {
    let now = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.effective.intersection(kept),
            permitted: now.permitted.intersection(kept),
            inheritable: CapabilitySet::empty(),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_what_it_keeps_and_no_other_thread_loses_any() {
        let before = capabilities(None).unwrap();
        let after = std::thread::spawn(|| {
            keep(STORE);
            // What it starts has no more.
            std::thread::spawn(|| capabilities(None).unwrap())
                .join()
                .unwrap()
        })
        .join()
        .unwrap();
        assert_eq!(after.effective, before.effective.intersection(STORE));
        assert_eq!(after.permitted, before.permitted.intersection(STORE));
        assert!(after.inheritable.is_empty());
        assert_eq!(capabilities(None).unwrap().effective, before.effective);
    }
}
