//! Reading the representations of a header block (RFC 7541, 6).
//!
//! ```text
//!   0   1   2   3   4   5   6   7
//! +---+---+---+---+---+---+---+---+
//! | 1 |        Index (7+)         |   an indexed field (6.1)
//! +---+---+-----------------------+
//! | 0 | 1 |      Index (6+)       |   a literal, inserted into the dynamic table (6.2.1)
//! +---+---+---+-------------------+
//! | 0 | 0 | 1 |   Max size (5+)   |   a size update (6.3)
//! +---+---+---+---+---------------+
//! | 0 | 0 | 0 | N |  Index (4+)   |   a literal, not inserted (6.2.2), N: never to be (6.2.3)
//! +---+---------------------------+
//! ```
//!
//! Owns: one direction of one connection. Refuses: to give out more than the limits say; what is beyond is still read,
//! because the table needs it.

use std::fmt;

use super::dynamic_table::{DynamicTable, ENTRY_OVERHEAD, Name, NewName};
use super::static_table::{self, FIRST_DYNAMIC_INDEX};
use super::strings::{Literal, Strings};
use super::text::{Field, Text};
use super::{Limits, Malformed, Summary, integer};

/// SETTINGS_HEADER_TABLE_SIZE where no other was sent (RFC 9113, 6.5.2).
const DEFAULT_TABLE_SIZE: usize = 4096;

/// Reads the header blocks of one direction of one connection, in the order of the wire.
pub struct Decoder {
    table: DynamicTable,
    strings: Strings,
    limits: Limits,
}

impl Decoder {
    /// `joined_midstream`: the dynamic table has entries that were not seen, and its maximum size is not known.
    pub fn new(limits: Limits, joined_midstream: bool) -> Self {
        let table_size = if joined_midstream {
            usize::MAX
        } else {
            DEFAULT_TABLE_SIZE
        };
        Self {
            table: DynamicTable::new(limits.max_held_bytes, table_size, joined_midstream),
            strings: Strings::default(),
            limits,
        }
    }

    /// The SETTINGS_HEADER_TABLE_SIZE that this direction's sender has to keep to: to be called where its acknowledgement
    /// of that SETTINGS frame passes, which is the place between two blocks from which it does (RFC 7541, 4.2).
    ///
    /// It bounds what a table may hold that was joined, or lost, and not yet sized by the encoder. `u32::MAX` means that
    /// it is not known: to be called before [`Self::lost`] where acknowledgements may have been missed.
    pub fn set_max_table_size(&mut self, bytes: u32) {
        self.table.set_limit(match bytes {
            u32::MAX => usize::MAX,
            bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
        });
    }

    /// A header block passed that could not be read: any number of entries may have been inserted.
    ///
    /// It is a new join. Entries inserted from here on are right, all others are unknown, by numbers of their own.
    pub fn lost(&mut self) {
        self.table.lost();
    }

    /// Whether everything is known that the encoder may refer to. An encoder that sizes its table to 0, or fills it, makes
    /// that true again after a join or a loss.
    pub fn is_reliable(&self) -> bool {
        self.table.is_reliable()
    }

    /// Bytes of memory in its buffers.
    pub fn held_bytes(&self) -> usize {
        self.table.held_bytes() + self.strings.held_bytes()
    }

    /// Gives back memory: the room for decoding, or when there is none, that of the older half of the table, which is
    /// forgotten.
    pub fn make_room(&mut self) {
        if self.strings.held_bytes() > 0 {
            self.strings = Strings::default();
        } else {
            self.table.halve();
        }
    }

    /// How many entries of the table were forgotten for want of room so far. What refers to them is unknown.
    pub fn forgotten(&self) -> u64 {
        self.table.forgotten()
    }

    /// What [`Self::set_mark`] gave to what the table holds, until that changes.
    pub fn mark(&self) -> Option<u64> {
        self.table.mark()
    }

    /// Gives a mark to what the table holds. Under one mark a block that changes nothing stands for the same fields each time.
    pub fn set_mark(&mut self, mark: u64) {
        self.table.set_mark(mark);
    }

    /// Inserts a field of a block that is not read again.
    pub fn insert(&mut self, name: InsertedName<'_>, value: &[u8]) {
        let name = match name {
            InsertedName::Static(name) => NewName::Of(Name::Static(name)),
            InsertedName::Literal(name) => NewName::Literal(name),
        };
        self.table.insert(name, value);
    }

