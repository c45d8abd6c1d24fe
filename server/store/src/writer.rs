//! The writer: opening, batches, closing.
//!
//! Owns: when a batch begins and ends, and the heartbeat. A batch that cannot be committed, for want of room or by an I/O
//! error, is rolled back whole: its exchanges are counted and told in coverage once writing works again, and what later rows
//! refer to (connections, processes, coverage itself) is written with the next batch. The recorder goes on.
//!
//! Invariant: a reader sees whole batches, and nothing of a batch before `commit` has returned.

use std::time::Duration;

use headwater_model::Event;
use rusqlite::Connection;
use sqlx::migrate::Migrator;

use crate::batch::{Batch, write};
use crate::files::{self, Lock};
use crate::options::{Options, StopReason};
use crate::run::{self, Identity};
use crate::state::State;
use crate::{OpenError, WriteError, log, migrate};

/// The only writer of a store.
#[derive(Debug)]
pub struct Writer {
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    pub(crate) state: State,
    tag: String,
    pub(crate) batch: Batch,
    /// When something was last written, and whether the log was moved since.
    wrote_ns: u64,
    is_tidy: bool,
    /// How far the data reached at the last commit.
    reached_ns: u64,
    /// Bytes in use when retention first saw the segment.
    pub(crate) segment_begun_bytes: Option<u64>,
    /// When rows that are in no segment were last looked through for old ones.
    pub(crate) looked_through_ns: u64,
    _lock: Lock,
}

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Committed {
    /// Exchanges stored or updated by this batch.
    pub exchanges: u64,
    /// Rows of this batch that could not be stored, and are told in coverage as soon as there is room for that.
    pub lost: u64,
}

impl Writer {
    /// Opens the store for writing, making it or bringing its schema up to date as needed.
    ///
    /// # Errors
    /// See `OpenError`: among others when another recorder writes to it, or a newer program made it.
    pub fn open(options: Options, now_ns: u64) -> Result<Self, OpenError> {
        Self::open_with(options, now_ns, &migrate::known())
    }

    /// The same with other migrations than this program's own.
    pub(crate) fn open_with(
        options: Options,
        now_ns: u64,
        migrator: &Migrator,
    ) -> Result<Self, OpenError> {
        let path = &options.path;
        let lock = files::claim(path, options.group)?;
        files::make_database(path, options.group)?;
        files::make_marks(path, options.group)?;
        migrate::migrate(path, options.page_bytes, migrator)?;
        let sqlite = |error: rusqlite::Error| OpenError::Sqlite {
            path: path.clone(),
            source: error.into(),
        };
        let mut connection = log::connect(path, options.cache_bytes).map_err(sqlite)?;
        let given = hexadecimal(options.key_fingerprint);
        let transaction = connection.transaction().map_err(sqlite)?;
        let identity = Identity::load(&transaction, &given).map_err(sqlite)?;
        if identity.key_fingerprint != given {
            return Err(OpenError::OtherKey {
                path: path.clone(),
                found: identity.key_fingerprint,
                given,
            });
        }
        let begun = run::begin(&transaction, &options, now_ns).map_err(sqlite)?;
        let state = State::load(&transaction, begun, identity.ids, now_ns).map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        // SQLite has made the log's files by now.
        files::make_database(path, options.group)?;
        Ok(Self {
            connection,
            state,
            tag: identity.tag,
            batch: Batch::default(),
            wrote_ns: now_ns,
            is_tidy: false,
            reached_ns: now_ns,
            segment_begun_bytes: None,
            looked_through_ns: now_ns,
            _lock: lock,
            options,
        })
    }

    /// The four characters that name this store in printable ids.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Puts one event into the open batch.
    ///
    /// # Errors
    /// When the store cannot be written any more. A full disk is no error: see `Committed::lost`.
    pub fn apply(&mut self, event: &Event) -> Result<(), WriteError> {
        self.apply_all([event])
    }

