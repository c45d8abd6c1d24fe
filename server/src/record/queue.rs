//! The bounded queue from the reader to the writer.
//!
//! Owns: its bound, in events. Exchanges are what there are many of, so they are what is dropped, and counted, when it is
//! full; connections, processes and coverage wait at the reader's side, since later events refer to them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::Duration,
};

use headwater_model::Event;

/// Events under way at most: about a kilobyte each.
const MAX_EVENTS: usize = 16_384;

/// Events given to the writer at once, roughly.
const GATHERED: usize = 4_096;

/// The reader's end.
pub(crate) struct Inlet {
    sender: Sender<Vec<Event>>,
    under_way: Arc<AtomicUsize>,
    waiting: Vec<Event>,
    /// Exchanges dropped since last asked.
    pub(crate) lost: u64,
}

/// The writer's end.
pub(crate) struct Outlet {
    receiver: Receiver<Vec<Event>>,
    under_way: Arc<AtomicUsize>,
}

/// What the writer got.
pub(crate) enum Delivery {
    /// Events.
    Events(Vec<Event>),
    /// Nothing for a while.
    Quiet,
    /// The reader is gone.
    Over,
}

/// Both ends of a new queue.
pub(crate) fn queue() -> (Inlet, Outlet) {
    let (sender, receiver) = channel();
    let under_way = Arc::new(AtomicUsize::new(0));
    (
        Inlet {
            sender,
            under_way: Arc::clone(&under_way),
            waiting: Vec::new(),
            lost: 0,
        },
        Outlet {
            receiver,
            under_way,
        },
    )
}

impl Inlet {
    /// Sends events, or as many as there is room for.
    pub(crate) fn send(&mut self, events: impl Iterator<Item = Event>) {
        self.waiting.extend(events);
        if self.waiting.is_empty() {
            return;
        }
        let room = MAX_EVENTS.saturating_sub(self.under_way.load(Ordering::Relaxed));
        if self.waiting.len() > room {
            let before = self.waiting.len();
            let mut excess = before - room;
            self.waiting.retain(|event| {
                let drop = excess > 0 && matches!(event, Event::Exchange(_));
                excess -= usize::from(drop);
                !drop
            });
            self.lost += (before - self.waiting.len()) as u64;
            if self.waiting.len() > room {
                return;
            }
        }
        self.under_way
            .fetch_add(self.waiting.len(), Ordering::Relaxed);
        // The writer outlives the reader but for a panic, and then there is nobody to tell.
        let _ = self.sender.send(std::mem::take(&mut self.waiting));
    }
}

impl Outlet {
    /// Waits for events.
    pub(crate) fn receive(&self, patience: Duration) -> Delivery {
        match self.receiver.recv_timeout(patience) {
            Ok(mut events) => {
                // What has gathered is written at once: each call of the store has a price of its own.
                while events.len() < GATHERED
                    && let Ok(mut more) = self.receiver.try_recv()
                {
                    events.append(&mut more);
                }
                Delivery::Events(events)
            }
            Err(RecvTimeoutError::Timeout) => Delivery::Quiet,
            Err(RecvTimeoutError::Disconnected) => Delivery::Over,
        }
    }

    /// Whether more events wait than should.
    pub(crate) fn is_filling(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > MAX_EVENTS / 4
    }

    /// Says that so many events are no longer under way.
    pub(crate) fn done(&self, count: usize) {
        self.under_way.fetch_sub(count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use headwater_model::{Coverage, CoverageKind};

    use super::*;

    fn coverage() -> Event {
        Event::Coverage(Coverage {
            kind: CoverageKind::RingLost,
            from_ns: 0,
            until_ns: 0,
            count: 0,
            detail: None,
        })
    }

    #[test]
    fn what_others_refer_to_waits_and_is_never_dropped() {
        let (mut inlet, outlet) = queue();
        inlet.send((0..MAX_EVENTS).map(|_| coverage()));
        inlet.send((0..10).map(|_| coverage()));
        assert_eq!((inlet.lost, inlet.waiting.len()), (0, 10));
        let Delivery::Events(events) = outlet.receive(Duration::ZERO) else {
            panic!("expected events")
        };
        outlet.done(events.len());
        inlet.send(std::iter::empty());
        assert_eq!(inlet.waiting.len(), 0);
    }
}
