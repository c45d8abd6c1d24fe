//! One question's view of the store: a read transaction with a time limit that ends when the caller goes away.
//!
//! Owns: the progress handler that stops SQLite, and the judgement whether a failed attempt is worth a second one. All
//! parts of an answer come from one snapshot, so a segment dropped meanwhile is still there for it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sqlx::{Sqlite, SqliteConnection, Transaction};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::QueryError;
use crate::open::Opened;
use crate::unopened::primary_code;

/// A read transaction.
pub(crate) struct Snapshot {
    transaction: Transaction<'static, Sqlite>,
    pub(crate) opened: Arc<Opened>,
    /// The wall clock when it began.
    pub(crate) now_ns: u64,
    cancel: CancellationToken,
    deadline: Instant,
    /// An earlier one, for a part of the answer that can be left out.
    hurry: Option<Instant>,
    /// Stops a statement that still runs when the snapshot is dropped.
    _stop: DropGuard,
}

impl Snapshot {
    /// Begins one, to be over before `limit`.
    pub(crate) async fn begin(
        opened: Arc<Opened>,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<Self, sqlx::Error> {
        let mut transaction = opened.pool.begin().await?;
        let deadline = Instant::now() + limit;
        let stop = cancel.child_token();
        let watched = stop.clone();
        let keep_going = move || !watched.is_cancelled() && Instant::now() < deadline;
        transaction
            .lock_handle()
            .await?
            .set_progress_handler(OPERATIONS, keep_going);
        let now_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        Ok(Self {
            transaction,
            opened,
            now_ns: u64::try_from(now_ns).unwrap_or(u64::MAX),
            cancel: cancel.clone(),
            deadline,
            hurry: None,
            _stop: stop.drop_guard(),
        })
    }

    /// What statements run on.
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
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
    pub(crate) async fn finish<T>(self, result: Result<T, QueryError>) -> Attempt<T> {
        let (cancelled, late) = (self.cancel.is_cancelled(), Instant::now() >= self.deadline);
        let still = self.opened.still;
        if let Err(error) = self.transaction.rollback().await {
            tracing::debug!(%error, "the end of a read failed");
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
                    Attempt::Again(error)
                } else {
                    Attempt::Final(Err(QueryError::Sql(error)))
                }
            }
            other => Attempt::Final(other),
        }
    }
}

/// How an attempt at an answer ended.
pub(crate) enum Attempt<T> {
    /// Something moved under it: a second attempt may well succeed.
    Again(sqlx::Error),
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

fn is_transient(error: &sqlx::Error, still: bool) -> bool {
    match primary_code(error) {
        Some(BUSY | LOCKED | READONLY | CANTOPEN | PROTOCOL | SCHEMA) => true,
        // A segment that was dropped between the listing and the reading.
        Some(ERROR) => error
            .as_database_error()
            .is_some_and(|error| error.message().starts_with("no such table")),
        // An immutable file that moved reads as damaged.
        Some(CORRUPT | IOERR | NOTADB) => still,
        _ => matches!(error, sqlx::Error::WorkerCrashed),
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
