//! A transport that tells when its client will send nothing more.
//!
//! Owns: that, and that the service hears of it when nobody listens any more. At the end it waits five seconds for requests that are
//! under way, among which one that listens would be for ever.

use std::collections::HashSet;
use std::time::Duration;

use rmcp::{
    RoleServer,
    model::{ClientNotification, ClientRequest, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

pub(crate) struct Ending<T> {
    inner: T,
    /// Cancelled then.
    ended: CancellationToken,
    /// Requests to listen that are not answered.
    listening: HashSet<RequestId>,
    /// When the service hears of the end in any case, once it has come.
    at_last: Option<Instant>,
}

impl<T> Ending<T> {
    pub(crate) fn new(inner: T, ended: CancellationToken) -> Self {
        Self {
            inner,
            ended,
            listening: HashSet::new(),
            at_last: None,
        }
    }

    /// Keeps count of who listens.
    fn note(&mut self, message: &RxJsonRpcMessage<RoleServer>) {
        match message {
            JsonRpcMessage::Request(request) => {
                if matches!(
                    request.request,
                    ClientRequest::SubscriptionsListenRequest(_)
                ) {
                    self.listening.insert(request.id.clone());
                }
            }
            JsonRpcMessage::Notification(told) => {
                // What is cancelled is not answered.
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.listening.remove(id);
                }
            }
            _ => {}
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Ending<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let answered = match &item {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        if let Some(id) = answered {
            self.listening.remove(id);
        }
        self.inner.send(item)
    }

    /// Given up and called again whenever anything else is to be done, such as sending an answer.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if self.at_last.is_none() {
            if let Some(message) = self.inner.receive().await {
                self.note(&message);
                return Some(message);
            }
            self.ended.cancel();
            self.at_last = Some(Instant::now() + LONGEST);
        }
        if let Some(at_last) = self.at_last.filter(|_| !self.listening.is_empty()) {
            sleep_until(at_last).await;
        }
        None
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.ended.cancel();
        self.inner.close().await
    }
}

/// How long those that listen may take to end.
const LONGEST: Duration = Duration::from_secs(1);
