//! Who looks whether the failures changed, while anybody wants to know.
//!
//! Owns: that one looks however many want to know, and nobody when none does; how often, and how many may want to know at once.
//! Whether anything was committed is asked before the roll-ups are (`headwater_query::Failing`).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use headwater_query::{Failing, QueryError, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All who want to know in this process.
#[derive(Clone)]
pub(crate) struct Watch {
    store: Store,
    room: Arc<Semaphore>,
    looking: Arc<Mutex<Weak<Looking>>>,
}

/// Somebody who looks, as long as there is anybody who holds it.
struct Looking {
    seen: watch::Receiver<Option<Failing>>,
    _task: Task,
}

/// One who wants to know.
pub(crate) struct Watching {
    seen: watch::Receiver<Option<Failing>>,
    _looking: Arc<Looking>,
    _room: OwnedSemaphorePermit,
}

/// A task that ends with its owner.
pub(crate) struct Task(JoinHandle<()>);

impl Watch {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            room: Arc::new(Semaphore::new(MOST)),
            looking: Arc::default(),
        }
    }

    /// Begins: what is committed from now on is told. `None` when too many want to know.
    pub(crate) async fn begin(&self) -> Option<Watching> {
        let room = self.place()?;
        let looking = self.looking();
        let mut seen = looking.seen.clone();
        // Of who looks already: what it saw last, so that nothing in between is missed.
        seen.wait_for(Option::is_some).await.ok()?;
        Some(Watching {
            seen,
            _looking: looking,
            _room: room,
        })
    }

    /// Room for one who only wants to be there, which counts as much.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    fn looking(&self) -> Arc<Looking> {
        let mut known = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looking) = known.upgrade() {
            return looking;
        }
        let (tell, seen) = watch::channel(None);
        let task = Task::spawn(look(self.store.clone(), tell));
        let looking = Arc::new(Looking { seen, _task: task });
        *known = Arc::downgrade(&looking);
        looking
    }
}

impl Watching {
    /// Takes failures that there are already for a change: for one of whom nobody knows what it has read.
    pub(crate) fn with_those_known(mut self) -> Self {
        if self.seen.borrow().is_some_and(|seen| seen.is_any()) {
            self.seen.mark_changed();
        }
        self
    }

    /// Resolves when the failures are others than when it last did, or it began; false when nobody looks any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.seen.changed().await.is_ok()
    }
}

impl Task {
    pub(crate) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Looks, until it is aborted, which stops SQLite too.
async fn look(store: Store, tell: watch::Sender<Option<Failing>>) {
    let cancel = CancellationToken::new();
    let mut last = None;
    loop {
        let begun = Instant::now();
        match store.failing(last, &cancel).await {
            Ok(now) => last = Some(now),
            // There is none yet, or it is being replaced: nothing failed that is known.
            Err(QueryError::Store { .. }) => {}
            Err(error) => tracing::debug!(%error, "could not look whether the failures changed"),
        }
        let now = last.unwrap_or_default();
        tell.send_if_modified(|seen| {
            let is_news = seen.is_none_or(|before| now.is_other_than(&before));
            *seen = Some(now);
            is_news
        });
        // However large the store is, a small part of the time.
        tokio::time::sleep(BETWEEN_LOOKS.max(begun.elapsed() * 8)).await;
    }
}

/// How many may want to know at once, of all clients.
const MOST: usize = 128;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_looks_however_many_want_to_know_and_nobody_when_none_does() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new(Store::new(&folder.path().join("none.db")));
        assert!(watch.looking.lock().unwrap().upgrade().is_none());
        let (one, other) = (watch.begin().await.unwrap(), watch.begin().await.unwrap());
        assert_eq!(watch.looking.lock().unwrap().strong_count(), 2);
        drop(one);
        let looking = watch.looking.lock().unwrap().upgrade().unwrap();
        let mut seen = looking.seen.clone();
        drop((looking, other));
        assert!(watch.looking.lock().unwrap().upgrade().is_none());
        // Its end is that of the task, which holds the other side.
        while seen.changed().await.is_ok() {}
        assert!(watch.begin().await.is_some());
    }

    #[tokio::test]
    async fn too_many_are_refused_and_an_end_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let watch = Watch::new(Store::new(&folder.path().join("none.db")));
        let mut all = Vec::new();
        for _ in 0..MOST {
            all.push(watch.begin().await.unwrap());
        }
        assert!(watch.begin().await.is_none());
        all.pop();
        assert!(watch.begin().await.is_some());
    }
}
