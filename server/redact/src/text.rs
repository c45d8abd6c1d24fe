//! The owned, already redacted texts that the store accepts.
//!
//! Fields are private and built by `Redactor` only. No `From<String>`: that would be a way around the rule. Most are short,
//! and there are several to an exchange, so short ones (up to 24 bytes) need no allocation.

use std::sync::Arc;

use compact_str::CompactString;

/// A short redacted text: a host name, a path of an executable, a reason phrase, a cgroup path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Text(pub(crate) CompactString);

impl Text {
    /// The redacted text, valid UTF-8, still hostile: escape it before it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether nothing of it was hashed: readable text holds no braces.
    pub fn is_readable(&self) -> bool {
        !self.0.contains('{')
    }
}

/// The four forms of a request target (RFC 9112, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`
    Absolute,
    /// `host:port`, for CONNECT
    Authority,
    /// `*`, for OPTIONS
    Asterisk,
}

/// A redacted request target, split as OpenTelemetry splits a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub(crate) form: TargetForm,
    pub(crate) scheme: Option<&'static str>,
    pub(crate) authority: Option<CompactString>,
    pub(crate) path: CompactString,
    pub(crate) query: Option<CompactString>,
    pub(crate) route: CompactString,
    pub(crate) identifiers: Option<Arc<[[u8; 8]]>>,
}

impl Target {
    /// Which of the four forms the target had.
    pub fn form(&self) -> TargetForm {
        self.form
    }
    /// `http` or `https` for the absolute form.
    pub fn scheme(&self) -> Option<&'static str> {
        self.scheme
    }
    /// Host and port of the absolute and authority forms, user-info redacted.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }
    /// `url.path`: ordinary segments readable, token-shaped ones hashed. Empty for the authority form, `*` for asterisk.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// Whether nothing of it was hashed.
    pub fn is_readable(&self) -> bool {
        // Readable text holds no braces.
        let pieces = [
            self.authority.as_deref(),
            Some(&*self.path),
            self.query.as_deref(),
        ];
        !pieces
            .into_iter()
            .flatten()
            .any(|piece| piece.contains('{'))
    }
    /// `url.query` without the `?`: names readable, values hashed unless allow-listed.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }
    /// Hashes of what may join its request with others: what was hashed of it, and readable segments of the path with a digit.
    pub fn identifiers(&self) -> &[[u8; 8]] {
        self.identifiers.as_deref().unwrap_or_default()
    }
    /// `http.route`, estimated: the path with numeric, hexadecimal, UUID and hashed segments replaced by `{}`.
    pub fn route(&self) -> &str {
        &self.route
    }
}

/// A redacted command line: the arguments, space separated, token-shaped ones and the values of secret options hashed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CommandLine(pub(crate) String);

impl CommandLine {
    /// The redacted command line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
