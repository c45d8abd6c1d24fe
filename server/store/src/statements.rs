//! The statements that a batch needs for nearly every row, held while its events are applied.
//!
//! Owns: their SQL. Surprising: the exchange is bound with the same numbers for the insert and the update.

use headwater_pack::{DNS_EXCHANGES, EXCHANGES, Packer};
use rusqlite::types::{Null, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use crate::packs;

/// Held statements.
pub(crate) struct Statements<'c> {
    /// For everything that is asked for now and then.
    pub(crate) connection: &'c Connection,
    pub(crate) insert_exchange: Held<'c>,
    pub(crate) insert_pack: CachedStatement<'c>,
    pub(crate) insert_header_block: CachedStatement<'c>,
    pub(crate) insert_connection: Held<'c>,
    pub(crate) update_connection: Held<'c>,
    pub(crate) insert_dns: Held<'c>,
    pub(crate) insert_dns_pack: CachedStatement<'c>,
}

impl<'c> Statements<'c> {
    /// Prepares them, or takes them from the cache.
    pub(crate) fn prepare(connection: &'c Connection, texts: &Texts) -> rusqlite::Result<Self> {
        Ok(Self {
            connection,
            insert_exchange: Held::new(connection.prepare_cached(&texts.insert_exchange)?),
            insert_pack: connection.prepare_cached(&texts.insert_pack)?,
            insert_header_block: connection.prepare_cached(&texts.insert_header_block)?,
            insert_connection: Held::new(connection.prepare_cached(&texts.insert_connection)?),
            update_connection: Held::new(connection.prepare_cached(&texts.update_connection)?),
            insert_dns: Held::new(connection.prepare_cached(&texts.insert_dns)?),
            insert_dns_pack: connection.prepare_cached(&texts.insert_dns_pack)?,
        })
    }
}

/// The SQL of the held statements for one segment. Written once for each: to put it together takes longer than to run it.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    segment: i64,
    insert_exchange: String,
    insert_pack: String,
    insert_header_block: String,
    insert_connection: String,
    update_connection: String,
    insert_dns: String,
    insert_dns_pack: String,
}

impl Texts {
    /// Those for a segment.
    pub(crate) fn for_segment(&mut self, segment: i64) -> &Self {
        if self.segment != segment || self.insert_exchange.is_empty() {
            *self = Self {
                segment,
                insert_exchange: format!(
                    "INSERT INTO exchange_{segment} VALUES ({})",
                    marks(EXCHANGES.columns.len())
                ),
                insert_pack: packs::insert(&EXCHANGES, segment),
                insert_header_block: insert_header_block(segment),
                insert_connection: format!(
                    "INSERT INTO connection VALUES ({})",
                    marks(CONNECTION_COLUMNS.len())
                ),
                update_connection: update("connection", CONNECTION_COLUMNS),
                insert_dns: format!(
                    "INSERT INTO dns_exchange_{segment} VALUES ({})",
                    marks(DNS_EXCHANGES.columns.len())
                ),
                insert_dns_pack: packs::insert(&DNS_EXCHANGES, segment),
            };
        }
        self
    }
}

/// Stores a header block.
pub(crate) fn insert_header_block(segment: i64) -> String {
    format!("INSERT INTO header_block_{segment} VALUES (?, ?)")
}

/// Stores a UDP flow, or what has become of it.
pub(crate) fn replace_udp_flow(segment: i64) -> String {
    format!(
        "REPLACE INTO udp_flow_{segment} VALUES ({})",
        marks(UDP_FLOW_COLUMNS)
    )
}

/// Overwrites an exchange, bound like its insert.
pub(crate) fn update_exchange(segment: i64) -> String {
    update(&format!("exchange_{segment}"), EXCHANGES.columns)
}

/// A statement, and what is bound to its parameters: from row to row most values are the same, and to compare costs less
/// than to bind again.
pub(crate) struct Held<'c> {
    statement: CachedStatement<'c>,
    bound: Vec<Bound>,
}

