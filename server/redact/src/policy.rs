//! What is harmless: allow-lists of header names, cookie names and query names, and what the operator opted in.
//!
//! Harmless means that a value tells neither who somebody is nor anything that opens a door. A name that is on no list
//! is not harmless, so that a header invented tomorrow is hashed. Names that may carry a URL are readable
//! by the URL's rule.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::fields::TraceFormat;
use crate::shape::is_token;

mod lists;
mod pairs;

/// The operator's choices on top of the built-in allow-lists.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Header names (any case) whose values are kept readable (`--keep-header`).
    pub keep_headers: Vec<String>,
    /// Header names (any case) whose values identify something (`--correlation-header`, `--session-header`): hashed, though
    /// they were known to be harmless, unless they are kept.
    pub identifying_headers: Vec<String>,
}

/// How a header's value is redacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Client addresses: identity, hashed one by one.
    Addresses,
    /// Authentication challenges and their parameters.
    Challenge,
    /// `Authorization` and its like.
    Credentials,
    /// Name and value pairs of a client.
    Cookie,
    /// A date that changes from message to message.
    Date,
    /// RFC 7239.
    Forwarded,
    /// Host names, separated by commas.
    Hosts,
    /// The operator opted in: readable whatever it is.
    Keep,
    /// The same of a header that tells of a trace.
    KeepTrace(TraceFormat),
    /// Targets between angle brackets, with parameters (RFC 8288).
    Link,
    /// A number that changes from message to message.
    Number,
    /// `key=value` lists: keys readable, values hashed.
    Pairs,
    /// One pair with attributes.
    SetCookie,
    /// Trace context: hashed.
    Trace(TraceFormat),
    /// Not listed: hashed.
    Unknown,
    /// URLs or paths, as they come.
    Url,
    /// Readable but for token-shaped words; changes from message to message.
    Varying,
    /// Readable but for token-shaped words.
    Words,
}

impl Rule {
    /// Whether nothing is known of the header that makes it harmless.
    pub(crate) fn is_unlisted(self) -> bool {
        matches!(self, Self::Unknown | Self::Trace(_))
    }
    /// Whether readable values differ too often to be a part of the template.
    pub(crate) fn is_varying(self) -> bool {
        matches!(
            self,
            Self::Date
                | Self::Keep
                | Self::KeepTrace(_)
                | Self::Link
                | Self::Number
                | Self::Url
                | Self::Varying
        )
    }
}

/// The rules of all listed header names.
pub(crate) struct HeaderRules(HashMap<Vec<u8>, Rule, BuildHasherDefault<Fnv>>);

impl HeaderRules {
    pub(crate) fn new(policy: &Policy) -> Self {
        let listed = lists::HEADERS
            .iter()
            .flat_map(|(rule, names)| names.iter().map(|name| (name.as_bytes(), *rule)));
        let lower = |(name, rule): (&[u8], Rule)| (name.to_ascii_lowercase(), rule);
        let mut rules: HashMap<_, _, _> = listed.map(lower).collect();
        for name in &policy.identifying_headers {
            let name = name.trim().to_ascii_lowercase().into_bytes();
            // Those have their own ways to hash.
            let is_hashed = |rule: &Rule| {
                matches!(
                    rule,
                    Rule::Addresses
                        | Rule::Cookie
                        | Rule::Credentials
                        | Rule::SetCookie
                        | Rule::Trace(_)
                )
            };
            if !rules.get(&name).is_some_and(is_hashed) {
                rules.insert(name, Rule::Unknown);
            }
        }
        for name in &policy.keep_headers {
            let name = name.trim().to_ascii_lowercase().into_bytes();
            let kept = match rules.get(&name) {
                Some(Rule::Trace(format)) => Rule::KeepTrace(*format),
                _ => Rule::Keep,
            };
            rules.insert(name, kept);
        }
        Self(rules)
    }
    /// The rule for a name in any case.
    pub(crate) fn of(&self, name: &[u8]) -> Rule {
        let mut buffer = [0; lists::LONGEST_NAME];
        let Some(lower) = buffer.get_mut(..name.len()) else {
            return self.of_long(name);
        };
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        self.0.get(&*lower).copied().unwrap_or(Rule::Unknown)
    }
    /// Only the operator lists names of that length.
    fn of_long(&self, name: &[u8]) -> Rule {
        self.0
            .get(name.to_ascii_lowercase().as_slice())
            .copied()
            .unwrap_or(Rule::Unknown)
    }
}

/// FNV-1a: the table is built once from trusted names, so nobody can make it slow.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

/// Whether a query value may be read: a listed name and a value without room for a secret.
pub(crate) fn is_harmless_query(name: &[u8], value: &[u8]) -> bool {
    is_listed(pairs::QUERY, name) && is_short_word(value)
}

/// Whether a cookie value may be read.
pub(crate) fn is_harmless_cookie(name: &[u8], value: &[u8]) -> bool {
    is_listed(pairs::COOKIES, name) && is_short_word(value)
}

fn is_listed(list: &[&str], name: &[u8]) -> bool {
    list.iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

fn is_short_word(value: &[u8]) -> bool {
    value.len() <= 16
        && value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !is_token(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_the_operator_wins() {
        let policy = Policy {
            keep_headers: vec!["X-Request-ID".into(), "cookie".into(), "x".repeat(90)],
            identifying_headers: vec![
                "Server".into(),
                "X-Request-Id".into(),
                "Authorization".into(),
                "X-Own".into(),
            ],
        };
        let rules = HeaderRules::new(&policy);
        for (name, rule) in [
            ("Content-Length", Rule::Number),
            ("USER-AGENT", Rule::Words),
            ("x-request-id", Rule::Keep),
            ("server", Rule::Unknown),
            ("x-own", Rule::Unknown),
            ("authorization", Rule::Credentials),
            ("Cookie", Rule::Keep),
            ("Set-Cookie", Rule::SetCookie),
            ("X-Api-Key", Rule::Unknown),
            ("", Rule::Unknown),
        ] {
            assert_eq!(rules.of(name.as_bytes()), rule, "{name}");
        }
        assert_eq!(rules.of("X".repeat(90).as_bytes()), Rule::Keep);
        assert_eq!(rules.of("X".repeat(91).as_bytes()), Rule::Unknown);
    }

    #[test]
    fn a_name_is_listed_once_in_lower_case() {
        let mut names: Vec<&str> = lists::HEADERS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.iter().all(|name| name.to_ascii_lowercase() == *name && name.len() <= lists::LONGEST_NAME));
    }

    #[test]
    fn short_harmless_values_only() {
        assert!(is_harmless_query(b"page", b"12") && is_harmless_query(b"Sort", b"-created_at"));
        assert!(
            !is_harmless_query(b"page", b"a secret")
                && !is_harmless_query(b"page", b"12345678901234567")
        );
        assert!(!is_harmless_query(b"q", b"12") && !is_harmless_query(b"page", b"411111111111111"));
        assert!(is_harmless_cookie(b"theme", b"dark") && !is_harmless_cookie(b"sid", b"dark"));
    }
}
