//! Commits and the store's limits, away from the recorder's thread: a commit may have to wait for the disk, and what is
//! observed does not.
//!
//! Owns: the writer's way to another thread and back, and the thread that moves the store's log. While the writer is away
//! the recorder keeps what came out, and beyond its bound leaves records in the ring buffer.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use headwater_store::{LogMover, Writer};

use super::capabilities;
use crate::clock::now_ns;

/// A writer to be committed.
struct Batch {
    writer: Box<Writer>,
    /// How far its data reaches.
    reached_ns: u64,
    /// Whether the limits are to be enforced as well.
    retain: bool,
}

/// The writer, or the way that it comes back on.
pub(crate) struct Committer {
    here: Option<Box<Writer>>,
    sender: SyncSender<Batch>,
    returned: Receiver<Box<Writer>>,
}

/// Its two threads.
pub(crate) struct Threads([JoinHandle<()>; 2]);

impl Committer {
    /// Starts the threads.
    pub(crate) fn start(writer: Writer, log: LogMover) -> (Self, Threads) {
        let (sender, batches) = sync_channel(1);
        let (back, returned) = sync_channel(1);
        let (wake, woken) = sync_channel(1);
        let threads = Threads([
            std::thread::spawn(move || {
                capabilities::keep(capabilities::STORE);
                commit_all(&batches, &back, &wake);
            }),
            std::thread::spawn(move || {
                capabilities::keep(capabilities::STORE);
                move_log(&log, &woken);
            }),
        ]);
        let committer = Self {
            here: Some(Box::new(writer)),
            sender,
            returned,
        };
        (committer, threads)
    }

    /// The writer, unless it is away.
    pub(crate) fn writer(&mut self) -> Option<&mut Writer> {
        if self.here.is_none() {
            self.here = self.returned.try_recv().ok();
        }
        self.here.as_deref_mut()
    }

    /// Sends the writer to commit what there is, of all that happened before `reached_ns`. Says whether it was here.
    pub(crate) fn commit(&mut self, reached_ns: u64, retain: bool) -> bool {
        // It may have come back without anybody asking for it: a quiet recorder commits its sign of life.
        self.writer();
        let Some(writer) = self.here.take() else {
            return false;
        };
        let batch = Batch {
            writer,
            reached_ns,
            retain,
        };
        if let Err(refused) = self.sender.send(batch) {
            self.here = Some(refused.0.writer);
        }
        true
    }

    /// Waits for the writer. `None` when its thread died with it, which only a defect can make happen.
    pub(crate) fn wait(self) -> Option<Writer> {
        let writer = self.here.or_else(|| self.returned.recv().ok());
        writer.map(|writer| *writer)
    }
}

impl Threads {
    /// Whether one has ended.
    pub(crate) fn any_ended(&self) -> bool {
        self.0.iter().any(JoinHandle::is_finished)
    }

    /// Waits for both, which end with the recorder. Says whether they ended well.
    pub(crate) fn join(self) -> bool {
        self.0.into_iter().all(|thread| thread.join().is_ok())
    }
}

fn commit_all(batches: &Receiver<Batch>, back: &SyncSender<Box<Writer>>, wake: &SyncSender<()>) {
    while let Ok(batch) = batches.recv() {
        let Batch {
            mut writer,
            reached_ns,
            retain,
        } = batch;
        if let Err(error) = writer.commit_until(now_ns(), reached_ns) {
            tracing::error!(%error, "a batch could not be committed");
        }
        if retain && let Err(error) = writer.retain(now_ns()) {
            tracing::error!(%error, "the limits of the store could not be enforced");
        }
        if back.send(writer).is_err() {
            return;
        }
        // Awake already when the channel is full.
        let _ = wake.try_send(());
    }
}

/// Moves the store's log whenever it is woken.
fn move_log(mover: &LogMover, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        if let Err(error) = mover.move_if_long() {
            tracing::warn!(%error, "the store's log could not be moved; the next commits try again");
        }
    }
}