    /// Reads one whole block; `each` gets every field in order, up to the limits.
    ///
    /// # Errors
    ///
    /// Where the block cannot go on. The fields before were given; then it is as after [`Self::lost`].
    pub fn decode(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(Field<'_>),
    ) -> Result<Summary, Malformed> {
        let mut list = List {
            summary: Summary::default(),
            limits: self.limits,
        };
        let end = self.read(block, &mut list, &mut each);
        self.strings.trim();
        if end.is_err() {
            self.table.lost();
        }
        end.map(|()| list.summary)
    }

    fn read(
        &mut self,
        mut rest: &[u8],
        list: &mut List,
        each: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Malformed> {
        let mut field_read = false;
        while let Some((&first, behind)) = rest.split_first() {
            rest = behind;
            if first & 0b1000_0000 != 0 {
                let index = integer::read(first, 0b0111_1111, &mut rest)?;
                let (name, value) = self.indexed(index)?;
                list.summary.refers |= index >= FIRST_DYNAMIC_INDEX;
                let field = Field {
                    name,
                    value,
                    never_indexed: false,
                    inserted: false,
                };
                list.give(field, each);
            } else if first & 0b0100_0000 != 0 {
                let literal = self.literal(first, 0b0011_1111, &mut rest)?;
                list.note(&literal);
                list.summary.insertions += 1;
                list.give(self.field(literal, first), each);
                let value = self.strings.bytes(literal.value);
                let name = match literal.name {
                    LiteralName::Indexed(name) => NewName::Of(name),
                    LiteralName::Literal(name) => NewName::Literal(self.strings.bytes(name)),
                };
                self.table.insert(name, value);
            } else if first & 0b0010_0000 != 0 {
                let max_size = integer::read(first, 0b0001_1111, &mut rest)?;
                // 4.2: at the beginning of a block.
                if field_read {
                    return Err(Malformed::SizeUpdate);
                }
                let max_size = usize::try_from(max_size).unwrap_or(usize::MAX);
                list.summary.resizes = true;
                self.table.update_size(max_size);
                continue;
            } else {
                let literal = self.literal(first, 0b0000_1111, &mut rest)?;
                list.note(&literal);
                list.give(self.field(literal, first), each);
            }
            field_read = true;
        }
        Ok(())
    }

    /// Name and value that an index stands for (2.3.3).
    #[inline]
    fn indexed(&self, index: u32) -> Result<(Text<'_>, Text<'_>), Malformed> {
        match static_table::entry(index) {
            Some((name, value)) => Ok((Text::Known(name), Text::Known(value))),
            None => self.table.field(position(index)?),
        }
    }

    /// Reads what is behind the first octet of a literal.
    #[inline]
    fn literal<'b>(
        &mut self,
        first: u8,
        mask: u8,
        rest: &mut &'b [u8],
    ) -> Result<LiteralField<'b>, Malformed> {
        self.strings.reset();
        let name = match integer::read(first, mask, rest)? {
            0 => LiteralName::Literal(self.strings.read(rest)?),
            index => LiteralName::Indexed(match static_table::entry(index) {
                Some((name, _)) => Name::Static(name),
                None => self.table.name(position(index)?)?,
            }),
        };
        let value = self.strings.read(rest)?;
        Ok(LiteralField { name, value })
    }

    #[inline]
    fn field<'a>(&'a self, literal: LiteralField<'a>, first: u8) -> Field<'a> {
        let name = match literal.name {
            LiteralName::Indexed(name) => self.table.text(name),
            LiteralName::Literal(name) => Text::Known(self.strings.bytes(name)),
        };
        Field {
            name,
            value: Text::Known(self.strings.bytes(literal.value)),
            never_indexed: first & 0b1111_0000 == 0b0001_0000,
            inserted: first & 0b0100_0000 != 0,
        }
    }
}

/// The name of a field that is inserted.
#[derive(Debug, Clone, Copy)]
pub enum InsertedName<'a> {
    /// One of the static table, of which the dynamic one keeps no copy.
    Static(&'static [u8]),
    /// Another.
    Literal(&'a [u8]),
}

impl<'a> InsertedName<'a> {
    /// For a name.
    pub fn of(name: &'a [u8]) -> Self {
        static_table::name(name).map_or(Self::Literal(name), Self::Static)
    }
}

/// Without the texts: they are strangers', and may be secrets.
impl fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Decoder")
            .field("is_reliable", &self.is_reliable())
            .field("held_bytes", &self.held_bytes())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Where an index that is not the static table's points in the dynamic one. 0 points nowhere (6.1).
#[inline]
fn position(index: u32) -> Result<u32, Malformed> {
    index
        .checked_sub(FIRST_DYNAMIC_INDEX)
        .ok_or(Malformed::Index)
}

/// A literal, by where its texts are.
#[derive(Clone, Copy)]
struct LiteralField<'b> {
    name: LiteralName<'b>,
    value: Literal<'b>,
}

#[derive(Clone, Copy)]
enum LiteralName<'b> {
    Indexed(Name),
    Literal(Literal<'b>),
}

/// The fields of one block, counted.
struct List {
    summary: Summary,
    limits: Limits,
}

impl List {
    #[inline]
    fn note(&mut self, literal: &LiteralField<'_>) {
        self.summary.literals += 1;
        self.summary.refers |= matches!(
            literal.name,
            LiteralName::Indexed(Name::Held(_) | Name::Unknown(_))
        );
    }

    /// Gives `field` out, unless it or one before it is beyond the limits: a list has no holes.
    #[inline]
    fn give(&mut self, field: Field<'_>, each: &mut impl FnMut(Field<'_>)) {
        let length = |text: Text<'_>| text.known().map_or(0, <[u8]>::len);
        let bytes = length(field.name) + length(field.value) + ENTRY_OVERHEAD;
        let summary = &mut self.summary;
        if summary.left_out_fields > 0
            || summary.fields >= self.limits.max_fields
            || summary.list_bytes + bytes > self.limits.max_list_bytes
        {
            summary.left_out_fields += 1;
            summary.left_out_bytes += bytes;
        } else {
            summary.fields += 1;
            summary.list_bytes += bytes;
            each(field);
        }
    }
}
