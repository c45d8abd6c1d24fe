//! Packs into rows.

use crate::layout::{Layout, MOST_COLUMNS};
use crate::packer::{BLOB, INTEGER, NULL, TEXT};

/// A value of the row at hand. Text and blobs are places in the pack, from and to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cell {
    /// NULL
    #[default]
    Null,
    /// An integer.
    Integer(i64),
    /// Text.
    Text(usize, usize),
    /// A blob.
    Blob(usize, usize),
}

/// A pack that cannot be read: the file is damaged, or a later program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pack of exchanges cannot be read from byte {at} on: the store is damaged")]
pub struct Damaged {
    /// Where.
    pub at: usize,
}

/// Reads rows one after the other.
#[derive(Debug)]
pub struct Unpacker {
    layout: &'static Layout,
    data: Vec<u8>,
    at: usize,
    cells: [Cell; MOST_COLUMNS],
    /// The last integer of each column.
    integers: [i64; MOST_COLUMNS],
}

impl Unpacker {
    /// Begins before the first row of a pack.
    pub fn new(layout: &'static Layout, data: Vec<u8>) -> Self {
        Self {
            layout,
            data,
            at: 0,
            cells: [Cell::Null; MOST_COLUMNS],
            integers: [0; MOST_COLUMNS],
        }
    }

    /// Goes to the next row, if there is one.
    ///
    /// # Errors
    /// When the bytes are no pack.
    pub fn advance(&mut self) -> Result<bool, Damaged> {
        if self.at >= self.data.len() {
            return Ok(false);
        }
        let changed = self.number()?;
        if self.layout.columns.len() < MOST_COLUMNS && changed >> self.layout.columns.len() != 0 {
            return Err(Damaged { at: self.at });
        }
        for column in 0..self.layout.columns.len() {
            if changed >> column & 1 == 0 {
                continue;
            }
            let cell = self.read(column)?;
            let damaged = Damaged { at: self.at };
            *self.cells.get_mut(column).ok_or(damaged)? = cell;
        }
        Ok(true)
    }

    /// A value of the row at hand.
    pub fn cell(&self, column: usize) -> Cell {
        self.cells.get(column).copied().unwrap_or_default()
    }

    /// The bytes of a text or blob.
    pub fn bytes(&self, from: usize, to: usize) -> &[u8] {
        self.data.get(from..to).unwrap_or_default()
    }

    fn read(&mut self, column: usize) -> Result<Cell, Damaged> {
        match self.byte()? {
            NULL => Ok(Cell::Null),
            INTEGER => {
                let distance = self.number()?;
                let distance = (distance >> 1).cast_signed() ^ -(distance & 1).cast_signed();
                let damaged = Damaged { at: self.at };
                let last = self.integers.get_mut(column).ok_or(damaged)?;
                *last = last.wrapping_add(distance);
                Ok(Cell::Integer(*last))
            }
            mark @ (TEXT | BLOB) => {
                let length = self.number()?;
                let from = self.at;
                let to = usize::try_from(length)
                    .ok()
                    .and_then(|length| from.checked_add(length))
                    .filter(|to| *to <= self.data.len())
                    .ok_or(Damaged { at: from })?;
                self.at = to;
                Ok(if mark == TEXT {
                    Cell::Text(from, to)
                } else {
                    Cell::Blob(from, to)
                })
            }
            _ => Err(Damaged { at: self.at }),
        }
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let byte = self.data.get(self.at).copied();
        let byte = byte.ok_or(Damaged { at: self.at })?;
        self.at += 1;
        Ok(byte)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        read_number(&self.data, &mut self.at)
    }
}

/// A number (see the crate's head) at a place of `data`, which is moved behind it.
#[inline]
pub(crate) fn read_number(data: &[u8], at: &mut usize) -> Result<u64, Damaged> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *data.get(*at).ok_or(Damaged { at: *at })?;
        *at += 1;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Damaged { at: *at })
}
