//! Where a body ends, as its head announces it (RFC 9112, 6.3).
//!
//! Owns: Content-Length and Transfer-Encoding. Refuses: to follow the body; a head that was cut has no framing, since a
//! field that was not seen may say otherwise.

use super::MalformedElement;
use super::fields::Fields;
use super::head::{RequestHead, ResponseHead};
use crate::decimal::decimal;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Behind so many bytes, maybe none.
    Length(u64),
    /// Behind the last chunk.
    Chunked,
    /// By the end of the connection; responses only.
    UntilClose,
    /// Not by anything in the stream, because the head contradicts itself.
    Faulty(MalformedElement),
    /// Not by anything that was seen, because the head was cut.
    Unseen { chunked: Option<bool> },
    /// There is none, and no HTTP behind it.
    Tunnel,
}

/// What of a request decides about its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Connect,
    Head,
    Other,
    /// The request was not seen.
    Unseen,
    /// Where the request should be stood bytes that are none.
    Malformed,
}

impl Method {
    pub(super) fn of(method: &[u8]) -> Self {
        match method {
            b"CONNECT" => Self::Connect,
            b"HEAD" => Self::Head,
            _ => Self::Other,
        }
    }
}

pub(super) fn of_request(head: &RequestHead<'_>) -> Framing {
    let announced = Announced::by(&head.fields);
    if head.cut {
        return announced.unseen();
    }
    match (announced.coding, announced.length) {
        // 6.1: in HTTP/1.0 it is faulty framing; 6.3, rule 4: chunked is last, or the length cannot be known.
        (Coding::ChunkedLast, _) if head.minor_version == 1 => Framing::Chunked,
        (Coding::ChunkedLast | Coding::Other, _) => {
            Framing::Faulty(MalformedElement::TransferEncoding)
        }
        (Coding::Absent, Length::Known(length)) => Framing::Length(length),
        (Coding::Absent, Length::Invalid) => Framing::Faulty(MalformedElement::ContentLength),
        (Coding::Absent, Length::Absent) => Framing::Length(0),
    }
}

/// What the head of a response says of its body: all but the method of the request that it answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Announcement {
    pub(super) status: u16,
    minor_version: u8,
    cut: bool,
    announced: Announced,
}

impl Announcement {
    pub(super) fn of(head: &ResponseHead<'_>) -> Self {
        Self {
            status: head.status,
            minor_version: head.minor_version,
            cut: head.cut,
            announced: Announced::by(&head.fields),
        }
    }

    /// `request` is the method of the request that it answers.
    pub(super) fn framing(&self, request: Method) -> Framing {
        let announced = &self.announced;
        match (self.status, request) {
            // RFC 9110, 15.2.2 and 9.3.6.
            (101, _) | (200..=299, Method::Connect) => return Framing::Tunnel,
            _ if self.cut => return announced.unseen(),
            (100..=199 | 204 | 304, _) | (_, Method::Head) => return Framing::Length(0),
            _ => {}
        }
        match (announced.coding, announced.length) {
            (Coding::ChunkedLast, _) if self.minor_version == 1 => Framing::Chunked,
            (Coding::ChunkedLast, _) => Framing::Faulty(MalformedElement::TransferEncoding),
            (Coding::Other, _) | (Coding::Absent, Length::Absent) => Framing::UntilClose,
            (Coding::Absent, Length::Known(length)) => Framing::Length(length),
            (Coding::Absent, Length::Invalid) => Framing::Faulty(MalformedElement::ContentLength),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Announced {
    coding: Coding,
    length: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Absent,
    ChunkedLast,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Absent,
    Known(u64),
    Invalid,
}

impl Announced {
    fn by(fields: &Fields<'_>) -> Self {
        let mut announced = Self {
            coding: Coding::Absent,
            length: Length::Absent,
        };
        for (name, value) in fields {
            // The lengths of the names are compared first, so most fields cost one comparison.
            if name.eq_ignore_ascii_case(b"transfer-encoding") {
                announced.coding = coding(value);
            } else if name.eq_ignore_ascii_case(b"content-length") {
                for element in value.split(|byte| *byte == b',') {
                    announced.length = joined(announced.length, decimal(element.trim_ascii()));
                }
            }
        }
        announced
    }

    fn unseen(&self) -> Framing {
        let chunked = match (self.coding, self.length) {
            (Coding::ChunkedLast, _) => Some(true),
            (Coding::Absent, Length::Absent) => None,
            _ => Some(false),
        };
        Framing::Unseen { chunked }
    }
}

/// By the last coding of a value; of several fields the last one decides (they are one list, RFC 9110, 5.3).
fn coding(value: &[u8]) -> Coding {
    let last = value
        .rsplit(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .find(|coding| !coding.is_empty());
    match last {
        Some(last) if last.eq_ignore_ascii_case(b"chunked") => Coding::ChunkedLast,
        _ => Coding::Other,
    }
}

/// Equal values are one (RFC 9112, 6.3, rule 5).
fn joined(before: Length, value: Option<u64>) -> Length {
    match (before, value) {
        (Length::Absent, Some(value)) => Length::Known(value),
        (Length::Known(known), Some(value)) if known == value => before,
        _ => Length::Invalid,
    }
}
