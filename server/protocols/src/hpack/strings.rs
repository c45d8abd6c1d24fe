//! String literals (RFC 7541, 5.2): where they are in the block, and the buffer for those that are Huffman-coded.
//!
//! ```text
//!   0   1   2   3   4   5   6   7
//! +---+---+---+---+---+---+---+---+
//! | H |    String Length (7+)     |
//! +---+---------------------------+
//! |  String Data (Length octets)  |
//! +-------------------------------+
//! ```

use super::{Malformed, huffman, integer};

/// What a buffer that grew for a large text is cut to behind its block.
const KEPT_BYTES: usize = 16 * 1024;

/// Decoded texts of one field: its name, its value.
#[derive(Default)]
pub(super) struct Strings {
    /// As long as the most that was needed: what was decoded is at the start.
    buffer: Vec<u8>,
    used: usize,
}

/// Where a text is.
#[derive(Clone, Copy)]
pub(super) enum Literal<'b> {
    /// In the block as it is.
    Plain(&'b [u8]),
    /// In the buffer.
    Decoded { from: usize, to: usize },
}

impl Strings {
    /// A new field begins: the texts of the last one are done with.
    #[inline]
    pub(super) fn reset(&mut self) {
        self.used = 0;
    }

    /// Reads a literal at the start of `rest`.
    #[inline]
    pub(super) fn read<'b>(&mut self, rest: &mut &'b [u8]) -> Result<Literal<'b>, Malformed> {
        let (&first, behind) = rest.split_first().ok_or(Malformed::StringCut)?;
        *rest = behind;
        let length = usize::try_from(integer::read(first, 0x7f, rest)?);
        let (data, behind) = length
            .ok()
            .and_then(|length| rest.split_at_checked(length))
            .ok_or(Malformed::StringCut)?;
        *rest = behind;
        if first & 0x80 == 0 {
            Ok(Literal::Plain(data))
        } else {
            self.decode(data)
        }
    }

    fn decode(&mut self, data: &[u8]) -> Result<Literal<'static>, Malformed> {
        let from = self.used;
        let needed = from + huffman::room(data.len());
        if self.buffer.len() < needed {
            self.buffer.resize(needed, 0);
        }
        let out = self.buffer.get_mut(from..).unwrap_or_default();
        self.used = from + huffman::decode(data, out)?;
        Ok(Literal::Decoded {
            from,
            to: self.used,
        })
    }

    /// The bytes of a literal of this field.
    #[inline]
    pub(super) fn bytes<'a>(&'a self, literal: Literal<'a>) -> &'a [u8] {
        match literal {
            Literal::Plain(bytes) => bytes,
            Literal::Decoded { from, to } => self.buffer.get(from..to).unwrap_or_default(),
        }
    }

    /// A block is over.
    pub(super) fn trim(&mut self) {
        if self.buffer.len() > KEPT_BYTES {
            self.buffer.truncate(KEPT_BYTES);
            self.buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// Bytes of memory.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}
