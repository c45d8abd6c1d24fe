//! Heads: what the observer is shown of a message, and how it is read from bytes.
//!
//! Owns: the three outcomes of reading a head (whole, part of one, not one). httparse reads the common case straight
//! from the piece into an array on the stack; what it refuses is read again leniently, because an observer reports what
//! was sent, and whether to accept it is the receiver's business. Refuses: to keep bytes, to know what the fields mean.

use std::mem::MaybeUninit;

use super::fields::{Fields, head_end};
use super::start_line::{self, cut_request_line, request_line, split_line, status_line};
use super::{Direction, MalformedElement};

/// Fields that are read without the slower second reading. Servers accept about a hundred by default.
const FIELDS_ON_STACK: usize = 128;

/// The head of a request, borrowed from the piece that it came in.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method, as received.
    pub method: &'a [u8],
    /// The target, in whichever of its four forms (RFC 9112, 3.2), as received.
    pub target: &'a [u8],
    /// 0 or 1, or [`HTTP_0_9`](super::HTTP_0_9).
    pub minor_version: u8,
    /// The fields.
    pub fields: Fields<'a>,
    /// Whether more of the head passed, or was due, than is here. The target itself may be cut when there is no field.
    pub cut: bool,
}

/// The head of a response, borrowed from the piece that it came in.
#[derive(Clone, Copy)]
pub struct ResponseHead<'a> {
    /// The status, three digits.
    pub status: u16,
    /// The reason phrase, empty when there is none (RFC 9112, 4).
    pub reason: &'a [u8],
    /// 0 or 1.
    pub minor_version: u8,
    /// The fields.
    pub fields: Fields<'a>,
    /// Whether more of the head passed, or was due, than is here.
    pub cut: bool,
}

/// What reading a head came to.
pub(super) enum Reading<H> {
    Whole {
        head: H,
        length: usize,
        flaw: Option<MalformedElement>,
    },
    Partial,
    Malformed(MalformedElement),
}

/// Room for the fields of one head.
pub(super) type Room<'a> = [MaybeUninit<httparse::Header<'a>>; FIELDS_ON_STACK];

pub(super) fn room<'a>() -> Room<'a> {
    [const { MaybeUninit::uninit() }; FIELDS_ON_STACK]
}

/// Reads a request's head from the start of `bytes`.
pub(super) fn request<'a>(bytes: &'a [u8], room: &'a mut Room<'a>) -> Reading<RequestHead<'a>> {
    let mut parsed = httparse::Request::new(&mut []);
    let status = lenient().parse_request_with_uninit_headers(&mut parsed, bytes, room);
    match (status, parsed.method, parsed.path, parsed.version) {
        (
            Ok(httparse::Status::Complete(length)),
            Some(method),
            Some(target),
            Some(minor_version),
        ) => {
            if method.len() > start_line::MAX_METHOD_BYTES {
                return Reading::Malformed(MalformedElement::RequestLine);
            }
            let fields = Fields::parsed(parsed.headers);
            let (method, target) = (method.as_bytes(), target.as_bytes());
            Reading::Whole {
                head: RequestHead {
                    method,
                    target,
                    minor_version,
                    fields,
                    cut: false,
                },
                length,
                flaw: None,
            }
        }
        (Ok(_), ..) => Reading::Partial,
        (Err(_), ..) => request_again(bytes),
    }
}

/// Reads a response's head from the start of `bytes`.
pub(super) fn response<'a>(bytes: &'a [u8], room: &'a mut Room<'a>) -> Reading<ResponseHead<'a>> {
    let mut parsed = httparse::Response::new(&mut []);
    let result = lenient().parse_response_with_uninit_headers(&mut parsed, bytes, room);
    match (result, parsed.code, parsed.version) {
        (Ok(httparse::Status::Complete(length)), Some(status), Some(minor_version)) => {
            // httparse gives no reason phrase when it holds bytes above ASCII.
            let reason = match parsed.reason {
                Some(reason) if !reason.is_empty() => reason.as_bytes(),
                _ => split_line(bytes)
                    .and_then(|(line, _)| status_line(line))
                    .map_or(&b""[..], |line| line.reason),
            };
            let fields = Fields::parsed(parsed.headers);
            Reading::Whole {
                head: ResponseHead {
                    status,
                    reason,
                    minor_version,
                    fields,
                    cut: false,
                },
                length,
                flaw: None,
            }
        }
        (Ok(_), ..) => Reading::Partial,
        (Err(_), ..) => response_again(bytes),
    }
}

