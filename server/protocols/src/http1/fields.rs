//! Header fields of one head, in the order and case of the wire.
//!
//! Owns: reading field lines, from httparse's result in the common case, else line by line with an observer's leniency
//! (a cut head, more fields than the stack array holds, lines that a strict parser refuses). Refuses: to copy, to join
//! fields of one name, to unfold: a value with obsolete folding (RFC 9112, 5.2) has its line ends inside.

use super::MalformedElement;

/// The fields of one head.
#[derive(Clone, Copy)]
pub struct Fields<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    Parsed(&'a [httparse::Header<'a>]),
    Lines(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(super) fn parsed(headers: &'a [httparse::Header<'a>]) -> Self {
        Self(Source::Parsed(headers))
    }

    /// Reads `lines`, everything behind the start line. A last line without its end is left out: it may be cut.
    pub(super) fn lines(lines: &'a [u8]) -> Self {
        Self(Source::Lines(lines))
    }

    /// Name and value of each field; a name is a token, a value has no white space around it.
    pub fn iter(&self) -> FieldIter<'a> {
        match self.0 {
            Source::Parsed(headers) => FieldIter(Cursor::Parsed(headers.iter())),
            Source::Lines(lines) => FieldIter(Cursor::Lines(lines)),
        }
    }

    /// The first thing that a strict parser would refuse.
    pub(super) fn flaw(&self) -> Option<MalformedElement> {
        let Source::Lines(mut rest) = self.0 else {
            return None;
        };
        while let Some(line) = take_field_line(&mut rest) {
            match split(line) {
                Some((name, value)) if is_directly_before_colon(name, line) => {
                    if has_control(value) {
                        return Some(MalformedElement::FieldValue);
                    }
                }
                None | Some(_) => return Some(MalformedElement::FieldName),
            }
        }
        None
    }
}

impl<'a> IntoIterator for &Fields<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = FieldIter<'a>;
    fn into_iter(self) -> FieldIter<'a> {
        self.iter()
    }
}

/// Iterates over name and value of [`Fields`].
#[derive(Clone)]
pub struct FieldIter<'a>(Cursor<'a>);

#[derive(Clone)]
enum Cursor<'a> {
    Parsed(std::slice::Iter<'a, httparse::Header<'a>>),
    Lines(&'a [u8]),
}

impl<'a> Iterator for FieldIter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Cursor::Parsed(headers) => headers
                .next()
                .map(|header| (header.name.as_bytes(), header.value)),
            Cursor::Lines(rest) => loop {
                if let Some(field) = split(take_field_line(rest)?) {
                    return Some(field);
                }
            },
        }
    }
}

/// Whether a byte may stand in a token (RFC 9110, 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The end of the head in `bytes`: behind the first empty line that starts at or after `from`. A line ends with CRLF or
/// a bare LF (RFC 9112, 2.2).
pub(super) fn head_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = bytes.get(at..)?;
        let line_end = at + rest.iter().position(|byte| *byte == b'\n')? + 1;
        match (bytes.get(line_end), bytes.get(line_end + 1)) {
            (Some(b'\n'), _) => return Some(line_end + 1),
            (Some(b'\r'), Some(b'\n')) => return Some(line_end + 2),
            _ => at = line_end,
        }
    }
}

/// Takes one field line with the lines folded into it; `None` at the empty line, or where bytes are missing.
fn take_field_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut end = line_end(rest, 0)?;
    if matches!(rest.get(..end)?, b"\r\n" | b"\n") {
        return None;
    }
    while let Some(b' ' | b'\t') = rest.get(end) {
        end = line_end(rest, end)?;
    }
    let (line, behind) = rest.split_at_checked(end)?;
    *rest = behind;
    Some(line)
}

fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + bytes.get(from..)?.iter().position(|byte| *byte == b'\n')? + 1)
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = trimmed(line.get(..colon)?, &[b" ", b"\t"]);
    let value = trimmed(line.get(colon + 1..)?, &[b" ", b"\t", b"\r\n", b"\n"]);
    (!name.is_empty() && name.iter().all(|byte| is_token(*byte))).then_some((name, value))
}

/// Without `space` at its ends. Other control bytes than these are no white space (RFC 9110, 5.6.3), and what they stand in is
/// to be seen.
fn trimmed<'a>(mut bytes: &'a [u8], space: &[&[u8]]) -> &'a [u8] {
    while let Some(rest) = space.iter().find_map(|space| bytes.strip_prefix(*space)) {
        bytes = rest;
    }
    while let Some(rest) = space.iter().find_map(|space| bytes.strip_suffix(*space)) {
        bytes = rest;
    }
    bytes
}

/// White space there is how messages are smuggled past a server that takes it for a part of the name (RFC 9112, 5.1 and 2.2).
fn is_directly_before_colon(name: &[u8], line: &[u8]) -> bool {
    line.strip_prefix(name)
        .is_some_and(|rest| rest.starts_with(b":"))
}

/// Whether `value` holds bytes that no value may. Line ends may stand there, as part of a fold, but no CR alone (RFC 9112, 2.2).
fn has_control(value: &[u8]) -> bool {
    value.iter().enumerate().any(|(at, byte)| match byte {
        b'\t' | b'\n' => false,
        b'\r' => value.get(at + 1) != Some(&b'\n'),
        byte => byte.is_ascii_control(),
    })
}
