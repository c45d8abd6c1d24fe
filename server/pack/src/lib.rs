//! Exchanges packed many to a row of SQLite, and the table that reads them.
//!
//! B-tree work is the ceiling of ingest, and a row costs a dozen microsecond-long steps whatever is in it. Nearly all
//! exchanges end well and never change again: those are packed, up to a few hundred to one row of `exchange_pack_N` or
//! `dns_exchange_pack_N`, each told by what differs from the one before it. Failures, which are looked for by their kind,
//! and exchanges that were stored before their end are rows of `exchange_N` and `dns_exchange_N`.
//!
//! Owns: what is in a pack (`Packer` writes it, `Unpacker` reads it), the columns of an exchange in their order (`Layout`),
//! and `exchange_rows(N)` and `dns_rows(N)`, the tables of a segment's exchanges wherever they are; `numbers`, many in one
//! column; the rows of the index of identifiers, and what is read of them; the sums of roll-ups. Does not: know what a column means, or when a pack is full enough.
//!
//! ```text
//! pack    = *row
//! row     = changed *value      ; a bit for each column that differs from the row before, the first column lowest
//! value   = 0                   ; NULL
//!         / 1 number            ; an integer: its distance from the last one in this column, zigzag
//!         / 2 length bytes      ; text
//!         / 3 length bytes      ; a blob
//! ```
//!
//! Numbers are LEB128 varints. Before the first row every column is NULL, and the last integer of every column is 0.

#![deny(unsafe_code)]

pub mod identifiers;
mod layout;
mod matches;
pub mod numbers;
mod packer;
mod sums;
mod table;
mod unpacker;

pub use layout::{DNS_EXCHANGES, EXCHANGES, Layout};
pub use matches::{matches, wanted};
pub use packer::{Pack, Packer};
pub use sums::{ALL_SLOTS, Newest};
pub use table::register;
pub use unpacker::{Cell, Damaged, Unpacker};
