//! Server-sent events between real programs.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Program, Store, column, python, until};

/// Sends an event, and then, when a file appears, two more and `large` bytes of a comment.
const SERVER: &str = r#"
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments): pass
    def send(self, text):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.send(b": welcome\n\n")
        self.send(b"data: first secret-event\n\n")
        while not os.path.exists(sys.argv[1] + self.path): time.sleep(0.05)
        if self.path == "/large":
            for _ in range(20): self.send(b": " + b"x" * 1000 + b"\n")
        self.send(b"data: second\ndata: goes on\n\nid: 3\ndata: third\n\n")
        self.wfile.write(b"0\r\n\r\n")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("serving on port", server.server_address[1], flush=True)
server.serve_forever()
"#;

#[test]
fn events_are_counted_while_they_come_and_at_the_end() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let folder = store.scratch().path();
    let server = Program::start(
        Command::new(python())
            .arg("-u")
            .arg("-c")
            .arg(SERVER)
            .arg(folder),
    );
    let line = server.await_line("serving on port");
    let port = line.rsplit(' ').next().expect("a port");
    for (path, events) in [("/small", "3"), ("/large", "at least 1")] {
        let url = format!("http://127.0.0.1:{port}{path}");
        let client = Program::start(Command::new("curl").args(["-sN", &url]));
        client.await_line("first");
        let search = ["search-exchanges", "--outcome", "open", "--path"];
        let row = store.await_row(&[&search[..], &[&format!("={path}")]].concat());
        let open = until("an event told while it is open", || {
            let open = store.ask(&["get-exchange", &column(&row, "id")]);
            if open["sse"]["events"] == "1" {
                Ok(open)
            } else {
                Err(open)
            }
        });
        assert_eq!(open["outcome"], "open", "{open:#}");
        std::fs::write(folder.join(&path[1..]), "").expect("a file");
        let (status, said) = client.wait();
        assert!(status.success() && said.contains("third"), "{said}");
        let ended = store.exchange(path);
        assert_eq!(ended["id"], open["id"], "{ended:#}");
        assert_eq!(ended["outcome"], "complete", "{ended:#}");
        assert_eq!(ended["sse"]["events"], events, "{ended:#}");
        let first_ms = ended["sse"]["first_event_ms"].as_f64().unwrap_or_default();
        assert!(first_ms > 0.0, "{ended:#}");
        let least = if path == "/large" { 20_000 } else { 100 };
        assert!(
            ended["response"]["body_bytes"].as_u64() > Some(least),
            "{ended:#}"
        );
        assert!(!ended.to_string().contains("secret-event"), "{ended:#}");
    }
}
