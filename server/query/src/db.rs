//! Statements on a reading connection: `query(sql).bind(value).fetch_all(connection)`.
//!
//! Owns: binding, and rows that outlive their statement. Reading is synchronous, on a thread that may block (`handle`):
//! handing each statement and each row from thread to thread costs ten times as much as SQLite does.

use std::borrow::Cow;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, Error, params_from_iter};

/// A statement that gives rows.
pub(crate) fn query(sql: impl Into<Cow<'static, str>>) -> Query<Row> {
    Query::new(sql.into())
}

/// One whose rows are tuples.
pub(crate) fn query_as<T: FromRow>(sql: impl Into<Cow<'static, str>>) -> Query<T> {
    Query::new(sql.into())
}

/// One whose rows have one column.
pub(crate) fn query_scalar<T: FromSql + FromRow>(sql: impl Into<Cow<'static, str>>) -> Query<T> {
    Query::new(sql.into())
}

/// A statement with its values.
pub(crate) struct Query<T> {
    sql: Cow<'static, str>,
    values: Vec<Value>,
    row: PhantomData<fn() -> T>,
}

impl<T: FromRow> Query<T> {
    fn new(sql: Cow<'static, str>) -> Self {
        Self {
            sql,
            values: Vec::new(),
            row: PhantomData,
        }
    }

    /// Gives the next parameter its value.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Bind) -> Self {
        self.values.push(value.into_value());
        self
    }

    /// All rows.
    ///
    /// # Errors
    /// SQLite's; and where a column is of another type than what is made of it.
    pub(crate) fn fetch_all(self, connection: &Connection) -> Result<Vec<T>, Error> {
        self.fetch(connection, usize::MAX)
    }

    /// The first row, if there is any.
    ///
    /// # Errors
    /// As `fetch_all`.
    pub(crate) fn fetch_optional(self, connection: &Connection) -> Result<Option<T>, Error> {
        Ok(self.fetch(connection, 1)?.pop())
    }

    /// The first row.
    ///
    /// # Errors
    /// As `fetch_all`, and where there is none.
    pub(crate) fn fetch_one(self, connection: &Connection) -> Result<T, Error> {
        self.fetch_optional(connection)?
            .ok_or(Error::QueryReturnedNoRows)
    }

    fn fetch(self, connection: &Connection, most: usize) -> Result<Vec<T>, Error> {
        let mut statement = connection.prepare_cached(&self.sql)?;
        let columns = T::columns(&statement);
        let mut rows = statement.query(params_from_iter(self.values))?;
        let mut all = Vec::new();
        while all.len() < most
            && let Some(row) = rows.next()?
        {
            all.push(T::from_row(row, &columns)?);
        }
        Ok(all)
    }
}

/// What can be given to a parameter.
pub(crate) trait Bind {
    fn into_value(self) -> Value;
}

macro_rules! bind {
    ($($of:ty => $value:expr),* $(,)?) => {
        $(impl Bind for $of {
            fn into_value(self) -> Value {
                let into: fn(Self) -> Value = $value;
                into(self)
            }
        })*
    };
}

bind! {
    bool => Value::from,
    i64 => Value::Integer,
    String => Value::Text,
    &String => |text| Value::Text(text.clone()),
    &str => |text| Value::Text(text.to_owned()),
    Vec<u8> => Value::Blob,
    &Vec<u8> => |bytes| Value::Blob(bytes.clone()),
    &[u8] => |bytes| Value::Blob(bytes.to_vec()),
    &i64 => |number| Value::Integer(*number),
}

impl<T: Bind> Bind for Option<T> {
    fn into_value(self) -> Value {
        self.map_or(Value::Null, Bind::into_value)
    }
}

