//! Where the carriers write: readable pieces and digests, in order.
//!
//! One grammar then serves both outputs: plain text (`TextSink`) and the template and holes of a header block
//! (`headers::encode`). A sink makes readable pieces printable; it does not decide what is readable.

use compact_str::CompactString;

use crate::date;
use crate::hash::{Digest, Hasher};
use crate::headers::SHORTEST;
use crate::printable;

/// Takes the pieces of one redacted value.
pub(crate) trait Sink {
    /// A readable piece that rarely changes.
    fn literal(&mut self, raw: &[u8]);
    /// A readable piece that changes from message to message.
    fn varying(&mut self, raw: &[u8]) {
        self.literal(raw);
    }
    /// A redacted piece.
    fn digest(&mut self, digest: &Digest);
    /// A decimal number without leading zeros.
    fn number(&mut self, number: u64);
    /// An IMF-fixdate, as seconds since 1970.
    fn date(&mut self, seconds: u64);
}

/// Redacts a whole piece. An empty one stays empty.
pub(crate) fn redact(hasher: &Hasher, raw: &[u8], out: &mut dyn Sink) {
    match hasher.digest(raw) {
        Some(digest) => out.digest(&digest),
        None => out.literal(raw),
    }
}

/// Collects text.
#[derive(Default)]
pub(crate) struct TextSink {
    text: Vec<u8>,
    digests: usize,
    identifiers: Vec<[u8; 8]>,
}

impl TextSink {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: Vec::with_capacity(bytes),
            digests: 0,
            identifiers: Vec::new(),
        }
    }
    /// The text so far.
    pub(crate) fn into_string(self) -> String {
        // Only printable ASCII and our own marks were ever appended.
        String::from_utf8(self.text).unwrap_or_else(|error| error.to_string())
    }
    /// The text so far, for what is kept for each exchange.
    pub(crate) fn into_compact(self) -> CompactString {
        CompactString::from_utf8(&self.text)
            .unwrap_or_else(|error| CompactString::from(error.to_string()))
    }
    /// Appends text of our own, which may hold braces.
    pub(crate) fn mark(&mut self, own: &'static str) {
        self.text.extend_from_slice(own.as_bytes());
    }
    /// How many bytes were written.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }
    /// How many digests were written.
    pub(crate) fn digests(&self) -> usize {
        self.digests
    }
    /// Notes what identifies something, though it can be read.
    pub(crate) fn identifier(&mut self, digest: &Digest) {
        if digest.length >= SHORTEST && self.identifiers.len() < MOST_IDENTIFIERS {
            self.identifiers.push(digest.hash);
        }
    }
    /// What may identify something of what was written.
    pub(crate) fn take_identifiers(&mut self) -> Vec<[u8; 8]> {
        std::mem::take(&mut self.identifiers)
    }
}

impl Sink for TextSink {
    fn literal(&mut self, raw: &[u8]) {
        printable::extend(&mut self.text, raw);
    }
    fn digest(&mut self, digest: &Digest) {
        self.digests += 1;
        self.identifier(digest);
        digest.write(&mut self.text);
    }
    fn number(&mut self, number: u64) {
        self.text.extend_from_slice(number.to_string().as_bytes());
    }
    fn date(&mut self, seconds: u64) {
        self.text
            .extend_from_slice(date::written(seconds).as_bytes());
    }
}

/// Identifiers that are noted of one text.
const MOST_IDENTIFIERS: usize = 64;
