//! The writer's transactions, and what happens when one fails.
//!
//! Owns: the difference between an error that passes by itself (no room, an I/O error, somebody's lock), after which memory
//! goes back to the last committed batch and the recorder goes on, and one after which the store is beyond help.

use headwater_model::CoverageKind;
use rusqlite::Connection;

use crate::batch::{Batch, write};
use crate::coverage::Unseen;
use crate::error::is_passing;
use crate::state::State;
use crate::{WriteError, Writer, run};

impl Writer {
    /// Begins a transaction, unless one is open, with what the one before failed to write.
    pub(crate) fn begin(&mut self) -> rusqlite::Result<()> {
        if self.batch.has_begun {
            return Ok(());
        }
        self.connection
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])?;
        self.batch.has_begun = true;
        let carried = std::mem::take(&mut self.batch.carried);
        if carried.is_empty() {
            return Ok(());
        }
        let Self {
            connection,
            state,
            batch,
            ..
        } = self;
        let mut events = carried.iter();
        let result = write(connection, state, batch, &mut events);
        for event in events {
            self.batch.keep(event);
        }
        result
    }

    pub(crate) fn try_commit(&mut self, now_ns: u64, reached_ns: u64) -> rusqlite::Result<()> {
        self.begin()?;
        if let Some((count, from_ns)) = self.batch.lost.filter(|(count, _)| *count > 0) {
            let unseen = Unseen {
                kind: CoverageKind::WriteFailed,
                from_ns,
                until_ns: now_ns,
                count,
                detail: None,
            };
            let run_id = self.state.run_id;
            self.state
                .coverage
                .write(&self.connection, run_id, unseen)?;
        }
        self.state.finish(&self.connection)?;
        run::heartbeat(&self.connection, self.state.run_id, reached_ns)?;
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    pub(crate) fn confirm(&mut self, now_ns: u64) {
        self.state.now_ns = now_ns;
        self.state.confirm();
        self.batch = Batch::default();
    }

    /// Rolls the batch back and counts it as lost, or says that the store is beyond help.
    pub(crate) fn fail(&mut self, error: rusqlite::Error) -> Result<(), WriteError> {
        if !self.connection.is_autocommit() {
            // SQLite has rolled back by itself after some errors; after the others this does not need room.
            self.connection.execute_batch("ROLLBACK")?;
        }
        if !is_passing(&error) {
            return Err(error.into());
        }
        let exchanges = std::mem::take(&mut self.batch.exchanges);
        let others = std::mem::take(&mut self.batch.not_carried);
        tracing::warn!(%error, exchanges, others, "a batch could not be written");
        self.batch.lose(exchanges + others, self.state.now_ns);
        self.batch.has_begun = false;
        self.batch.has_failed = true;
        Ok(self.state.restore(&self.connection)?)
    }

    /// Does something in a transaction of its own; afterwards the state is as committed, or as it was.
    pub(crate) fn in_transaction(
        &mut self,
        work: impl FnOnce(&Connection, &mut State) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = work(&self.connection, &mut self.state)
            .and_then(|()| self.connection.execute_batch("COMMIT"));
        if result.is_ok() {
            self.state.confirm();
            return Ok(());
        }
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.state.restore(&self.connection)?;
        result
    }

    /// Turns an error that passes by itself into `false`.
    pub(crate) fn passing(&self, result: rusqlite::Result<()>) -> Result<bool, WriteError> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, path = %self.options.path.display(), "put off for later");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}
