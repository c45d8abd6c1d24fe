//! The reader's handle on a store that may not be there yet.
//!
//! Owns: when the file is opened and opened again, and the life of a question: begin a snapshot, work until the answer or
//! the caller's cancellation, end the snapshot, and try once more when something moved under it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::count::Counted;
use crate::open::{Opened, open};
use crate::snapshot::{Attempt, Snapshot};
use crate::unopened::Unopened;
use crate::{
    Answer, CompareQuery, Comparison, ConnectionDetail, ContainersQuery, DnsQuery, DnsRow,
    ErrorGroup, ErrorsQuery, ExchangeDetail, ExchangeRow, Failure, HeaderPage, Hop, Mark,
    SearchQuery, ServiceCall, ServicesQuery, Session, SessionQuery, Status, TimeArgument,
    TransactionQuery, UdpQuery, UdpRow, compare, connection, containers, correlate, count, dns,
    errors, exchange, marks, recorder, search, services, status, udp,
};

/// Why a question has no answer. The text is made by Headwater: no captured text is in it.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// An argument is wrong; the text says what would be right.
    #[error("{argument}: {problem}")]
    Argument {
        /// Which.
        argument: &'static str,
        /// What is wrong with it and what would be right.
        problem: String,
    },
    /// The caller went away.
    #[error("cancelled")]
    Cancelled,
    /// An id whose rows retention has dropped.
    #[error(
        "{id} was recorded, and retention has dropped it since; the oldest kept is from {oldest}"
    )]
    Expired {
        /// The id as given (checked to be of id characters).
        id: String,
        /// RFC 3339.
        oldest: String,
    },
    /// An id of another store.
    #[error("{id} belongs to another store; ids of this one begin with {prefix}")]
    Foreign {
        /// The id as given (checked to be of id characters).
        id: String,
        /// The kind of id and this store's tag.
        prefix: String,
    },
    /// The store cannot be read: missing, not readable, newer.
    #[error("{why} {cure}")]
    Store {
        /// What is the matter.
        why: String,
        /// What to do.
        cure: String,
        /// The state of the store; none when SQLite failed for another reason.
        state: Option<crate::StoreState>,
    },
    /// An id that was never given out.
    #[error("{id} was never given out by this store")]
    Unknown {
        /// The id as given (checked to be of id characters).
        id: String,
    },
    /// SQLite failed. Opaque to callers; the source is for the log.
    #[error("the store could not be read; the server's log has the reason")]
    Sql(#[from] sqlx::Error),
}

/// A handle on the store at a path. Cheap to clone; opens when first needed, and again when the file appears or is replaced.
#[derive(Clone)]
pub struct Store {
    path: Arc<PathBuf>,
    opened: Arc<Mutex<Option<Arc<Opened>>>>,
    limit: Duration,
}

/// Answers a question from a snapshot, on which `$work` runs, with one more attempt where that makes sense.
macro_rules! ask {
    ($store:expr, $cancel:expr, $snapshot:ident => $work:expr) => {{
        let mut attempts = 0;
        loop {
            let mut $snapshot = match $store.begin($cancel).await {
                Ok(snapshot) => snapshot,
                Err(error) => break Err(error),
            };
            let result = tokio::select! {
                biased;
                () = $cancel.cancelled() => Err(QueryError::Cancelled),
                result = $work => result,
            };
            attempts += 1;
            match $store.settle($snapshot, result).await {
                Attempt::Again(_) if attempts < ATTEMPTS => {}
                Attempt::Again(error) => break Err(QueryError::Sql(error)),
                Attempt::Final(result) => break result,
            }
        }
    }};
}

