//! HTTP/2, through the public face only.
//!
//! `frames` writes frames and header blocks, `conversation` says how conversations are played and what comes of them,
//! `samples` holds some that other files cut, join and hide. Tests named `corpus_…` need HEADWATER_CORPORA and fail
//! without it; `./test` leaves them out there, and says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that meets what it did not expect must end, and some say how much they tried"
)]

mod blocks;
mod connection;
mod conversation;
mod corpus;
mod endings;
mod exchanges;
mod flow_control;
mod frames;
mod grpc;
mod hostile;
mod joins;
mod losses;
mod repeats;
mod samples;
mod splits;
mod tables;
mod witness;
