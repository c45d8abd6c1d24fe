//! HTTP/1.x framing and pairing, through the public face only.
//!
//! Each file is a table of conversations and the lines that come of them; `conversation` says how both are written.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

mod bodies;
mod conversation;
mod endings;
mod framing;
mod heads;
mod hostile;
mod pairing;
mod splits;
mod turns;
