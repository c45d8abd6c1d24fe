//! Sans-IO protocol parsers: bytes in, values out.
//!
//! Owns: what bytes mean. Does not: hold a clock, a socket, a task, a logger, SQL, JSON or an `unsafe` block; times are
//! numbers that the caller passes through. Malformed input is a value, never a panic. Captured text is handed out as
//! borrowed bytes exactly once, at the end of a head, and never kept.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

pub mod http1;
