//! Progress of a call, for clients that ask for it.
//!
//! Owns: when it is told: every second of any call, and at once when it waits for something. What is told only grows, as the
//! protocol wants it.

use std::time::Duration;

use axum::http::request::Parts;
use rmcp::{
    RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};

use crate::http::accept::JsonAlone;

/// Seconds that a wait has lasted, and will last at most.
pub(crate) type Waited = (u64, u64);

/// What to tell it by, to a client that wants it and accepts more than the answer.
pub(crate) fn wanted(context: &RequestContext<RoleServer>) -> Option<ProgressToken> {
    let parts = context.extensions.get::<Parts>();
    let is_alone = parts.is_some_and(|parts| parts.extensions.get::<JsonAlone>().is_some());
    context.meta.get_progress_token().filter(|_| !is_alone)
}

/// Awaits an answer, and tells meanwhile how long it has taken.
pub(crate) async fn telling<T>(
    answering: impl Future<Output = T>,
    mut waited: mpsc::UnboundedReceiver<Waited>,
    peer: &Peer<RoleServer>,
    token: Option<ProgressToken>,
) -> T {
    tokio::pin!(answering);
    let Some(token) = token else {
        return answering.await;
    };
    let begun = Instant::now();
    let mut seconds = interval_at(begun + SECOND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told: Option<u64> = None;
    let mut of_wait = None;
    loop {
        let now = tokio::select! {
            answer = &mut answering => return answer,
            Some((elapsed, whole)) = waited.recv() => {
                of_wait = Some(whole);
                elapsed
            }
            _ = seconds.tick(), if of_wait.is_none() => begun.elapsed().as_secs(),
        };
        if told.is_some_and(|told| now <= told) {
            continue;
        }
        told = Some(now);
        #[expect(clippy::cast_precision_loss, reason = "a call lasts no weeks")]
        let mut progress = ProgressNotificationParam::new(token.clone(), now as f64);
        progress = match of_wait {
            #[expect(clippy::cast_precision_loss, reason = "at most 25 seconds")]
            Some(whole) => progress
                .with_total(whole as f64)
                .with_message("waiting for the next match"),
            None => progress.with_message("reading the store; seconds so far"),
        };
        let telling = peer.notify_progress(progress);
        // A client that does not read holds up nobody's answer but its own.
        tokio::select! {
            answer = &mut answering => return answer,
            _ = telling => {}
        }
    }
}

const SECOND: Duration = Duration::from_secs(1);
