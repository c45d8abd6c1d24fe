//! The deprecated HTTP+SSE, byte for byte: what its two routes answer, what they refuse, and what ends a session.

use std::time::Duration;

use headwater_mcp::HttpOptions;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ListToolsResult,
        PaginatedRequestParams, Tool,
    },
    service::RequestContext,
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    sync::mpsc,
};

use crate::{
    fixture::Fixture,
    wire::{INITIALIZE, JSON, Served, status},
};

fn options() -> HttpOptions {
    HttpOptions {
        legacy_sse: true,
        ..HttpOptions::default()
    }
}

/// An open stream.
struct Events {
    stream: BufReader<TcpStream>,
    /// Where to post.
    message: String,
}

impl Events {
    /// Opens it; as HTTP/1.0, so that it comes without chunks.
    async fn request(served: &Served) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(served.at).await.unwrap();
        let request = b"GET /sse HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n";
        stream.write_all(request).await.unwrap();
        BufReader::new(stream)
    }

    async fn open(served: &Served) -> Self {
        let mut stream = Self::request(served).await;
        let head = block(&mut stream).await;
        assert_eq!(status(&head), "200", "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        let first = block(&mut stream).await;
        let message = first
            .strip_prefix("event: endpoint\ndata: ")
            .unwrap()
            .trim();
        assert!(message.starts_with("/message?sessionId="), "{first}");
        let message = message.to_owned();
        Self { stream, message }
    }

    async fn begin(served: &Served) -> Self {
        let mut events = Self::open(served).await;
        events.accepted(served, INITIALIZE).await;
        let begun = events.next().await;
        assert!(begun["result"]["serverInfo"]["name"].is_string(), "{begun}");
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        events.accepted(served, initialized).await;
        events
    }

    async fn post(&self, served: &Served, body: &str) -> String {
        served.ask("POST", &self.message, "", body).await
    }

    async fn accepted(&self, served: &Served, body: &str) {
        let answer = self.post(served, body).await;
        assert_eq!(status(&answer), "202", "{body} {answer}");
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        loop {
            let event = block(&mut self.stream).await;
            if let Some(data) = event.strip_prefix("event: message\ndata: ") {
                return serde_json::from_str(data).unwrap();
            }
            assert!(event.starts_with(':'), "{event:?}");
        }
    }

    /// Reads until the server closes it.
    async fn end(mut self) {
        while !block(&mut self.stream).await.is_empty() {}
    }
}

/// Lines until an empty one or the end.
async fn block(stream: &mut BufReader<TcpStream>) -> String {
    let mut text = String::new();
    loop {
        let read = stream.read_line(&mut text).await.unwrap();
        if read == 0 || text.ends_with("\n\n") || text.ends_with("\r\n\r\n") {
            return text;
        }
    }
}

fn call(id: i64, tool: &str, arguments: &Value) -> String {
    let params = json!({ "name": tool, "arguments": arguments });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }).to_string()
}

/// Answers a call when it is cancelled, and tells who waits.
#[derive(Clone)]
struct Waiting(mpsc::UnboundedSender<&'static str>);

impl ServerHandler for Waiting {
    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // Larger than what fits between a server and a client that does not read.
        let tool = Tool::new("large", "x".repeat(1 << 20), Map::new());
        Ok(ListToolsResult::with_all_items(vec![tool]))
    }

    async fn call_tool(
        &self,
        _: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.0.send("called").unwrap();
        context.ct.cancelled().await;
        self.0.send("cancelled").unwrap();
        Ok(CallToolResult::success(Vec::new()).into())
    }
}

pub(crate) async fn waiting(
    options: HttpOptions,
) -> (Served, mpsc::UnboundedReceiver<&'static str>) {
    let (tell, told) = mpsc::unbounded_channel();
    let served = Served::handlers(move || Waiting(tell.clone()), options).await;
    (served, told)
}

