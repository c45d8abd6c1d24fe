//! MCP over HTTP, byte for byte: who is let in, what each method does, and how it ends.

use headwater_mcp::HttpOptions;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    fixture::Fixture,
    wire::{INITIALIZE, JSON, Served, status},
};

#[tokio::test]
async fn guards_and_methods() {
    let fixture = Fixture::new();
    let served = Served::store(&fixture, HttpOptions::default()).await;
    let begun = served.ask("POST", "/mcp", "", INITIALIZE).await;
    assert_eq!(status(&begun), "200", "{begun}");
    assert!(
        begun.to_ascii_lowercase().contains("mcp-session-id: "),
        "{begun}"
    );
    let loopback = "Origin: http://localhost:5173\r\n";
    assert_eq!(
        status(&served.ask("POST", "/mcp", loopback, INITIALIZE).await),
        "200"
    );
    let foreign = "Origin: http://evil.example\r\n";
    for (method, path) in [
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp"),
        ("GET", "/"),
        ("GET", "/nowhere"),
    ] {
        let refused = served.ask(method, path, foreign, INITIALIZE).await;
        assert_eq!(status(&refused), "403", "{method} {path} {refused}");
        let refused = served
            .ask_host("evil.example", method, path, JSON, INITIALIZE)
            .await;
        assert_eq!(status(&refused), "403", "{method} {path} {refused}");
        let absolute = format!("http://evil.example{path}");
        let refused = served.ask(method, &absolute, "", INITIALIZE).await;
        assert_eq!(status(&refused), "403", "{method} {absolute} {refused}");
    }
    for host in ["", "a b"] {
        let refused = served.ask_host(host, "GET", "/", "", "").await;
        assert_eq!(status(&refused), "400", "{host:?} {refused}");
    }
    let large = format!("{INITIALIZE}{}", " ".repeat(65 << 10));
    assert_eq!(status(&served.ask("POST", "/mcp", "", &large).await), "413");
    let unknown = "Mcp-Session-Id: nobody\r\n";
    for (method, more, expected) in [
        ("GET", "", &["400", "405"][..]),
        ("DELETE", "", &["400", "405"]),
        ("GET", unknown, &["404", "405"]),
        ("PUT", "", &["405"]),
    ] {
        let response = served.ask(method, "/mcp", more, "").await;
        assert!(
            expected.contains(&status(&response)),
            "{method} {more} {response}"
        );
    }
    served.end().await;
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let fixture = Fixture::new();
    let served = Served::store(&fixture, HttpOptions::default()).await;
    let mut half = TcpStream::connect(served.at).await.unwrap();
    let begin = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 9\r\n\
         Accept: application/json, text/event-stream\r\n\r\n{{"
    );
    half.write_all(begin.as_bytes()).await.unwrap();
    // Asked on another connection, it is served: it has seen the first one.
    assert_eq!(status(&served.ask("GET", "/", "", "").await), "200");
    served.end().await;
}
