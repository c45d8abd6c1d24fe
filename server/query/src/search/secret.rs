//! A plain secret in a filter is compared in the form that the store has of it.
//!
//! Owns: reading the key beside the store, and refusing one that the store's hashes were not made with. The secret itself
//! goes nowhere else: not into SQL text, errors or logs.

use std::path::Path;

use super::pattern::path_glob;
use headwater_redact::{HeaderBlock, Key, Policy, Redactor, render_headers};

use crate::answer::Window;
use crate::{CoverageItem, SearchQuery};

/// Turns plain text into the store's form of it, when the key can be read.
pub(crate) struct Secrets {
    key: Option<Key>,
    /// The key was needed and is not there.
    pub(crate) unavailable: bool,
}

impl Secrets {
    /// For questions without any secret.
    pub(crate) fn none() -> Self {
        Self {
            key: None,
            unavailable: false,
        }
    }

    /// Reads the key beside `store`, whose hashes were made with the key of that `fingerprint`.
    pub(crate) fn load(store: &Path, fingerprint: Option<&str>) -> Self {
        let key = Key::load(&store.with_extension("key")).ok().filter(|key| {
            let own = format!("{:016x}", u64::from_be_bytes(key.fingerprint()));
            fingerprint == Some(own.as_str())
        });
        Self {
            unavailable: key.is_none(),
            key,
        }
    }

    /// The texts to look for in a header value that is shown: as given, and hashed.
    pub(crate) fn header_forms(&self, text: &str) -> Vec<String> {
        let mut forms = vec![text.to_owned()];
        if let Some(key) = &self.key {
            let mut redactor = Redactor::new(key, &Policy::default());
            // As it stands within `{scheme:hash:length}`.
            forms.push(format!(":{}:", redactor.hash_of(text.trim().as_bytes())));
            forms.extend(list_forms(&mut redactor, text.trim()));
        }
        forms
    }

    /// What finds identifiers, where the key is at hand.
    pub(crate) fn redactor(&self) -> Option<Redactor> {
        self.key
            .as_ref()
            .map(|key| Redactor::new(key, &Policy::default()))
    }

    /// A path filter with its token-shaped segments as they are stored, when that differs.
    pub(crate) fn redacted_path(&self, text: &str) -> Option<String> {
        self.key.as_ref().and_then(|key| redacted(key, text))
    }

    /// A filter on host names as patterns: as it stands, and as it is stored where its labels are token-shaped.
    pub(crate) fn host_patterns(&self, text: &str) -> Vec<String> {
        let (exact, host) = text
            .strip_prefix('=')
            .map_or(("", text), |host| ("=", host));
        let redacted = self.key.as_ref().map(|key| {
            let mut redactor = Redactor::new(key, &Policy::default());
            redactor.host(host.as_bytes()).as_str().to_owned()
        });
        let stored = redacted.filter(|redacted| redacted != host);
        let stored = stored.map(|stored| path_glob(&format!("{exact}{stored}")));
        std::iter::once(path_glob(text)).chain(stored).collect()
    }

    /// What to say when values could only be compared as they stand.
    pub(crate) fn remark(&self, window: Window, query: &SearchQuery) -> Option<CoverageItem> {
        if !self.unavailable {
            return None;
        }
        // Any key tells which segments are redacted.
        let hidden = |text: &str| redacted(&Key::from_bytes([0; 32]), text).is_some();
        let path = query.path.as_deref().filter(|text| hidden(text));
        let what = match (query.header_value.is_some(), path.is_some()) {
            (true, true) => "header_value and path were",
            (true, false) => "header_value was",
            (false, true) => "path was",
            (false, false) => return None,
        };
        Some(CoverageItem {
            kind: "key_unavailable".to_owned(),
            from_ns: window.since_ns,
            until_ns: window.until_ns,
            count: 1,
            explanation: format!(
                "The key beside the store cannot be read or is not the one its hashes were made with, so {what} compared \
                 as text only: a plain secret cannot match its hash. Read the store as a member of its group, with its \
                 .key file beside it."
            ),
        })
    }
}

/// A list or a pair of a header that is on no list, whose members are hashed singly: as a whole value, and as a part of a
/// longer list.
fn list_forms(redactor: &mut Redactor, text: &str) -> Vec<String> {
    if !text.contains([',', ';', '=']) {
        return Vec::new();
    }
    let mut block = HeaderBlock::default();
    let mut form = |value: String| {
        let field = (&b"unlisted"[..], value.as_bytes());
        redactor.headers(std::iter::once(field), &mut block);
        let field = render_headers(block.template(), block.holes()).pop();
        field.map_or_else(String::new, |field| field.value.text)
    };
    let alone = form(text.to_owned());
    let longer = form(format!("{text}; x"));
    let within = longer
        .rsplit_once("; ")
        .map(|(within, _)| within.to_owned());
    std::iter::once(alone).chain(within).collect()
}

/// A path with its token-shaped segments redacted, when there are any.
fn redacted(key: &Key, text: &str) -> Option<String> {
    let mut redactor = Redactor::new(key, &Policy::default());
    let (exact, path) = text
        .strip_prefix('=')
        .map_or(("", text), |rest| ("=", rest));
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| {
            if segment.is_empty() || segment.contains(['*', '?', '#']) {
                return segment.to_owned();
            }
            let target = redactor.target(b"GET", format!("/{segment}").as_bytes());
            target
                .path()
                .strip_prefix('/')
                .unwrap_or(segment)
                .to_owned()
        })
        .collect();
    let redacted = segments.join("/");
    (redacted != path).then(|| format!("{exact}{redacted}"))
}