#[tokio::test]
async fn it_is_served_only_where_asked_for() {
    let fixture = Fixture::new();
    let served = Served::store(&fixture, HttpOptions::default()).await;
    for (method, path) in [("GET", "/sse"), ("POST", "/message?sessionId=x")] {
        assert_eq!(status(&served.ask(method, path, "", "{}").await), "404");
    }
    served.end().await;
    let served = Served::store(&fixture, options()).await;
    let greeting = served.ask("GET", "/", "", "").await;
    assert!(
        greeting.contains("deprecated HTTP+SSE at /sse"),
        "{greeting}"
    );
    let mut events = Events::begin(&served).await;
    events
        .accepted(&served, &call(2, "status", &json!({})))
        .await;
    let answer = events.next().await;
    assert_eq!(answer["id"], 2);
    assert!(answer["result"]["structuredContent"]["coverage"].is_object());
    served.end().await;
    events.end().await;
}

#[tokio::test]
async fn guards_stand_before_both_routes() {
    let fixture = Fixture::new();
    let token = Some("a-token-of-some-length".to_owned());
    let served = Served::store(&fixture, HttpOptions { token, ..options() }).await;
    let shown = "Authorization: Bearer a-token-of-some-length\r\n";
    for (method, path, passed) in [
        ("GET", "/sse", "200"),
        ("POST", "/message?sessionId=x", "404"),
    ] {
        for (host, more, expected) in [
            ("localhost", "", "401"),
            (
                "localhost",
                "Authorization: Bearer a-token-of-some-lengtH\r\n",
                "401",
            ),
            ("evil.example", shown, "403"),
            (
                "localhost",
                &*format!("{shown}Origin: http://evil.example\r\n"),
                "403",
            ),
            ("localhost", &*format!("{shown}Origin: null\r\n"), "403"),
            (
                "localhost",
                &*format!("{shown}Origin: http://localhost:80\r\n"),
                passed,
            ),
            ("127.0.0.1", shown, passed),
        ] {
            let more = format!("{JSON}{more}");
            let answer = served.ask_host(host, method, path, &more, "{}").await;
            assert_eq!(
                status(&answer),
                expected,
                "{method} {path} {host} {more} {answer}"
            );
        }
    }
    served.end().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_said() {
    let fixture = Fixture::new();
    let served = Served::store(&fixture, options()).await;
    let mut events = Events::begin(&served).await;
    let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
    let large = format!("{ping}{}", " ".repeat(64 << 10));
    let array = format!("[{ping}]");
    let at = events.message.clone();
    for (path, kind, body, expected, part) in [
        ("/message", JSON, ping, "400", "sessionId"),
        ("/message?sessionId=", JSON, ping, "404", "GET /sse"),
        ("/message?sessionId=nobody", JSON, ping, "404", "GET /sse"),
        (&*at, "", ping, "415", "application/json"),
        (
            &*at,
            "Content-Type: text/plain\r\n",
            ping,
            "415",
            "application/json",
        ),
        (&*at, JSON, &*large, "413", "65536"),
        (&*at, JSON, "{", "400", "not JSON"),
        (&*at, JSON, "", "400", "not JSON"),
        (&*at, JSON, &*array, "400", "not an array"),
        (&*at, JSON, r#"{"hello":1}"#, "400", "JSON-RPC"),
    ] {
        let answer = served.ask_host("localhost", "POST", path, kind, body).await;
        assert_eq!(status(&answer), expected, "{path} {kind} {answer}");
        assert!(answer.contains(part), "{part:?} in {answer}");
    }
    for (method, path) in [("POST", "/sse"), ("GET", &*at), ("DELETE", &*at)] {
        assert_eq!(status(&served.ask(method, path, "", "").await), "405");
    }
    let kind = "Content-Type: Application/JSON; charset=utf-8\r\n";
    let answer = served.ask_host("localhost", "POST", &at, kind, ping).await;
    assert_eq!(status(&answer), "202", "{answer}");
    assert_eq!(events.next().await["id"], 7);
    served.end().await;
}

#[tokio::test]
async fn an_id_is_for_one_request() {
    let (served, mut told) = waiting(options()).await;
    let events = Events::begin(&served).await;
    events.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    let twice = events.post(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(status(&twice), "400", "{twice}");
    served.end().await;
}

/// Asks until the session is gone.
async fn gone(served: &Served, message: &str) {
    let ping = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    loop {
        let answer = served.ask("POST", message, "", ping).await;
        if status(&answer) == "404" {
            assert!(answer.contains("its stream was closed"), "{answer}");
            return;
        }
        assert_eq!(status(&answer), "202", "{answer}");
    }
}

#[tokio::test]
async fn sessions_of_both_transports_are_limited_together() {
    let fixture = Fixture::new();
    let max_sessions = 2;
    let options = HttpOptions {
        max_sessions,
        ..options()
    };
    let served = Served::store(&fixture, options).await;
    let events = Events::begin(&served).await;
    let initialize = async || served.ask("POST", "/mcp", "", INITIALIZE).await;
    let begun = initialize().await;
    assert_eq!(status(&begun), "200", "{begun}");
    let refused = initialize().await;
    assert_eq!(status(&refused), "503", "{refused}");
    let refused = served.ask("GET", "/sse", "", "").await;
    assert_eq!(status(&refused), "503", "{refused}");
    assert!(refused.contains("too many sessions"), "{refused}");
    // A client that goes away gives its place back.
    let message = events.message.clone();
    drop(events);
    gone(&served, &message).await;
    let events = Events::begin(&served).await;
    assert_eq!(status(&initialize().await), "503");
    served.end().await;
    events.end().await;
}

#[tokio::test]
async fn who_is_idle_gives_its_place_when_it_is_needed() {
    let max_sessions = 2;
    let options = HttpOptions {
        max_sessions,
        session_idle: Duration::ZERO,
        ..options()
    };
    let (served, mut told) = waiting(options).await;
    let busy = Events::begin(&served).await;
    busy.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    let idle = Events::begin(&served).await;
    let message = idle.message.clone();
    let third = Events::begin(&served).await;
    third.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    idle.end().await;
    gone(&served, &message).await;
    // The two that wait for an answer are not idle.
    let refused = served.ask("GET", "/sse", "", "").await;
    assert_eq!(status(&refused), "503", "{refused}");
    served.end().await;
}

#[tokio::test]
async fn calls_are_cancelled_when_asked_to_and_with_the_stream() {
    let (served, mut told) = waiting(options()).await;
    let events = Events::begin(&served).await;
    events.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}"#;
    events.accepted(&served, cancel).await;
    assert_eq!(told.recv().await, Some("cancelled"));
    // Its id is free again.
    events.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    drop(events);
    assert_eq!(told.recv().await, Some("cancelled"));
    served.end().await;
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() {
    let (served, mut told) = waiting(options()).await;
    let silent = Events::open(&served).await;
    let busy = Events::begin(&served).await;
    busy.accepted(&served, &call(2, "any", &json!({}))).await;
    assert_eq!(told.recv().await, Some("called"));
    served.end().await;
    silent.end().await;
    busy.end().await;
    assert_eq!(told.recv().await, Some("cancelled"));
}

#[tokio::test]
async fn a_quiet_stream_shows_that_it_is_alive() {
    let fixture = Fixture::new();
    let keep_alive = Duration::from_millis(20);
    let served = Served::store(
        &fixture,
        HttpOptions {
            keep_alive,
            ..options()
        },
    )
    .await;
    let mut events = Events::open(&served).await;
    for _ in 0..2 {
        assert!(block(&mut events.stream).await.starts_with(':'));
    }
    served.end().await;
}

#[tokio::test]
async fn who_does_not_read_slows_nobody_and_is_taken_for_gone() {
    let keep_alive = Duration::from_millis(100);
    let (served, _told) = waiting(HttpOptions {
        keep_alive,
        ..options()
    })
    .await;
    let deaf = Events::begin(&served).await;
    let mut other = Events::begin(&served).await;
    let list = |id: i64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }).to_string();
    for id in 2.. {
        let answer = deaf.post(&served, &list(id)).await;
        other.accepted(&served, &list(id)).await;
        assert_eq!(other.next().await["id"], id);
        if status(&answer) == "404" {
            break;
        }
        assert_eq!(status(&answer), "202", "{answer}");
    }
    drop(deaf);
    served.end().await;
}
