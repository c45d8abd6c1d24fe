//! What the assembly gives out and the store takes.

use crate::{Connection, Coverage, Exchange, Process};

/// One thing to store. A connection or process comes before the first exchange that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A connection, new or changed.
    Connection(Box<Connection>),
    /// Something not seen.
    Coverage(Coverage),
    /// An exchange, ended or (as `Outcome::Open`) in the making.
    Exchange(Box<Exchange>),
    /// A process, before its first connection.
    Process(Box<Process>),
}
