//! MCP over stdio: standard output is the protocol's.

use headwater_query::Store;
use rmcp::{ServiceExt, service::ServerInitializeError, transport::stdio_pipes};

use crate::{ServeError, server::Server};

/// Serves until the client closes its end. A client that goes away before its first request is no error.
///
/// # Errors
/// `ServeError::Transport`.
pub async fn serve_stdio(store: Store, version: &'static str) -> Result<(), ServeError> {
    let failed = |error: &dyn std::fmt::Display| ServeError::Transport(error.to_string());
    match Server::new(store, version).serve(stdio_pipes()).await {
        Ok(running) => running
            .waiting()
            .await
            .map(drop)
            .map_err(|error| failed(&error)),
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}