    /// Puts events into the open batch; many at a time cost less than one by one.
    ///
    /// # Errors
    /// As `apply`.
    pub fn apply_all<'e>(
        &mut self,
        events: impl IntoIterator<Item = &'e Event>,
    ) -> Result<(), WriteError> {
        let mut events = events.into_iter();
        if !self.batch.has_failed {
            let result = self.begin().and_then(|()| {
                let Self {
                    connection,
                    state,
                    batch,
                    ..
                } = self;
                write(connection, state, batch, &mut events)
            });
            result.or_else(|error| self.fail(error))?;
        }
        for event in events {
            self.batch.keep(event);
        }
        Ok(())
    }

    /// Commits the batch and says that the recorder is alive. Cheap when nothing happened. What happened until now is in it.
    ///
    /// # Errors
    /// As `apply`.
    pub fn commit(&mut self, now_ns: u64) -> Result<Committed, WriteError> {
        self.commit_until(now_ns, now_ns)
    }

    /// The same by somebody who knows of nothing after `reached_ns` yet.
    ///
    /// # Errors
    /// As `apply`.
    pub fn commit_until(&mut self, now_ns: u64, reached_ns: u64) -> Result<Committed, WriteError> {
        self.batch.has_failed = false;
        let has_news =
            self.batch.has_begun || self.batch.lost.is_some() || !self.batch.carried.is_empty();
        // After news it is said soon that nothing else is to come of that time.
        let is_owed = reached_ns < now_ns && self.reached_ns < self.wrote_ns + HEARTBEAT_NS / 4;
        if !has_news && !is_owed && now_ns.abs_diff(self.state.now_ns) < HEARTBEAT_NS {
            return Ok(Committed::default());
        }
        // Another one each time, for those who wait for the next commit.
        let reached_ns = reached_ns.max((self.reached_ns + 1).min(now_ns));
        let mut committed = Committed {
            exchanges: self.batch.exchanges,
            lost: 0,
        };
        match self.try_commit(now_ns, reached_ns) {
            Ok(()) => {
                self.reached_ns = reached_ns;
                committed.lost = self.batch.newly_lost;
                self.confirm(now_ns);
            }
            Err(error) => {
                self.fail(error)?;
                self.batch.has_failed = false;
                committed.exchanges = 0;
                committed.lost = std::mem::take(&mut self.batch.newly_lost);
            }
        }
        if has_news {
            self.roll_if_due(now_ns)?;
            (self.wrote_ns, self.is_tidy) = (now_ns, false);
        } else if !self.is_tidy && now_ns.abs_diff(self.wrote_ns) > QUIET_NS {
            self.is_tidy = self.passing(log::tidy(&self.connection, &self.options.path))?;
        }
        Ok(committed)
    }

    /// Whether a file of that hash was replayed into this store.
    ///
    /// # Errors
    /// As `apply`.
    pub fn is_replayed(&self, sha256: &str) -> Result<bool, WriteError> {
        Ok(run::is_replayed(&self.connection, sha256)?)
    }

    /// Says, with the open batch, that a file of that hash was replayed.
    ///
    /// # Errors
    /// As `apply`, and when there is no room: a replay that is not noted must be said to have failed.
    pub fn mark_replayed(&mut self, sha256: &str, now_ns: u64) -> Result<(), WriteError> {
        self.begin()?;
        let run_id = self.state.run_id;
        Ok(run::mark_replayed(
            &self.connection,
            run_id,
            sha256,
            now_ns,
        )?)
    }

    /// What follows counts its keys anew, as each capture file does: an equal key is another connection from now on. For the
    /// time between two batches: what an open one or one that failed still has to write is counted as lost.
    pub fn forget_keys(&mut self) {
        let unwritten = std::mem::take(&mut self.batch.carried).len() as u64;
        if unwritten > 0 {
            self.batch.lose(unwritten, self.state.now_ns);
        }
        self.state.forget_keys();
    }

    /// Commits, notes why the run ends, and leaves the store so that any reader of the group can open it.
    ///
    /// # Errors
    /// As `apply`.
    pub fn close(mut self, now_ns: u64, reason: StopReason) -> Result<Committed, WriteError> {
        let committed = self.commit(now_ns)?;
        let ended = self.in_transaction(|connection, state| {
            state.end_identifiers(connection)?;
            state.segment.sum_up(connection)?;
            run::end(connection, state.run_id, now_ns, reason)
        });
        self.passing(ended)?;
        let emptied = log::empty(&self.connection);
        self.passing(emptied)?;
        self.connection.close().map_err(|(_, error)| error)?;
        Ok(committed)
    }

    /// The wall clock was set back: commits, and keeps what follows apart from what was before, in a run and a segment of
    /// their own, so that the newest can still be told from the rest. Without room for that the old ones go on.
    ///
    /// # Errors
    /// As `apply`.
    pub fn clock_set_back(&mut self, now_ns: u64) -> Result<(), WriteError> {
        // As of the time before, which readers compare with that of the rows.
        self.commit(self.state.now_ns)?;
        if self.has_batch() {
            return Ok(());
        }
        self.segment_begun_bytes = None;
        let (options, mut run_id) = (self.options.clone(), self.state.run_id);
        let result = self.in_transaction(|connection, state| {
            state.roll(connection, now_ns, true)?;
            run_id = run::set_back(connection, &options, run_id, now_ns)?;
            Ok(())
        });
        if self.passing(result)? {
            (self.state.run_id, self.state.now_ns) = (run_id, now_ns);
        }
        Ok(())
    }

    fn roll_if_due(&mut self, now_ns: u64) -> Result<(), WriteError> {
        let segment = &self.state.segment;
        let age = Duration::from_nanos(now_ns.saturating_sub(segment.created_ns));
        let is_old = age >= self.options.segment_age && self.state.segment_has_data();
        if is_old || segment.rows + segment.others >= self.options.segment_rows {
            self.roll(now_ns)?;
        }
        Ok(())
    }

    /// Begins the next segment. Without room for it, the old one goes on.
    pub(crate) fn roll(&mut self, now_ns: u64) -> Result<bool, WriteError> {
        self.segment_begun_bytes = None;
        let result = self.in_transaction(|connection, state| state.roll(connection, now_ns, false));
        self.passing(result)
    }

    /// Whether a batch is open.
    pub(crate) fn has_batch(&self) -> bool {
        self.batch.has_begun
    }
}

fn hexadecimal(bytes: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// Without news the recorder says that it is alive so often: readers take five seconds of silence for its death.
const HEARTBEAT_NS: u64 = 1_000_000_000;
/// After so long without news the log is moved into the file.
const QUIET_NS: u64 = 2_000_000_000;
