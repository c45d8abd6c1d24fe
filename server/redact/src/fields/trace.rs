//! Trace context: the headers by which programs tell which trace and span a request belongs to.
//!
//! Owns: the formats, and the one form in which their ids are hashed once more, so that ids of different formats join. A
//! trace is its lower 64 bits in that form: Datadog and 64-bit B3 have no more of it. What is shown of a header is not
//! changed by this.

use crate::hash::Hasher;
use crate::headers::IdentifierKind::{self, ParentSpan, Span, Trace};
use crate::headers::Marks;
use crate::sink::{Sink, redact};

/// How a header tells of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceFormat {
    /// `traceparent` (W3C Trace Context).
    W3c,
    /// `b3`: trace, span, sampling, parent.
    B3,
    /// `x-b3-traceid` and the like: hexadecimal, one id to a header,
    HexTrace,
    /// the span,
    HexSpan,
    /// or its parent.
    HexParent,
    /// `uber-trace-id`: trace, span, parent and flags with colons; leading zeros may be missing.
    Jaeger,
    /// `x-datadog-trace-id`: the lower 64 bits, decimal,
    DecimalTrace,
    /// and the span that sends.
    DecimalSpan,
    /// `x-amzn-trace-id`: `Root=1-…-…;Parent=…`.
    Aws,
    /// `x-cloud-trace-context`: hexadecimal trace, decimal span.
    Google,
    /// `sw8`: fields in base64, of which the second is the trace.
    SkyWalking,
    /// `sentry-trace`: trace, span, sampling.
    Sentry,
}

/// `traceparent`: version and flags readable, the two ids hashed singly; anything else is hashed whole.
pub(super) fn traceparent(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let Some([version, trace, span, flags]) = w3c(raw) else {
        return redact(hasher, raw, out);
    };
    out.literal(version);
    out.literal(b"-");
    redact(hasher, trace, out);
    out.literal(b"-");
    redact(hasher, span, out);
    out.literal(b"-");
    out.literal(flags);
}

/// `00-<32 hex>-<16 hex>-01`.
fn w3c(raw: &[u8]) -> Option<[&[u8]; 4]> {
    let is_hex =
        |part: &[u8], digits: usize| part.len() == digits && part.iter().all(u8::is_ascii_hexdigit);
    let parts: [&[u8]; 4] = split(raw, b'-')?;
    let digits = [2, 32, 16, 2];
    let is_right = parts
        .iter()
        .zip(digits)
        .all(|(part, digits)| is_hex(part, digits));
    is_right.then_some(parts)
}

/// Exactly so many parts.
fn split<const N: usize>(raw: &[u8], mark: u8) -> Option<[&[u8]; N]> {
    let mut parts = raw.split(|byte| *byte == mark);
    let mut found = [&b""[..]; N];
    for place in &mut found {
        *place = parts.next()?;
    }
    parts.next().is_none().then_some(found)
}

/// Marks the ids that a header gives.
pub(crate) fn mark(hasher: &Hasher, format: TraceFormat, raw: &[u8], marks: &mut Marks) {
    let raw = raw.trim_ascii();
    let mut add = |kind, id: Option<u64>| {
        if let Some(id) = id {
            marks.add(kind, hash(hasher, kind, id));
        }
    };
    match format {
        TraceFormat::W3c => {
            if let Some([_, trace, span, _]) = w3c(raw) {
                add(Trace, hexadecimal(trace));
                add(Span, hexadecimal(span));
            }
        }
        TraceFormat::B3 | TraceFormat::Sentry => {
            let mut parts = raw.split(|byte| *byte == b'-');
            let mut next = || parts.next().and_then(hexadecimal);
            let (Some(trace), Some(span)) = (next(), next()) else {
                return;
            };
            add(Trace, Some(trace));
            add(Span, Some(span));
            if format == TraceFormat::B3 {
                add(ParentSpan, parts.nth(1).and_then(hexadecimal));
            }
        }
        TraceFormat::HexTrace => add(Trace, hexadecimal(raw)),
        TraceFormat::HexSpan => add(Span, hexadecimal(raw)),
        TraceFormat::HexParent => add(ParentSpan, hexadecimal(raw)),
        TraceFormat::Jaeger => {
            if let Some([trace, span, parent, _]) = split(&crate::plain::percent_decoded(raw), b':')
            {
                add(Trace, hexadecimal(trace));
                add(Span, hexadecimal(span));
                add(ParentSpan, hexadecimal(parent));
            }
        }
        TraceFormat::DecimalTrace => add(Trace, decimal(raw)),
        TraceFormat::DecimalSpan => add(Span, decimal(raw)),
        TraceFormat::Aws => {
            for member in raw.split(|byte| *byte == b';').map(<[u8]>::trim_ascii) {
                if let Some(root) = member.strip_prefix(b"Root=") {
                    let id = split(root, b'-')
                        .and_then(|[_, _, unique]: [&[u8]; 3]| hexadecimal(unique));
                    add(Trace, id);
                } else if let Some(span) = member.strip_prefix(b"Parent=") {
                    add(Span, hexadecimal(span));
                }
            }
        }
        TraceFormat::Google => {
            let mut parts = raw.split(|byte| matches!(byte, b'/' | b';'));
            add(Trace, parts.next().and_then(hexadecimal));
            add(Span, parts.next().and_then(decimal));
        }
        TraceFormat::SkyWalking => {
            let mut parts = raw.split(|byte| *byte == b'-');
            if let (Some(_), Some(trace), Some(segment), Some(span)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
                && [trace, segment].iter().all(|part| part.len() >= SHORTEST)
            {
                // Its ids are texts. Their base64 stands for them, since both ends write it alike.
                let span = [segment, b"-", span].concat();
                marks.add(Trace, hasher.hash(&[b"trace\0", trace].concat()));
                marks.add(Span, hasher.hash(&[b"span\0", &*span].concat()));
            }
        }
    }
}

/// What a value that somebody looks for may be: a trace or a span in one of the formats.
pub(crate) fn candidates(hasher: &Hasher, raw: &[u8]) -> Vec<[u8; 8]> {
    let digits: Vec<u8> = raw.iter().copied().filter(|byte| *byte != b'-').collect();
    let hex = (digits.len() >= SHORTEST)
        .then(|| hexadecimal(&digits))
        .flatten();
    let number = (raw.len() >= SHORTEST).then(|| decimal(raw)).flatten();
    let mut found = Vec::new();
    for id in [hex, number].into_iter().flatten() {
        for kind in [Trace, Span] {
            found.push(hash(hasher, kind, id));
        }
    }
    if let Some([_, trace, span, _]) = w3c(raw) {
        found.extend(hexadecimal(trace).map(|id| hash(hasher, Trace, id)));
        found.extend(hexadecimal(span).map(|id| hash(hasher, Span, id)));
    }
    found
}

/// The id as it is compared: a span's parent is a span.
fn hash(hasher: &Hasher, kind: IdentifierKind, id: u64) -> [u8; 8] {
    let kind = match kind {
        Trace => "trace",
        Span | ParentSpan | IdentifierKind::Value => "span",
    };
    hasher.hash(format!("{kind}\0{id:016x}").as_bytes())
}

/// The lower 64 bits of a hexadecimal number of up to 32 digits. Zero is no id.
fn hexadecimal(raw: &[u8]) -> Option<u64> {
    if !(1..=32).contains(&raw.len()) {
        return None;
    }
    let id = raw.iter().try_fold(0_u64, |id, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(id << 4 | u64::from(digit))
    })?;
    (id != 0).then_some(id)
}

