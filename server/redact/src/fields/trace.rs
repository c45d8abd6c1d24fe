//! `traceparent` (W3C Trace Context): version and flags readable, the two ids hashed singly.

use crate::hash::Hasher;
use crate::sink::{Sink, redact};

/// `00-<32 hex>-<16 hex>-01`; anything else is hashed whole.
pub(super) fn traceparent(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let is_hex =
        |part: &[u8], digits: usize| part.len() == digits && part.iter().all(u8::is_ascii_hexdigit);
    let mut parts = raw.split(|byte| *byte == b'-');
    match (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) {
        (Some(version), Some(trace), Some(span), Some(flags), None)
            if is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2) =>
        {
            out.literal(version);
            out.literal(b"-");
            redact(hasher, trace, out);
            out.literal(b"-");
            redact(hasher, span, out);
            out.literal(b"-");
            out.literal(flags);
        }
        _ => redact(hasher, raw, out),
    }
}
