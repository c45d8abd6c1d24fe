//! The reader's handle on a store that may not be there yet.
//!
//! Owns: the questions. How one is asked, when the file is opened and opened again, is in `ask`.

mod ask;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::count::Counted;
use crate::open::Opened;
use crate::{
    Answer, CompareQuery, Comparison, ConnectionDetail, ContainersQuery, DnsQuery, DnsRow,
    ErrorGroup, ErrorsQuery, ExchangeDetail, ExchangeRow, Failing, Failure, HeaderPage, Hop, Mark,
    SearchQuery, ServiceCall, ServicesQuery, Session, SessionQuery, SqlQuery, SqlRows, Status,
    Suggestions, SuggestionsQuery, TimeArgument, TransactionQuery, UdpQuery, UdpRow, compare,
    connection, containers, correlate, count, dns, errors, exchange, failing, marks, recorder,
    search, services, sql, status, suggestions, udp,
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
    Sql(#[from] rusqlite::Error),
}

/// A handle on the store at a path. Cheap to clone; opens when first needed, and again when the file appears or is replaced.
#[derive(Clone)]
pub struct Store {
    path: Arc<PathBuf>,
    opened: Arc<Mutex<Option<Arc<Opened>>>>,
    limit: Duration,
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
        let answer = self.ask(cancel, status::answer).await;
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, _| {
            services::answer(snapshot, &query)
        })
        .await
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
        self.ask(cancel, move |snapshot, _| count::answer(snapshot, counted))
            .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, _| {
            containers::answer(snapshot, &query)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            search::answer(snapshot, path, &query)
        })
        .await
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
        let id = id.to_owned();
        self.ask(cancel, move |snapshot, _| exchange::answer(snapshot, &id))
            .await
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
        let id = id.to_owned();
        self.ask(cancel, move |snapshot, _| {
            connection::answer(snapshot, &id, most)
        })
        .await
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
        let id = id.to_owned();
        let header = header.to_owned();
        let cursor = cursor.map(str::to_owned);
        self.ask(cancel, move |snapshot, _| {
            exchange::header(snapshot, &id, &header, cursor.as_deref(), max_bytes)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            correlate::answer(snapshot, path, &query)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            correlate::session(snapshot, path, &query)
        })
        .await
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
        let id = id.to_owned();
        self.ask(cancel, move |snapshot, path| {
            correlate::explain(snapshot, path, &id)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            dns::answer(snapshot, path, &query)
        })
        .await
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
        let id = id.to_owned();
        self.ask(cancel, move |snapshot, _| dns::one(snapshot, &id))
            .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            udp::answer(snapshot, path, &query)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            errors::answer(snapshot, path, &query)
        })
        .await
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
        let query = query.clone();
        self.ask(cancel, move |snapshot, _| compare::answer(snapshot, &query))
            .await
    }
    /// A SELECT of the caller's own, over `VIEWS`.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn sql(
        &self,
        query: &SqlQuery,
        cancel: &CancellationToken,
    ) -> Result<Answer<SqlRows>, QueryError> {
        let query = query.clone();
        self.ask(cancel, move |snapshot, path| {
            sql::answer(snapshot, path, &query)
        })
        .await
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
        let now_ns = self.ask(cancel, |snapshot, _| Ok(snapshot.now_ns)).await?;
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
        self.ask(cancel, marks::answer).await
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
    /// Values that an argument may be meant to have. Where looking takes too long there are none, and `total` is not known.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn suggestions(
        &self,
        query: &SuggestionsQuery,
        cancel: &CancellationToken,
    ) -> Result<Suggestions, QueryError> {
        let query = query.clone();
        let asked = self
            .clone()
            .with_time_limit(SUGGESTING.min(self.limit))
            .ask(cancel, move |snapshot, path| {
                suggestions::answer(snapshot, path, &query)
            })
            .await;
        match asked {
            Err(QueryError::Argument { .. }) => Ok(Suggestions::default()),
            asked => asked,
        }
    }
    /// The failures of the default window, to be compared with those of `before`.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn failing(
        &self,
        before: Option<Failing>,
        cancel: &CancellationToken,
    ) -> Result<Failing, QueryError> {
        self.ask(cancel, move |snapshot, _| failing::answer(snapshot, before))
            .await
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
        self.ask(cancel, move |snapshot, _| recorder::last_commit(snapshot))
            .await
    }
}

/// How long a question may keep SQLite busy.
const LIMIT: Duration = Duration::from_secs(10);
/// The same of one that somebody waits for while typing.
const SUGGESTING: Duration = Duration::from_secs(1);
/// How often `changed` looks.
const POLL: Duration = Duration::from_millis(100);
