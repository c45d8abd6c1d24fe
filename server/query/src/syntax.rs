//! The small languages that text arguments are written in.
//!
//! Owns: checking a text before any store is opened, so that all mistakes of a call can be told at once. Reading it into
//! conditions is done where the conditions are.

use crate::search::{filter, pattern};
use crate::{QueryError, TimeArgument, dns};

/// What a text argument is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 3339, before now (`-15m`), or `now`.
    Time,
    /// `404`, `5xx`, `400-499`, several with commas.
    Statuses,
    /// Outcomes of exchanges, several with commas.
    Outcomes,
    /// Types of DNS records by name, several with commas.
    DnsTypes,
    /// Response codes of DNS by name, several with commas.
    DnsRcodes,
    /// Outcomes of DNS exchanges, several with commas.
    DnsOutcomes,
}

impl Syntax {
    /// Whether `text` can be read, as the value of `argument`.
    ///
    /// # Errors
    /// `Argument`, showing the right forms.
    pub fn check(self, argument: &'static str, text: &str) -> Result<(), QueryError> {
        match self {
            // Whether it can be read does not depend on now.
            Self::Time => TimeArgument(text.to_owned()).resolve(argument, 0).map(drop),
            Self::Statuses => pattern::status_ranges(text).map(drop),
            Self::Outcomes => filter::outcomes(text).map(drop),
            Self::DnsTypes => dns::types(text).map(drop),
            Self::DnsRcodes => dns::rcodes(text).map(drop),
            Self::DnsOutcomes => dns::outcomes(text).map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_read_and_what_not() {
        for (syntax, good, bad) in [
            (Syntax::Time, "-15m", "yesterday"),
            (Syntax::Statuses, "5xx, 404", "5x"),
            (Syntax::Outcomes, "failed, open", "broken"),
            (Syntax::DnsTypes, "a, TYPE65", "letters"),
            (Syntax::DnsRcodes, "nxdomain", "nope"),
            (Syntax::DnsOutcomes, "no_answer", "client_gave_up"),
        ] {
            assert!(syntax.check("it", good).is_ok(), "{good}");
            let told = syntax.check("it", bad).unwrap_err();
            assert!(matches!(told, QueryError::Argument { .. }), "{bad}: {told}");
        }
    }
}
