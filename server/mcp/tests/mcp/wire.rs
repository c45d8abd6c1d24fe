//! HTTP byte for byte, to a server on a port of its own.

use std::net::SocketAddr;

use headwater_mcp::{HttpOptions, ServeError, serve_handlers, serve_http};
use rmcp::ServerHandler;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;

/// A server that runs until it is told to end.
pub(crate) struct Served {
    pub(crate) at: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn store(fixture: &Fixture, options: HttpOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let (store, told) = (fixture.store(), shutdown.clone());
        let serving = serve_http(vec![listener], store, "0.0.0-test", options, told);
        Self {
            at,
            shutdown,
            serving: tokio::spawn(serving),
        }
    }

    pub(crate) async fn handlers<S: ServerHandler>(
        make: impl Fn() -> S + Clone + Send + Sync + 'static,
        options: HttpOptions,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (at, shutdown) = (listener.local_addr().unwrap(), CancellationToken::new());
        let told = shutdown.clone();
        let serving = async move { serve_handlers(vec![listener], make, &options, told).await };
        Self {
            at,
            shutdown,
            serving: tokio::spawn(serving),
        }
    }

    /// Tells it to end, and waits until it has.
    pub(crate) async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap().unwrap();
    }

    /// Sends a request with JSON and gives the head of the response with what came of its body.
    pub(crate) async fn ask(&self, method: &str, path: &str, more: &str, body: &str) -> String {
        let host = self.at.to_string();
        self.ask_host(&host, method, path, &format!("{JSON}{more}"), body)
            .await
    }

    /// The same with another Host and without a content type.
    pub(crate) async fn ask_host(
        &self,
        host: &str,
        method: &str,
        path: &str,
        more: &str,
        body: &str,
    ) -> String {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {}\r\n{more}\r\n{body}",
            body.len()
        );
        self.send(&request).await
    }

    /// Sends these bytes.
    pub(crate) async fn send(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        // A refusal may come before the body is read.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut response = Vec::new();
        let mut piece = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&response);
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.len() >= length(head)
            {
                return text.into_owned();
            }
            match stream.read(&mut piece).await {
                Ok(read) if read > 0 => response.extend_from_slice(&piece[..read]),
                _ => return String::from_utf8_lossy(&response).into_owned(),
            }
        }
    }
}

pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// What the head says of its body's length; a stream says nothing.
fn length(head: &str) -> usize {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or_default()
}

pub(crate) fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}
