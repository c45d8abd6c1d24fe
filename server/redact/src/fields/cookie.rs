//! `Cookie` and `Set-Cookie` (RFC 6265): names readable, values hashed unless listed.

use crate::date;
use crate::hash::Hasher;
use crate::policy::is_harmless_cookie;
use crate::sink::{Sink, redact};
use crate::url;

/// `name=value; name=value`.
pub(super) fn cookie(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let pairs = raw
        .split(|byte| *byte == b';')
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty());
    for (at, member) in pairs.enumerate() {
        if at > 0 {
            out.literal(b"; ");
        }
        pair(hasher, member, out);
    }
}

/// One pair, then attributes.
pub(super) fn set_cookie(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let mut parts = raw.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    pair(hasher, parts.next().unwrap_or_default(), out);
    for part in parts.filter(|part| !part.is_empty()) {
        out.literal(b"; ");
        attribute(hasher, part, out);
    }
}

/// A pair without a name is a value.
fn pair(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (name, Some(value)) = url::split(raw, b'=') else {
        return redact(hasher, raw, out);
    };
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    url::name(hasher, name, out);
    out.literal(b"=");
    if is_harmless_cookie(name, value) {
        out.literal(value);
    } else {
        redact(hasher, value, out);
    }
}

fn attribute(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (name, value) = url::split(raw, b'=');
    let (name, value) = (name.trim_ascii(), value.map(<[u8]>::trim_ascii));
    let is = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    let Some(value) = value else {
        let flag = is("secure") || is("httponly") || is("partitioned");
        return if flag {
            out.literal(name);
        } else {
            redact(hasher, raw, out);
        };
    };
    url::name(hasher, name, out);
    out.literal(b"=");
    if is("path") {
        url::path(hasher, value, out);
    } else if is("domain") {
        url::host(hasher, value, out);
    } else if is("expires") {
        match date::parse(value) {
            Some(seconds) => out.date(seconds),
            None if is_date_like(value) => out.varying(value),
            None => redact(hasher, value, out),
        }
    } else if (is("max-age") && is_small_number(value))
        || (is("samesite") || is("priority")) && is_level(value)
    {
        out.literal(value);
    } else {
        redact(hasher, value, out);
    }
}

/// The dates that servers write instead of IMF-fixdates: `Wed, 21-Oct-2026 07:28:00 GMT`.
fn is_date_like(value: &[u8]) -> bool {
    value.len() <= 36
        && value.ends_with(b" GMT")
        && value
            .split(|byte| !byte.is_ascii_alphanumeric())
            .all(|part| {
                if part.iter().all(u8::is_ascii_digit) {
                    part.len() <= 4
                } else {
                    part.len() <= 9 && !part.iter().any(u8::is_ascii_digit)
                }
            })
}

fn is_small_number(value: &[u8]) -> bool {
    value.len() <= 11
        && value
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'-')
}

fn is_level(value: &[u8]) -> bool {
    ["lax", "strict", "none", "low", "medium", "high"]
        .iter()
        .any(|known| known.as_bytes().eq_ignore_ascii_case(value))
}
