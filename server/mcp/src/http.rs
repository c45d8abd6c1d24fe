//! MCP over Streamable HTTP at `/mcp`.
//!
//! Owns: the guards (Host, Origin, token, size of bodies, number of sessions) and the shutdown. A page in a browser can
//! reach loopback, so both Host and Origin are checked on every route.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use headwater_query::Store;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

/// A request's body at most.
const MAX_BODY: usize = 64 << 10;
/// Origins of pages on this machine.
const LOOPBACK_ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];
/// Names of this machine in the Host header.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Who may ask.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names besides loopback's.
    pub allowed_hosts: Vec<String>,
    /// Origins besides loopback's.
    pub allowed_origins: Vec<String>,
    /// Bearer token that must be shown.
    pub token: Option<String>,
    /// Whether `query_sql` is offered.
    pub allow_sql: bool,
    /// Sessions of older protocol revisions at once.
    pub max_sessions: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            token: None,
            allow_sql: false,
            max_sessions: 64,
        }
    }
}

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listener failed.
    #[error("serving failed")]
    Listener(#[from] std::io::Error),
    /// The transport failed.
    #[error("the connection failed: {0}")]
    Transport(String),
}

/// Serves on all listeners until `shutdown` is cancelled.
///
/// # Errors
/// `ServeError::Listener`.
pub async fn serve_http(
    listeners: Vec<TcpListener>,
    store: Store,
    version: &'static str,
    options: HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let app = router(store, version, &options, &shutdown);
    let mut servers = JoinSet::new();
    for listener in listeners {
        let (app, shutdown) = (app.clone(), shutdown.clone());
        servers.spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
        });
    }
    while let Some(ended) = servers.join_next().await {
        if let Ok(result) = ended {
            result?;
        }
    }
    Ok(())
}

fn router(
    store: Store,
    version: &'static str,
    options: &HttpOptions,
    shutdown: &CancellationToken,
) -> Router {
    let hosts: Vec<String> = LOOPBACK_HOSTS
        .iter()
        .map(|host| (*host).to_owned())
        .chain(options.allowed_hosts.iter().cloned())
        .collect();
    let origins: Vec<String> = LOOPBACK_ORIGINS
        .iter()
        .map(|origin| (*origin).to_owned())
        .chain(options.allowed_origins.iter().cloned())
        .collect();
    let config = StreamableHttpServerConfig::default()
        .enforce_origin_validation()
        .with_allowed_origins(origins)
        .with_allowed_hosts(hosts)
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(shutdown.child_token());
    let sessions = Arc::new(LocalSessionManager::default());
    let server = Server::new(store, version, options.allow_sql);
    let service =
        StreamableHttpService::new(move || Ok(server.another()), Arc::clone(&sessions), config);
    let guard = Guard {
        sessions,
        max_sessions: options.max_sessions,
        token: options.token.as_deref().map(Into::into),
    };
    Router::new()
        .nest_service("/mcp", service)
        .route(
            "/",
            get(|| async {
                "Headwater serves the Model Context Protocol (Streamable HTTP) at /mcp\n"
            }),
        )
        .layer(middleware::from_fn_with_state(guard, guarded))
}

#[derive(Clone)]
struct Guard {
    sessions: Arc<LocalSessionManager>,
    max_sessions: usize,
    token: Option<Arc<str>>,
}

async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if let Some(token) = &guard.token
        && !shows(request.headers(), token)
    {
        return (
            StatusCode::UNAUTHORIZED,
            [(header::WWW_AUTHENTICATE, "Bearer")],
            "show the bearer token of --token-file\n",
        )
            .into_response();
    }
    // A session begins with a POST that names none. Requests of the newest revision name none either and begin none; they
    // carry Mcp-Method, which older ones do not.
    let begins = request.method() == axum::http::Method::POST
        && !request.headers().contains_key("mcp-session-id")
        && !request.headers().contains_key("mcp-method");
    if begins && guard.sessions.sessions.read().await.len() >= guard.max_sessions {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many sessions; close one, or wait for an idle one to expire\n",
        )
            .into_response();
    }
    next.run(request).await
}

/// Compares in a time that does not depend on where the two differ.
fn shows(headers: &HeaderMap, token: &str) -> bool {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    shown.len() == token.len()
        && shown
            .bytes()
            .zip(token.bytes())
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}
