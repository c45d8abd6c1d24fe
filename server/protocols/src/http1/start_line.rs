//! Request lines and status lines, read leniently, whole or in part.
//!
//! Owns: what httparse refuses and an observer wants (targets with other bytes than UTF-8 or with spaces, RFC 9112, 3),
//! what is left of a line that was cut, and the question whether bytes in the middle of a stream begin a head. Refuses:
//! to look behind the first line.

use super::Direction;
use super::fields::is_token;

/// Methods are short; without a bound a binary stream of letters would be taken for one long method.
pub(super) const MAX_METHOD_BYTES: usize = 64;

/// What stands for HTTP/0.9 where a minor version of HTTP/1 does else.
pub const HTTP_0_9: u8 = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) minor_version: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusLine<'a> {
    pub(super) minor_version: u8,
    pub(super) status: u16,
    pub(super) reason: &'a [u8],
}

/// Splits `head` behind its first line; `None` when that line has no end.
pub(super) fn split_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = head.iter().position(|byte| *byte == b'\n')? + 1;
    let (line, rest) = head.split_at_checked(end)?;
    Some((line.trim_ascii_end(), rest))
}

/// Reads a whole request line. The target is all between the method and the version.
pub(super) fn request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let (method, rest) = method(line)?;
    let (target, version) = rest.split_at_checked(rest.len().checked_sub(8)?)?;
    let minor_version = minor_version(version)?;
    if !target.ends_with(b" ") {
        return None;
    }
    let target = target.trim_ascii();
    (!target.is_empty() && is_text(target)).then_some(RequestLine {
        method,
        target,
        minor_version,
    })
}

/// Reads a request line of HTTP/0.9: `GET` and a target, no version, no fields (RFC 1945, 5.1).
pub(super) fn simple_request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let (method, target) = method(line)?;
    let is_target = |target: &[u8]| target.starts_with(b"/") || target.starts_with(b"http://");
    let is_word = |byte: &u8| byte.is_ascii_graphic();
    (method == b"GET" && is_target(target) && target.iter().all(is_word)).then_some(RequestLine {
        method,
        target,
        minor_version: HTTP_0_9,
    })
}

/// Reads what is there of a request line that was cut: the method, and some of the target.
pub(super) fn cut_request_line(line: &[u8]) -> Option<RequestLine<'_>> {
    let (method, target) = method(line)?;
    let target = target.split(|byte| *byte == b' ').next()?;
    // The version is not there to be read; 1.1 is what nearly everybody speaks.
    (!target.is_empty() && is_text(target)).then_some(RequestLine {
        method,
        target,
        minor_version: 1,
    })
}

/// Reads a status line, whole or cut behind the status. The reason may be missing, its space too.
pub(super) fn status_line(line: &[u8]) -> Option<StatusLine<'_>> {
    let (version, rest) = line.split_at_checked(8)?;
    let minor_version = minor_version(version)?;
    let (status, reason) = rest
        .strip_prefix(b" ")?
        .trim_ascii_start()
        .split_at_checked(3)?;
    if !(reason.is_empty() || reason.starts_with(b" ")) || !status.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = status
        .iter()
        .fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
    Some(StatusLine {
        minor_version,
        status,
        reason: reason.trim_ascii(),
    })
}

/// Whether `bytes`, which may be the first few of a message only, can be the beginning of a head.
pub(super) fn may_begin(direction: Direction, bytes: &[u8]) -> bool {
    match direction {
        Direction::ToClient => {
            const PREFIX: &[u8] = b"HTTP/1.";
            let length = bytes.len().min(PREFIX.len());
            bytes.get(..length) == PREFIX.get(..length)
        }
        Direction::ToServer => {
            let length = bytes.iter().take_while(|byte| is_token(**byte)).count();
            length <= MAX_METHOD_BYTES
                && match bytes.get(length) {
                    None => true,
                    Some(b' ') => length > 0,
                    Some(_) => false,
                }
        }
    }
}

/// Whether `piece` begins a head, asked where bytes of a body may stand as well: so it wants more than [`may_begin`].
pub(super) fn looks_like_head(direction: Direction, piece: &[u8]) -> bool {
    let line = split_line(piece).map(|(line, _)| line);
    match (direction, line) {
        (Direction::ToClient, Some(line)) => status_line(line).is_some(),
        (Direction::ToClient, None) => {
            status_line(piece).is_some() && is_text(piece.trim_ascii_end())
        }
        (Direction::ToServer, Some(line)) => request_line(line).is_some(),
        // The line itself is longer than what was copied: the method must look like one, and the target too.
        (Direction::ToServer, None) => cut_request_line(piece).is_some_and(|line| {
            line.method.len() >= 3
                && line.method.iter().all(u8::is_ascii_uppercase)
                && (matches!(line.target.first(), Some(b'/' | b'*'))
                    || line.target.starts_with(b"http"))
        }),
    }
}

fn method(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = line
        .iter()
        .take(MAX_METHOD_BYTES + 1)
        .take_while(|byte| is_token(**byte))
        .count();
    let (method, rest) = line.split_at_checked(length)?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii_start();
    (!method.is_empty() && length <= MAX_METHOD_BYTES).then_some((method, rest))
}

fn minor_version(version: &[u8]) -> Option<u8> {
    match version {
        b"HTTP/1.1" => Some(1),
        b"HTTP/1.0" => Some(0),
        _ => None,
    }
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte >= b' ' && *byte != 0x7f)
}
