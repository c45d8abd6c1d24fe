//! HTTP/1.x framing and pairing, through the public face only.
//!
//! Each file is a table of conversations and the lines that come of them; `conversation` says how both are written.
//! Tests named `corpus_…` need HEADWATER_CORPORA and fail without it; `./test` leaves them out there, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that meets what it did not expect must end, and some say how much they tried"
)]

mod bodies;
mod conversation;
mod endings;
mod framing;
mod heads;
mod hostile;
mod llhttp;
mod pairing;
mod splits;
mod turns;
