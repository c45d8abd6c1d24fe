//! The open batch, and what of it outlives a failure.
//!
//! Owns: the difference between what is counted when it is lost (exchanges, DNS exchanges, UDP flows) and what is written again with the next batch,
//! since later rows refer to it or nobody would tell it again (connections, processes, coverage).

use headwater_model::Event;
use rusqlite::Connection;

use crate::state::State;
use crate::statements::{Statements, Texts};

/// The open batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) has_begun: bool,
    /// It was rolled back; what is applied until the commit is lost as well.
    pub(crate) has_failed: bool,
    pub(crate) exchanges: u64,
    /// What must not be lost with it.
    pub(crate) carried: Vec<Event>,
    /// How many found no room there.
    pub(crate) not_carried: u64,
    /// Rows lost and not yet told, and since when.
    pub(crate) lost: Option<(u64, u64)>,
    /// Of these, the ones since the last commit.
    pub(crate) newly_lost: u64,
    texts: Texts,
}

impl Batch {
    /// What must outlive a failure of the batch, and what is counted in it.
    pub(crate) fn note(&mut self, event: &Event) {
        match event {
            Event::Exchange(_) | Event::Dns(_) | Event::UdpFlow(_) => self.exchanges += 1,
            _ if self.carried.len() < MOST_CARRIED => self.carried.push(event.clone()),
            _ => self.not_carried += 1,
        }
    }

    /// The batch has failed already.
    pub(crate) fn keep(&mut self, event: &Event) {
        if matches!(
            event,
            Event::Exchange(_) | Event::Dns(_) | Event::UdpFlow(_)
        ) {
            self.lose(1, 0);
        } else {
            self.note(event);
        }
    }

    pub(crate) fn lose(&mut self, exchanges: u64, since_ns: u64) {
        let (before, from_ns) = self.lost.unwrap_or((0, since_ns));
        self.newly_lost += exchanges;
        self.lost = Some((before.saturating_add(exchanges), from_ns));
    }
}

/// Stores events, holding the statements that most of them need.
pub(crate) fn write<'e>(
    connection: &Connection,
    state: &mut State,
    batch: &mut Batch,
    events: &mut impl Iterator<Item = &'e Event>,
) -> rusqlite::Result<()> {
    let mut texts = std::mem::take(&mut batch.texts);
    let mut statements = Statements::prepare(connection, texts.for_segment(state.segment.id))?;
    for event in events {
        batch.note(event);
        state.apply(&mut statements, event)?;
    }
    drop(statements);
    batch.texts = texts;
    Ok(())
}

/// Connections, processes and coverage kept of batches that failed.
const MOST_CARRIED: usize = 4_096;