/// What is bound to one parameter.
#[derive(Debug, Default)]
enum Bound {
    /// Not known: nothing yet, or something that is not compared.
    #[default]
    Other,
    Null,
    Integer(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl<'c> Held<'c> {
    /// Of a statement with nothing bound.
    pub(crate) fn new(statement: CachedStatement<'c>) -> Self {
        let bound = std::iter::repeat_with(Bound::default)
            .take(statement.parameter_count())
            .collect();
        Self { statement, bound }
    }
}

impl Bound {
    /// Whether this is bound already. If not, it is noted as bound.
    fn is(&mut self, value: ValueRef<'_>) -> bool {
        match (&mut *self, value) {
            (Self::Null, ValueRef::Null) => return true,
            (Self::Integer(bound), ValueRef::Integer(value)) => {
                return std::mem::replace(bound, value) == value;
            }
            (Self::Text(bound), ValueRef::Text(value))
            | (Self::Blob(bound), ValueRef::Blob(value))
                if value.len() <= LONGEST_COMPARED =>
            {
                if bound == value {
                    return true;
                }
                bound.clear();
                bound.extend_from_slice(value);
                return false;
            }
            _ => {}
        }
        *self = match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Integer(value),
            ValueRef::Text(value) if value.len() <= LONGEST_COMPARED => Self::Text(value.into()),
            ValueRef::Blob(value) if value.len() <= LONGEST_COMPARED => Self::Blob(value.into()),
            _ => Self::Other,
        };
        false
    }
}

/// Takes the values of a row from left to right.
pub(crate) trait Row {
    /// Takes the next value.
    fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()>;
    /// Takes so many NULLs.
    fn nulls(&mut self, count: usize) -> rusqlite::Result<()>;
}

impl Row for Packer {
    #[inline]
    fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        match value.to_sql()? {
            ToSqlOutput::Borrowed(value) => Self::put(self, value),
            ToSqlOutput::Owned(value) => Self::put(self, (&value).into()),
            // Pointers and zero-filled blobs, which no exchange has.
            _ => Self::put(self, ValueRef::Null),
        }
        Ok(())
    }

    #[inline]
    fn nulls(&mut self, count: usize) -> rusqlite::Result<()> {
        Self::nulls(self, count);
        Ok(())
    }
}

/// Binds values to a statement.
pub(crate) struct Binder<'s, 'c> {
    held: &'s mut Held<'c>,
    next: usize,
}

impl<'s, 'c> Binder<'s, 'c> {
    /// Begins at the first.
    pub(crate) fn new(held: &'s mut Held<'c>) -> Self {
        Self { held, next: 0 }
    }
    /// Runs the statement.
    pub(crate) fn run(self) -> rusqlite::Result<usize> {
        self.held.statement.raw_execute()
    }
}

impl Row for Binder<'_, '_> {
    fn put(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        let at = self.next;
        self.next += 1;
        let value = value.to_sql()?;
        let plain = match &value {
            ToSqlOutput::Borrowed(value) => Some(*value),
            ToSqlOutput::Owned(value) => Some(value.into()),
            _ => None,
        };
        let bound = self.held.bound.get_mut(at);
        if let (Some(bound), Some(plain)) = (bound, plain)
            && bound.is(plain)
        {
            return Ok(());
        }
        self.held.statement.raw_bind_parameter(at + 1, value)
    }

    fn nulls(&mut self, count: usize) -> rusqlite::Result<()> {
        (0..count).try_for_each(|_| self.put(Null))
    }
}

fn marks(count: usize) -> String {
    let marks: Vec<&str> = std::iter::repeat_n("?", count).collect();
    marks.join(", ")
}

fn update(table: &str, columns: &[&str]) -> String {
    let assignments: Vec<String> = columns
        .iter()
        .zip(1_u32..)
        .skip(1)
        .map(|(column, number)| format!("{column} = ?{number}"))
        .collect();
    format!(
        "UPDATE {table} SET {} WHERE id = ?1",
        assignments.join(", ")
    )
}

/// Longer texts are bound each time.
const LONGEST_COMPARED: usize = 64;
/// Columns of `udp_flow_N`.
const UDP_FLOW_COLUMNS: usize = 24;
/// As in `0001_store.sql`.
const CONNECTION_COLUMNS: &[&str] = &[
    "id",
    "run_id",
    "start_ns",
    "end_ns",
    "close_reason",
    "joined_midstream",
    "network_protocol_name",
    "client_address",
    "client_port",
    "client_peer_address",
    "client_peer_port",
    "client_local",
    "client_netns",
    "client_process_id",
    "client_process_evidence",
    "client_service_id",
    "server_address",
    "server_port",
    "server_peer_address",
    "server_peer_port",
    "server_local",
    "server_netns",
    "server_process_id",
    "server_process_evidence",
    "server_service_id",
    "client_bytes",
    "server_bytes",
    "retransmits",
    "client_tcp",
    "server_tcp",
    "packet_drops",
    "http2",
    "icmp",
];
