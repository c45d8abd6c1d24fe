//! The assembly through its public face: records and packets in, connections and exchanges out.
#![allow(
    clippy::unwrap_used,
    reason = "a helper that cannot go on fails its test"
)]

mod counts;
mod dns;
mod drops;
mod event_stream;
mod hostile;
mod icmp;
mod other_end;
mod outcomes;
mod pairing;
mod property;
mod proxied;
mod reassembly;
mod roles;
mod segments;
mod sessions;
mod support;
mod tls;
mod undelivered;
mod websocket;
