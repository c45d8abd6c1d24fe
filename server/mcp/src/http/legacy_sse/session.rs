//! One session of HTTP+SSE: messages in, events out, both bounded.
//!
//! Owns: how much a client may leave unanswered and unread, and that everything ends together. The stream goes away with its
//! connection, which ends the session, which cancels what its requests are doing; a session that ends otherwise ends its
//! stream. A client that does not read holds back its own requests, and after a while is taken for gone.

use std::{
    collections::{HashMap, hash_map::Entry},
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use axum::response::sse::Event;
use futures_core::Stream;
use rmcp::{
    RoleServer,
    model::{ClientNotification, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::{Transport, common::server_side_http::SessionId},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{MESSAGE, sessions::Sessions};

/// Requests of a session that are not answered, at most.
const UNANSWERED: usize = 32;
/// Messages between a route and the handler, or the handler and the stream, at most.
const QUEUE: usize = 16;
/// How long a post waits for room.
const PATIENCE: Duration = Duration::from_secs(4);
/// In how many keep-alives' time a client must read something.
const UNREAD: u32 = 4;

/// A session as its posts see it.
#[derive(Debug)]
pub(super) struct Session {
    to_handler: mpsc::Sender<RxJsonRpcMessage<RoleServer>>,
    /// Cancelled when the session ends, for whatever reason.
    ended: CancellationToken,
    room: Arc<Semaphore>,
    /// The room that each request takes until it is answered or cancelled.
    unanswered: Mutex<HashMap<RequestId, OwnedSemaphorePermit>>,
    active: Mutex<Instant>,
}

/// What belongs to a new session besides.
pub(super) struct Opened {
    pub(super) id: SessionId,
    pub(super) transport: Messages,
    pub(super) events: Events,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Ended,
    Full,
    Repeated,
}

impl Session {
    pub(super) fn new(
        id: SessionId,
        sessions: Arc<Sessions>,
        ended: CancellationToken,
        keep_alive: Duration,
    ) -> (Arc<Self>, Opened) {
        let (to_handler, posted) = mpsc::channel(QUEUE);
        let (to_stream, told) = mpsc::channel(QUEUE);
        let session = Arc::new(Self {
            to_handler,
            ended: ended.clone(),
            room: Arc::new(Semaphore::new(UNANSWERED)),
            unanswered: Mutex::default(),
            active: Mutex::new(Instant::now()),
        });
        let transport = Messages {
            session: Arc::clone(&session),
            posted,
            to_stream,
            unread: keep_alive.saturating_mul(UNREAD),
        };
        let events = Events {
            id: id.clone(),
            sessions,
            address_told: false,
            told,
            ended: Box::pin(ended.cancelled_owned()),
        };
        let opened = Opened {
            id,
            transport,
            events,
        };
        (session, opened)
    }

    /// Hands a message to the handler.
    pub(super) async fn accept(
        &self,
        message: RxJsonRpcMessage<RoleServer>,
    ) -> Result<(), Refusal> {
        self.is_active();
        let accepted = timeout(PATIENCE, self.hand_over(message));
        match self.ended.run_until_cancelled(accepted).await {
            None => Err(Refusal::Ended),
            Some(Err(_)) => Err(Refusal::Full),
            Some(Ok(result)) => result,
        }
    }

    async fn hand_over(&self, message: RxJsonRpcMessage<RoleServer>) -> Result<(), Refusal> {
        let ended = |_| Refusal::Ended;
        let request = match &message {
            JsonRpcMessage::Request(request) => Some(request.id.clone()),
            _ => None,
        };
        let room = match request {
            Some(_) => Some(self.room.clone().acquire_owned().await.map_err(ended)?),
            None => None,
        };
        let place = self
            .to_handler
            .reserve()
            .await
            .map_err(|_| Refusal::Ended)?;
        // From here on nothing waits: either both the queue and the table have it, or neither.
        if let (Some(id), Some(room)) = (request, room) {
            match locked(&self.unanswered).entry(id) {
                Entry::Occupied(_) => return Err(Refusal::Repeated),
                Entry::Vacant(entry) => entry.insert(room),
            };
        }
        if let JsonRpcMessage::Notification(told) = &message
            && let ClientNotification::CancelledNotification(cancelled) = &told.notification
            && let Some(id) = &cancelled.params.request_id
        {
            // What is cancelled is not answered.
            self.is_answered(id);
        }
        place.send(message);
        Ok(())
    }

    fn is_answered(&self, id: &RequestId) {
        locked(&self.unanswered).remove(id);
    }

    fn is_active(&self) {
        *locked(&self.active) = Instant::now();
    }

    /// Since when nothing was asked or answered; none while something is being answered.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let unanswered = locked(&self.unanswered).len();
        (unanswered == 0).then(|| *locked(&self.active))
    }

    pub(super) fn end(&self) {
        self.ended.cancel();
    }
}

/// A session as its handler sees it.
pub(super) struct Messages {
    session: Arc<Session>,
    posted: mpsc::Receiver<RxJsonRpcMessage<RoleServer>>,
    to_stream: mpsc::Sender<String>,
    unread: Duration,
}

/// Why a message did not get into the stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untold {
    #[error("the message cannot be written")]
    Message(#[from] serde_json::Error),
    #[error("the stream is closed, or nobody reads it")]
    Stream,
}

impl Transport<RoleServer> for Messages {
    type Error = Untold;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Untold>> + Send + 'static {
        let (session, to_stream) = (Arc::clone(&self.session), self.to_stream.clone());
        let unread = self.unread;
        async move {
            let answered = match &message {
                JsonRpcMessage::Response(response) => Some(response.id.clone()),
                JsonRpcMessage::Error(error) => error.id.clone(),
                _ => None,
            };
            let text = serde_json::to_string(&message)?;
            let sent = to_stream.send_timeout(text, unread).await;
            if sent.is_err() {
                session.end();
                return Err(Untold::Stream);
            }
            if let Some(id) = answered {
                session.is_answered(&id);
            }
            session.is_active();
            Ok(())
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.posted.recv().await
    }

    async fn close(&mut self) -> Result<(), Untold> {
        self.posted.close();
        Ok(())
    }
}

/// A session as its client sees it. Dropped with the connection, it ends the session.
pub(super) struct Events {
    id: SessionId,
    sessions: Arc<Sessions>,
    address_told: bool,
    told: mpsc::Receiver<String>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Stream for Events {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.address_told {
            self.address_told = true;
            let address = format!("{MESSAGE}?sessionId={}", self.id);
            return Poll::Ready(Some(Ok(Event::default().event("endpoint").data(address))));
        }
        match self.told.poll_recv(context) {
            Poll::Ready(message) => Poll::Ready(
                message.map(|message| Ok(Event::default().event("message").data(message))),
            ),
            Poll::Pending => {
                ready!(self.ended.as_mut().poll(context));
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.sessions.end(&self.id);
    }
}

/// What a thread that panicked left is as good as before: no value here is halfway changed.
pub(super) fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}
