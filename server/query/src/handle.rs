//! The reader's handle on a store that may not be there yet.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::{
    Answer, ErrorGroup, ErrorsQuery, ExchangeDetail, ExchangeRow, HeaderPage, SearchQuery, ServiceCall, ServicesQuery,
    Status,
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
    #[error("{id} was recorded, and retention has dropped it since; the oldest kept is from {oldest}")]
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
        /// `x_` and this store's tag.
        prefix: String,
    },
    /// The store cannot be read: missing, not readable, newer.
    #[error("{why} {cure}")]
    Store {
        /// What is the matter.
        why: String,
        /// What to do.
        cure: String,
    },
    /// An id that was never given out.
    #[error("{id} was never given out by this store")]
    Unknown {
        /// The id as given (checked to be of id characters).
        id: String,
    },
    /// SQLite failed. Opaque to callers; the source is for the log.
    #[error("the store could not be read; the server's log has the reason")]
    Sql(#[source] sqlx::Error),
}

/// A handle on the store at a path. Cheap to clone; opens when first needed, and again when the file appears or is replaced.
#[derive(Clone)]
pub struct Store {
    path: PathBuf,
}

impl Store {
    /// A handle; nothing is opened yet.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What is recorded. Never fails for want of a store: that is an answer too.
    ///
    /// # Errors
    /// `Cancelled` and `Sql`.
    pub async fn status(&self, cancel: &CancellationToken) -> Result<Answer<Status>, QueryError> {
        let _ = (&self.path, cancel);
        todo!()
    }
    /// Who serves and who calls whom.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn services(&self, query: &ServicesQuery, cancel: &CancellationToken) -> Result<Answer<Vec<ServiceCall>>, QueryError> {
        let _ = (query, cancel);
        todo!()
    }
    /// Exchanges that match.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn search(&self, query: &SearchQuery, cancel: &CancellationToken) -> Result<Answer<Vec<ExchangeRow>>, QueryError> {
        let _ = (query, cancel);
        todo!()
    }
    /// One exchange in full, by its printable id.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn exchange(&self, id: &str, cancel: &CancellationToken) -> Result<Answer<ExchangeDetail>, QueryError> {
        let _ = (id, cancel);
        todo!()
    }
    /// One header's whole value, from `offset`, at most `max_bytes` of it; `next_cursor` says where it goes on.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn header(&self, id: &str, header: &str, cursor: Option<&str>, max_bytes: usize, cancel: &CancellationToken) -> Result<Answer<Vec<HeaderPage>>, QueryError> {
        let _ = (id, header, cursor, max_bytes, cancel);
        todo!()
    }
    /// Failures, grouped.
    ///
    /// # Errors
    /// See `QueryError`.
    pub async fn errors(&self, query: &ErrorsQuery, cancel: &CancellationToken) -> Result<Answer<Vec<ErrorGroup>>, QueryError> {
        let _ = (query, cancel);
        todo!()
    }
    /// Resolves when the store has a commit newer than `as_of_ns`, or after `timeout`, whichever is first.
    ///
    /// # Errors
    /// `Cancelled` and `Sql`.
    pub async fn changed(&self, as_of_ns: u64, timeout: std::time::Duration, cancel: &CancellationToken) -> Result<(), QueryError> {
        let _ = (as_of_ns, timeout, cancel);
        todo!()
    }
}
