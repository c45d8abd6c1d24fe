//! Waiting for a condition, with a deadline.

use std::time::{Duration, Instant};

/// Longest wait for anything that should happen within a second or two.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Asks until there is an answer; panics with `what` and the last thing seen when the deadline passes.
pub fn until<T, S: std::fmt::Debug>(what: &str, ask: impl FnMut() -> Result<T, S>) -> T {
    until_within(DEADLINE, what, ask)
}

/// The same for what takes longer by its nature.
pub fn until_within<T, S: std::fmt::Debug>(
    most: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<T, S>,
) -> T {
    let deadline = Instant::now() + most;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) => assert!(
                Instant::now() < deadline,
                "no {what} within {most:?}; last seen: {seen:#?}"
            ),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