/// Reads what is there of a request's head of which no more will come; `None` when it is not even a method and a bit of
/// target.
pub(super) fn cut_request(bytes: &[u8]) -> Option<RequestHead<'_>> {
    let (line, rest) = match split_line(bytes) {
        Some((line, rest)) => (request_line(line)?, rest),
        None => (cut_request_line(bytes)?, &b""[..]),
    };
    Some(request_head(line, Fields::lines(rest), true))
}

/// Reads what is there of a response's head of which no more will come; `None` when the status is not there.
pub(super) fn cut_response(bytes: &[u8]) -> Option<ResponseHead<'_>> {
    let (line, rest) = split_line(bytes).unwrap_or((bytes, b""));
    Some(response_head(status_line(line)?, Fields::lines(rest), true))
}

/// Reads a request of HTTP/0.9, which is a line, from the start of `bytes`, and its length.
pub(super) fn simple_request(bytes: &[u8]) -> Option<(RequestHead<'_>, usize)> {
    let (line, rest) = split_line(bytes)?;
    let line = start_line::simple_request_line(line)?;
    let head = request_head(line, Fields::lines(b""), false);
    Some((head, bytes.len() - rest.len()))
}

/// Whether the beginning of a head in `bytes` will never become one.
pub(super) fn is_hopeless(direction: Direction, bytes: &[u8]) -> bool {
    match (split_line(bytes), direction) {
        (None, _) => !start_line::may_begin(direction, bytes),
        (Some((line, _)), Direction::ToServer) => request_line(line).is_none(),
        (Some((line, _)), Direction::ToClient) => status_line(line).is_none(),
    }
}

fn request_again(bytes: &[u8]) -> Reading<RequestHead<'_>> {
    if is_hopeless(Direction::ToServer, bytes) {
        return Reading::Malformed(MalformedElement::RequestLine);
    }
    let Some(length) = head_end(bytes, 0) else {
        return Reading::Partial;
    };
    let Some((line, rest)) = split_line(bytes) else {
        return Reading::Partial;
    };
    let Some(line) = request_line(line) else {
        return Reading::Malformed(MalformedElement::RequestLine);
    };
    let head = request_head(line, Fields::lines(rest), false);
    Reading::Whole {
        head,
        length,
        flaw: head.fields.flaw(),
    }
}

fn response_again(bytes: &[u8]) -> Reading<ResponseHead<'_>> {
    if is_hopeless(Direction::ToClient, bytes) {
        return Reading::Malformed(MalformedElement::StatusLine);
    }
    let Some(length) = head_end(bytes, 0) else {
        return Reading::Partial;
    };
    let Some((line, rest)) = split_line(bytes) else {
        return Reading::Partial;
    };
    let Some(line) = status_line(line) else {
        return Reading::Malformed(MalformedElement::StatusLine);
    };
    let head = response_head(line, Fields::lines(rest), false);
    let flaw = if line.reason.contains(&b'\r') {
        Some(MalformedElement::StatusLine)
    } else {
        head.fields.flaw()
    };
    Reading::Whole { head, length, flaw }
}

fn request_head<'a>(
    line: start_line::RequestLine<'a>,
    fields: Fields<'a>,
    cut: bool,
) -> RequestHead<'a> {
    RequestHead {
        method: line.method,
        target: line.target,
        minor_version: line.minor_version,
        fields,
        cut,
    }
}

fn response_head<'a>(
    line: start_line::StatusLine<'a>,
    fields: Fields<'a>,
    cut: bool,
) -> ResponseHead<'a> {
    ResponseHead {
        status: line.status,
        reason: line.reason,
        minor_version: line.minor_version,
        fields,
        cut,
    }
}

/// What httparse tolerates without being asked to tell. White space before the first field is read again, so that it is counted.
fn lenient() -> httparse::ParserConfig {
    let mut config = httparse::ParserConfig::default();
    config
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    config
}
