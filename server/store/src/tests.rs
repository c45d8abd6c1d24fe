//! Batches, restarts, roll-ups, caps and failures, on a fresh store each.

mod dns;
mod fixture;
mod group;
mod identifiers;
mod limits;
mod migration;
mod rows;
mod runs;
mod streams;
mod tls;
