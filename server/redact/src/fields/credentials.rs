//! `Authorization`, `WWW-Authenticate` and their like (RFC 9110, section 11).
//!
//! A credential that is one token becomes one hash under its scheme. Parameters are hashed singly, their names readable.
//! A word that is no listed scheme is hashed too: it may be half of a secret.

use super::members;
use crate::hash::{Hasher, Scheme};
use crate::plain::{plain, split_scheme};
use crate::sink::{Sink, redact};
use crate::url;

/// Scheme and credential.
pub(super) fn credentials(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match split_scheme(raw) {
        Some((scheme, rest)) if scheme.is_single() || !is_parameter(rest) => {
            single(hasher, scheme, rest, out);
        }
        Some((scheme, rest)) => {
            out.literal(scheme.name().as_bytes());
            out.literal(b" ");
            parameters(hasher, scheme, rest, out);
        }
        None => match url::split(raw, b' ') {
            (word, Some(rest)) => {
                redact(hasher, word, out);
                out.literal(b" ");
                if is_parameter(rest) {
                    parameters(hasher, Scheme::NONE, rest, out);
                } else {
                    redact(hasher, rest, out);
                }
            }
            (word, None) => redact(hasher, word, out),
        },
    }
}

/// Challenges with their parameters, and the parameters alone (`Authentication-Info`).
pub(super) fn challenge(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, member) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        match split_scheme(member) {
            Some((scheme, rest)) => {
                out.literal(scheme.name().as_bytes());
                out.literal(b" ");
                parameter(hasher, Scheme::NONE, rest, out);
            }
            // Most challenges name their scheme only: `Negotiate`.
            None => match Scheme::from_name(member) {
                Some(scheme) => out.literal(scheme.name().as_bytes()),
                None => parameter(hasher, Scheme::NONE, member, out),
            },
        }
    }
}

fn parameters(hasher: &Hasher, scheme: Scheme, raw: &[u8], out: &mut dyn Sink) {
    for (at, member) in members(raw, b',').enumerate() {
        if at > 0 {
            out.literal(b", ");
        }
        parameter(hasher, scheme, member, out);
    }
}

/// `name=value`, or a token.
fn parameter(hasher: &Hasher, scheme: Scheme, raw: &[u8], out: &mut dyn Sink) {
    if !is_parameter(raw) {
        return single(hasher, scheme, raw, out);
    }
    let (name, value) = url::split(raw, b'=');
    url::name(hasher, name.trim_ascii(), out);
    out.literal(b"=");
    single(hasher, scheme, value.unwrap_or_default(), out);
}

/// One credential under the scheme that stood before it.
fn single(hasher: &Hasher, scheme: Scheme, raw: &[u8], out: &mut dyn Sink) {
    let mut value = plain(raw);
    if scheme != Scheme::NONE {
        value.scheme = scheme;
    }
    if let Some(digest) = hasher.digest_of(&value) {
        out.digest(&digest);
    }
}

/// Whether the text begins `name=value`: not the padding of base64, and a name of token characters.
fn is_parameter(raw: &[u8]) -> bool {
    let (name, Some(value)) = url::split(raw, b'=') else {
        return false;
    };
    let name = name.trim_ascii();
    (1..=32).contains(&name.len())
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && value.iter().any(|byte| !matches!(byte, b'=' | b' '))
}
