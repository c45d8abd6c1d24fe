//! Times as callers write them, and the window that they make.
//!
//! Owns: the forms that are understood and the default window. Does not read a clock: now is passed in.

use jiff::Timestamp;

use crate::answer::Window;
use crate::integer::{signed, unsigned};
use crate::{QueryError, cursor};

/// A time as given: RFC 3339, or relative to now such as `-15m`, `-2h`, `-7d`, `now`. Marks are looked up before
/// (`Store::moment`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeArgument(pub String);

/// The window as given; absent parts take the default (the last 15 minutes of what is stored).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowArgument {
    /// `since`
    pub since: Option<TimeArgument>,
    /// `until`
    pub until: Option<TimeArgument>,
}

/// What absent and relative times refer to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference {
    /// The wall clock.
    pub(crate) now_ns: u64,
    /// Where the default window ends: now while a recorder runs, else the newest data.
    pub(crate) end_ns: u64,
}

impl WindowArgument {
    /// The window meant.
    ///
    /// # Errors
    /// `Argument`, showing the right forms.
    pub(crate) fn resolve(&self, reference: Reference) -> Result<Window, QueryError> {
        let since = self
            .since
            .as_ref()
            .map(|since| since.resolve("since", reference.now_ns))
            .transpose()?;
        let until = self
            .until
            .as_ref()
            .map(|until| until.resolve("until", reference.now_ns))
            .transpose()?;
        let until_ns = match (since, until) {
            (_, Some(until)) => until,
            (Some(_), None) => reference.now_ns,
            (None, None) => reference.end_ns,
        };
        let since_ns = since.unwrap_or_else(|| until_ns.saturating_sub(DEFAULT_NS));
        if since_ns > until_ns {
            return Err(QueryError::Argument {
                argument: "since",
                problem: format!(
                    "{} is after until ({}); swap them",
                    rfc3339(since_ns),
                    rfc3339(until_ns)
                ),
            });
        }
        Ok(Window { since_ns, until_ns })
    }
}

impl Window {
    /// The window in a cursor's first two fields.
    pub(crate) fn from_cursor(since_ns: u64, length_ns: u64) -> Result<Self, QueryError> {
        let until_ns = since_ns
            .checked_add(length_ns)
            .filter(|until| *until <= unsigned(i64::MAX));
        until_ns
            .map(|until_ns| Self { since_ns, until_ns })
            .ok_or_else(cursor::damaged)
    }

    /// The same window on whole slots of the roll-ups.
    pub(crate) fn snapped(self) -> Self {
        let since_ns = self.since_ns - self.since_ns % SLOT_NS;
        let until_ns = (self.until_ns - self.until_ns % SLOT_NS).saturating_add(SLOT_NS - 1);
        Self { since_ns, until_ns }
    }
}

impl TimeArgument {
    /// What can be given.
    pub(crate) const FORMS: &str = "give RFC 3339 with an offset such as 2026-01-31T13:00:00Z or 2026-01-31T14:00:00+01:00, a time \
         before now such as -90s, -15m, -2h or -7d, now, or the name of a mark";

    pub(crate) fn resolve(&self, argument: &'static str, now_ns: u64) -> Result<u64, QueryError> {
        let text = self.0.trim();
        let parsed = if text == "now" {
            Some(now_ns)
        } else if let Some(back) = text.strip_prefix('-') {
            duration_ns(back).map(|back| now_ns.saturating_sub(back))
        } else {
            absolute_ns(text)
        };
        parsed.ok_or_else(|| QueryError::Argument {
            argument,
            problem: Self::FORMS.to_owned(),
        })
    }
}

fn duration_ns(text: &str) -> Option<u64> {
    let split = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let seconds = match unit {
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)?
        .checked_mul(1_000_000_000)
}

fn absolute_ns(text: &str) -> Option<u64> {
    // jiff also takes shorter forms, such as a lone date with an offset: RFC 3339 has at least 20 characters.
    let timestamp: Timestamp = if text.len() < 20 {
        return None;
    } else {
        text.parse().ok()?
    };
    u64::try_from(timestamp.as_nanosecond())
        .ok()
        .filter(|ns| *ns <= unsigned(i64::MAX))
}

/// A time as Headwater writes it: UTC, milliseconds.
pub fn rfc3339(ns: u64) -> String {
    let milliseconds = signed(ns / 1_000_000);
    Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| format!("{ns} ns"), |time| format!("{time:.3}"))
}

/// Length of a roll-up's slot.
pub(crate) const SLOT_NS: u64 = 10_000_000_000;
const DEFAULT_NS: u64 = 15 * 60 * 1_000_000_000;

#[cfg(test)]
mod tests;
