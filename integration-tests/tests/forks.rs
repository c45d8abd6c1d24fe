//! How processes began: who forked them, when they executed their programs, also when nothing of them is left to be looked at.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, cgroup_mount, python, run, said};
use serde_json::Value;

fn text<'v>(exchange: &'v Value, end: &str, name: &str) -> &'v str {
    exchange[end][name].as_str().unwrap_or_default()
}

/// Forks a child that forks another, which asks; each ends at once. Tells the ids of all three.
const SHORT: &str = r"
import os, socket, sys
def ask():
    s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    s.sendall(b'GET /short HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    while s.recv(4096): pass
told = [os.getpid()]
middle = os.fork()
if middle == 0:
    child = os.fork()
    if child == 0:
        ask()
    else:
        os.waitpid(child, 0)
        print(told[0], os.getpid(), child, flush=True)
    os._exit(0)
os.waitpid(middle, 0)";

#[test]
fn a_child_of_a_child_that_is_gone_has_its_parent_and_its_program() {
    let store = Store::new();
    // All three have ended long before their packets are looked at.
    let _recorder = store.record(&["--slow-reader-ms", "1500"]);
    let nginx = Nginx::start("location / { return 200 fine; }");
    let told = said(Command::new(python()).args(["-c", SHORT, &nginx.port.to_string()]));
    let ids: Vec<&str> = told.split_whitespace().collect();
    let [_, middle, child] = ids[..] else {
        panic!("{told}");
    };
    let exchange = store.exchange("/short");
    assert_eq!(exchange["client"]["pid"].to_string(), child, "{exchange:#}");
    let began = text(&exchange, "client", "process_begin");
    assert!(
        began.starts_with(&format!("forked from pid {middle} at 2")) && !began.contains("executed"),
        "{exchange:#}"
    );
    assert!(
        text(&exchange, "client", "executable").contains("python"),
        "{exchange:#}"
    );
    assert!(
        text(&exchange, "client", "command_line").contains(" -c "),
        "{exchange:#}"
    );
}

/// Workers that were forked before anybody came, and serve without an execve of their own.
const PREFORKING: &str = r"
import os, socket
l = socket.create_server(('127.0.0.1', 0))
workers = []
for _ in range(2):
    worker = os.fork()
    if worker == 0:
        while True:
            s, _ = l.accept(); s.recv(4096)
            s.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'); s.close()
    workers.append(str(worker))
print('workers', ' '.join(workers), 'at', l.getsockname()[1], flush=True)
os.wait()";

#[test]
fn workers_that_were_forked_beforehand_know_their_master() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let mut scripted = Command::new(python());
    let script = format!("import ctypes; ctypes.CDLL(None).prctl(1, 9)\n{PREFORKING}");
    // The workers end with their master.
    let script = script.replace(
        "    if worker == 0:\n",
        "    if worker == 0:\n        ctypes.CDLL(None).prctl(1, 9)\n",
    );
    let master = Program::start(scripted.args(["-u", "-c", &script]));
    let line = master.await_line("workers");
    let port = line.rsplit(' ').next().unwrap_or_default();
    let nginx = Nginx::start("location / { return 200 fine; }");
    for (url, path, parent) in [
        (format!("http://127.0.0.1:{port}"), "/forked", master.pid()),
        (nginx.url(), "/worker", nginx.program.pid()),
    ] {
        let output =
            run(Command::new("curl").args(["-sS", "-o", "/dev/null", &format!("{url}{path}")]));
        assert!(output.status.success(), "{output:?}");
        let exchange = store.exchange(path);
        let server = text(&exchange, "server", "process_begin");
        assert!(
            server.starts_with(&format!("forked from pid {parent} at 2"))
                && !server.contains("executed"),
            "{exchange:#}"
        );
        let client = text(&exchange, "client", "process_begin");
        let this = std::process::id();
        assert!(
            client.starts_with(&format!("forked from pid {this} at 2"))
                && client.contains(", executed at 2"),
            "{exchange:#}"
        );
        let id = text(&exchange, "connection", "id");
        let connection = store.ask(&["get-connection", id, "--detail", "detailed"]);
        let lines = connection["story"].to_string();
        for part in [
            format!("its process was forked from pid {parent}"),
            "its process began to run its program".to_owned(),
        ] {
            assert!(lines.contains(&part), "{part}: {connection:#}");
        }
    }
}

/// Forks twelve times over, leaves the cgroup that it was born in, and asks.
const DEEP: &str = r"
import os, socket, sys
for _ in range(12):
    child = os.fork()
    if child != 0:
        os.waitpid(child, 0)
        os._exit(0)
with open(sys.argv[2] + '/cgroup.procs', 'w') as file: file.write('0')
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'GET /deep HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
while s.recv(4096): pass";

#[test]
fn a_far_descendant_that_left_the_cgroup_is_the_commands() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let file = store.scratch().file("summary.json");
    let mut command = store.command(&["run", "--json", &file.to_string_lossy(), "--"]);
    let (port, root) = (nginx.port.to_string(), cgroup_mount());
    command.arg(python()).args(["-c", DEEP, &port]).arg(root);
    let output = run(&mut command);
    assert!(output.status.success(), "{output:?}");
    let text = std::fs::read_to_string(&file).expect("the summary");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    let exchanges = summary["exchanges"].as_array().expect("exchanges");
    assert_eq!(exchanges.len(), 1, "{summary:#}");
    assert_eq!(exchanges[0]["url_path"], "/deep", "{summary:#}");
}
