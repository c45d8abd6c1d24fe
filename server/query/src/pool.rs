//! Connections to one store that are open and read nothing at the moment.
//!
//! Owns: how many there are at once, and that one that was not needed for a while is closed. One on which a statement failed is not
//! given back (`snapshot`).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::open::connect;

/// The connections to a store.
#[derive(Debug)]
pub(crate) struct Pool {
    path: PathBuf,
    still: bool,
    idle: Mutex<Vec<(Instant, Connection)>>,
    room: Arc<Semaphore>,
}

/// The right to have a connection.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Pool {
    /// With one connection that is open already.
    pub(crate) fn new(path: &Path, still: bool, connection: Connection) -> Self {
        Self {
            path: path.to_owned(),
            still,
            idle: Mutex::new(vec![(Instant::now(), connection)]),
            room: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// Waits until there is room for one more that reads; `None` where that takes too long.
    pub(crate) async fn turn(&self) -> Option<Turn> {
        let permit = Arc::clone(&self.room).acquire_owned();
        let permit = tokio::time::timeout(LONGEST_WAIT, permit).await;
        permit.ok()?.ok().map(Turn)
    }

    /// A connection: the one that was used last, whose pages are at hand, or a new one.
    ///
    /// # Errors
    /// SQLite's, when it cannot be opened.
    pub(crate) fn take(&self, _: &Turn) -> Result<Connection, rusqlite::Error> {
        let idle = self.locked(|idle| {
            idle.retain(|(since, _)| since.elapsed() < LONGEST_IDLE);
            idle.pop()
        });
        match idle {
            Some((_, connection)) => Ok(connection),
            None => connect(&self.path, self.still),
        }
    }

    /// Takes it back.
    pub(crate) fn give(&self, connection: Connection) {
        self.locked(|idle| idle.push((Instant::now(), connection)));
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Vec<(Instant, Connection)>) -> T) -> T {
        work(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

const CONNECTIONS: usize = 4;
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_IDLE: Duration = Duration::from_mins(1);
