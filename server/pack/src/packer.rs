//! Rows into packs.

use rusqlite::types::ValueRef;

use crate::layout::{ID, Layout, MOST_COLUMNS};

/// Packs rows, one value after the other.
#[derive(Debug)]
pub struct Packer {
    layout: &'static Layout,
    last: [Last; MOST_COLUMNS],
    data: Vec<u8>,
    /// The values of the row that is being written.
    row: Vec<u8>,
    changed: u64,
    /// Columns that held NULL in the row before.
    nulls: u64,
    /// The next column.
    at: usize,
    rows: u64,
    ids: (i64, i64),
    span_ns: (i64, i64),
}

/// What a column held in the row before.
#[derive(Debug, Default)]
struct Last {
    kind: Kind,
    integer: i64,
    bytes: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Null,
    Integer,
    Text,
    Blob,
}

/// A pack as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct Pack<'a> {
    /// Ids of the first and the last row.
    pub ids: (i64, i64),
    /// Least and greatest `start_ns`.
    pub span_ns: (i64, i64),
    /// How many rows there are.
    pub rows: u64,
    /// The rows.
    pub data: &'a [u8],
}

impl Packer {
    /// Without rows.
    pub fn new(layout: &'static Layout) -> Self {
        Self {
            layout,
            last: std::array::from_fn(|_| Last::default()),
            data: Vec::new(),
            row: Vec::new(),
            changed: 0,
            nulls: EVERY,
            at: 0,
            rows: 0,
            ids: (0, 0),
            span_ns: (0, 0),
        }
    }

    /// Takes the next value of the row. Reals are not among them, and are packed as NULL.
    #[inline]
    pub fn put(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Integer(integer) => self.integer(integer),
            ValueRef::Text(bytes) => self.bytes(Kind::Text, bytes),
            ValueRef::Blob(bytes) => self.bytes(Kind::Blob, bytes),
            ValueRef::Null | ValueRef::Real(_) => self.nulls(1),
        }
    }

    /// Takes so many NULLs: most columns of most rows are, and were in the row before.
    #[inline]
    pub fn nulls(&mut self, count: usize) {
        if self.at + count > self.layout.columns.len() {
            return;
        }
        let columns = (1_u64 << count) - 1;
        if self.nulls >> self.at & columns == columns {
            self.at += count;
            return;
        }
        for _ in 0..count {
            self.null();
        }
    }

    fn null(&mut self) {
        let bit = 1 << self.at;
        if self.nulls & bit == 0 {
            self.nulls |= bit;
            self.changed |= bit;
            self.row.push(NULL);
            if let Some(last) = self.last.get_mut(self.at) {
                last.kind = Kind::Null;
            }
        }
        self.at += 1;
    }

    fn integer(&mut self, integer: i64) {
        let at = self.at;
        self.at += 1;
        let Some(last) = self.last.get_mut(at) else {
            return;
        };
        if last.kind == Kind::Integer && last.integer == integer {
            return;
        }
        self.row.push(INTEGER);
        write_number(zigzag(integer.wrapping_sub(last.integer)), &mut self.row);
        (last.kind, last.integer) = (Kind::Integer, integer);
        self.note_change(at);
    }

    fn bytes(&mut self, kind: Kind, bytes: &[u8]) {
        let at = self.at;
        self.at += 1;
        let Some(last) = self.last.get_mut(at) else {
            return;
        };
        if last.kind == kind && last.bytes == bytes {
            return;
        }
        self.row.push(if kind == Kind::Text { TEXT } else { BLOB });
        write_number(bytes.len() as u64, &mut self.row);
        self.row.extend_from_slice(bytes);
        last.kind = kind;
        last.bytes.clear();
        last.bytes.extend_from_slice(bytes);
        self.note_change(at);
    }

    /// The column holds another value than in the row before, and no NULL.
    fn note_change(&mut self, at: usize) {
        self.changed |= 1 << at;
        self.nulls &= !(1 << at);
    }

    /// Ends the row.
    pub fn end_row(&mut self) {
        write_number(self.changed, &mut self.data);
        self.data.extend_from_slice(&self.row);
        self.row.clear();
        (self.changed, self.at) = (0, 0);
        let held = |at: usize| self.last.get(at).map_or(0, |last| last.integer);
        let (id, start_ns) = (held(ID), held(self.layout.start_ns));
        if self.rows == 0 {
            (self.ids.0, self.span_ns) = (id, (start_ns, start_ns));
        }
        self.ids.1 = id;
        self.span_ns = (self.span_ns.0.min(start_ns), self.span_ns.1.max(start_ns));
        self.rows += 1;
    }

    /// How many rows and bytes there are.
    pub fn size(&self) -> (u64, usize) {
        (self.rows, self.data.len())
    }

    /// The pack so far; `None` without rows.
    pub fn pack(&self) -> Option<Pack<'_>> {
        (self.rows > 0).then_some(Pack {
            ids: self.ids,
            span_ns: self.span_ns,
            rows: self.rows,
            data: &self.data,
        })
    }

    /// Begins the next pack.
    pub fn clear(&mut self) {
        for last in &mut self.last {
            (last.kind, last.integer) = (Kind::Null, 0);
        }
        self.data.clear();
        self.row.clear();
        self.nulls = EVERY;
        (self.changed, self.at, self.rows) = (0, 0, 0);
    }
}

pub(crate) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// LEB128: seven bits a byte, low bits first, the top bit set on all but the last.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            return out.push(low & 0x7f);
        }
        out.push(low | 0x80);
    }
}

/// Every column's bit; those that no column has stay set.
const EVERY: u64 = u64::MAX;
/// How a value begins.
pub(crate) const NULL: u8 = 0;
pub(crate) const INTEGER: u8 = 1;
pub(crate) const TEXT: u8 = 2;
pub(crate) const BLOB: u8 = 3;
