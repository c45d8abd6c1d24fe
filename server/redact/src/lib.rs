//! Captured text goes in, text that may be stored comes out.
//!
//! Owns: the per-install key, the rule of what is harmless, the one textual form of a redacted value
//! (`{scheme:hash:length}`), and the compact encoding of header blocks. Every type that the store accepts for
//! captured text (`HeaderBlock`, `Target`, `Text`, `CommandLine`) can only be built here, so nothing reaches the
//! disk around the rule. Does not: read sockets, know SQL, or log. Pure but for `key`, which reads and creates the key file.
//!
//! Invariant: one value has one hash in every carrier (percent-decoded, unquoted, scheme stripped, members of lists
//! and pairs hashed singly), so that equal values join without being readable.
//!
//! Invariant: readable text is printable ASCII without braces, so that nothing captured can imitate a hash.
//!
//! How a value travels: a *carrier* (`headers`, `target`, `command_line`) takes the text apart by its grammar
//! (`fields`, `url`, `words`), `policy` and `shape` say which pieces may be read, `plain` brings the others to the
//! one form that is hashed, `hash` hashes them, and a `sink` writes both kinds down.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod command_line;
mod date;
mod fields;
mod hash;
mod headers;
mod key;
mod memo;
mod plain;
mod policy;
mod printable;
mod redactor;
mod secret_name;
mod shape;
mod sink;
mod target;
mod text;
mod url;
mod words;

pub use headers::{
    Captured, HeaderBlock, HeaderField, HeaderValue, Identifier, IdentifierKind, header_names,
    identifiers, render_headers,
};
pub use key::{Key, KeyError};
pub use policy::Policy;
pub use redactor::{Part, Redactor};
pub use target::hashes_in;
pub use text::{CommandLine, Target, TargetForm, Text};
