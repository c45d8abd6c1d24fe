//! The one place where captured bytes become storable text.
//!
//! Owns the keyed state, the table of header rules and buffers. Refuses nothing: any bytes come out, redacted.

use compact_str::CompactString;

use crate::hash::{Hasher, write_hex};
use crate::headers::{Building, Captured, Scratch, encode, encode_partly};
use crate::memo::Memo;
use crate::plain::plain;
use crate::policy::HeaderRules;
use crate::sink::TextSink;
use crate::{
    CommandLine, HeaderBlock, Key, Policy, Target, Text, command_line, target, url, words,
};

/// A part of a sentence.
#[derive(Debug, Clone, Copy)]
pub enum Part<'a> {
    /// The program's own words.
    Own(&'static str),
    /// As `Redactor::phrase`.
    Phrase(&'a [u8]),
    /// As `Redactor::file_path`.
    Path(&'a [u8]),
    /// Hexadecimal digits that name a build, which is no secret.
    Digits(&'a str),
}

/// Redacts with one key and one policy. Has buffers of its own: one for each thread that redacts.
pub struct Redactor {
    hasher: Hasher,
    rules: HeaderRules,
    scratch: Scratch,
    building: Building,
    hosts: Memo<Text>,
    phrases: Memo<Text>,
    targets: Memo<Target>,
}

impl Redactor {
    /// A redactor for `key`, keeping readable what the built-in lists and `policy` allow.
    pub fn new(key: &Key, policy: &Policy) -> Self {
        Self {
            hasher: Hasher::new(key),
            rules: HeaderRules::new(policy),
            scratch: Scratch::default(),
            building: Building::default(),
            hosts: Memo::new(64),
            phrases: Memo::new(64),
            targets: Memo::new(256),
        }
    }
    /// Redacts a header block, given as (name, value) pairs in wire order, into `out`. Says whether nothing
    /// of it was hashed.
    pub fn headers<'a>(
        &mut self,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        out: &mut HeaderBlock,
    ) -> bool {
        let building = &mut self.building;
        building.clear();
        for field in fields {
            encode(
                &self.hasher,
                &self.rules,
                field,
                &mut self.scratch,
                building,
            );
        }
        *out = building.block();
        !building.hashed
    }
    /// As `headers`, of fields that may be known in part only.
    pub fn headers_partly<'a>(
        &mut self,
        fields: impl Iterator<Item = (Captured<'a>, Captured<'a>)>,
        out: &mut HeaderBlock,
    ) -> bool {
        let building = &mut self.building;
        building.clear();
        for field in fields {
            encode_partly(
                &self.hasher,
                &self.rules,
                field,
                &mut self.scratch,
                building,
            );
        }
        *out = building.block();
        !building.hashed
    }
    /// What stands for a text that is not known: `{unknown}`, or `{unknown:generation:number}` for an entry of a table.
    pub fn unknown(&self, entry: Option<(u32, i64)>) -> Text {
        target::unknown_text(entry)
    }
    /// What stands for a target that is not known; `entries` are those that it may be among.
    pub fn unknown_target(&self, entries: impl Iterator<Item = (u32, i64)>) -> Target {
        target::unknown(entries)
    }
    /// Redacts a request target. `method` decides between the authority form and the others.
    pub fn target(&mut self, method: &[u8], target: &[u8]) -> Target {
        let hasher = &self.hasher;
        if method == b"CONNECT" {
            return target::target(hasher, method, target);
        }
        self.targets.of(
            target,
            || target::target(hasher, method, target),
            Target::is_readable,
        )
    }
    /// Redacts a host name with optional port: labels shaped like tokens are hashed.
    pub fn host(&mut self, host: &[u8]) -> Text {
        let hasher = &self.hasher;
        let redact = || {
            let mut text = TextSink::with_capacity(host.len());
            url::authority(hasher, host, &mut text);
            Text(text.into_compact())
        };
        self.hosts.of(host, redact, Text::is_readable)
    }
    /// Redacts a file-system or cgroup path: segments shaped like tokens are hashed, container ids (64 hex) excepted.
    pub fn file_path(&mut self, path: &[u8]) -> Text {
        let mut text = TextSink::with_capacity(path.len());
        url::file_path(&self.hasher, path, &mut text);
        Text(text.into_compact())
    }
    /// Redacts a sentence made of parts of several kinds.
    pub fn sentence(&mut self, parts: &[Part<'_>]) -> Text {
        let mut words = CompactString::default();
        for part in parts {
            match part {
                Part::Own(own) => words.push_str(own),
                Part::Phrase(bytes) => words.push_str(self.phrase(bytes).as_str()),
                Part::Path(bytes) => words.push_str(self.file_path(bytes).as_str()),
                Part::Digits(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                    words.push_str(digits);
                }
                Part::Digits(digits) => words.push_str(self.phrase(digits.as_bytes()).as_str()),
            }
        }
        Text(words)
    }
    /// Redacts free text of small size, such as a reason phrase or a process name: words shaped like tokens are hashed.
    pub fn phrase(&mut self, phrase: &[u8]) -> Text {
        let hasher = &self.hasher;
        let redact = || {
            let mut text = TextSink::with_capacity(phrase.len());
            words::words(hasher, phrase, &mut text);
            Text(text.into_compact())
        };
        self.phrases.of(phrase, redact, Text::is_readable)
    }
    /// Redacts a command line given as NUL-separated arguments.
    pub fn command_line(&mut self, arguments: &[u8]) -> CommandLine {
        CommandLine(command_line::command_line(
            &self.hasher,
            &self.rules,
            arguments,
        ))
    }
    /// The hashes that a plain value may have among the identifiers of messages: as a value, and as a trace or a span in any
    /// format.
    pub fn identifiers_of(&self, value: &[u8]) -> Vec<[u8; 8]> {
        let plain = plain(value);
        let mut found = vec![self.hasher.hash(&plain.bytes)];
        found.extend(crate::fields::trace_candidates(&self.hasher, &plain.bytes));
        found
    }
    /// The identifiers of a stored path or query, with the lengths of what they stand for: what was hashed of it, and readable
    /// segments with a digit.
    pub fn identifiers_in(&self, text: &str) -> Vec<([u8; 8], u64)> {
        target::identifiers_in(&self.hasher, text)
    }
    /// The printable hash of a plain value as it would stand in the store: what an investigator's value is compared by.
    pub fn hash_of(&self, value: &[u8]) -> String {
        let mut digits = Vec::with_capacity(16);
        write_hex(&self.hasher.hash(&plain(value).bytes), &mut digits);
        digits.into_iter().map(char::from).collect()
    }
}
