//! Readable captured text as it may be stored: printable ASCII without braces, all else as `%XX`.
//!
//! So captured text is always valid UTF-8, holds no control, bidi, invisible or tag character, and cannot
//! imitate a hash. Refuses to be reversible: a literal `%41` stays as it is.

/// Appends `raw`, with every byte outside the readable set percent-encoded.
pub(crate) fn extend(out: &mut Vec<u8>, raw: &[u8]) {
    // Nearly all text is readable: a pass without an early exit is one that the compiler makes wide.
    if raw.iter().fold(true, |all, byte| all & is_readable(*byte)) {
        return out.extend_from_slice(raw);
    }
    let mut rest = raw;
    while let Some((readable, tail)) = rest
        .iter()
        .position(|byte| !is_readable(*byte))
        .and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(readable);
        let Some((byte, after)) = tail.split_first() else {
            return;
        };
        out.push(b'%');
        for digit in [byte >> 4, byte & 15] {
            out.push(if digit < 10 {
                b'0' + digit
            } else {
                b'A' + digit - 10
            });
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// Space to `z`, `|` and `~`.
pub(crate) fn is_readable(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7a | b'|' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_without_braces() {
        let check = |raw: &[u8], expected: &str| {
            let mut out = Vec::new();
            extend(&mut out, raw);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check(b"", "");
        check(b"plain ~|% text", "plain ~|% text");
        check(b"{h:00:1}", "%7Bh:00:1%7D");
        check(b"a\r\n\0\x7f\x1b[0m", "a%0D%0A%00%7F%1B[0m");
        check("é\u{202e}".as_bytes(), "%C3%A9%E2%80%AE");
        check(&[0xff, b'x'], "%FFx");
    }
}
