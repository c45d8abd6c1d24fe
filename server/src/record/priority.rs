//! How the recorder shares processors with what it observes.
//!
//! Owns: one thread's nice value. What is observed comes first, so a thread is nice as long as it keeps up; when what waits
//! for it has grown, it is not, since a recorder that loses records is of no use. Where the value may be raised but not
//! lowered again (no CAP_SYS_NICE), it is left alone.

use std::time::{Duration, Instant};

use rustix::process::{getpriority_process, setpriority_process};

/// The nice value of a thread that keeps up: a third of an ordinary thread's weight (sched(7)). At 10, a tenth, the ring
/// buffer was seen to fill before the thread ran again.
const NICE: i32 = 5;
/// How long a thread stays in a hurry.
const HURRY: Duration = Duration::from_secs(1);

/// The priority of the calling thread.
#[derive(Debug)]
pub(crate) struct Priority {
    ordinary: i32,
    /// Since when it is in a hurry.
    hurried: Option<Instant>,
}

impl Priority {
    /// Makes the calling thread nice. `None` where that could not be taken back.
    pub(crate) fn nice() -> Option<Self> {
        let ordinary = getpriority_process(None).ok()?;
        // To go one step up and back tells whether the way back is open, at hardly any cost if it is not.
        if ordinary >= NICE
            || setpriority_process(None, ordinary + 1).is_err()
            || setpriority_process(None, ordinary).is_err()
        {
            return None;
        }
        setpriority_process(None, NICE).ok()?;
        Some(Self {
            ordinary,
            hurried: None,
        })
    }

    /// Says whether more waits than should.
    pub(crate) fn is_behind(&mut self, behind: bool) {
        match (behind, self.hurried) {
            (true, None) => {
                if setpriority_process(None, self.ordinary).is_ok() {
                    self.hurried = Some(Instant::now());
                }
            }
            (true, Some(_)) => self.hurried = Some(Instant::now()),
            (false, Some(since)) if since.elapsed() > HURRY => {
                if setpriority_process(None, NICE).is_ok() {
                    self.hurried = None;
                }
            }
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hurry_lasts_and_ends() {
        std::thread::spawn(|| {
            let before = getpriority_process(None).unwrap();
            let Some(mut priority) = Priority::nice() else {
                assert!(!nix::unistd::geteuid().is_root());
                return;
            };
            assert_eq!(getpriority_process(None).unwrap(), NICE);
            priority.is_behind(true);
            priority.is_behind(false);
            assert_eq!(getpriority_process(None).unwrap(), before);
            priority.hurried = Instant::now().checked_sub(HURRY * 2);
            priority.is_behind(false);
            assert_eq!(getpriority_process(None).unwrap(), NICE);
        })
        .join()
        .unwrap();
    }
}
