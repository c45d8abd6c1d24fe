//! How many sessions there may be, those of both transports together.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;

use super::legacy_sse::Sessions;

/// All sessions, and their limit.
#[derive(Debug)]
pub(super) struct Capacity {
    streamable: Arc<LocalSessionManager>,
    pub(super) legacy: Arc<Sessions>,
    most: usize,
}

impl Capacity {
    pub(super) fn new(streamable: Arc<LocalSessionManager>, most: usize, idle: Duration) -> Self {
        Self {
            streamable,
            legacy: Arc::new(Sessions::new(idle)),
            most,
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
    // carry Mcp-Method, which older ones do not.
    let begins = request.method() == Method::POST
        && !request.headers().contains_key("mcp-session-id")
        && !request.headers().contains_key("mcp-method");
    if begins && !capacity.legacy.has_room(capacity.most_legacy().await) {
        return full();
    }
    next.run(request).await
}
