//! MCP over HTTP, byte for byte: who is let in, and what each method does.

use std::net::SocketAddr;

use headwater_mcp::{HttpOptions, serve_http};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"0"}}}"#;

async fn exchange(at: SocketAddr, method: &str, host: &str, more: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!(
        "{method} /mcp HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n{body}",
        body.len()
    );
    // A refusal may come before the body is read.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut response = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&response).contains("\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(read) if read > 0 => response.extend_from_slice(&piece[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&response).into_owned()
}

fn status(response: &str) -> &str {
    response.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn guards_and_methods() {
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let options = HttpOptions::default();
    let serving = tokio::spawn(serve_http(
        vec![listener],
        fixture.store(),
        "0.0.0-test",
        options,
        shutdown.clone(),
    ));
    let host = at.to_string();
    let begun = exchange(at, "POST", &host, "", INITIALIZE).await;
    assert_eq!(status(&begun), "200", "{begun}");
    assert!(
        begun.to_ascii_lowercase().contains("mcp-session-id: "),
        "{begun}"
    );
    let loopback = "Origin: http://localhost:5173\r\n";
    assert_eq!(
        status(&exchange(at, "POST", &host, loopback, INITIALIZE).await),
        "200"
    );
    let foreign = "Origin: http://evil.example\r\n";
    for method in ["POST", "GET", "DELETE"] {
        let refused = exchange(at, method, &host, foreign, INITIALIZE).await;
        assert_eq!(status(&refused), "403", "{method} {refused}");
        let refused = exchange(at, method, "evil.example", "", INITIALIZE).await;
        assert_eq!(status(&refused), "403", "{method} {refused}");
    }
    let large = format!("{INITIALIZE}{}", " ".repeat(65 << 10));
    assert_eq!(
        status(&exchange(at, "POST", &host, "", &large).await),
        "413"
    );
    let unknown = "Mcp-Session-Id: nobody\r\n";
    for (method, more, expected) in [
        ("GET", "", &["400", "405"][..]),
        ("DELETE", "", &["400", "405"]),
        ("GET", unknown, &["404", "405"]),
        ("PUT", "", &["405"]),
    ] {
        let response = exchange(at, method, &host, more, "").await;
        assert!(
            expected.contains(&status(&response)),
            "{method} {more} {response}"
        );
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}
