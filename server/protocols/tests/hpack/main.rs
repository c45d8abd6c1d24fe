//! HPACK, through the public face only.
//!
//! `blocks` says how blocks and fields are written here, `encoder` makes blocks, `witness` holds what was said against
//! the truth. Tests named `corpus_…` need HEADWATER_CORPORA and fail without it; `./test` leaves them out there, and
//! says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that meets what it did not expect must end, and some say how much they tried"
)]

mod blocks;
mod encoder;
mod hostile;
mod huffman_code;
mod joins;
mod malformed;
mod random;
mod rfc7541;
mod round_trips;
mod sizes;
mod stories;
mod witness;
