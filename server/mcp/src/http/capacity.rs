//! How many sessions there may be, those of both transports together.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::{sync::Mutex, time::timeout};

use super::{MAX_BODY, accept, legacy_sse::Sessions};

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
    // A session begins with a POST that names none. Requests of the newest revision name none either and begin none; they
    // carry Mcp-Method, which older ones do not. Those answered in plain JSON have none either.
    let begins = request.method() == Method::POST
        && !request.headers().contains_key("mcp-session-id")
        && !request.headers().contains_key("mcp-method")
        && !accept::wants_json(request.method(), request.headers());
    if !begins {
        return next.run(request).await;
    }
    // All of it is there before anybody else has to wait for it.
    let (head, body) = request.into_parts();
    let body = match timeout(BEGINNING, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let told = format!("a message may have {MAX_BODY} bytes at most\n");
            return (StatusCode::PAYLOAD_TOO_LARGE, told).into_response();
        }
        Err(_) => {
            let told = "the message did not come to its end\n";
            return (StatusCode::REQUEST_TIMEOUT, told).into_response();
        }
    };
    let _alone = capacity.beginning.lock().await;
    if !capacity.legacy.has_room(capacity.most_legacy().await) {
        return full();
    }
    next.run(Request::from_parts(head, Body::from(body))).await
}

/// How long the message that begins a session may take to arrive.
const BEGINNING: Duration = Duration::from_secs(30);
