//! Lists: headers that nobody listed, `key=value` lists, and `Link`.

use super::members;
use crate::hash::Hasher;
use crate::secret_name::is_secret_name;
use crate::shape::is_token;
use crate::sink::{Sink, redact};
use crate::url;
use crate::words::words;

/// A header that is on no list: the members of a short list (`a, b`, `a=b; c=d`, or lists in lists) are hashed singly, so
/// that each has the hash that it has in any other carrier; all else whole.
pub(super) fn unknown(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if !raw.contains(&b',') && !raw.contains(&b';') {
        return pair_or_value(hasher, raw, false, out);
    }
    let elements = || members(raw, b',').map(|element| members(element, b';'));
    if elements().flatten().nth(MOST_MEMBERS).is_some() {
        return redact(hasher, raw, out);
    }
    let is_list = elements().flatten().nth(1).is_some();
    for (at, element) in elements().enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        for (place, member) in element.enumerate() {
            if place > 0 {
                out.literal(b"; ");
            }
            pair_or_value(hasher, member, is_list, out);
        }
    }
}

/// `name=value` is hashed in two. The name can be read when it says of itself that a secret follows, or is a plain word
/// in a list of several: a lone `hunter=two` may be a password as a whole.
fn pair_or_value(hasher: &Hasher, raw: &[u8], in_list: bool, out: &mut dyn Sink) {
    let (name, Some(value)) = url::split(raw, b'=') else {
        return redact(hasher, raw, out);
    };
    let name = name.trim_ascii_end();
    // Padding of base64 is no value.
    if !is_name(name) || value.iter().all(|byte| matches!(byte, b'=' | b' ')) {
        return redact(hasher, raw, out);
    }
    if is_plain(name) && (in_list || is_secret_name(name)) {
        out.literal(name);
    } else {
        redact(hasher, name, out);
    }
    out.literal(b"=");
    redact(hasher, value, out);
}

/// Of the characters that names are made of (RFC 9110, 5.6.2, without the odd ones), and not too long for one.
fn is_name(name: &[u8]) -> bool {
    (1..=32).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// A word with at most three digits at its end (`v1`), and not shaped like a token.
fn is_plain(name: &[u8]) -> bool {
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let word = name.get(..name.len() - digits).unwrap_or_default();
    digits <= 3 && !word.is_empty() && !word.iter().any(u8::is_ascii_digit) && !is_token(name)
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
