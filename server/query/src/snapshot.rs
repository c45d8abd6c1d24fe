//! One question's view of the store: a read transaction with a time limit that ends when the caller goes away.
//!
//! Owns: the progress handler that stops SQLite, and the judgement whether a failed attempt is worth a second one. All
//! parts of an answer come from one snapshot, so a segment dropped meanwhile is still there for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::QueryError;
use crate::open::Opened;
use crate::pool::Turn;
use crate::unopened::primary_code;

/// A read transaction.
pub(crate) struct Snapshot {
    connection: Connection,
    pub(crate) opened: Arc<Opened>,
    /// The wall clock when it began.
    pub(crate) now_ns: u64,
    cancel: CancellationToken,
    deadline: Instant,
    /// An earlier one, for a part of the answer that can be left out.
    hurry: Option<Instant>,
    /// Until it ends.
    _turn: Turn,
}

impl Snapshot {
    /// Begins one, to be over before `limit`.
    ///
    /// # Errors
    /// SQLite's.
    pub(crate) fn begin(
        opened: Arc<Opened>,
        turn: Turn,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Self, rusqlite::Error> {
        let connection = opened.pool.take(&turn)?;
        let deadline = Instant::now() + limit;
        connection.progress_handler(OPERATIONS, Some(is_over(cancel, deadline)))?;
        connection.execute_batch("BEGIN")?;
        let now_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        Ok(Self {
            connection,
            opened,
            now_ns: u64::try_from(now_ns).unwrap_or(u64::MAX),
            cancel: cancel.clone(),
            deadline,
            hurry: None,
            _turn: turn,
        })
    }

    /// What stops a statement on another connection when this one would be stopped.
    pub(crate) fn is_over(&self) -> impl FnMut() -> bool + Send + 'static {
        is_over(&self.cancel, self.deadline)
    }

    /// What statements run on.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The four characters that name the store.
    pub(crate) fn tag(&self) -> String {
        self.opened.tag.clone()
    }

    /// Whether an answer is still wanted and in time: for work between two statements.
    ///
    /// # Errors
    /// `Cancelled`, and `Argument` when it takes too long.
    pub(crate) fn check(&self) -> Result<(), QueryError> {
        if self.cancel.is_cancelled() {
            return Err(QueryError::Cancelled);
        }
        let now = Instant::now();
        if now < self.deadline && self.hurry.is_none_or(|until| now < until) {
            return Ok(());
        }
        Err(QueryError::Argument {
            argument: "id",
            problem: "so much belongs to this that it takes too long to put together; give the id of one exchange of it".to_owned(),
        })
    }

    /// From now on `check` takes that for the end as well.
    pub(crate) fn hurry(&mut self, until: Option<Instant>) {
        self.hurry = until;
    }

    /// Ends the transaction, and says what the attempt was good for.
    pub(crate) fn finish<T>(self, result: Result<T, QueryError>) -> Attempt<T> {
        let (cancelled, late) = (self.cancel.is_cancelled(), Instant::now() >= self.deadline);
        let still = self.opened.still;
        let no_watch: Option<fn() -> bool> = None;
        let ended = self
            .connection
            .progress_handler(0, no_watch)
            .and_then(|()| self.connection.execute_batch("ROLLBACK"));
        match ended {
            // One on which a statement failed is closed.
            Ok(()) if !matches!(result, Err(QueryError::Sql(_))) => {
                self.opened.pool.give(self.connection);
            }
            Ok(()) => {}
            Err(error) => tracing::debug!(%error, "the end of a read failed"),
        }
        match result {
            Err(QueryError::Sql(_)) if cancelled => Attempt::Final(Err(QueryError::Cancelled)),
            Err(QueryError::Sql(error)) if late && primary_code(&error) == Some(INTERRUPT) => {
                Attempt::Final(Err(too_slow()))
            }
            Err(QueryError::Sql(error)) => {
                tracing::warn!(%error, "a question to the store failed");
                let again = is_transient(&error, still);
                if again {
                    Attempt::Again(QueryError::Sql(error))
                } else {
                    Attempt::Final(Err(QueryError::Sql(error)))
                }
            }
            other => Attempt::Final(other),
        }
    }
}

fn is_over(cancel: &CancellationToken, deadline: Instant) -> impl FnMut() -> bool + Send + 'static {
    let watched = cancel.clone();
    move || watched.is_cancelled() || Instant::now() >= deadline
}

/// How an attempt at an answer ended.
pub(crate) enum Attempt<T> {
    /// Something moved under it: a second attempt may well succeed.
    Again(QueryError),
    /// This is it.
    Final(Result<T, QueryError>),
}

fn too_slow() -> QueryError {
    QueryError::Argument {
        argument: "since",
        problem: "this question takes too long over so much data; take a later since, or add a filter such as service"
            .to_owned(),
    }
}

fn is_transient(error: &rusqlite::Error, still: bool) -> bool {
    match primary_code(error) {
        Some(BUSY | LOCKED | READONLY | CANTOPEN | PROTOCOL | SCHEMA) => true,
        // A segment that was dropped between the listing and the reading.
        Some(ERROR) => message(error).is_some_and(|message| message.starts_with("no such table")),
        // An immutable file that moved reads as damaged.
        Some(CORRUPT | IOERR | NOTADB) => still,
        _ => false,
    }
}

fn message(error: &rusqlite::Error) -> Option<&str> {
    match error {
        rusqlite::Error::SqliteFailure(_, message) => message.as_deref(),
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg),
        _ => None,
    }
}

/// Virtual machine instructions between two looks at the clock: about a tenth of a millisecond.
const OPERATIONS: i32 = 4_000;
const ERROR: i32 = 1;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const CANTOPEN: i32 = 14;
const PROTOCOL: i32 = 15;
const SCHEMA: i32 = 17;
const NOTADB: i32 = 26;
