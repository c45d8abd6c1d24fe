//! Rows of processes.

use headwater_model::{ExitStatus, Process, ProcessEnd, ProcessKey};
use headwater_redact::{CommandLine, Text};
use rusqlite::{Connection, params};

use crate::integer::signed;
use crate::state::State;

/// A process that has a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownProcess {
    pub(crate) id: i64,
    /// The batch in which it was last asked for.
    pub(crate) batch: u64,
    /// It was killed, or gave another exit code than 0, and when.
    pub(crate) failure: Option<(ProcessFailure, u64)>,
}

/// How a process failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessFailure {
    Killed,
    Failed,
}

impl State {
    /// Stores a process; one that is known keeps its first row.
    pub(crate) fn process(
        &mut self,
        connection: &Connection,
        process: &Process,
    ) -> rusqlite::Result<()> {
        if self.process_id(Some(process.key)).is_some() {
            return Ok(());
        }
        let service = self.names.service(connection, &process.service)?;
        let id = self.ids.process;
        let ancestors: Vec<String> = process.ancestors.iter().map(ToString::to_string).collect();
        connection
            .prepare_cached(
                "INSERT INTO process (id, run_id, pid, start_boot_ns, executable_name, executable_path, command_line, \
                 cgroup, container_id, ancestors, service_id, first_seen_ns, start_ns, forked_from, executed_ns) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id,
                self.run_id,
                process.key.pid,
                signed(process.key.start_boot_ns),
                process.executable_name.as_str(),
                process.executable_path.as_ref().map(Text::as_str),
                process.command_line.as_ref().map(CommandLine::as_str),
                process.cgroup.as_ref().map(Text::as_str),
                process.container_id,
                ancestors.join(","),
                service,
                signed(self.now_ns),
                (process.start_ns != 0).then(|| signed(process.start_ns)),
                process.forked_from,
                process.executed_ns.map(signed),
            ])?;
        self.ids.process += 1;
        let batch = self.batch;
        let known = KnownProcess {
            id,
            batch,
            failure: None,
        };
        self.processes.set(process.key, known);
        Ok(())
    }

    /// Stores when and how a process ended.
    pub(crate) fn process_ended(
        &mut self,
        connection: &Connection,
        end: &ProcessEnd,
    ) -> rusqlite::Result<()> {
        let Some(id) = self.process_id(Some(end.key)) else {
            return Ok(());
        };
        let (code, signal) = match end.status {
            ExitStatus::Code(code) => (Some(code), None),
            ExitStatus::Signal(signal) => (None, Some(signal)),
        };
        connection
            .prepare_cached(
                "UPDATE process SET end_ns = ?, exit_code = ?, exit_signal = ? WHERE id = ?",
            )?
            .execute(params![signed(end.at_ns), code, signal, id])?;
        let failure = match end.status {
            ExitStatus::Signal(_) => Some(ProcessFailure::Killed),
            ExitStatus::Code(0) => None,
            ExitStatus::Code(_) => Some(ProcessFailure::Failed),
        };
        if let Some(known) = self.processes.get(end.key) {
            let failure = failure.map(|failure| (failure, end.at_ns));
            self.processes
                .set(end.key, KnownProcess { failure, ..known });
        }
        Ok(())
    }

    /// How a process failed, if it has ended since `at_ns` and did. What began later was never its.
    pub(crate) fn process_failure(
        &self,
        key: Option<ProcessKey>,
        at_ns: u64,
    ) -> Option<ProcessFailure> {
        let (failure, end_ns) = self.processes.get(key?)?.failure?;
        (at_ns <= end_ns).then_some(failure)
    }

    /// The row of a process, when it has one.
    pub(crate) fn process_id(&mut self, key: Option<ProcessKey>) -> Option<i64> {
        let known = self.processes.get(key?)?;
        if known.batch != self.batch {
            let batch = self.batch;
            self.processes.set(key?, KnownProcess { batch, ..known });
        }
        Some(known.id)
    }

    /// Forgets the processes not asked for longest, when there are too many. Their rows stay.
    pub(crate) fn forget_processes(&mut self) {
        if self.processes.len() <= MOST_PROCESSES {
            return;
        }
        let mut batches: Vec<u64> = self.processes.values().map(|known| known.batch).collect();
        let middle = batches.len() / 2;
        let (_, median, _) = batches.select_nth_unstable(middle);
        let median = *median;
        let mut room = MOST_PROCESSES / 2;
        self.processes.forget(|_, known| {
            let keep = known.batch > median || (known.batch == median && room > 0);
            room = room.saturating_sub(usize::from(keep));
            keep
        });
    }
}

const MOST_PROCESSES: usize = 16_384;
