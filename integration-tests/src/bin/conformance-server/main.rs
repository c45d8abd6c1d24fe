//! What the official conformance suite asks of a server, on Headwater's own HTTP: the same guards, limits and shutdown as
//! `headwater serve`, other tools.
//!
//! Owns: nothing of Headwater's. The suite calls tools, prompts and resources by names that it defines; what they are stands in
//! `fixtures.json`, what they do in `server` and `asks`. Serves on a free port, which it says, until SIGTERM.
#![allow(
    deprecated,
    reason = "the suite asks for what later revisions deprecate"
)]

mod asks;
mod fixtures;
mod server;

use headwater_mcp::{HttpOptions, serve_handlers};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::server::Server;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let told = format!("serving MCP at http://{}/mcp\n", listener.local_addr()?);
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes())?;
    let shutdown = CancellationToken::new();
    let ended = shutdown.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        terminate.recv().await;
        ended.cancel();
    });
    let make = move || server.clone();
    serve_handlers(vec![listener], make, &HttpOptions::default(), shutdown).await?;
    Ok(())
}
