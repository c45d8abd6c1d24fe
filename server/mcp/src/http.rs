//! MCP over HTTP: Streamable HTTP at `/mcp`, and for old clients, where asked for, HTTP+SSE at `/sse`. For people, `/ui`.
//!
//! Owns: the routes, the limits and the shutdown. `access` decides who is let in, on every route: a page in a browser can
//! reach loopback. `capacity` counts sessions of both transports together. `legacy_sse` is the deprecated transport.

use std::{sync::Arc, time::Duration};

use axum::{
    Router, middleware,
    routing::{any, get},
    serve::ListenerExt,
};
use headwater_query::Store;
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::local::{LocalSessionManager, SessionConfig},
    },
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use self::{
    accept::Forms, access::Access, body::MAX_BODY, capacity::Capacity, legacy_sse::LegacySse,
};
use crate::{server::Server, ui};

pub(crate) mod accept;
mod access;
mod body;
mod capacity;
mod legacy_sse;
mod names;

/// How long requests under way may take to end after the shutdown began: a client that sent half of one ends it never.
const GRACE: Duration = Duration::from_secs(5);

/// Who may ask, and how much of it is served.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Host names besides loopback's.
    pub allowed_hosts: Vec<String>,
    /// Origins besides loopback's: scheme, host and port, `*` for any port; without one, the scheme's own.
    pub allowed_origins: Vec<String>,
    /// Bearer token that must be shown.
    pub token: Option<String>,
    /// Whether `query_sql` is offered.
    pub allow_sql: bool,
    /// Whether the deprecated HTTP+SSE transport is served too.
    pub legacy_sse: bool,
    /// Sessions of older protocol revisions at once, those of HTTP+SSE among them.
    pub max_sessions: usize,
    /// How long a session may be idle. One of HTTP+SSE, whose client is there as long as its stream is, may stay until
    /// its place is needed.
    pub session_idle: Duration,
    /// How often an open stream shows that it is alive.
    pub keep_alive: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            token: None,
            allow_sql: false,
            legacy_sse: false,
            max_sessions: 64,
            session_idle: SessionConfig::DEFAULT_KEEP_ALIVE,
            keep_alive: Duration::from_secs(15),
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
    let server = Arc::new(Server::new(store, version, options.allow_sql));
    let make = move || server.another();
    serve_handlers(listeners, make, &options, shutdown).await
}

/// The same with other servers than Headwater's own: `make` makes one for each session, and for each request where there
/// are no sessions. `allow_sql` means nothing here.
///
/// # Errors
/// `ServeError::Listener`.
pub async fn serve_handlers<S, F>(
    listeners: Vec<TcpListener>,
    make: F,
    options: &HttpOptions,
    shutdown: CancellationToken,
) -> Result<(), ServeError>
where
    S: ServerHandler,
    F: Fn() -> S + Clone + Send + Sync + 'static,
{
    let app = router(make, options, &shutdown);
    let mut servers = JoinSet::new();
    for listener in listeners {
        let (app, shutdown) = (app.clone(), shutdown.clone());
        // An answer is several small writes: each would wait until the client's system acknowledges the one before, which it
        // puts off for 40 ms.
        let listener = listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "a connection's answers may come late");
            }
        });
        servers.spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(shutdown.cancelled_owned())
                .await
        });
    }
    let late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(late);
    loop {
        tokio::select! {
            ended = servers.join_next() => match ended {
                Some(Ok(result)) => result?,
                Some(Err(_)) => {}
                None => return Ok(()),
            },
            () = &mut late => {
                tracing::info!("requests that did not end are given up");
                return Ok(());
            }
        }
    }
}

fn router<S, F>(make: F, options: &HttpOptions, shutdown: &CancellationToken) -> Router
where
    S: ServerHandler,
    F: Fn() -> S + Clone + Send + Sync + 'static,
{
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(options.session_idle);
    let sessions = Arc::new(sessions);
    let capacity = Arc::new(Capacity::new(
        Arc::clone(&sessions),
        options.max_sessions,
        options.session_idle,
    ));
    // Whom `access` let in is let in: what rmcp would check of Host and Origin is checked already, for all routes alike.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_sse_keep_alive(Some(options.keep_alive))
        .with_max_request_body_bytes(MAX_BODY)
        .with_cancellation_token(shutdown.child_token());
    let (one, other) = (make.clone(), make.clone());
    let without_sessions = config
        .clone()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let forms = Forms {
        stream: StreamableHttpService::new(move || Ok(one()), sessions, config),
        json: StreamableHttpService::new(move || Ok(other()), Arc::default(), without_sessions),
    };
    let streamable = Router::new()
        .route("/mcp", any(accept::answer::<S>))
        .with_state(Arc::new(forms))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&capacity),
            capacity::room_to_begin,
        ));
    let (legacy, greeting) = if options.legacy_sse {
        let legacy = LegacySse::new(make, capacity, options.keep_alive, shutdown.clone());
        (
            legacy.router(),
            "Headwater serves the Model Context Protocol: Streamable HTTP at /mcp, the deprecated HTTP+SSE at /sse; a page for people is at /ui\n",
        )
    } else {
        (
            Router::new(),
            "Headwater serves the Model Context Protocol (Streamable HTTP) at /mcp; a page for people is at /ui\n",
        )
    };
    streamable
        .merge(legacy)
        .merge(ui::router())
        .route("/", get(move || async move { greeting }))
        .layer(middleware::from_fn_with_state(
            Arc::new(Access::new(options)),
            access::let_in,
        ))
}
