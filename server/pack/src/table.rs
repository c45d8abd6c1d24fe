//! `exchange_rows(N)` and `dns_rows(N)`: the exchanges of segment N, packed or not, as one table in the order of their ids.
//!
//! Owns: which packs a question needs. A virtual table that exists on connections that registered it and leaves nothing
//! in the file. Conditions on `id` choose packs and rows, conditions on `start_ns` packs; SQLite checks all else.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::rc::Rc;

use rusqlite::types::{Value, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, VTab, VTabConfig, VTabConnection, VTabCursor,
    eponymous_only_module,
};
use rusqlite::{Connection, Error, OptionalExtension, ffi, params};

use crate::layout::{DNS_EXCHANGES, EXCHANGES, ID, Layout};
use crate::unpacker::{Cell, Unpacker};

/// Makes the tables and functions of this crate known on a connection.
///
/// # Errors
/// SQLite's, when it has no memory.
pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    for layout in [&EXCHANGES, &DNS_EXCHANGES] {
        connection.create_module(layout.rows, eponymous_only_module::<Table>(), Some(layout))?;
    }
    crate::matches::register(connection)?;
    crate::sums::register(connection)
}

/// The table on one connection.
#[repr(C)]
struct Table {
    /// SQLite's part; first, as it demands.
    base: ffi::sqlite3_vtab,
    layout: &'static Layout,
    /// Its own and its cursors', with the statements that they prepared: preparing costs more than a row does.
    connection: Rc<Connection>,
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe for the layout that it demands"
)]
// SAFETY: `repr(C)` with SQLite's part first, as the trait demands.
unsafe impl<'table> VTab<'table> for Table {
    type Aux = &'static Layout;
    type Cursor = Cursor<'table>;