/// What is made of a row.
pub(crate) trait FromRow: Sized {
    /// Names of columns, for those who ask by them.
    fn columns(_: &rusqlite::Statement<'_>) -> Arc<Columns> {
        Arc::default()
    }
    fn from_row(row: &rusqlite::Row<'_>, columns: &Arc<Columns>) -> Result<Self, Error>;
}

macro_rules! from_row {
    (scalar $($of:ty),*) => {
        $(impl FromRow for $of {
            fn from_row(row: &rusqlite::Row<'_>, _: &Arc<Columns>) -> Result<Self, Error> {
                row.get(0)
            }
        })*
    };
    (tuple $($name:ident $place:tt),*) => {
        impl<$($name: FromSql),*> FromRow for ($($name,)*) {
            fn from_row(row: &rusqlite::Row<'_>, _: &Arc<Columns>) -> Result<Self, Error> {
                Ok(($(row.get($place)?,)*))
            }
        }
    };
}

from_row!(scalar i64, bool, String, Vec<u8>, Option<i64>, Option<String>, Option<Vec<u8>>);
from_row!(tuple A 0, B 1);
from_row!(tuple A 0, B 1, C 2);
from_row!(tuple A 0, B 1, C 2, D 3);
from_row!(tuple A 0, B 1, C 2, D 3, E 4);
from_row!(tuple A 0, B 1, C 2, D 3, E 4, F 5);
from_row!(tuple A 0, B 1, C 2, D 3, E 4, F 5, G 6);

/// Places of columns by their names.
#[derive(Debug, Default)]
pub(crate) struct Columns(HashMap<String, usize>);

/// A row by itself.
#[derive(Debug)]
pub(crate) struct Row {
    columns: Arc<Columns>,
    values: Vec<Value>,
}

impl FromRow for Row {
    fn columns(statement: &rusqlite::Statement<'_>) -> Arc<Columns> {
        let names = statement.column_names().into_iter().map(str::to_owned);
        Arc::new(Columns(names.zip(0..).collect()))
    }

    fn from_row(row: &rusqlite::Row<'_>, columns: &Arc<Columns>) -> Result<Self, Error> {
        let count = row.as_ref().column_count();
        let values = (0..count).map(|place| row.get(place));
        Ok(Self {
            columns: Arc::clone(columns),
            values: values.collect::<Result<_, Error>>()?,
        })
    }
}

impl Row {
    /// A column, by its place or its name.
    ///
    /// # Errors
    /// Where there is none, or it is of another type.
    pub(crate) fn try_get<'r, T: Cell<'r>>(&'r self, place: impl Place) -> Result<T, Error> {
        let at = place.of(&self.columns)?;
        let value = self.values.get(at).ok_or(Error::InvalidColumnIndex(at))?;
        T::of(value).ok_or_else(|| {
            Error::InvalidColumnType(at, std::any::type_name::<T>().to_owned(), value.data_type())
        })
    }
}

/// What names a column.
pub(crate) trait Place {
    fn of(self, columns: &Columns) -> Result<usize, Error>;
}

impl Place for usize {
    fn of(self, _: &Columns) -> Result<usize, Error> {
        Ok(self)
    }
}

impl Place for &str {
    fn of(self, columns: &Columns) -> Result<usize, Error> {
        let place = columns.0.get(self).copied();
        place.ok_or_else(|| Error::InvalidColumnName(self.to_owned()))
    }
}

/// What a column can be read as; what borrows from the row too.
pub(crate) trait Cell<'r>: Sized {
    /// `None` where it is of another type.
    fn of(value: &'r Value) -> Option<Self>;
}

macro_rules! cell {
    ($($of:ty: $pattern:pat => $value:expr),* $(,)?) => {
        $(impl<'r> Cell<'r> for $of {
            fn of(value: &'r Value) -> Option<Self> {
                match value {
                    $pattern => Some($value),
                    _ => None,
                }
            }
        })*
    };
}

cell! {
    i64: Value::Integer(number) => *number,
    u8: Value::Integer(number) => u8::try_from(*number).ok()?,
    bool: Value::Integer(number) => *number != 0,
    String: Value::Text(text) => text.clone(),
    &'r str: Value::Text(text) => text.as_str(),
    Vec<u8>: Value::Blob(bytes) => bytes.clone(),
    &'r [u8]: Value::Blob(bytes) => bytes.as_slice(),
}

impl<'r, T: Cell<'r>> Cell<'r> for Option<T> {
    fn of(value: &'r Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::of(value).map(Some),
        }
    }
}
