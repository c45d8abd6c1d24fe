//! Names and values, known or not.

use std::fmt;

/// A field of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name; lower case in HTTP/2 (RFC 9113, 8.2), which is not checked.
    pub name: Text<'a>,
    /// Its value.
    pub value: Text<'a>,
    /// Its sender wants that no intermediary indexes it: it is likely to be a secret (RFC 7541, 7.1.3).
    pub never_indexed: bool,
    /// It was inserted into the table.
    pub inserted: bool,
}

/// A name or a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Text<'a> {
    /// What was sent.
    Known(&'a [u8]),
    /// That of an entry of the dynamic table which is not here.
    Unknown(Unknown),
}

impl<'a> Text<'a> {
    /// What was sent, if that is known.
    pub fn known(self) -> Option<&'a [u8]> {
        match self {
            Self::Known(bytes) => Some(bytes),
            Self::Unknown(_) => None,
        }
    }
}

/// An entry of the dynamic table whose text is not known.
///
/// Of one [`Decoder`](super::Decoder), equal ones are the same entry and others are other entries (which may have equal
/// texts). Name and value of one entry share its `Unknown`: a name and a value say nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unknown {
    /// Counts the times that sight of the table was lost: nothing is known across them.
    pub(super) generation: u32,
    /// Counts insertions since then, from 0; below 0 are the entries that were there already, -1 the newest of them.
    pub(super) number: i64,
}

impl Unknown {
    /// The two numbers that name it.
    pub fn numbers(self) -> (u32, i64) {
        (self.generation, self.number)
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "unknown:{}:{}", self.generation, self.number)
    }
}
