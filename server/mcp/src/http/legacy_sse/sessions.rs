//! All sessions of HTTP+SSE by their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use rmcp::transport::common::server_side_http::{SessionId, session_id};
use tokio_util::sync::CancellationToken;

use super::session::{Opened, Session, locked};

/// A session is in here as long as it can be posted to.
#[derive(Debug)]
pub(in crate::http) struct Sessions {
    open: Mutex<HashMap<SessionId, Arc<Session>>>,
    /// Who is idle for longer gives its place to another that needs it. Not earlier: when its stream ends, a client of this
    /// transport does not begin anew, and the open stream shows that it is there.
    idle: Duration,
}

impl Sessions {
    pub(in crate::http) fn new(idle: Duration) -> Self {
        Self {
            open: Mutex::default(),
            idle,
        }
    }

    /// Opens one, unless that were more than `most`.
    pub(super) fn open(
        self: &Arc<Self>,
        most: usize,
        ended: CancellationToken,
        keep_alive: Duration,
    ) -> Option<Opened> {
        // A random UUID: 122 bits of the operating system's random numbers.
        let id = session_id();
        let mut open = locked(&self.open);
        if open.len() >= most && !self.make_room(&mut open) {
            return None;
        }
        let (session, opened) = Session::new(id.clone(), Arc::clone(self), ended, keep_alive);
        open.insert(id, session);
        Some(opened)
    }

    /// Whether one more could be opened, for which the idlest is ended if need be.
    pub(in crate::http) fn has_room(&self, most: usize) -> bool {
        let mut open = locked(&self.open);
        open.len() < most || self.make_room(&mut open)
    }

    fn make_room(&self, open: &mut HashMap<SessionId, Arc<Session>>) -> bool {
        let idlest = open
            .iter()
            .filter_map(|(id, session)| Some((session.idle_since()?, id)))
            .min_by_key(|(since, _)| *since)
            .filter(|(since, _)| since.elapsed() >= self.idle)
            .map(|(_, id)| id.clone());
        let Some(session) = idlest.and_then(|id| open.remove(&id)) else {
            return false;
        };
        tracing::debug!("an idle session of HTTP+SSE gives its place to another");
        session.end();
        true
    }

    pub(super) fn named(&self, id: &str) -> Option<Arc<Session>> {
        locked(&self.open).get(id).cloned()
    }

    /// Ends it, if it has not ended already.
    pub(super) fn end(&self, id: &str) {
        // Not in one expression: the lock is given back first.
        let session = locked(&self.open).remove(id);
        if let Some(session) = session {
            session.end();
        }
    }
}
