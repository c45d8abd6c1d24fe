//! How a process began.

use std::fmt;

use crate::window::rfc3339;

/// How a process began, as far as that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessBegin {
    /// When.
    pub start_ns: Option<i64>,
    /// The process that forked it.
    pub forked_from: Option<u32>,
    /// When it began to run its program; none where it runs its parent's.
    pub executed_ns: Option<i64>,
}

impl ProcessBegin {
    /// Whether anything is known beyond that it was there.
    pub fn is_known(&self) -> bool {
        self.forked_from.is_some() || self.executed_ns.is_some()
    }
}

impl fmt::Display for ProcessBegin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |ns: i64| rfc3339(ns.cast_unsigned());
        if let Some(parent) = self.forked_from {
            write!(f, "forked from pid {parent}")?;
            if let Some(start) = self.start_ns {
                write!(f, " at {}", at(start))?;
            }
        }
        match (self.forked_from, self.executed_ns) {
            (Some(_), Some(executed)) => write!(f, ", executed at {}", at(executed)),
            (None, Some(executed)) => write!(f, "executed at {}", at(executed)),
            (_, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said() {
        let begin = |forked_from, executed_ns| ProcessBegin {
            start_ns: Some(1_000_000_000),
            forked_from,
            executed_ns,
        };
        for (begin, said) in [
            (begin(None, None), ""),
            (
                begin(Some(7), None),
                "forked from pid 7 at 1970-01-01T00:00:01.000Z",
            ),
            (
                begin(None, Some(2_000_000_000)),
                "executed at 1970-01-01T00:00:02.000Z",
            ),
            (
                begin(Some(7), Some(2_000_000_000)),
                "forked from pid 7 at 1970-01-01T00:00:01.000Z, executed at 1970-01-01T00:00:02.000Z",
            ),
        ] {
            assert_eq!(begin.to_string(), said);
            assert_eq!(begin.is_known(), !said.is_empty());
        }
    }
}
