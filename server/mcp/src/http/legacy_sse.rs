//! The deprecated transport HTTP+SSE (revision 2024-11-05), for clients that know no other.
//!
//! Owns: its two routes. `GET /sse` opens a session and answers with a stream, whose first event says where to post;
//! `POST /message?sessionId=…` takes one message, whose answer comes in the stream. `session` owns what a session holds and
//! what ends it. Who is let in was decided before (`access`).

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{KeepAlive, Sse},
    },
    routing::{get, post},
};
use percent_encoding::percent_decode_str;
use rmcp::{RoleServer, ServerHandler, ServiceExt, service::RxJsonRpcMessage};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::session::{Opened, Refusal};
pub(super) use self::sessions::Sessions;
use super::{
    body::whole,
    capacity::{Capacity, full},
};

mod session;
mod sessions;

/// How long a session may take to begin, as those of the other transport.
const BEGINNING: Duration = Duration::from_mins(1);
/// Where messages are posted to.
const MESSAGE: &str = "/message";

/// What its routes share.
pub(super) struct LegacySse<F> {
    make: F,
    capacity: Arc<Capacity>,
    keep_alive: Duration,
    shutdown: CancellationToken,
}

impl<S, F> LegacySse<F>
where
    S: ServerHandler,
    F: Fn() -> S + Send + Sync + 'static,
{
    pub(super) fn new(
        make: F,
        capacity: Arc<Capacity>,
        keep_alive: Duration,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            make,
            capacity,
            keep_alive,
            shutdown,
        }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/sse", get(open::<S, F>))
            .route(MESSAGE, post(message::<F>))
            .with_state(Arc::new(self))
    }
}

async fn open<S, F>(State(served): State<Arc<LegacySse<F>>>) -> Response
where
    S: ServerHandler,
    F: Fn() -> S + Send + Sync + 'static,
{
    let sessions = &served.capacity.legacy;
    let most = served.capacity.most_legacy().await;
    let ended = served.shutdown.child_token();
    let Some(opened) = sessions.open(most, ended.clone(), served.keep_alive) else {
        return full();
    };
    let Opened {
        id,
        transport,
        events,
    } = opened;
    let (handler, sessions) = ((served.make)(), Arc::clone(sessions));
    tokio::spawn(async move {
        let begun = handler.serve_with_ct(transport, ended);
        match tokio::time::timeout(BEGINNING, begun).await {
            Ok(Ok(running)) => {
                let _ = running.waiting().await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a session of HTTP+SSE did not begin"),
            Err(_) => tracing::debug!("a session of HTTP+SSE did not begin in time"),
        }
        sessions.end(&id);
    });
    let alive = KeepAlive::new().interval(served.keep_alive);
    let stream = Sse::new(events).keep_alive(alive);
    // Proxies that gather answers would hold the stream back.
    ([("x-accel-buffering", "no")], stream).into_response()
}

async fn message<F>(
    State(served): State<Arc<LegacySse<F>>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let refused = |status: StatusCode, told: &str| (status, format!("{told}\n")).into_response();
    let Some(id) = session_id(query.as_deref().unwrap_or_default()) else {
        let told = "the query has no sessionId; post to the address in the first event of GET /sse";
        return refused(StatusCode::BAD_REQUEST, told);
    };
    let gone = "there is no such session: its stream was closed, or it expired; open another with GET /sse";
    let Some(session) = served.capacity.legacy.named(&id) else {
        return refused(StatusCode::NOT_FOUND, gone);
    };
    if !is_json(&headers) {
        let told = "expected Content-Type: application/json";
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, told);
    }
    let body = match whole(body).await {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let message = match read(&body) {
        Ok(message) => message,
        Err(told) => return refused(StatusCode::BAD_REQUEST, &told),
    };
    match session.accept(message).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(Refusal::Ended) => refused(StatusCode::NOT_FOUND, gone),
        Err(Refusal::Full) => {
            let told = "too many requests of this session are not answered yet; read its stream, then post again";
            refused(StatusCode::SERVICE_UNAVAILABLE, told)
        }
        Err(Refusal::Repeated) => {
            let told = "a request with this id is not answered yet; ids are for one request each";
            refused(StatusCode::BAD_REQUEST, told)
        }
    }
}

fn session_id(query: &str) -> Option<String> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("sessionId="))
        .map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned())
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn read(body: &[u8]) -> Result<RxJsonRpcMessage<RoleServer>, String> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))?;
    if value.is_array() {
        return Err("expected one message, not an array of them".to_owned());
    }
    serde_json::from_value(value).map_err(|_| {
        "expected a JSON-RPC 2.0 request, notification or response of the Model Context Protocol"
            .to_owned()
    })
}
