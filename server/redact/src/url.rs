//! URLs and their parts: user-info, host labels, path segments, query pairs, fragment.
//!
//! Splits by the delimiters alone and never refuses: what is no URL comes out redacted by the same rules. Names of query
//! pairs are readable, their values are not unless listed; the segments of a path are readable unless token-shaped.

use crate::hash::Hasher;
use crate::policy::is_harmless_query;
use crate::secret_name::is_secret_name;
use crate::shape::is_token;
use crate::sink::{Sink, redact};

/// A URL, a network path (`//host/path`) or a path with or without a query.
pub(crate) fn url(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (before, fragment) = split(raw, b'#');
    let (before, query_part) = split(before, b'?');
    if let Some((scheme, rest)) = split_scheme(before) {
        name(hasher, scheme, out);
        if let Some(rest) = rest.strip_prefix(b"//") {
            out.literal(b"://");
            authority_and_path(hasher, rest, out);
        } else {
            // `about:blank` is Fetch's word for "no referrer"; other opaque URLs are data.
            out.literal(b":");
            if scheme.eq_ignore_ascii_case(b"about") {
                path(hasher, rest, out);
            } else {
                redact(hasher, rest, out);
            }
        }
    } else if let Some(rest) = before.strip_prefix(b"//") {
        out.literal(b"//");
        authority_and_path(hasher, rest, out);
    } else {
        path(hasher, before, out);
    }
    if let Some(pairs) = query_part {
        out.literal(b"?");
        query(hasher, pairs, out);
    }
    if let Some(pairs) = fragment {
        out.literal(b"#");
        query(hasher, pairs, out);
    }
}

/// The scheme of a URL, and what follows its colon. `host:80` has none.
fn split_scheme(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let (scheme, rest) = split(raw, b':');
    let rest = rest?;
    let first = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    let named = scheme
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let port = rest.first().is_some_and(u8::is_ascii_digit);
    (first && named && !port).then_some((scheme, rest))
}

fn authority_and_path(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let end = raw
        .iter()
        .position(|byte| *byte == b'/')
        .unwrap_or(raw.len());
    let (host, rest) = raw.split_at_checked(end).unwrap_or((raw, b""));
    authority(hasher, host, out);
    path(hasher, rest, out);
}

/// `user:password@host:port`.
pub(crate) fn authority(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let Some((user_info, rest)) = rsplit(raw, b'@') else {
        return host(hasher, raw, out);
    };
    user_and_password(hasher, user_info, out);
    out.literal(b"@");
    host(hasher, rest, out);
}

/// `user:password`, each hashed.
pub(crate) fn user_and_password(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let (user, password) = split(raw, b':');
    redact(hasher, user, out);
    if let Some(password) = password {
        out.literal(b":");
        redact(hasher, password, out);
    }
}

/// A host name or address, with or without a port: token-shaped labels are hashed.
pub(crate) fn host(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if let Some((address, port)) = raw.strip_prefix(b"[").and_then(|rest| rsplit(rest, b']')) {
        let plain = address
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
        out.literal(b"[");
        if plain {
            out.literal(address);
        } else {
            redact(hasher, address, out);
        }
        out.literal(b"]");
        return match port.strip_prefix(b":") {
            Some(number) => port_number(hasher, number, out),
            None => redact(hasher, port, out),
        };
    }
    let bare_v6 = raw.split(|byte| *byte == b':').nth(2).is_some()
        && raw
            .iter()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    let (name, port) = match rsplit(raw, b':').filter(|_| !bare_v6) {
        Some((name, port)) => (name, Some(port)),
        None => (raw, None),
    };
    labels(hasher, name, out);
    if let Some(number) = port {
        port_number(hasher, number, out);
    }
}

fn labels(hasher: &Hasher, name: &[u8], out: &mut dyn Sink) {
    for (at, label) in name.split(|byte| *byte == b'.').enumerate() {
        if at > 0 {
            out.literal(b".");
        }
        word(hasher, label, out);
    }
}

fn port_number(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    out.literal(b":");
    let plain = raw.len() <= 5 && raw.iter().all(u8::is_ascii_digit);
    if plain {
        out.literal(raw);
    } else {
        redact(hasher, raw, out);
    }
}

