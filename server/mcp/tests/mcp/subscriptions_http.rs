//! Subscriptions over HTTP, byte for byte: both forms are told, nothing open holds the server back, and what has gone makes room.

use std::net::SocketAddr;

use headwater_mcp::{HttpOptions, ServeError, serve_http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;
use crate::subscriptions::{LISTEN, failure};

const UPDATED: &str = "notifications/resources/updated";

struct Serving {
    at: SocketAddr,
    shutdown: CancellationToken,
    ended: JoinHandle<Result<(), ServeError>>,
}

async fn serve(fixture: &Fixture) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let ended = tokio::spawn(serve_http(
        vec![listener],
        fixture.store(),
        "0.0.0-test",
        HttpOptions::default(),
        shutdown.clone(),
    ));
    Serving {
        at,
        shutdown,
        ended,
    }
}

/// A request, and what has been read of its response.
struct Open(TcpStream, String);

impl Open {
    async fn send(at: SocketAddr, method: &str, more: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = format!(
            "{method} /mcp HTTP/1.1\r\nHost: {at}\r\nAccept: application/json, text/event-stream\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream, String::new())
    }

    async fn listen(at: SocketAddr) -> Self {
        let more = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n";
        let mut open = Self::send(at, "POST", more, LISTEN).await;
        open.until(&["subscriptions/acknowledged"]).await;
        open
    }

    /// Reads until one of these has come; all of the response, when there are none.
    async fn until(&mut self, parts: &[&str]) -> &str {
        let mut piece = [0; 4096];
        while !parts.iter().any(|part| self.1.contains(part)) {
            let read = self.0.read(&mut piece).await.unwrap();
            assert!(read > 0 || parts.is_empty(), "{parts:?}: {}", self.1);
            if read == 0 {
                break;
            }
            self.1.push_str(&String::from_utf8_lossy(&piece[..read]));
        }
        &self.1
    }
}

#[tokio::test]
async fn a_request_that_listens_is_told_and_ends_with_the_server() {
    let mut fixture = Fixture::new();
    let serving = serve(&fixture).await;
    let mut open = Open::listen(serving.at).await;
    for _ in 0..2 {
        fixture.commit(&[failure(&fixture, 503)]);
        open.until(&[UPDATED]).await;
        open.1.clear();
    }
    serving.shutdown.cancel();
    serving.ended.await.unwrap().unwrap();
    open.until(&[]).await;
}

#[tokio::test]
async fn a_session_is_told_on_its_stream_and_ends_with_the_server() {
    let mut fixture = Fixture::new();
    let serving = serve(&fixture).await;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;
    let mut begun = Open::send(serving.at, "POST", "", initialize).await;
    let told = begun.until(&["serverInfo"]).await;
    let session = told
        .lines()
        .find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("mcp-session-id: ")
                .map(str::to_owned)
        })
        .unwrap();
    let session = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    Open::send(serving.at, "POST", &session, initialized)
        .await
        .until(&["202"])
        .await;
    let mut stream = Open::send(serving.at, "GET", &session, "").await;
    stream.until(&["200 OK"]).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"headwater://failures"}}"#;
    Open::send(serving.at, "POST", &session, subscribe)
        .await
        .until(&[r#""result":{}"#])
        .await;
    fixture.commit(&[failure(&fixture, 503)]);
    stream.until(&[UPDATED]).await;
    // Who accepts no stream has no session.
    let mut json = TcpStream::connect(serving.at).await.unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{subscribe}",
        serving.at,
        subscribe.len()
    );
    json.write_all(request.as_bytes()).await.unwrap();
    Open(json, String::new()).until(&["nobody to tell"]).await;
    serving.shutdown.cancel();
    serving.ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn those_who_have_gone_make_room() {
    let mut fixture = Fixture::new();
    let serving = serve(&fixture).await;
    let mut all = Vec::new();
    for _ in 0..128 {
        all.push(Open::listen(serving.at).await);
    }
    fixture.commit(&[failure(&fixture, 503)]);
    for open in &mut all {
        open.until(&[UPDATED]).await;
    }
    Open::listen(serving.at)
        .await
        .until(&["too many subscriptions"])
        .await;
    drop(all);
    loop {
        let mut open = Open::listen(serving.at).await;
        fixture.commit(&[failure(&fixture, 503)]);
        if open
            .until(&["too many subscriptions", UPDATED])
            .await
            .contains(UPDATED)
        {
            break;
        }
    }
    serving.shutdown.cancel();
    serving.ended.await.unwrap().unwrap();
}
