//! Times as callers write them.

/// A time as given: RFC 3339, or relative to now such as `-15m`, `-2h`, `-7d`, `now`.
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
