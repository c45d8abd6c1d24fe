//! What the header fields of an exchange say of a session's ids.
//!
//! Owns: which values name sessions, where one stands, and what a response does to it: a new id, an id taken away.

use std::collections::BTreeSet;

use headwater_redact::{HeaderField, hashes_in};

use super::header_names::HeaderNames;
use super::link::UNIQUE_BYTES;
use super::node::Hash;

/// Values that name sessions, the most telling first.
pub(super) fn session_values(fields: &[HeaderField], names: &HeaderNames) -> Vec<Hash> {
    let mut found: Vec<(usize, Hash)> = Vec::new();
    for field in fields {
        let name = field.name.to_ascii_lowercase();
        let text = &field.value.text;
        match name.as_str() {
            "cookie" | "set-cookie" => {
                for (cookie, value) in cookies(&name, text) {
                    if is_session_cookie(cookie) {
                        found.extend(hashes(value).map(|hash| (0, hash)));
                    }
                }
            }
            _ if names.has(&name) => found.extend(hashes(text).map(|hash| (1, hash))),
            "authorization" => found.extend(hashes(text).map(|hash| (2, hash))),
            "x-api-key" | "api-key" | "apikey" => found.extend(hashes(text).map(|hash| (3, hash))),
            _ => {}
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().map(|(_, hash)| hash).collect()
}

/// Names and values of a header's cookies; of `Set-Cookie` the one that it sets.
fn cookies<'t>(header: &str, text: &'t str) -> impl Iterator<Item = (&'t str, &'t str)> {
    let most = if header == "set-cookie" {
        1
    } else {
        usize::MAX
    };
    text.split(';')
        .take(most)
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// Whether a cookie is known to name a session.
fn is_session_cookie(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name
        .trim_start_matches("__host-")
        .trim_start_matches("__secure-");
    SESSION_COOKIES.contains(&name)
        || ["session", "sessid", "sessionid", "session_id", "sid"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// The hashes in a rendered value.
pub(super) fn hashes(text: &str) -> impl Iterator<Item = Hash> {
    hashes_in(text).map(|(hash, _)| hash)
}

/// Where a value stands in a request.
pub(super) fn carried_in(fields: &[HeaderField], value: Hash) -> Vec<String> {
    let mut found = Vec::new();
    for field in fields {
        if !hashes(&field.value.text).any(|hash| hash == value) {
            continue;
        }
        let name = field.name.to_ascii_lowercase();
        if name == "cookie" {
            let holding = cookies(&name, &field.value.text)
                .filter(|(_, text)| hashes(text).any(|hash| hash == value));
            found.extend(holding.map(|(cookie, _)| format!("cookie {cookie}")));
        } else {
            found.push(name);
        }
    }
    found
}

/// What an exchange does to the session.
#[derive(Default)]
pub(super) struct Told {
    /// The ids that its server set in the place of known ones.
    pub(super) successors: Vec<Hash>,
    /// What is worth a word.
    pub(super) events: Vec<&'static str>,
}

pub(super) fn told_by(request: &[HeaderField], response: &[HeaderField], known: &[Hash]) -> Told {
    let mut told = Told::default();
    // The names under which this session's values come and go.
    let mut own: BTreeSet<&str> = BTreeSet::new();
    for field in request.iter().chain(response) {
        let name = field.name.to_ascii_lowercase();
        if name == "cookie" || name == "set-cookie" {
            let holding = cookies(&name, &field.value.text)
                .filter(|(_, text)| hashes(text).any(|hash| known.contains(&hash)));
            own.extend(holding.map(|(cookie, _)| cookie));
        }
    }
    for field in response {
        if !field.name.eq_ignore_ascii_case("set-cookie") {
            continue;
        }
        let text = &field.value.text;
        for (cookie, value) in cookies("set-cookie", text) {
            if !own.contains(cookie) {
                continue;
            }
            let all: Vec<(Hash, u64)> = hashes_in(value).collect();
            // A word in its place, as `deleted`, is no id that somebody alone has.
            let is_id =
                |(hash, length): &&(Hash, u64)| *length >= UNIQUE_BYTES || known.contains(hash);
            let set: Vec<Hash> = all.iter().filter(is_id).map(|(hash, _)| *hash).collect();
            let lower = text.to_ascii_lowercase();
            if all.is_empty() || lower.contains("max-age=0") || lower.contains("01 jan 1970") {
                told.events.push("the server took the id away");
            } else if set.is_empty() {
                told.events
                    .push("the server set another value in its place, too short to follow");
            } else if set.iter().any(|hash| !known.contains(hash)) {
                told.successors
                    .extend(set.into_iter().filter(|hash| !known.contains(hash)));
                told.events.push("the server set a new id");
            } else {
                told.events.push("the server set the id");
            }
        }
    }
    told
}

/// Cookies of well-known frameworks that name sessions, besides those whose names end so.
const SESSION_COOKIES: &[&str] = &[
    "auth_token",
    "beaker.session.id",
    "connect.sid",
    "jsessionid",
    "koa.sess",
    "laravel_session",
    "phpsessid",
    "remember_token",
    "sess",
    "token",
];
