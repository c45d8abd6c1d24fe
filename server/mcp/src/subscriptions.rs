//! Subscriptions of one client, in both forms: `resources/subscribe` of a session (up to 2025-11-25), and `subscriptions/listen`,
//! a request that is open as long as somebody listens.
//!
//! Owns: how many one client may have, how often it is told, and that each ends with its client. An update holds the resource's
//! address and nothing else; while one is being sent, or was just sent, those that follow become one.

use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use rmcp::{
    ErrorData, Peer, RoleServer,
    model::{PingRequest, ResourceUpdatedNotificationParam, ServerRequest, SubscriptionFilter},
    service::{PeerRequestOptions, RequestContext, SubscriptionContext, SubscriptionSink},
};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::{
    resources::FAILURES_URI,
    watch::{Task, Watch, Watching},
};

/// What one client subscribed to.
pub(crate) struct Subscriptions {
    watch: Watch,
    /// The session's, in the older form: of one resource there is one at most.
    session: Mutex<Option<Task>>,
    /// For those who listen.
    room: Arc<Semaphore>,
    /// Cancelled when the client will send nothing more.
    gone: CancellationToken,
}

impl Subscriptions {
    pub(crate) fn new(watch: Watch) -> Self {
        Self {
            watch,
            session: Mutex::default(),
            room: Arc::new(Semaphore::new(MOST_LISTENING)),
            gone: CancellationToken::new(),
        }
    }

    /// For another client.
    pub(crate) fn of_another(&self) -> Self {
        Self::new(self.watch.clone())
    }

    /// Cancelled by the transport when the client will send nothing more.
    pub(crate) fn gone(&self) -> &CancellationToken {
        &self.gone
    }

    /// Subscribes the session. What fails from the answer on is told.
    pub(crate) async fn subscribe(
        &self,
        uri: &str,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        checked(uri)?;
        let http = context.extensions.get::<Parts>();
        if http.is_some_and(|request| !request.headers.contains_key("mcp-session-id")) {
            return Err(ErrorData::invalid_request(
                "without a session there is nobody to tell; accept text/event-stream too, and begin with initialize",
                None,
            ));
        }
        let mut session = self.session.lock().await;
        if session.as_ref().is_some_and(|task| !task.is_over()) {
            return Ok(());
        }
        let watching = self.watch.begin().await.ok_or_else(too_many)?;
        // Over HTTP nobody sees that a client has gone, and a session of which nothing is heard for five minutes is ended.
        let is_http = http.is_some();
        let peer = context.peer;
        *session = Some(Task::spawn(async move {
            let told = Told::Session(peer.clone());
            if is_http {
                tokio::select! { () = told.of(watching) => {} () = while_it_answers(&peer) => {} }
            } else {
                told.of(watching).await;
            }
        }));
        Ok(())
    }

    /// Ends the session's subscription, if there is one.
    pub(crate) async fn unsubscribe(&self, uri: &str) -> Result<(), ErrorData> {
        checked(uri)?;
        *self.session.lock().await = None;
        Ok(())
    }

    /// Tells whoever listens, until it does no more.
    pub(crate) async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let _room = Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| too_many())?;
        let asked = context.requested().resource_subscriptions.as_deref();
        let accepted = context.accepted().resource_subscriptions.as_deref();
        if accepted.unwrap_or_default().is_empty() {
            // For lists, which never change, there is nothing to tell; that an address cannot be listened to is told.
            if !asked.unwrap_or_default().is_empty() {
                return Err(not_subscribable());
            }
            let _place = self.watch.place().ok_or_else(too_many)?;
            tokio::select! { () = context.cancelled() => {} () = self.gone.cancelled() => {} }
            return Ok(());
        }
        let told = Told::Listener(context.sink().clone());
        let telling = async {
            let watching = self.watch.begin().await.ok_or_else(too_many)?;
            // The client was told that it listens before this began, perhaps listened before, and reads when it likes.
            told.of(watching.with_those_known()).await;
            Ok(())
        };
        // The client's end is waited for at every step: what is sent to one that is gone never arrives.
        tokio::select! {
            biased;
            () = context.cancelled() => Ok(()),
            () = self.gone.cancelled() => Ok(()),
            told = telling => told,
        }
    }
}

/// What of a filter can be listened to.
pub(crate) fn accepted(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let asked = requested.resource_subscriptions.iter().flatten();
    let mut accepted = SubscriptionFilter::new();
    if asked.into_iter().any(|uri| uri == FAILURES_URI) {
        accepted.resource_subscriptions = Some(vec![FAILURES_URI.to_owned()]);
    }
    accepted
}

fn checked(uri: &str) -> Result<(), ErrorData> {
    if uri == FAILURES_URI {
        Ok(())
    } else {
        Err(not_subscribable())
    }
}

/// The address is not said back.
fn not_subscribable() -> ErrorData {
    ErrorData::invalid_params(
        format!(
            "this cannot be subscribed to; {FAILURES_URI} can, the other resources are read when they are needed"
        ),
        None,
    )
}

fn too_many() -> ErrorData {
    ErrorData::invalid_request(
        "there are too many subscriptions; end one that is not needed, or try again later",
        None,
    )
}

/// Who is told.
enum Told {
    Session(Peer<RoleServer>),
    Listener(SubscriptionSink),
}

impl Told {
    /// Sends an update for each change, until one cannot be sent.
    async fn of(&self, mut watching: Watching) {
        while watching.changed().await && self.update().await {
            tokio::time::sleep(BETWEEN_UPDATES).await;
        }
    }

    async fn update(&self) -> bool {
        match self {
            Self::Session(peer) => {
                let update = ResourceUpdatedNotificationParam::new(FAILURES_URI);
                peer.notify_resource_updated(update).await.is_ok()
            }
            Self::Listener(sink) => sink.notify_resource_updated(FAILURES_URI).await.is_ok(),
        }
    }
}

/// Until a client does not answer twice in a row. Asking keeps the session of one that does.
async fn while_it_answers(peer: &Peer<RoleServer>) {
    let mut missed = 0;
    while missed < 2 {
        tokio::time::sleep(BETWEEN_PINGS).await;
        let ping = ServerRequest::PingRequest(PingRequest::default());
        let options = PeerRequestOptions::with_timeout(BETWEEN_PINGS);
        let asking = async {
            let asked = peer.send_request_with_option(ping, options).await?;
            asked.await_response().await
        };
        // The time limit is for a client that reads nothing: there the question itself is stuck.
        let answered = tokio::time::timeout(BETWEEN_PINGS * 2, asking).await;
        missed = if matches!(answered, Ok(Ok(_))) {
            0
        } else {
            missed + 1
        };
    }
}

/// Requests to listen of one client at once, where clients are told apart: over HTTP without sessions all together have the room of
/// `watch`.
const MOST_LISTENING: usize = 8;
const BETWEEN_UPDATES: Duration = Duration::from_secs(5);
const BETWEEN_PINGS: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests;
