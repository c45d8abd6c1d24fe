//! Request targets (RFC 9112, section 3.2): form, scheme, authority, path, query and the estimated route.
//!
//! Fragments are dropped: a client that sends one breaks the rules, and what it holds is the page's own. Any text gives
//! a target; what follows no form is taken as a path.

use compact_str::CompactString;

use crate::hash::{Digest, Hasher};
use crate::headers::SHORTEST;
use crate::shape::{is_date, is_uuid};
use crate::sink::{Sink, TextSink};
use crate::url::{self, split};
use crate::{Target, TargetForm, Text};

/// Redacts a request target.
pub(crate) fn target(hasher: &Hasher, method: &[u8], raw: &[u8]) -> Target {
    if method == b"CONNECT" {
        let mut authority = TextSink::with_capacity(raw.len());
        url::authority(hasher, raw, &mut authority);
        return empty(TargetForm::Authority, None, Some(authority.into_compact()));
    }
    if raw == b"*" {
        let mut asterisk = empty(TargetForm::Asterisk, None, None);
        asterisk.path = CompactString::const_new("*");
        asterisk.route = CompactString::const_new("*");
        return asterisk;
    }
    let (raw, _) = split(raw, b'#');
    let Some((scheme, rest)) = absolute(raw) else {
        return with_path(hasher, empty(TargetForm::Origin, None, None), raw);
    };
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let (host, rest) = rest.split_at_checked(end).unwrap_or((rest, b""));
    let mut authority = TextSink::with_capacity(host.len());
    url::authority(hasher, host, &mut authority);
    with_path(
        hasher,
        empty(TargetForm::Absolute, scheme, Some(authority.into_compact())),
        rest,
    )
}

/// Stands for a text that is not known, by the entry of a table that holds it.
pub(crate) fn unknown_text(entry: Option<(u32, i64)>) -> Text {
    Text(match entry {
        Some((generation, number)) => {
            CompactString::from(format!("{{unknown:{generation}:{number}}}"))
        }
        None => CompactString::const_new("{unknown}"),
    })
}

/// Stands for a target that is not known. Requests with equal targets have equal entries, so that they can be grouped.
pub(crate) fn unknown(entries: impl Iterator<Item = (u32, i64)>) -> Target {
    let mut path = String::new();
    for (generation, number) in entries.take(MOST_ENTRIES) {
        path.push_str(unknown_text(Some((generation, number))).as_str());
    }
    if path.is_empty() {
        path.push_str("{unknown}");
    }
    let mut target = empty(TargetForm::Origin, None, None);
    target.path = path.into();
    target.route = CompactString::const_new("{unknown}");
    target
}

fn empty(
    form: TargetForm,
    scheme: Option<&'static str>,
    authority: Option<CompactString>,
) -> Target {
    Target {
        form,
        scheme,
        authority,
        path: CompactString::default(),
        query: None,
        route: CompactString::default(),
        identifiers: None,
    }
}

/// A known scheme, and what follows `://`.
fn absolute(raw: &[u8]) -> Option<(Option<&'static str>, &[u8])> {
    if raw.first() == Some(&b'/') {
        return None;
    }
    let (scheme, rest) = split(raw, b':');
    let rest = rest?.strip_prefix(b"//")?;
    let is_scheme = scheme
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let known = ["http", "https"]
        .into_iter()
        .find(|known| known.as_bytes().eq_ignore_ascii_case(scheme));
    (is_scheme && !scheme.is_empty()).then_some((known, rest))
}

fn with_path(hasher: &Hasher, mut target: Target, raw: &[u8]) -> Target {
    let (path, query) = split(raw, b'?');
    // An absolute target without a path asks for the root.
    let path = if path.is_empty() { b"/" } else { path };
    let mut text = TextSink::with_capacity(path.len());
    let mut route = TextSink::with_capacity(path.len());
    for (at, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            text.literal(b"/");
        }
        let before = text.digests();
        url::segment(hasher, segment, &mut text);
        let is_hashed = text.digests() > before;
        if !is_hashed && let Some(digest) = identifying(hasher, segment) {
            text.identifier(&digest);
        }
        route_segment(at, segment, is_hashed, &mut route);
    }
    let mut identifiers = text.take_identifiers();
    target.path = text.into_compact();
    target.route = route.into_compact();
    target.query = query.map(|pairs| {
        let mut text = TextSink::with_capacity(pairs.len());
        url::query(hasher, pairs, &mut text);
        identifiers.extend(text.take_identifiers());
        text.into_compact()
    });
    target.identifiers = (!identifiers.is_empty()).then(|| identifiers.into());
    target
}

/// Of a path or a query as it is stored: hashes, and the lengths of what they stand for.
pub(crate) fn identifiers_in(hasher: &Hasher, text: &str) -> Vec<([u8; 8], u64)> {
    let mut found = Vec::new();
    for segment in text.split('/') {
        if segment.contains('{') {
            found.extend(hashes_in(segment));
        } else if let Some(digest) = identifying(hasher, segment.as_bytes()) {
            found.push((digest.hash, digest.length));
        }
    }
    found
}

/// The hashes in a text as it is shown, and the lengths of what they stand for; values that are too short to identify
/// anything are left out.
pub fn hashes_in(text: &str) -> impl Iterator<Item = ([u8; 8], u64)> {
    text.split('{').filter_map(Digest::read)
}

/// A segment that can be read and may identify something all the same: `4711`, `order-4711`.
fn identifying(hasher: &Hasher, segment: &[u8]) -> Option<Digest> {
    let may_identify = segment.iter().any(u8::is_ascii_digit)
        && (4..=64).contains(&segment.len())
        && !is_date(segment);
    let digest = may_identify.then(|| hasher.digest(segment))?;
    digest.filter(|digest| digest.length >= SHORTEST)
}

fn route_segment(at: usize, segment: &[u8], hashed: bool, route: &mut TextSink) {
    // The first piece is what stands before the first slash: nothing.
    if at > MOST_SEGMENTS + 1 {
        return;
    }
    if at > 0 {
        route.literal(b"/");
    }
    let (name, parameters) = split(segment, b';');
    // A hash in the parameters says nothing about the name.
    let variable =
        is_variable(name) || (hashed && (parameters.is_none() || crate::shape::is_token(name)));
    if at > MOST_SEGMENTS {
        route.mark("…");
    } else if variable {
        route.mark("{}");
    } else {
        route.literal(name);
    }
}

/// Numbers, hexadecimal numbers, UUIDs and dates.
fn is_variable(name: &[u8]) -> bool {
    let digit = name.iter().any(u8::is_ascii_digit);
    digit
        && (name.iter().all(u8::is_ascii_digit)
            || (name.len() >= 8 && name.iter().all(u8::is_ascii_hexdigit))
            || is_uuid(name)
            || is_date(name))
}

/// Entries of a table that a target that is not known is named by.
const MOST_ENTRIES: usize = 4;
/// Segments of a route; deeper ones are one `…`.
const MOST_SEGMENTS: usize = 16;
