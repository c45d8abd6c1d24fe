//! Making captured text safe to show.
//!
//! Owns: the one rule. Printable ASCII passes but for the backslash; letters and digits of other scripts pass; everything
//! else (control characters, escape sequences, bidirectional and invisible characters, tag characters, private use,
//! combining marks) becomes `\u{…}`. Nothing that closes a row or a boundary can come through.

use std::fmt::Write as _;

/// Bytes of a captured value that are shown; the full length is told.
pub(crate) const MAX_BYTES: usize = 256;
/// Characters of a cell in a list.
pub(crate) const MAX_CELL: usize = 80;

/// Escapes one captured text, in full length.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(character),
            _ if character.is_alphanumeric() && !is_trickster(character) => out.push(character),
            _ => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
            }
        }
    }
    out
}

/// Alphanumeric by Unicode and yet not to be shown: fillers that look like nothing, and styled alphabets that models read
/// as plain letters while filters do not.
fn is_trickster(character: char) -> bool {
    matches!(u32::from(character), 0x115f..=0x1160 | 0x3164 | 0xffa0 | 0x1d400..=0x1d7ff | 0x1f100..=0x1f1ff | 0xe000..=0xf8ff | 0xe0000..=0x0010_ffff)
}

/// Escapes and caps a value of a full answer.
pub(crate) fn value(text: &str) -> String {
    cap(&plain(text), MAX_BYTES, text.len())
}

/// Escapes and shortens a cell of a list.
pub(crate) fn cell(text: &str) -> String {
    let escaped = plain(text);
    if escaped.len() <= MAX_CELL {
        return escaped;
    }
    let end = boundary(&escaped, MAX_CELL - 3);
    format!("{}…", escaped.get(..end).unwrap_or_default())
}

fn cap(escaped: &str, limit: usize, full: usize) -> String {
    if escaped.len() <= limit {
        return escaped.to_owned();
    }
    let end = boundary(escaped, limit);
    format!(
        "{}…[{full} bytes in full]",
        escaped.get(..end).unwrap_or_default()
    )
}

fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_passes_that_moves_hides_or_closes() {
        for (given, expected) in [
            ("/users/1?a=b", "/users/1?a=b"),
            ("größe/日本", "größe/日本"),
            ("a\tb\nc\r", "a\\u{9}b\\u{a}c\\u{d}"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("\u{e0041}\u{e0042}", "\\u{e0041}\\u{e0042}"),
            ("\u{e000}", "\\u{e000}"),
            ("\u{1d400}\u{3164}", "\\u{1d400}\\u{3164}"),
            ("back\\slash", "back\\\\slash"),
            ("e\u{301}", "e\\u{301}"),
        ] {
            assert_eq!(plain(given), expected);
        }
    }

    #[test]
    fn long_values_tell_their_length() {
        let long = "x".repeat(1000);
        assert!(value(&long).ends_with("…[1000 bytes in full]"));
        assert!(cell(&long).len() <= MAX_CELL + 3);
        assert_eq!(cell("short"), "short");
        for length in 70..90 {
            let _ = cell(&"ü".repeat(length));
        }
    }
}
