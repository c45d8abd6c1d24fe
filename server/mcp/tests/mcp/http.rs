//! MCP over HTTP, byte for byte: who is let in, what each method does, and how it ends.

use headwater_mcp::HttpOptions;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    fixture::{Fixture, Row, SECOND},
    legacy_sse::waiting,
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
    let loaded = "Sec-Fetch-Site: cross-site\r\n";
    for (path, expected) in [("/", "403"), ("/mcp", "403"), ("/ui", "200")] {
        let told = served.ask("GET", path, loaded, "").await;
        assert_eq!(status(&told), expected, "{path} {told}");
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

/// A script that accepts JSON alone gets that, with no session, of the older revisions and of the newest.
#[tokio::test]
async fn who_accepts_json_alone_gets_json() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/one")]);
    let options = HttpOptions {
        max_sessions: 1,
        ..HttpOptions::default()
    };
    let served = Served::store(&fixture, options).await;
    // There is no room for a session more.
    assert_eq!(
        status(&served.ask("POST", "/mcp", "", INITIALIZE).await),
        "200"
    );
    let called = r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"search_exchanges","arguments":{"wait_s":1,"path":"/none"},"_meta":{"progressToken":1}}}"#;
    let newest = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"status","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let old = "MCP-Protocol-Version: 2025-11-25\r\n";
    let new = "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: status\r\n";
    for accept in ["Accept: application/json\r\n", "Accept: */*\r\n", ""] {
        for (more, body) in [("", INITIALIZE), (old, called), (new, newest)] {
            let length = body.len();
            let request = format!(
                "POST /mcp HTTP/1.1\r\nHost: localhost\r\n{accept}{JSON}{more}Content-Length: {length}\r\n\r\n{body}"
            );
            let told = served.send(&request).await;
            let (head, body) = told.split_once("\r\n\r\n").unwrap();
            assert_eq!(status(head), "200", "{told}");
            let head = head.to_ascii_lowercase();
            assert!(head.contains("content-type: application/json"), "{head}");
            assert!(!head.contains("mcp-session-id"), "{head}");
            let answer: serde_json::Value = serde_json::from_str(body).unwrap();
            assert!(answer["result"].is_object(), "{answer}");
        }
    }
    // Whatever else it says, what begins a session does.
    for more in [
        "",
        "Mcp-Method: initialize\r\n",
        "Mcp-Session-Id: \u{e9}\r\n",
    ] {
        let refused = served.ask("POST", "/mcp", more, INITIALIZE).await;
        assert_eq!(status(&refused), "503", "{more} {refused}");
    }
    served.end().await;
}

/// What nobody waits for any more is stopped, whichever form its answer was to have.
#[tokio::test]
async fn who_goes_away_is_not_worked_for() {
    let (served, mut told) = waiting(HttpOptions::default()).await;
    let called = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"x","arguments":{},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    for accept in ["application/json", "application/json, text/event-stream"] {
        let mut stream = TcpStream::connect(served.at).await.unwrap();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n{JSON}MCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: tools/call\r\nMcp-Name: x\r\nContent-Length: {}\r\n\r\n{called}",
            called.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(told.recv().await, Some("called"));
        drop(stream);
        assert_eq!(told.recv().await, Some("cancelled"), "{accept}");
    }
    served.end().await;
}

#[tokio::test]
async fn of_many_sessions_that_begin_at_once_none_is_too_many() {
    let fixture = Fixture::new();
    let options = HttpOptions {
        max_sessions: 5,
        ..HttpOptions::default()
    };
    let served = Served::store(&fixture, options).await;
    let asked = (0..20).map(|_| served.ask("POST", "/mcp", "", INITIALIZE));
    let told = futures_join(asked).await;
    let begun = told.iter().filter(|told| status(told) == "200").count();
    assert_eq!(begun, 5, "{told:?}");
    served.end().await;
}

/// All of them, polled together.
async fn futures_join<T: Send>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(move |context| {
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(value) => {
                done.push(value);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() {
            std::task::Poll::Ready(std::mem::take(&mut done))
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}
