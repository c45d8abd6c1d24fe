//! Lists: headers that nobody listed, `key=value` lists, and `Link`.

use super::members;
use crate::hash::Hasher;
use crate::secret_name::is_secret_name;
use crate::shape::is_token;
use crate::sink::{Sink, redact};
use crate::url;
use crate::words::words;

/// A header that is on no list: the members of a short list are hashed singly, all else whole.
pub(super) fn unknown(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if !raw.contains(&b',') {
        return member(hasher, raw, out);
    }
    if members(raw, b',').nth(MOST_MEMBERS).is_some() {
        return redact(hasher, raw, out);
    }
    for (at, one) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        member(hasher, one, out);
    }
}

/// A value that names itself (`token=abc`) is hashed without its name.
fn member(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match url::split(raw, b'=') {
        (name, Some(value))
            if name.len() <= 32 && is_secret_name(name) && is_word(name) && !is_token(name) =>
        {
            out.literal(name);
            out.literal(b"=");
            redact(hasher, value, out);
        }
        _ => redact(hasher, raw, out),
    }
}

fn is_word(name: &[u8]) -> bool {
    name.iter()
        .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'))
}

/// `key=value,key=value` with properties after `;` (W3C Baggage): keys readable, values hashed.
pub(super) fn pairs(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, one) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b",");
        }
        for (place, pair) in members(one, b';').enumerate() {
            if place > 0 {
                out.literal(b";");
            }
            match url::split(pair, b'=') {
                (key, Some(value)) => {
                    url::name(hasher, key.trim_ascii(), out);
                    out.literal(b"=");
                    redact(hasher, value, out);
                }
                (key, None) => redact(hasher, key, out),
            }
        }
    }
}

/// `<target>; rel="next", <target>; …` (RFC 8288).
pub(super) fn link(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let mut rest = raw;
    loop {
        let (before, target) = url::split(rest, b'<');
        words(hasher, before, out);
        let Some(target) = target else { return };
        out.literal(b"<");
        let (target, after) = url::split(target, b'>');
        url::url(hasher, target, out);
        let Some(after) = after else { return };
        out.literal(b">");
        rest = after;
    }
}

const MOST_MEMBERS: usize = 16;