/// A path: readable but for its token-shaped segments.
pub(crate) fn path(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, piece) in raw.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            out.literal(b"/");
        }
        segment(hasher, piece, out);
    }
}

/// One segment of a path, with its matrix parameters (`;jsessionid=…`), whose values are hashed.
pub(crate) fn segment(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let mut parts = raw.split(|byte| *byte == b';');
    segment_name(hasher, parts.next().unwrap_or_default(), out);
    for parameter in parts {
        out.literal(b";");
        pair(hasher, parameter, out);
    }
}

fn segment_name(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if let Some((user_info, rest)) = rsplit(raw, b'@')
        && user_info.contains(&b':')
    {
        // `user:password@host` where no URL was expected.
        user_and_password(hasher, user_info, out);
        out.literal(b"@");
        return segment_name(hasher, rest, out);
    }
    if let (key, Some(value)) = split(raw, b'=')
        && is_secret_name(key)
    {
        name(hasher, key, out);
        out.literal(b"=");
        return redact(hasher, value, out);
    }
    word(hasher, raw, out);
}

/// The pairs of a query, of a form or of a fragment.
pub(crate) fn query(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    let mut pairs = raw.split(|byte| *byte == b'&');
    for (at, member) in pairs.by_ref().take(MOST_PAIRS).enumerate() {
        if at > 0 {
            out.literal(b"&");
        }
        pair(hasher, member, out);
    }
    let more = pairs.count();
    if more > 0 {
        // No captured pair looks like this: the value of such a name would be a hash.
        out.literal(b"&(more)=");
        out.number(u64::try_from(more).unwrap_or(u64::MAX));
    }
}

/// `name=value`; a lone word is a name if it looks like one.
fn pair(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match split(raw, b'=') {
        (key, Some(value)) => {
            name(hasher, key, out);
            out.literal(b"=");
            if is_harmless_query(key, value) {
                out.literal(value);
            } else {
                redact(hasher, value, out);
            }
        }
        (word, None) if is_flag(word) => out.literal(word),
        (word, None) => redact(hasher, word, out),
    }
}

/// A name without a value, such as `?wsdl`: letters only, and not shaped like a token.
fn is_flag(word: &[u8]) -> bool {
    word.len() <= 24
        && !is_token(word)
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b'.'))
}

/// A name: readable unless it is too long for one or token-shaped.
pub(crate) fn name(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if raw.len() > LONGEST_NAME {
        redact(hasher, raw, out);
    } else {
        word(hasher, raw, out);
    }
}

/// A word: readable unless it is token-shaped.
pub(crate) fn word(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    if is_token(raw) {
        redact(hasher, raw, out);
    } else {
        out.literal(raw);
    }
}

/// Before and after the first `mark`.
pub(crate) fn split(raw: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    let cut = raw
        .iter()
        .position(|byte| *byte == mark)
        .and_then(|at| raw.split_at_checked(at));
    match cut {
        Some((before, [_, after @ ..])) => (before, Some(after)),
        _ => (raw, None),
    }
}

/// Before and after the last `mark`.
fn rsplit(raw: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    match raw
        .iter()
        .rposition(|byte| *byte == mark)
        .and_then(|at| raw.split_at_checked(at))
    {
        Some((before, [_, after @ ..])) => Some((before, after)),
        _ => None,
    }
}

/// A path of the file system or of a cgroup: 64 hexadecimal digits are a container's id, no token.
pub(crate) fn file_path(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    for (at, piece) in raw.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            out.literal(b"/");
        }
        match around_container_id(piece) {
            Some((before, after)) if !is_token(before) && !is_token(after) => out.literal(piece),
            _ => segment_name(hasher, piece, out),
        }
    }
}

/// What stands before and after the id: `docker-` and `.scope`.
fn around_container_id(piece: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut start = 0;
    for run in
        piece.chunk_by(|one, other| one.is_ascii_alphanumeric() == other.is_ascii_alphanumeric())
    {
        if run.len() == 64 && run.iter().all(u8::is_ascii_hexdigit) {
            return Some((piece.get(..start)?, piece.get(start + run.len()..)?));
        }
        start += run.len();
    }
    None
}

const LONGEST_NAME: usize = 64;
/// The rest is counted.
const MOST_PAIRS: usize = 64;
