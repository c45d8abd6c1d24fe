//! The small languages that text arguments are written in.
//!
//! Owns: checking a text before any store is opened, so that all mistakes of a call can be told at once. Reading it into
//! conditions is done where the conditions are.

use crate::search::{filter, pattern};
use crate::{QueryError, TimeArgument, dns, marks};

/// What a text argument is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 3339, before now (`-15m`), `now`, or the name of a mark.
    Time,
    /// `404`, `5xx`, `400-499`, or response codes of DNS by name; several with commas.
    Statuses,
    /// Outcomes of exchanges of HTTP or of DNS, several with commas.
    Outcomes,
}

impl Syntax {
    /// Whether `text` can be read, as the value of `argument`.
    ///
    /// # Errors
    /// `Argument`, showing the right forms.
    pub fn check(self, argument: &'static str, text: &str) -> Result<(), QueryError> {
        match self {
            // Whether there is a mark of that name is seen when it is looked up.
            Self::Time if marks::is_name(text.trim()) => Ok(()),
            // Whether it can be read does not depend on now.
            Self::Time => TimeArgument(text.to_owned()).resolve(argument, 0).map(drop),
            Self::Statuses => match dns::rcodes(text) {
                Ok(_) => Ok(()),
                Err(_) => pattern::status_ranges(text).map(drop),
            },
            Self::Outcomes => match dns::outcomes(text) {
                Ok(_) => Ok(()),
                Err(_) => filter::outcomes(text).map(drop),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_and_what_not() {
        for (syntax, good, bad) in [
            (Syntax::Time, "-15m", "last night"),
            (Syntax::Time, "before-deploy", "-before"),
            (Syntax::Statuses, "5xx, 404", "5x"),
            (Syntax::Outcomes, "failed, open", "broken"),
            (Syntax::Statuses, "nxdomain", "nope"),
            (Syntax::Outcomes, "no_answer", "no answer"),
            (Syntax::Outcomes, "unreachable", "unreached"),
        ] {
            assert!(syntax.check("it", good).is_ok(), "{good}");
            let told = syntax.check("it", bad).unwrap_err();
            assert!(matches!(told, QueryError::Argument { .. }), "{bad}: {told}");
        }
    }
}
