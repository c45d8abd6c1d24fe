//! Header values, one rule of `policy` each.
//!
//! Takes a value apart by the grammar of its header and writes the pieces to a sink. Values that do not follow the grammar
//! are hashed piece by piece, never passed through.

use crate::date;
use crate::hash::Hasher;
use crate::policy::Rule;
use crate::shape::is_token;
use crate::sink::Sink;
use crate::url;
use crate::words::words;

mod addresses;
mod cookie;
mod credentials;
mod lists;
mod trace;

pub(crate) use trace::{TraceFormat, candidates as trace_candidates, mark as mark_trace};

/// Redacts the value of a header by its rule.
pub(crate) fn value(hasher: &Hasher, rule: Rule, raw: &[u8], out: &mut dyn Sink) {
    let raw = raw.trim_ascii();
    match rule {
        Rule::Addresses => addresses::addresses(hasher, raw, out),
        Rule::Challenge => credentials::challenge(hasher, raw, out),
        Rule::Credentials => credentials::credentials(hasher, raw, out),
        Rule::Cookie => cookie::cookie(hasher, raw, out),
        Rule::Date => date_or_words(hasher, raw, out),
        Rule::Forwarded => addresses::forwarded(hasher, raw, out),
        Rule::Hosts => hosts(hasher, raw, out),
        Rule::Keep | Rule::KeepTrace(_) => out.varying(raw),
        Rule::Link => lists::link(hasher, raw, out),
        Rule::Number => number_or_words(hasher, raw, out),
        Rule::Pairs => lists::pairs(hasher, raw, out),
        Rule::SetCookie => cookie::set_cookie(hasher, raw, out),
        Rule::Trace(TraceFormat::W3c) => trace::traceparent(hasher, raw, out),
        Rule::Trace(_) | Rule::Unknown => lists::unknown(hasher, raw, out),
        Rule::Url => url::url(hasher, raw, out),
        Rule::Varying | Rule::Words => words(hasher, raw, out),
    }
}

/// Whether the name of a header that is on no list may be read: short enough for one and not token-shaped.
pub(crate) fn is_readable_name(raw: &[u8]) -> bool {
    raw.len() <= LONGEST_NAME && !is_token(raw)
}

/// A date that the store can hold as a number, or what stands in its place.
fn date_or_words(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match date::parse(raw) {
        Some(seconds) => out.date(seconds),
        None => number_or_words(hasher, raw, out),
    }
}

fn number_or_words(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match decimal(raw) {
        Some(number) => out.number(number),
        None => words(hasher, raw, out),
    }
}

/// A decimal number that is written as it was read: no sign, no leading zero, at most 19 digits.
fn decimal(raw: &[u8]) -> Option<u64> {
    match raw {
        [] | [b'0', _, ..] => None,
        _ if raw.len() > 19 => None,
        _ => raw.iter().try_fold(0_u64, |sum, digit| {
            let value = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
            sum.checked_mul(10)?.checked_add(value)
        }),
    }
}

fn hosts(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, member) in raw.split(|byte| *byte == b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        url::authority(hasher, member.trim_ascii(), out);
    }
}

/// The members of a list, split at `mark` outside quoted strings.
fn members(raw: &[u8], mark: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    raw.split(move |byte| {
        if escaped {
            escaped = false;
        } else if quoted && *byte == b'\\' {
            escaped = true;
        } else if *byte == b'"' {
            quoted = !quoted;
        }
        !quoted && *byte == mark
    })
    .map(<[u8]>::trim_ascii)
}

const LONGEST_NAME: usize = 64;
