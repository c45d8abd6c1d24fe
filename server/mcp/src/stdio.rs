//! MCP over stdio: standard output is the protocol's.

use headwater_query::Store;
use rmcp::{
    RoleServer, ServiceExt,
    service::ServerInitializeError,
    transport::{IntoTransport, stdio_pipes},
};

use crate::{ServeError, ending::Ending, server::Server};

/// Serves until the client closes its end. A client that goes away before its first request is no error.
///
/// # Errors
/// `ServeError::Transport`.
pub async fn serve_stdio(store: Store, version: &'static str) -> Result<(), ServeError> {
    Box::pin(serve_stream(store, version, stdio_pipes())).await
}

/// The same on any pair of streams, such as the end of a pipe.
///
/// # Errors
/// `ServeError::Transport`.
pub async fn serve_stream<T, E, A>(
    store: Store,
    version: &'static str,
    transport: T,
) -> Result<(), ServeError>
where
    T: IntoTransport<RoleServer, E, A>,
    E: std::error::Error + Send + Sync + 'static,
{
    let failed = |error: &dyn std::fmt::Display| ServeError::Transport(error.to_string());
    // Whoever starts it is the one who asks.
    let server = Server::new(store, version, true);
    let transport = Ending::new(transport.into_transport(), server.gone());
    match server.serve(transport).await {
        Ok(running) => running
            .waiting()
            .await
            .map(drop)
            .map_err(|error| failed(&error)),
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}
