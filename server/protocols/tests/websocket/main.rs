//! WebSocket frames, messages, closing and handshake, through the public face only.
//!
//! Each file is a table of bytes and the lines that come of them; `frame` writes the bytes and tells the lines.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

mod closing;
mod frame;
mod handshake;
mod malformed;
mod skips;
mod splits;
mod vectors;
