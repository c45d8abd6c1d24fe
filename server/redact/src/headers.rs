//! Header blocks as they are stored: a template that repeats from message to message, and the values that do not.
//!
//! The template holds names (case as received, in order) and the values that rarely change; `holes` holds the rest
//! (hashes, dates, lengths), in order. Ten thousand requests of one client then share one template row.
//!
//! ```text
//! template  = *field
//! field     = name-length name-bytes part-count *part       ; numbers are LEB128 varints
//! part      = 0                                             ; a hole
//!           / length bytes                                  ; readable text, length > 0
//! holes     = *hole                                         ; in the order of the template's marks
//! hole      = 0 length bytes                                ; readable text
//!           / 1 number                                      ; decimal
//!           / 2 seconds                                     ; IMF-fixdate, seconds since 1970
//!           / 3 count *hole                                 ; a value of several holes, none of this kind
//!           / 4 generation number                           ; a value that is not known, number zigzag
//!           / (16 + scheme) 8*8hash length                  ; digest, scheme as its place in the list
//! marks     = *((5 / 6 / 7) 8*8hash / 8 8*8hash length)     ; behind the holes: a trace, its span, the span's parent, and
//!                                                           ; values that the operator keeps readable
//! ```
//!
//! Readable text is printable ASCII without braces; the reader refuses any other.

mod encode;
mod identifiers;
mod render;
mod seen;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use encode::{Scratch, encode, encode_partly};
pub use identifiers::{Identifier, IdentifierKind, identifiers};
pub(crate) use identifiers::{Marks, SHORTEST};
pub use render::{header_names, render_headers};

/// One message's header block, redacted, split into the part that repeats and the part that does not. Copies share it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderBlock {
    template: Arc<[u8]>,
    holes: Arc<[u8]>,
}

/// A header block that is being written.
#[derive(Default)]
pub(crate) struct Building {
    template: Vec<u8>,
    holes: Vec<u8>,
    /// Traces and spans that its fields tell of.
    pub(crate) marks: Marks,
    /// Something in it was not readable as it came.
    pub(crate) hashed: bool,
}

impl Building {
    pub(crate) fn clear(&mut self) {
        self.template.clear();
        self.holes.clear();
        self.marks.clear();
        self.hashed = false;
    }
    pub(crate) fn block(&mut self) -> HeaderBlock {
        self.marks.write(&mut self.holes);
        HeaderBlock {
            template: self.template.as_slice().into(),
            holes: self.holes.as_slice().into(),
        }
    }
}

impl HeaderBlock {
    /// The repeating part: stored once for each segment and referred to.
    pub fn template(&self) -> &[u8] {
        &self.template
    }
    /// What fills the template's holes for this message.
    pub fn holes(&self) -> &[u8] {
        &self.holes
    }
}

/// A name or a value as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Captured<'a> {
    /// What was sent.
    Known(&'a [u8]),
    /// An entry of a table whose text was not seen, by two numbers that name it on its connection. Shown as
    /// `{unknown:generation:number}`, which nothing captured can imitate.
    Unknown(u32, i64),
}

/// One header field as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderField {
    /// Field name, case as received.
    pub name: String,
    /// Field value, redacted.
    pub value: HeaderValue,
}

/// A header value, and whether any part of it was replaced by a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderValue {
    /// The redacted value.
    pub text: String,
    /// Whether a part of it is a hash.
    pub redacted: bool,
}

/// Kinds of hole. Stored: append only, below `DIGEST`.
mod kind {
    pub(super) const TEXT: u8 = 0;
    pub(super) const NUMBER: u8 = 1;
    pub(super) const DATE: u8 = 2;
    pub(super) const SEVERAL: u8 = 3;
    pub(super) const UNKNOWN: u8 = 4;
    pub(super) const TRACE: u8 = 5;
    pub(super) const SPAN: u8 = 6;
    pub(super) const PARENT_SPAN: u8 = 7;
    pub(super) const VALUE: u8 = 8;
    pub(super) const DIGEST: u8 = 16;
}
