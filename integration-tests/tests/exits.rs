//! Processes that ended with exchanges open: when, how, and what that makes of the failure.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{
    Program, Store, column, free_port, node_server, python, run, said,
};

/// Asks twice on one connection, since a server that never sent a byte has not shown its process; what comes of the second
/// is not the client's to say. Not curl, which would connect once more.
fn ask(port: u16, path: &str) {
    let script = "import http.client, sys
client = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]), timeout=10)
client.request('GET', '/well')
client.getresponse().read()
try:
    client.request('GET', sys.argv[2])
    client.getresponse()
except (OSError, http.client.HTTPException):
    pass";
    run(Command::new(python()).args(["-c", script, &port.to_string(), path]));
}

#[test]
fn a_server_that_dies_is_told_with_how() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (path, last_deed, exit, kind) in [
        (
            "/killed",
            "process.kill(process.pid, 'SIGKILL')",
            "killed by SIGKILL",
            "server_process_killed",
        ),
        (
            "/failed",
            "process.exit(3)",
            "exit code 3",
            "server_process_failed",
        ),
        ("/left", "process.exit(0)", "exit code 0", "closed"),
    ] {
        let (_server, port) = node_server(&format!(
            "(request, response) => {{ if (request.url === '/well') response.end('well'); else {last_deed} }}"
        ));
        ask(port, path);
        let exchange = store.exchange(path);
        assert_eq!(exchange["server"]["process_exit"], exit, "{exchange:#}");
        assert!(
            exchange["server"]["process_end"].as_str()
                >= exchange["request"]["first_byte"].as_str(),
            "{exchange:#}"
        );
        let errors = store.await_rows(&["find-errors", "--service", "node"], 1);
        let found = errors
            .iter()
            .find(|row| column(row, "route").ends_with(path))
            .expect("the failure is grouped");
        // Whether the kernel resets or closes depends on what the server had read.
        let told = column(found, "kind");
        assert!(
            told == kind || (kind == "closed" && told == "reset"),
            "{path}: {told}"
        );
    }
}

#[test]
fn a_client_that_is_killed_is_told_with_how() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    // The server kills its client once the request is there: nothing to be timed.
    let (_server, port) = node_server(
        "(request, response) => { process.kill(Number(request.headers['x-pid']), 'SIGTERM') }",
    );
    let script =
        format!("exec curl --silent --header \"X-Pid: $$\" http://127.0.0.1:{port}/waiting");
    let output = Command::new("sh")
        .args(["-c", &script])
        .output()
        .expect("sh runs");
    assert_eq!(output.status.code(), None, "it was killed");
    let exchange = store.exchange("/waiting");
    assert_eq!(
        exchange["client"]["process_exit"], "killed by SIGTERM",
        "{exchange:#}"
    );
    let errors = store.await_rows(&["find-errors"], 1);
    assert!(
        errors
            .iter()
            .any(|row| column(row, "kind") == "client_process_killed"),
        "{errors:?}"
    );
}

/// A server that answers, dies of the second request, and is started anew in the same way.
const MORTAL: &str = "import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/last':
            os.kill(os.getpid(), signal.SIGKILL)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler)
print('serving', flush=True)
server.serve_forever()";

#[test]
fn a_server_that_was_restarted_is_told_as_such() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = free_port().to_string();
    let start = || {
        let server = Program::start(Command::new(python()).args(["-c", MORTAL, &port]));
        server.await_line("serving");
        server
    };
    let url = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let first = start();
    let before = first.pid();
    said(Command::new("curl").args(["-s", &url("/first")]));
    let exchange = store.exchange("/first");
    assert!(exchange["server"].get("replaces").is_none(), "{exchange:#}");
    run(Command::new("curl").args(["-s", &url("/last")]));
    first.wait();
    let _second = start();
    said(Command::new("curl").args(["-s", &url("/second")]));
    let exchange = store.exchange("/second");
    let told = exchange["server"]["replaces"].as_str().unwrap_or_default();
    assert!(
        told.starts_with(&format!("pid {before}, which ended "))
            && told.contains("killed by SIGKILL; this process began at "),
        "{exchange:#}"
    );
    let id = exchange["connection"]["id"].as_str().expect("an id");
    let connection = store.ask(&["get-connection", id]);
    let lines = connection["story"].to_string();
    assert!(
        lines.contains(&format!("its process began, in place of pid {before}")),
        "{connection:#}"
    );
}
