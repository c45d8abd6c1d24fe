//! Client addresses: `X-Forwarded-For` and its like, and `Forwarded` (RFC 7239).
//!
//! An address is identity. Each is hashed without its brackets and port, so that one client has one hash in both headers.

use super::members;
use crate::hash::Hasher;
use crate::sink::{Sink, redact};
use crate::url;

/// Addresses separated by commas.
pub(super) fn addresses(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, member) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        address(hasher, member, out);
    }
}

/// `for=…;by=…;host=…;proto=…`, more of them separated by commas.
pub(super) fn forwarded(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, element) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        for (place, pair) in members(element, b';').enumerate() {
            if place > 0 {
                out.literal(b";");
            }
            parameter(hasher, pair, out);
        }
    }
}

fn parameter(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (name, Some(value)) = url::split(raw, b'=') else {
        return redact(hasher, raw, out);
    };
    url::name(hasher, name, out);
    out.literal(b"=");
    if name.eq_ignore_ascii_case(b"host") {
        url::authority(hasher, unquoted(value), out);
    } else if name.eq_ignore_ascii_case(b"proto")
        && matches!(value, b"http" | b"https" | b"ws" | b"wss")
    {
        out.literal(value);
    } else {
        address(hasher, unquoted(value), out);
    }
}

/// One address with or without a port; the port stays readable.
fn address(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (address, port) = split_port(raw);
    redact(hasher, address, out);
    if let Some(port) = port {
        out.literal(b":");
        out.varying(port);
    }
}

fn split_port(raw: &[u8]) -> (&[u8], Option<&[u8]>) {
    let is_port =
        |port: &[u8]| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit);
    if let Some(rest) = raw.strip_prefix(b"[") {
        return match url::split(rest, b']') {
            (address, Some([])) => (address, None),
            (address, Some([b':', port @ ..])) if is_port(port) => (address, Some(port)),
            _ => (raw, None),
        };
    }
    match url::split(raw, b':') {
        (address, Some(port)) if address.contains(&b'.') && is_port(port) => (address, Some(port)),
        _ => (raw, None),
    }
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        // A quoted pair is left to the hash, which undoes it.
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => inner,
        _ => value,
    }
}
