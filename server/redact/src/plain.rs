//! The one form of a value that is hashed, whatever carrier it came in.
//!
//! Percent-decoded until nothing is left to decode, trimmed, unquoted, its authentication scheme stripped. Doing it
//! again changes nothing, so that a value hashes alike in a header (plain), a query (encoded once) and a redirect
//! inside a query (encoded twice). Does not turn `+` into a space: base64 has `+`, and headers carry it bare.

use std::borrow::Cow;

use crate::hash::Scheme;

/// A value in its plain form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plain<'a> {
    /// The scheme that stood before it, `jwt` by its looks, or none.
    pub(crate) scheme: Scheme,
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// Brings a value to its plain form.
pub(crate) fn plain(raw: &[u8]) -> Plain<'_> {
    let mut scheme = Scheme::NONE;
    let mut bytes = stripped(percent_decoded(raw), &mut scheme);
    // A quoted string with quoted pairs: rare, and each turn leaves fewer backslashes.
    while let Some(inner) = unquoted(&bytes) {
        let unescaped = without_escapes(inner);
        bytes = Cow::Owned(strip(&percent_decoded(&unescaped), &mut scheme).to_vec());
    }
    if scheme == Scheme::NONE && is_jwt(&bytes) {
        scheme = Scheme::JWT;
    }
    Plain { scheme, bytes }
}

fn stripped<'a>(bytes: Cow<'a, [u8]>, scheme: &mut Scheme) -> Cow<'a, [u8]> {
    match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(strip(bytes, scheme)),
        Cow::Owned(bytes) => Cow::Owned(strip(&bytes, scheme).to_vec()),
    }
}

/// Takes white space, quotes and listed schemes off the ends until none is left, or quoted pairs are to be undone.
fn strip<'a>(bytes: &'a [u8], scheme: &mut Scheme) -> &'a [u8] {
    let mut rest = bytes.trim_ascii();
    loop {
        if let Some(inner) = unquoted(rest) {
            if inner.contains(&b'\\') {
                return rest;
            }
            rest = inner.trim_ascii();
        } else if let Some((found, credential)) = split_scheme(rest) {
            *scheme = found;
            rest = credential;
        } else {
            return rest;
        }
    }
}

/// A listed authentication scheme, and the credential after it.
pub(crate) fn split_scheme(value: &[u8]) -> Option<(Scheme, &[u8])> {
    // The longest name has 16 bytes.
    let space = value.iter().take(17).position(|byte| *byte == b' ')?;
    let (name, credential) = value.split_at_checked(space)?;
    Some((Scheme::from_name(name)?, credential.trim_ascii()))
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    match value {
        [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] => Some(inner),
        _ => None,
    }
}

/// Undoes the quoted pairs of a quoted string (RFC 9110, section 5.6.4).
fn without_escapes(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    while let Some(byte) = bytes.next() {
        out.push(if *byte == b'\\' {
            *bytes.next().unwrap_or(byte)
        } else {
            *byte
        });
    }
    out
}

/// Three base64url parts of which the first begins a JSON object.
fn is_jwt(value: &[u8]) -> bool {
    value.starts_with(b"eyJ") && value.split(|byte| *byte == b'.').nth(2).is_some()
}

/// Decodes `%XX`, also the ones that decoding brings about, in one pass.
pub(crate) fn percent_decoded(raw: &[u8]) -> Cow<'_, [u8]> {
    if !raw.contains(&b'%') {
        return Cow::Borrowed(raw);
    }
    let mut out: Vec<u8> = Vec::with_capacity(raw.len());
    for byte in raw {
        out.push(*byte);
        while let [.., b'%', high, low] = out.as_slice() {
            let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low)) else {
                break;
            };
            out.truncate(out.len() - 3);
            out.push(high << 4 | low);
        }
    }
    Cow::Owned(out)
}

/// The value of a hexadecimal digit.
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, scheme: &str, expected: &str) {
        let value = plain(raw.as_bytes());
        assert_eq!(
            (value.scheme.name(), &*String::from_utf8_lossy(&value.bytes)),
            (scheme, expected),
            "{raw}"
        );
        let again = plain(expected.as_bytes());
        assert_eq!(&*again.bytes, expected.as_bytes(), "{raw} twice");
    }

    #[test]
    fn one_form_for_all_carriers() {
        check("abc", "h", "abc");
        check("  \"abc\" ", "h", "abc");
        check("'abc'", "h", "abc");
        check("Bearer abc", "bearer", "abc");
        check("\"bearer   abc\"", "bearer", "abc");
        check("Bearer%20abc", "bearer", "abc");
        check("%22abc%22", "h", "abc");
        check("a%2Fb%3d", "h", "a/b=");
        check("a%252Fb", "h", "a/b");
        check("a%%32%46b", "h", "a/b");
        check("100%", "h", "100%");
        check("%zz%4", "h", "%zz%4");
        check("a+b", "h", "a+b");
        check("\"a\\\"b\"", "h", "a\"b");
        check("AWS4-HMAC-SHA256 x", "aws4-hmac-sha256", "x");
        check("mumble abc", "h", "mumble abc");
        check("Bearer", "h", "Bearer");
        check(
            "eyJhbGciOiJub25lIn0.e30.",
            "jwt",
            "eyJhbGciOiJub25lIn0.e30.",
        );
        check("\"", "h", "\"");
        check("", "h", "");
    }

    #[test]
    fn decoding_is_linear_on_hostile_input() {
        let hostile = format!("%{}41", "25".repeat(200_000));
        assert_eq!(&*percent_decoded(hostile.as_bytes()), b"A");
    }
}
