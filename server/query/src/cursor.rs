//! Cursors: where a page ended, in a short opaque text.
//!
//! Owns: their encoding and their binding to the question. A cursor holds the window that the first page resolved to, so
//! that a relative `since` does not move between pages, and a hash of the question, so that a cursor of another one is
//! refused. Not a secret, and not a capability: everything in it is checked again.

use crate::QueryError;

/// The numbers of a cursor, in an order that its tool knows.
pub(crate) fn encode<const N: usize>(question: u32, fields: [u64; N]) -> String {
    let mut bytes = vec![VERSION];
    bytes.extend_from_slice(&question.to_le_bytes());
    for field in fields {
        push_leb128(&mut bytes, field);
    }
    base64(&bytes)
}

/// Reads a cursor back.
///
/// # Errors
/// `Argument` when it is damaged or of another question.
pub(crate) fn decode<const N: usize>(question: u32, text: &str) -> Result<[u64; N], QueryError> {
    if text.len() > LONGEST {
        return Err(damaged());
    }
    let bytes = unbase64(text.trim()).ok_or_else(damaged)?;
    let Some((&VERSION, rest)) = bytes.split_first() else {
        return Err(damaged());
    };
    let (of, mut rest) = rest.split_first_chunk::<4>().ok_or_else(damaged)?;
    if u32::from_le_bytes(*of) != question {
        return Err(QueryError::Argument {
            argument: "cursor",
            problem: "this cursor belongs to another question; repeat the arguments it came from, or leave it out to \
                      begin anew"
                .to_owned(),
        });
    }
    let mut fields = [0; N];
    for field in &mut fields {
        *field = take_leb128(&mut rest).ok_or_else(damaged)?;
    }
    if rest.is_empty() {
        Ok(fields)
    } else {
        Err(damaged())
    }
}

/// A hash of everything that decides what a page holds: FNV-1a, folded to 32 bits.
pub(crate) fn question(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    u32::try_from((hash ^ hash >> 32) & u64::from(u32::MAX)).unwrap_or(0)
}

/// The error for a cursor that is not one.
pub(crate) fn damaged() -> QueryError {
    QueryError::Argument {
        argument: "cursor",
        problem:
            "this is no cursor; pass the next_cursor of the page before unchanged, or leave it out"
                .to_owned(),
    }
}

fn push_leb128(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

fn take_leb128(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part {
            return None;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// base64url without padding (RFC 4648, section 5).
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 4];
        for (to, from) in group.iter_mut().skip(1).zip(chunk) {
            *to = *from;
        }
        let group = u32::from_be_bytes(group);
        for place in 0..=chunk.len() {
            let sextet = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or(0);
            text.push(char::from(DIGITS.get(sextet).copied().unwrap_or(b'A')));
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    for chunk in text.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for place in 0..4 {
            let digit = match chunk.get(place) {
                Some(byte) => DIGITS.iter().position(|candidate| candidate == byte)?,
                None => 0,
            };
            group = group << 6 | u32::try_from(digit).ok()?;
        }
        let [_, first, second, third] = group.to_be_bytes();
        let whole = chunk.len().checked_sub(1).filter(|whole| *whole > 0)?;
        bytes.extend([first, second, third].into_iter().take(whole));
    }
    Some(bytes)
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VERSION: u8 = 1;
const LONGEST: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for fields in [
            [0, 0, 0],
            [1, 127, 128],
            [u64::MAX, 1 << 63, 1_800_000_000_000_000_000],
        ] {
            let text = encode(7, fields);
            assert_eq!(decode::<3>(7, &text).unwrap(), fields, "{text}");
            assert!(text.len() < LONGEST);
        }
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let text = encode(question("a"), [5, 6]);
        let error = decode::<2>(question("b"), &text).unwrap_err();
        assert!(error.to_string().contains("another question"), "{error}");
        for cut in 0..text.len() {
            assert!(decode::<2>(question("a"), text.get(..cut).unwrap()).is_err());
        }
        for bad in [
            "",
            "=",
            "AAAA",
            "!!!!",
            "ÄÖÜ",
            &"A".repeat(500),
            &format!("{text}A"),
            &format!("{text}AAAA"),
        ] {
            assert!(decode::<2>(question("a"), bad).is_err(), "{bad}");
        }
    }
}
