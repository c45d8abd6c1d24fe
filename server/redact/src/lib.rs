//! Captured text goes in, text that may be stored comes out.
//!
//! Owns: the per-install key, the rule of what is harmless, the one textual form of a redacted value
//! (`{scheme:hash:length}`), and the compact encoding of header blocks. Every type that the store accepts for
//! captured text (`HeaderBlock`, `Target`, `Text`, `CommandLine`) can only be built here, so nothing reaches the
//! disk around the rule. Does not: read sockets, know SQL, or log. Pure but for `key`, which reads and creates the key file.
//!
//! Invariant: one value has one hash in every carrier (percent-decoded, unquoted, scheme stripped, members of lists
//! and pairs hashed singly), so that equal values join without being readable.
#![forbid(unsafe_code)]

mod headers;
mod key;
mod policy;
mod redactor;
mod shape;
mod text;

pub use headers::{HeaderBlock, HeaderField, HeaderValue, render_headers};
pub use key::{Key, KeyError};
pub use policy::Policy;
pub use redactor::Redactor;
pub use text::{CommandLine, Target, TargetForm, Text};
