//! DNS messages, their recognition and their pairing, through the public face only.
//!
//! `vectors` holds messages as octets, each with the line that `telling` makes of it. Tests named `corpus_…` need
//! HEADWATER_CORPORA and fail without it; `./test` leaves them out there, and says so.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that meets what it did not expect must end"
)]

mod bounds;
mod corpus;
mod frames;
mod hostile;
mod messages;
mod pairing;
mod recognition;
mod stream;
mod telling;
mod vectors;
