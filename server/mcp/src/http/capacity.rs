//! How many sessions there may be, those of both transports together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::sync::Mutex;

use super::{accept, body::whole, legacy_sse::Sessions};

/// All sessions, and their limit.
#[derive(Debug)]
pub(super) struct Capacity {
    streamable: Arc<LocalSessionManager>,
    pub(super) legacy: Arc<Sessions>,
    most: usize,
    /// Sessions of Streamable HTTP begin one at a time: of many at once none is let in too many.
    beginning: Mutex<()>,
}

impl Capacity {
    pub(super) fn new(streamable: Arc<LocalSessionManager>, most: usize, idle: Duration) -> Self {
        Self {
            streamable,
            legacy: Arc::new(Sessions::new(idle)),
            most,
            beginning: Mutex::new(()),
        }
    }

    /// How many sessions of HTTP+SSE there may be.
    pub(super) async fn most_legacy(&self) -> usize {
        let others = self.streamable.sessions.read().await.len();
        self.most.saturating_sub(others)
    }
}

/// What a client is told when there is no room.
pub(super) fn full() -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        "too many sessions; close one, or wait for an idle one to expire\n",
    )
        .into_response()
}

/// Passes on what begins no session of Streamable HTTP, or has room to.
pub(super) async fn room_to_begin(
    State(capacity): State<Arc<Capacity>>,
    request: Request,
    next: Next,
) -> Response {
    // Only a message to begin one does, in which no session is named.
    let names_session = request
        .headers()
        .get("mcp-session-id")
        .is_some_and(|id| id.to_str().is_ok());
    if request.method() != Method::POST || names_session {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let begins = serde_json::from_slice::<Message>(&body)
        .is_ok_and(|message| message.method == "initialize")
        && !accept::wants_json(&head.method, &head.headers);
    let request = Request::from_parts(head, Body::from(body));
    if !begins {
        return next.run(request).await;
    }
    let _alone = capacity.beginning.lock().await;
    if !capacity.legacy.has_room(capacity.most_legacy().await) {
        return full();
    }
    next.run(request).await
}

/// What a message has to say of itself.
#[derive(serde::Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    method: std::borrow::Cow<'m, str>,
}
