//! Sans-IO protocol parsers: bytes in, values out.
//!
//! Owns: what bytes mean. Does not: hold a clock, a socket, a task, a logger, SQL, JSON or an `unsafe` block; times are
//! numbers that the caller passes through. Malformed input is a value, never a panic. Captured text is handed out as
//! borrowed bytes exactly once, at the end of a head, and never kept, but for what HPACK's dynamic table has to remember,
//! the name that a DNS query asks for, which [`dns`] keeps, escaped, until the answer, and the pieces of a first message of
//! [`quic`], and the names in a handshake of [`tls`].
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod decimal;
pub mod dns;
pub mod event_stream;
pub mod exchange;
#[doc(hidden)]
pub mod fuzzing;
pub mod grpc;
mod held;
pub mod hpack;
pub mod http1;
pub mod http2;
mod passive;
pub mod proxy;
pub mod quic;
mod repeats;
pub mod tcp;
pub mod tls;
pub mod websocket;