    fn connect(
        connection: &mut VTabConnection,
        layout: Option<&&'static Layout>,
        _: &[&[u8]],
    ) -> rusqlite::Result<(String, Self)> {
        let layout = *layout.ok_or_else(|| failure(ffi::SQLITE_MISUSE))?;
        connection.config(VTabConfig::DirectOnly)?;
        // SAFETY: the connection outlives its modules' tables: closing it disconnects them first, and with them goes
        // this borrowed one with its statements, which does not close it. Cursors share it: they are closed before their
        // table, and SQLite is in a connection with one thread at a time, so that nothing counts references from two.
        let connection = unsafe { Connection::from_handle(connection.handle()) }?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        let schema = format!(
            "CREATE TABLE x({}, segment HIDDEN)",
            layout.columns.join(", ")
        );
        let table = Self {
            base: ffi::sqlite3_vtab::default(),
            layout,
            connection: Rc::new(connection),
        };
        Ok((schema, table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<()> {
        let mut plan = String::new();
        let (mut has_segment, mut has_id) = (false, false);
        let mut chosen = Vec::new();
        for (place, constraint) in info.constraints().enumerate() {
            let Some(condition) =
                condition(self.layout, constraint.column(), &constraint.operator())
            else {
                continue;
            };
            if !constraint.is_usable() {
                continue;
            }
            has_segment |= condition == Condition::Segment;
            has_id |= condition == Condition::IdIs;
            chosen.push(place);
            plan.push(condition.mark());
        }
        if !has_segment {
            // Perhaps in another order of the join.
            return Err(failure(ffi::SQLITE_CONSTRAINT));
        }
        for (place, number) in chosen.into_iter().zip(1..) {
            info.constraint_usage(place).set_argv_index(number);
        }
        let by_id = {
            let mut orders = info.order_bys();
            let first = orders.next();
            first.is_some_and(|order| {
                usize::try_from(order.column()) == Ok(ID) && !order.is_order_by_desc()
            }) && orders.next().is_none()
        };
        info.set_order_by_consumed(by_id);
        info.set_estimated_cost(if has_id { 20.0 } else { 100_000.0 });
        info.set_estimated_rows(if has_id { 1 } else { 10_000 });
        info.set_idx_str(&plan);
        Ok(())
    }

    fn open(&'table mut self) -> rusqlite::Result<Cursor<'table>> {
        Ok(Cursor {
            base: ffi::sqlite3_vtab_cursor::default(),
            layout: self.layout,
            connection: Rc::clone(&self.connection),
            asked: Asked::default(),
            pack: None,
            plain: Vec::new().into_iter(),
            plain_row: None,
            next_pack: 0,
            next_plain: 0,
            source: Source::Over,
            table: PhantomData,
        })
    }
}

/// A condition that chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Segment,
    IdIs,
    IdAbove,
    IdFrom,
    IdBelow,
    IdTo,
    StartFrom,
    StartTo,
}

impl Condition {
    const ALL: [Self; 8] = [
        Self::Segment,
        Self::IdIs,
        Self::IdAbove,
        Self::IdFrom,
        Self::IdBelow,
        Self::IdTo,
        Self::StartFrom,
        Self::StartTo,
    ];

    /// Its letter in a plan.
    fn mark(self) -> char {
        match self {
            Self::Segment => 's',
            Self::IdIs => 'i',
            Self::IdAbove => 'a',
            Self::IdFrom => 'f',
            Self::IdBelow => 'b',
            Self::IdTo => 't',
            Self::StartFrom => 'F',
            Self::StartTo => 'T',
        }
    }
}

fn condition(layout: &Layout, column: c_int, operator: &IndexConstraintOp) -> Option<Condition> {
    use IndexConstraintOp as Op;
    // -1 is the row id, which is the id.
    let column = usize::try_from(column).unwrap_or(ID);
    match operator {
        Op::SQLITE_INDEX_CONSTRAINT_EQ if column == layout.columns.len() => {
            Some(Condition::Segment)
        }
        Op::SQLITE_INDEX_CONSTRAINT_EQ if column == ID => Some(Condition::IdIs),
        Op::SQLITE_INDEX_CONSTRAINT_GT if column == ID => Some(Condition::IdAbove),
        Op::SQLITE_INDEX_CONSTRAINT_GE if column == ID => Some(Condition::IdFrom),
        Op::SQLITE_INDEX_CONSTRAINT_LT if column == ID => Some(Condition::IdBelow),
        Op::SQLITE_INDEX_CONSTRAINT_LE if column == ID => Some(Condition::IdTo),
        Op::SQLITE_INDEX_CONSTRAINT_GE | Op::SQLITE_INDEX_CONSTRAINT_GT
            if column == layout.start_ns =>
        {
            Some(Condition::StartFrom)
        }
        Op::SQLITE_INDEX_CONSTRAINT_LE | Op::SQLITE_INDEX_CONSTRAINT_LT
            if column == layout.start_ns =>
        {
            Some(Condition::StartTo)
        }
        _ => None,
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    segment: i64,
    ids: (i64, i64),
    start_ns: (i64, i64),
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            segment: 0,
            ids: (i64::MIN, i64::MAX),
            start_ns: (i64::MIN, i64::MAX),
        }
    }
}

impl Asked {
    fn add(&mut self, condition: Condition, value: i64) {
        let (ids, start_ns) = (&mut self.ids, &mut self.start_ns);
        match condition {
            Condition::Segment => self.segment = value,
            Condition::IdIs => *ids = (ids.0.max(value), ids.1.min(value)),
            Condition::IdAbove => ids.0 = ids.0.max(value.saturating_add(1)),
            Condition::IdFrom => ids.0 = ids.0.max(value),
            Condition::IdBelow => ids.1 = ids.1.min(value.saturating_sub(1)),
            Condition::IdTo => ids.1 = ids.1.min(value),
            Condition::StartFrom => start_ns.0 = start_ns.0.max(value),
            Condition::StartTo => start_ns.1 = start_ns.1.min(value),
        }
    }
}

/// A walk through the rows.
#[repr(C)]
struct Cursor<'table> {
    /// SQLite's part; first, as it demands.
    base: ffi::sqlite3_vtab_cursor,
    layout: &'static Layout,
    connection: Rc<Connection>,
    asked: Asked,
    /// The pack being read, at its next row.
    pack: Option<Unpacker>,
    /// Plain rows that were read ahead, and the next one.
    plain: std::vec::IntoIter<Box<[Value]>>,
    plain_row: Option<Box<[Value]>>,
    /// Where to go on reading.
    next_pack: i64,
    next_plain: i64,
    source: Source,
    table: PhantomData<&'table Table>,
}

/// Where the row at hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Pack,
    Plain,
    Over,
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe for the layout that it demands"
)]
// SAFETY: `repr(C)` with SQLite's part first, as the trait demands.
unsafe impl VTabCursor for Cursor<'_> {
    fn filter(
        &mut self,
        _: c_int,
        plan: Option<&str>,
        values: &Filters<'_>,
    ) -> rusqlite::Result<()> {
        self.asked = Asked::default();
        for (mark, value) in plan.unwrap_or_default().chars().zip(values.iter()) {
            let condition = Condition::ALL
                .into_iter()
                .find(|known| known.mark() == mark);
            match (condition, value) {
                (Some(condition), ValueRef::Integer(value)) => self.asked.add(condition, value),
                // A comparison with NULL holds for no row. What else is no integer is left to SQLite.
                (_, ValueRef::Null) => self.asked.ids = (1, 0),
                _ => {}
            }
        }
        (self.next_pack, self.next_plain) = (self.asked.ids.0, self.asked.ids.0);
        (self.pack, self.plain_row) = (None, None);
        self.plain = Vec::new().into_iter();
        if self.asked.ids.0 > self.asked.ids.1 {
            self.source = Source::Over;
            return Ok(());
        }
        self.advance_pack()?;
        self.advance_plain()?;
        self.choose();
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        match self.source {
            Source::Pack => self.advance_pack()?,
            Source::Plain => self.advance_plain()?,
            Source::Over => {}
        }
        self.choose();
        Ok(())
    }

    fn eof(&self) -> bool {
        self.source == Source::Over
    }

    fn column(&self, context: &mut Context, column: c_int) -> rusqlite::Result<()> {
        let column = usize::try_from(column).unwrap_or(ID);
        if column == self.layout.columns.len() {
            return context.set_result(&self.asked.segment);
        }
        match (self.source, &self.pack, &self.plain_row) {
            (Source::Pack, Some(pack), _) => match pack.cell(column) {
                Cell::Null => context.set_result(&rusqlite::types::Null),
                Cell::Integer(integer) => context.set_result(&integer),
                Cell::Text(from, to) => {
                    let text = std::str::from_utf8(pack.bytes(from, to));
                    context.set_result(&text.map_err(|_| failure(ffi::SQLITE_CORRUPT))?)
                }
                Cell::Blob(from, to) => context.set_result(&pack.bytes(from, to)),
            },
            (Source::Plain, _, Some(row)) => {
                context.set_result(row.get(column).unwrap_or(&Value::Null))
            }
            _ => context.set_result(&rusqlite::types::Null),
        }
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        let id = match self.source {
            Source::Pack => self.pack_id(),
            _ => self.plain_id(),
        };
        Ok(id.unwrap_or_default())
    }
}

