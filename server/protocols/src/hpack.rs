//! HPACK (RFC 7541), header compression for HTTP/2, decoded as a passive observer has to.
//!
//! Owns: the dynamic table of one direction of one connection, as far as it was seen, and reading blocks with it.
//! Refuses: to guess. A text that was not seen is [`Text::Unknown`], by a stable number; to keep a text that is not in
//! the table; to know what fields mean; to refuse what only the receiver's SETTINGS forbid.
//!
//! **Invariant**: a [`Text::Known`] is what the encoder meant, wherever the observer joined and whatever it missed, as
//! long as each block that it missed is [told](Decoder::lost). **Invariant**: what is held is bounded by [`Limits`], and
//! the work for a block by its length, whatever its bytes are.
//!
//! The surprising part is that joining in the middle is exact. Indexes count from the newest entry, so the entries
//! that were inserted since are found without knowing how many there are before, or how large the table is; and what
//! is older has a place of its own by the same count. `dynamic_table` says why this holds for each operation.

mod decoder;
mod dynamic_table;
mod huffman;
mod integer;
mod static_table;
mod strings;
mod text;

pub use decoder::{Decoder, InsertedName};
pub use text::{Field, Text, Unknown};

/// What was given out of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Fields that were given out.
    pub fields: usize,
    /// Their size, as SETTINGS_MAX_HEADER_LIST_SIZE counts it: name, value and 32 for each (RFC 9113, 6.5.2). Unknown
    /// texts count 0.
    pub list_bytes: usize,
    /// Fields behind these, which were not given out: the list reached [`Limits`].
    pub left_out_fields: usize,
    /// Their size.
    pub left_out_bytes: usize,
    /// Fields with a text in the block itself. The others are there by their indexes alone.
    pub literals: usize,
    /// Fields that were inserted into the table.
    pub insertions: usize,
    /// What the fields are depends on what the table held.
    pub refers: bool,
    /// It has a size update.
    pub resizes: bool,
}

/// The element of a block that was not as HPACK wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// An integer above 32 bits, or of more octets than those need (RFC 7541, 5.1).
    Integer,
    /// An integer whose end is not in the block.
    IntegerCut,
    /// A string literal whose end is not in the block (5.2).
    StringCut,
    /// The symbol EOS in a Huffman-coded string (5.2).
    HuffmanEos,
    /// The end of a Huffman-coded string is no code and no padding: other bits than ones, or a whole octet (5.2).
    HuffmanPadding,
    /// An index of 0, or beyond what the table can hold (6.1, 2.3.3).
    Index,
    /// A size update behind a field (4.2).
    SizeUpdate,
}

/// Bounds of what a decoder may hold and give out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the entries that are held, counted as the table's is (RFC 7541, 4.1). The oldest beyond it become unknown.
    pub max_held_bytes: usize,
    /// Size of the fields of a block that are given out, counted as [`Summary::list_bytes`] is.
    pub max_list_bytes: usize,
    /// Fields of a block that are given out.
    pub max_fields: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_held_bytes: 24 * 1024,
            max_list_bytes: 64 * 1024,
            max_fields: 1024,
        }
    }
}
