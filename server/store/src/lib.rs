//! The only writer of the store.
//!
//! Owns: making the database and its schema, who may read the files, batches, the roll-ups kept up at ingest, retention, and
//! what becomes of a batch that cannot be written. Takes `headwater_model` events, whose captured text is redacted by
//! construction; refuses none of them. Does not: read the clock (time is a parameter), or answer questions (`headwater-query`
//! does, on connections of its own).
//!
//! The way of an event: `writer` (`batch`, `transaction`) → `state` (ids and keys) → `exchange`, `connection`, `process` or `coverage` (its
//! row) → `rollup` and `segment` (what the batch sums up to, written at its commit).
//!
//! Surprising: migrations run through sqlx, and rows go through rusqlite on the same SQLite library, since one `execute` per
//! row through sqlx costs four times as much.
#![deny(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod batch;
mod codes;
mod connection;
mod coverage;
mod dns;
mod drops;
mod error;
mod exchange;
mod files;
mod foreign;
mod group;
mod http2;
mod icmp;
mod identifiers;
mod integer;
mod ledger;
mod log;
mod merge;
mod migrate;
mod names;
mod options;
mod packs;
mod process;
mod reason;
mod retention;
mod rollup;
mod routes;
mod run;
mod segment;
mod spelled;
mod state;
mod statements;
mod streams;
mod tcp;
mod templates;
mod tls;
mod transaction;
mod udp_flow;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{OpenError, WriteError};
pub use files::{give_to_group, prepare_folder};
pub use log::LogMover;
pub use options::{Options, Source, StopReason};
pub use retention::Retained;
pub use writer::{Committed, Writer};