impl Store {
    /// A handle; nothing is opened yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            opened: Arc::default(),
            limit: LIMIT,
        }
    }

    /// The same handle with another limit on how long a question may take (10 s unless told).
    #[must_use]
    pub fn with_time_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// What is recorded. Never fails for want of a store: that is an answer too.
    ///
    /// # Errors
    /// `Cancelled` and `Sql`.
    pub async fn status(&self, cancel: &CancellationToken) -> Result<Answer<Status>, QueryError> {
        let answer = ask!(self, cancel, snapshot => status::answer(&mut snapshot, &self.path));
        // Opened anew to learn what is the matter: the error above has it in words only.
        match (answer, self.current().await) {
            (Err(QueryError::Store { .. } | QueryError::Sql(_)), Err(problem)) => {
                Ok(status::without_store(&self.path, &problem))
            }
            (answer, _) => answer,
        }
    }
    /// Who serves and who calls whom.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn services(
        &self,
        query: &ServicesQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<ServiceCall>>, QueryError> {
        ask!(self, cancel, snapshot => services::answer(&mut snapshot, query))
    }
    /// How many exchanges are stored, by unique id. Reads them all: for measurements, not for answers.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn count_exchanges(
        &self,
        counted: Counted,
        cancel: &CancellationToken,
    ) -> Result<u64, QueryError> {
        ask!(self, cancel, snapshot => count::answer(&mut snapshot, counted))
    }
    /// Containers that came up in a window, by the names of their services.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn containers(
        &self,
        query: &ContainersQuery,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, QueryError> {
        ask!(self, cancel, snapshot => containers::answer(&mut snapshot, query))
    }
    /// Exchanges that match.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn search(
        &self,
        query: &SearchQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<ExchangeRow>>, QueryError> {
        ask!(self, cancel, snapshot => search::answer(&mut snapshot, &self.path, query))
    }
    /// One exchange in full, by its printable id.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn exchange(
        &self,
        id: &str,
        cancel: &CancellationToken,
    ) -> Result<Answer<ExchangeDetail>, QueryError> {
        ask!(self, cancel, snapshot => exchange::answer(&mut snapshot, id))
    }
    /// One connection in full, by its printable id; of its exchanges at most `most` one by one.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn connection(
        &self,
        id: &str,
        most: usize,
        cancel: &CancellationToken,
    ) -> Result<Answer<ConnectionDetail>, QueryError> {
        ask!(self, cancel, snapshot => connection::answer(&mut snapshot, id, most))
    }
    /// One header's whole value, from `offset`, at most `max_bytes` of it; `next_cursor` says where it goes on.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn header(
        &self,
        id: &str,
        header: &str,
        cursor: Option<&str>,
        max_bytes: usize,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<HeaderPage>>, QueryError> {
        ask!(self, cancel, snapshot => exchange::header(&mut snapshot, id, header, cursor, max_bytes))
    }
    /// What belongs to a transaction, as a tree.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn transaction(
        &self,
        query: &TransactionQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<Hop>>, QueryError> {
        ask!(self, cancel, snapshot => correlate::answer(&mut snapshot, &self.path, query))
    }
    /// What one client did.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn session(
        &self,
        query: &SessionQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Session>, QueryError> {
        ask!(self, cancel, snapshot => correlate::session(&mut snapshot, &self.path, query))
    }
    /// Why something failed: by an exchange id, or a value that its requests carried.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn failure(
        &self,
        id: &str,
        cancel: &CancellationToken,
    ) -> Result<Answer<Failure>, QueryError> {
        ask!(self, cancel, snapshot => correlate::explain(&mut snapshot, &self.path, id))
    }
    /// DNS exchanges that match.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn dns(
        &self,
        query: &DnsQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<DnsRow>>, QueryError> {
        ask!(self, cancel, snapshot => dns::answer(&mut snapshot, &self.path, query))
    }
    /// One DNS exchange, by its printable id.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn dns_exchange(
        &self,
        id: &str,
        cancel: &CancellationToken,
    ) -> Result<Answer<DnsRow>, QueryError> {
        ask!(self, cancel, snapshot => dns::one(&mut snapshot, id))
    }
    /// UDP flows that match.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn udp_flows(
        &self,
        query: &UdpQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<UdpRow>>, QueryError> {
        ask!(self, cancel, snapshot => udp::answer(&mut snapshot, &self.path, query))
    }
    /// Failures, grouped.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn errors(
        &self,
        query: &ErrorsQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Vec<ErrorGroup>>, QueryError> {
        ask!(self, cancel, snapshot => errors::answer(&mut snapshot, &self.path, query))
    }
    /// What is different in one time from another.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn compare(
        &self,
        query: &CompareQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<Comparison>, QueryError> {
        ask!(self, cancel, snapshot => compare::answer(&mut snapshot, query))
    }
    /// Names a moment, in the file of marks beside the store.
    ///
    /// # Errors
    /// `Argument` for what is no name or no time; `Store` when there is no store, or the file cannot be written.
    pub async fn mark(
        &self,
        name: &str,
        at: Option<&TimeArgument>,
        cancel: &CancellationToken,
    ) -> Result<Mark, QueryError> {
        let now_ns = self.begin(cancel).await?.now_ns;
        let at_ns = match at {
            Some(at) => at.resolve("at", now_ns)?,
            None => now_ns,
        };
        let (path, name) = (Arc::clone(&self.path), name.to_owned());
        // Another server may hold the file for a moment.
        let added = tokio::task::spawn_blocking(move || marks::add(&path, &name, at_ns));
        added.await.unwrap_or(Err(QueryError::Cancelled))
    }
    /// All marks, the latest first.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn marks(&self, cancel: &CancellationToken) -> Result<Answer<Vec<Mark>>, QueryError> {
        ask!(self, cancel, snapshot => marks::answer(&mut snapshot, &self.path))
    }
    /// The moment that a text names as a mark; `None` of a text that is a time.
    ///
    /// # Errors
    /// `Argument` when there is no such mark; `Store` when the marks cannot be read.
    pub fn moment(&self, argument: &'static str, text: &str) -> Result<Option<u64>, QueryError> {
        let name = text.trim();
        if !marks::is_name(name) {
            return Ok(None);
        }
        marks::moment(&self.path, argument, name).map(Some)
    }
    /// Resolves when the store has a commit newer than `as_of_ns`, or after `timeout`, whichever is first.
    ///
    /// # Errors
    /// `Cancelled` and `Sql`.
    pub async fn changed(
        &self,
        as_of_ns: u64,
        timeout: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), QueryError> {
        let deadline = Instant::now() + timeout;
        loop {
            let last_commit = self.last_commit(cancel).await;
            match last_commit {
                // Another one, not a later one: the clock may have been set back.
                Ok(last_commit_ns) if last_commit_ns != as_of_ns => return Ok(()),
                // No store yet: it may appear.
                Ok(_) | Err(QueryError::Store { .. }) => {}
                Err(error) => return Err(error),
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(());
            }
            tokio::select! {
                () = cancel.cancelled() => return Err(QueryError::Cancelled),
                () = tokio::time::sleep_until(deadline.min(now + POLL)) => {}
            }
        }
    }

    async fn last_commit(&self, cancel: &CancellationToken) -> Result<u64, QueryError> {
        ask!(self, cancel, snapshot => recorder::last_commit(&mut snapshot))
    }

    async fn begin(&self, cancel: &CancellationToken) -> Result<Snapshot, QueryError> {
        let opened = self.current().await?;
        let first = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(QueryError::Cancelled),
            snapshot = Snapshot::begin(opened, self.limit, cancel) => snapshot,
        };
        match first {
            Ok(snapshot) => Ok(snapshot),
            // A new connection of an old pool may need the other mode.
            Err(error) => {
                tracing::debug!(%error, "the store is opened again");
                self.forget().await;
                Ok(Snapshot::begin(self.current().await?, self.limit, cancel).await?)
            }
        }
    }

    async fn settle<T>(&self, snapshot: Snapshot, result: Result<T, QueryError>) -> Attempt<T> {
        let opened = Arc::clone(&snapshot.opened);
        let attempt = snapshot.finish(result).await;
        // What was read from an immutable file that moved meanwhile may be half old, half new.
        let moved = opened.still && !opened.is_current(&self.path);
        match attempt {
            Attempt::Final(Ok(_)) if moved => Attempt::Again(sqlx::Error::PoolClosed),
            Attempt::Again(error) => {
                self.forget().await;
                Attempt::Again(error)
            }
            attempt @ Attempt::Final(_) => attempt,
        }
    }

    async fn current(&self) -> Result<Arc<Opened>, Unopened> {
        let mut opened = self.opened.lock().await;
        if let Some(opened) = opened
            .as_ref()
            .filter(|opened| opened.is_current(&self.path))
        {
            return Ok(Arc::clone(opened));
        }
        *opened = None;
        let fresh = Arc::new(open(&self.path).await?);
        *opened = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn forget(&self) {
        *self.opened.lock().await = None;
    }
}

/// How long a question may keep SQLite busy.
const LIMIT: Duration = Duration::from_secs(10);
/// How often `changed` looks.
const POLL: Duration = Duration::from_millis(100);
const ATTEMPTS: u32 = 3;
