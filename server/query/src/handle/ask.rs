//! How a question is asked: begin a snapshot on a thread that may block, work until the answer or the caller's cancellation, end
//! the snapshot, and try again when something moved under it.
//!
//! Owns: that, and when the file is opened and opened again.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::open::{Opened, open};
use crate::pool::Turn;
use crate::snapshot::{Attempt, Snapshot};
use crate::unopened::Unopened;
use crate::{QueryError, Store};

impl Store {
    /// Answers a question from a snapshot, with one more attempt where that makes sense. Reading blocks: it has a thread of
    /// its own, which stops soon after the caller goes away.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        cancel: &CancellationToken,
        work: impl Fn(&mut Snapshot, &Path) -> Result<T, QueryError> + Send + Sync + 'static,
    ) -> Result<T, QueryError> {
        let stop = cancel.child_token();
        let _stopped_at_the_end = stop.clone().drop_guard();
        let asked = self.attempts(&stop, Arc::new(work));
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(QueryError::Cancelled),
            answer = asked => answer,
        }
    }

    async fn attempts<T: Send + 'static>(
        &self,
        stop: &CancellationToken,
        work: Arc<impl Fn(&mut Snapshot, &Path) -> Result<T, QueryError> + Send + Sync + 'static>,
    ) -> Result<T, QueryError> {
        let mut attempts = 0;
        loop {
            let opened = self.current().await?;
            let turn = opened.pool.turn().await.ok_or_else(crowded)?;
            let (path, limit) = (Arc::clone(&self.path), self.limit);
            let (stop, work) = (stop.clone(), Arc::clone(&work));
            let attempt = tokio::task::spawn_blocking(move || {
                attempt(&opened, turn, (&path, limit), &stop, &*work)
            });
            attempts += 1;
            match attempt.await {
                Ok(Attempt::Final(result)) => return result,
                Ok(Attempt::Again(_)) if attempts < ATTEMPTS => self.forget().await,
                Ok(Attempt::Again(error)) => return Err(error),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime is being shut down.
                Err(_) => return Err(QueryError::Cancelled),
            }
        }
    }

    pub(super) async fn current(&self) -> Result<Arc<Opened>, Unopened> {
        let mut opened = self.opened.lock().await;
        if let Some(opened) = opened
            .as_ref()
            .filter(|opened| opened.is_current(&self.path))
        {
            return Ok(Arc::clone(opened));
        }
        *opened = None;
        let path = Arc::clone(&self.path);
        let fresh = tokio::task::spawn_blocking(move || open(&path)).await;
        let fresh = Arc::new(fresh.unwrap_or(Err(Unopened::Missing))?);
        *opened = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn forget(&self) {
        *self.opened.lock().await = None;
    }
}

fn attempt<T>(
    opened: &Arc<Opened>,
    turn: Turn,
    (path, limit): (&Path, Duration),
    stop: &CancellationToken,
    work: &impl Fn(&mut Snapshot, &Path) -> Result<T, QueryError>,
) -> Attempt<T> {
    let mut snapshot = match Snapshot::begin(Arc::clone(opened), turn, limit, stop) {
        Ok(snapshot) => snapshot,
        // A new connection of an old pool may need the other mode.
        Err(error) => return Attempt::Again(QueryError::Sql(error)),
    };
    let result = work(&mut snapshot, path);
    let attempt = snapshot.finish(result);
    // What was read from an immutable file that moved meanwhile may be half old, half new.
    let moved = opened.still && !opened.is_current(path);
    match attempt {
        Attempt::Final(Ok(_)) if moved => Attempt::Again(QueryError::Store {
            why: "The store is being written anew.".to_owned(),
            cure: "Ask again in a moment.".to_owned(),
            state: None,
        }),
        attempt => attempt,
    }
}

fn crowded() -> QueryError {
    QueryError::Store {
        why: "Too many questions are being answered.".to_owned(),
        cure: "Ask again in a moment, and fewer at once.".to_owned(),
        state: None,
    }
}

const ATTEMPTS: u32 = 3;
