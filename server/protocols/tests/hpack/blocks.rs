//! Blocks as hexadecimal digits, with spaces anywhere; fields as lines: `name: value`, `!` in front of those that are
//! never to be indexed, and an unknown text as it displays.

use headwater_protocols::hpack::{Decoder, Field, Limits, Malformed, Text};

pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .bytes()
        .filter(|digit| !digit.is_ascii_whitespace())
        .collect();
    let pairs = digits.chunks(2);
    let pair = |pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    pairs.map(pair).collect()
}

pub(crate) fn line(field: Field<'_>) -> String {
    let text = |text: Text<'_>| match text {
        Text::Known(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Text::Unknown(unknown) => unknown.to_string(),
    };
    let mark = if field.never_indexed { "!" } else { "" };
    format!("{mark}{}: {}", text(field.name), text(field.value))
}

/// The lines of a block, and how it ended.
pub(crate) fn decode(decoder: &mut Decoder, block: &[u8]) -> (Vec<String>, Result<(), Malformed>) {
    let mut lines = Vec::new();
    let end = decoder.decode(block, |field| lines.push(line(field)));
    if let Ok(summary) = end {
        assert_eq!((summary.fields, summary.left_out_fields), (lines.len(), 0));
    }
    (lines, end.map(drop))
}

/// Decodes blocks one after another; each must give its lines.
pub(crate) fn check(decoder: &mut Decoder, blocks: &[(&str, &[&str])]) {
    for (digits, lines) in blocks {
        let found = decode(decoder, &bytes(digits));
        assert_eq!(found.0, *lines, "{digits}");
        assert_eq!(found.1, Ok(()), "{digits}");
    }
}

pub(crate) fn from_start() -> Decoder {
    Decoder::new(Limits::default(), false)
}

pub(crate) fn joined() -> Decoder {
    Decoder::new(Limits::default(), true)
}
