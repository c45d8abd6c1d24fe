//! gRPC over HTTP/2 (its "PROTOCOL-HTTP2" specification) as a passive observer sees it: the messages of one direction of
//! one stream, and the words of its header fields.
//!
//! Owns: message boundaries, and what `content-type`, `:path`, `grpc-timeout` and `grpc-status` say. Refuses: to keep,
//! decompress or read a message; to decode `grpc-message`, a stranger's text; to name a method's kind for good: one
//! exchange shows how it was used, not how it is declared.
//!
//! **Invariant**: while [`Messages::is_exact`] is true, the count is what was sent; behind
//! that it is at most what was sent. A place that is lost stays lost: nothing in the bytes marks a message's beginning.

mod fields;
mod kind;
mod messages;
mod status;

pub use fields::{ContentType, Protocol, content_type, split_path, timeout_ns};
pub use kind::{Kind, kind_seen};
pub use messages::{Messages, Tally};
pub use status::Status;