fn decimal(raw: &[u8]) -> Option<u64> {
    let text = str::from_utf8(raw).ok()?;
    let id = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())??;
    (id != 0).then_some(id)
}

/// Shorter values are no ids of traces.
const SHORTEST: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn marked(format: TraceFormat, raw: &str) -> Vec<(IdentifierKind, [u8; 8])> {
        let mut marks = Marks::default();
        mark(&hasher(), format, raw.as_bytes(), &mut marks);
        marks.take().collect()
    }

    fn hasher() -> Hasher {
        Hasher::new(&Key([7; 32]))
    }

    #[test]
    fn formats_join_each_other() {
        let id = |kind, id| (kind, hash(&hasher(), kind, id));
        let trace = id(Trace, 0xa3ce_929d_0e0e_4736);
        let span = id(Span, 0x00f0_67aa_0ba9_02b7);
        let parent = id(ParentSpan, 0x0502_0000_0000_0001);
        for (format, raw, expected) in [
            (
                TraceFormat::W3c,
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                vec![trace, span],
            ),
            (
                TraceFormat::B3,
                "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1-0502000000000001",
                vec![trace, span, parent],
            ),
            (
                TraceFormat::B3,
                "a3ce929d0e0e4736-00f067aa0ba902b7",
                vec![trace, span],
            ),
            (TraceFormat::HexTrace, "A3CE929D0E0E4736", vec![trace]),
            (
                TraceFormat::Jaeger,
                "4bf92f3577b34da6a3ce929d0e0e4736:f067aa0ba902b7:0502000000000001:1",
                vec![trace, span, parent],
            ),
            (
                TraceFormat::Jaeger,
                "a3ce929d0e0e4736%3Af067aa0ba902b7%3A0%3A1",
                vec![trace, span],
            ),
            (
                TraceFormat::DecimalTrace,
                "11803532876627986230",
                vec![trace],
            ),
            (TraceFormat::DecimalSpan, "67667974448284343", vec![span]),
            (
                TraceFormat::Aws,
                "Self=1-2-3;Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
                vec![trace, span],
            ),
            (
                TraceFormat::Google,
                "4bf92f3577b34da6a3ce929d0e0e4736/67667974448284343;o=1",
                vec![trace, span],
            ),
            (
                TraceFormat::Sentry,
                "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
                vec![trace, span],
            ),
        ] {
            assert_eq!(marked(format, raw), expected, "{raw}");
        }
        let looked_for = candidates(&hasher(), b"4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(looked_for.contains(&trace.1));
        assert!(candidates(&hasher(), b"11803532876627986230").contains(&trace.1));
        assert!(candidates(&hasher(), b"00f067aa0ba902b7").contains(&span.1));
    }

    #[test]
    fn what_gives_no_id() {
        for (format, raw) in [
            (
                TraceFormat::W3c,
                "00-00000000000000000000000000000000-0000000000000000-00",
            ),
            (
                TraceFormat::W3c,
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            ),
            (TraceFormat::B3, "0"),
            (TraceFormat::B3, "d"),
            (TraceFormat::HexTrace, "not hex"),
            (TraceFormat::DecimalTrace, "-5"),
            (TraceFormat::DecimalTrace, "18446744073709551616"),
            (TraceFormat::Jaeger, "a:b"),
            (TraceFormat::Aws, "Root=1-2"),
            (TraceFormat::Google, ""),
            (TraceFormat::SkyWalking, "1-a-b-3"),
            (TraceFormat::Sentry, "\u{e9}-1"),
        ] {
            assert_eq!(marked(format, raw), [], "{raw}");
        }
        assert!(candidates(&hasher(), b"order-17").is_empty());
    }
}