impl Cursor<'_> {
    /// The lower of both next ids is next.
    fn choose(&mut self) {
        self.source = match (self.pack_id(), self.plain_id()) {
            (None, None) => Source::Over,
            (Some(pack), Some(plain)) if plain < pack => Source::Plain,
            (None, Some(_)) => Source::Plain,
            (Some(_), _) => Source::Pack,
        };
    }

    fn pack_id(&self) -> Option<i64> {
        match self.pack.as_ref()?.cell(ID) {
            Cell::Integer(id) => Some(id),
            _ => None,
        }
    }

    fn plain_id(&self) -> Option<i64> {
        match self.plain_row.as_ref()?.get(ID) {
            Some(Value::Integer(id)) => Some(*id),
            _ => None,
        }
    }

    /// Goes to the next packed row that is asked for.
    fn advance_pack(&mut self) -> rusqlite::Result<()> {
        let (least, most) = self.asked.ids;
        loop {
            if let Some(pack) = &mut self.pack {
                while pack
                    .advance()
                    .map_err(|error| Error::ModuleError(error.to_string()))?
                {
                    match pack.cell(ID) {
                        Cell::Integer(id) if id < least => {}
                        Cell::Integer(id) if id <= most => return Ok(()),
                        _ => {
                            self.pack = None;
                            return Ok(());
                        }
                    }
                }
            }
            let (packs, segment) = (self.layout.packs, self.asked.segment);
            let sql = format!(
                "SELECT last_id, data FROM {packs}_{segment} WHERE last_id >= ? AND first_id <= ? \
                 AND max_start_ns >= ? AND min_start_ns <= ? ORDER BY last_id LIMIT 1"
            );
            let found: Option<(i64, Vec<u8>)> = self
                .connection
                .prepare_cached(&sql)?
                .query_row(
                    params![
                        self.next_pack,
                        most,
                        self.asked.start_ns.0,
                        self.asked.start_ns.1
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((last_id, data)) = found else {
                self.pack = None;
                return Ok(());
            };
            self.next_pack = last_id.saturating_add(1);
            self.pack = Some(Unpacker::new(self.layout, data));
        }
    }

    /// Goes to the next plain row that is asked for.
    fn advance_plain(&mut self) -> rusqlite::Result<()> {
        self.plain_row = self.plain.next();
        if self.plain_row.is_some() || self.next_plain > self.asked.ids.1 {
            return Ok(());
        }
        let (plain, segment) = (self.layout.plain, self.asked.segment);
        let columns = self.layout.columns.len();
        let sql = format!(
            "SELECT * FROM {plain}_{segment} WHERE id BETWEEN ? AND ? AND start_ns BETWEEN ? AND ? ORDER BY id LIMIT {READ_AHEAD}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([
            self.next_plain,
            self.asked.ids.1,
            self.asked.start_ns.0,
            self.asked.start_ns.1,
        ])?;
        let mut read = Vec::new();
        while let Some(row) = rows.next()? {
            let values: Result<Box<[Value]>, _> =
                (0..columns).map(|column| row.get(column)).collect();
            read.push(values?);
        }
        drop(rows);
        drop(statement);
        let last = read.last().and_then(|row| match row.get(ID) {
            Some(Value::Integer(id)) => Some(*id),
            _ => None,
        });
        // Without a full read there is nothing behind it.
        self.next_plain = match last {
            Some(last) if read.len() >= READ_AHEAD => last.saturating_add(1),
            _ => i64::MAX,
        };
        self.plain = read.into_iter();
        self.plain_row = self.plain.next();
        Ok(())
    }
}

fn failure(code: c_int) -> Error {
    Error::SqliteFailure(ffi::Error::new(code), None)
}

/// Plain rows that are read at a time.
const READ_AHEAD: usize = 128;
/// Two for each segment: most questions are about few.
const STATEMENTS: usize = 64;
