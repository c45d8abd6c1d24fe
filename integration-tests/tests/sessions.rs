//! Sessions: log-in, a new id, a server that did not hear of it, log-out, over two servers behind nginx.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, column, python, said};
use serde_json::Value;

/// `/login` and `/rotate` set a cookie, `/logout` takes it away, `/me` wants one that this server knows. With `shared`, a folder
/// in which servers keep what they know.
const SERVER: &str = r#"
import os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
shared = sys.argv[1]
def known(sid): return bool(sid) and os.path.exists(os.path.join(shared, sid))
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        sid = dict(pair.strip().split("=", 1) for pair in self.headers.get("cookie", "").split(";") if "=" in pair).get("sid")
        word, status, cookie = self.path.rsplit("/", 1)[1], 200, None
        if word in ("login", "rotate"):
            if word == "rotate": os.remove(os.path.join(shared, sid))
            new = os.urandom(12).hex()
            open(os.path.join(shared, new), "w").close()
            cookie = f"sid={new}; Path=/; HttpOnly"
        elif word == "logout": cookie = "sid=; Path=/; Max-Age=0"
        elif not known(sid): status = 401
        self.send_response(status)
        if cookie: self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self.end_headers()
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("serving on port", server.server_address[1], flush=True)
server.serve_forever()
"#;

/// One user who goes through all of it, and one who only looks in.
const USER: &str = r#"
import http.client, sys
port = int(sys.argv[1])
def ask(path, sid=None):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Cookie": f"theme=dark; sid={sid}"} if sid else {})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    set_cookie = answer.getheader("Set-Cookie") or ""
    return set_cookie.split(";")[0].partition("=")[2] or None
first = ask("/a/login")
ask("/b/me", first)
second = ask("/a/rotate", first)
ask("/b/me", second)
ask("/b/me", first)
ask("/a/logout", second)
ask("/a/me", ask("/a/login"))
print(first, second)
"#;

fn server(shared: &std::path::Path) -> (Program, u16) {
    let mut command = Command::new(python());
    let program = Program::start(command.args(["-u", "-c", SERVER]).arg(shared));
    let line = program.await_line("serving on port");
    let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
    (program, port.expect("a port"))
}

#[test]
fn a_session_is_followed_over_servers_and_new_ids() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let shared = store.scratch().file("sessions");
    std::fs::create_dir(&shared).expect("a folder");
    let (_one, a) = server(&shared);
    let (_other, b) = server(&shared);
    let nginx = Nginx::start(&format!(
        "location /a {{ proxy_pass http://127.0.0.1:{a}; }} location /b {{ proxy_pass http://127.0.0.1:{b}; }}"
    ));
    let mut user = Command::new(python());
    let ids = said(user.args(["-c", USER, &nginx.port.to_string()]));
    let (first, second) = ids.trim().split_once(' ').expect("two ids");
    store.await_rows(&["search-exchanges", "--service", "nginx"], 8);
    // The end of the last is told with the next commit.
    store.settle();
    let by_exchange = {
        let rows = store.rows(&[
            "search-exchanges",
            "--service",
            "nginx",
            "--path",
            "/a/rotate",
        ]);
        column(&rows[0], "id")
    };
    for id in [first, second, &by_exchange] {
        let told = store.ask(&["get-session", id, "--limit", "50", "--max-tokens", "8000"]);
        let text = told.to_string();
        assert!(
            !text.contains(first) && !text.contains(second),
            "the ids themselves: {text}"
        );
        let columns: Vec<_> = told["columns"]
            .as_array()
            .expect("columns")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let place = |name: &str| {
            columns
                .iter()
                .position(|column| *column == name)
                .expect("a column")
        };
        let rows = told["rows"].as_array().expect("rows");
        let steps: Vec<String> = rows
            .iter()
            .map(|row| {
                let cell = |name: &str| row[place(name)].clone();
                let events = cell("events").as_str().unwrap_or_default().to_owned();
                format!(
                    "{} {} {events}",
                    cell("path").as_str().unwrap_or_default(),
                    cell("status")
                )
            })
            .collect();
        let expected_from_second = ["/a/rotate 200 ", "/b/me 200 ", "/a/logout 200 "];
        for step in expected_from_second {
            assert!(
                steps.iter().any(|told| told.starts_with(step)),
                "{id}: {step} in {steps:#?}"
            );
        }
        assert!(
            steps.iter().any(|step| step.contains("took the id away")),
            "{steps:#?}"
        );
        assert_eq!(told["carried_in"], "cookie sid", "{told:#}");
        if id != second {
            // The old id was used once more, and refused.
            assert_eq!(told["ids"], 2, "{told:#}");
            assert!(
                steps.iter().any(|step| step.contains("set a new id")),
                "{steps:#?}"
            );
            assert!(
                steps.iter().any(|step| step.starts_with("/b/me 401 ")),
                "{steps:#?}"
            );
            assert_eq!(steps.len(), 6, "{steps:#?}");
        }
    }
}

/// Two users, whom a header of the operator's own tells apart.
const SEATS: &str = r#"
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
for seat, path in [("row7", "/a/login"), ("row8", "/a/login"), ("row7", "/a/me"), ("row7", "/a/logout")]:
    connection.request("GET", path, headers={"X-Seat": seat})
    connection.getresponse().read()
"#;

#[test]
fn a_header_that_the_operator_names_is_a_session() {
    let store = Store::new();
    let _recorder = store.record(&["--session-header", "x-seat"]);
    let (_server, port) = server(store.scratch().path());
    said(Command::new(python()).args(["-c", SEATS, &port.to_string()]));
    store.await_rows(&["search-exchanges", "--path", "/a"], 4);
    store.settle();
    let rows = store.rows(&["search-exchanges", "--path", "/a/me"]);
    let by_exchange = column(&rows[0], "id");
    for id in ["row7", by_exchange.as_str()] {
        let told = store.ask(&["get-session", id]);
        assert_eq!(
            told["carried_in"]
                .as_str()
                .map(str::to_ascii_lowercase)
                .as_deref(),
            Some("x-seat"),
            "{told:#}"
        );
        assert_eq!(told["exchanges"], 3, "{told:#}");
    }
}
