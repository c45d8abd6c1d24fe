//! A thousand mixed requests of real clients to real servers are what nginx's own access log says they were.

#![allow(clippy::expect_used, reason = "tests")]

use std::{collections::BTreeMap, process::Command};

use headwater_integration_tests::{
    Nginx, Program, Store, column, node_server, python, python_server, until,
};

type Counted = BTreeMap<(String, String, String), usize>;

fn counted(requests: impl IntoIterator<Item = (String, String, String)>) -> Counted {
    let mut counts = Counted::new();
    for request in requests {
        *counts.entry(request).or_default() += 1;
    }
    counts
}

/// What is in one multiset and not in the other.
fn difference(left: &Counted, right: &Counted) -> Vec<String> {
    let mut lines = Vec::new();
    for (request, count) in left {
        let other = right.get(request).copied().unwrap_or(0);
        if *count > other {
            lines.push(format!("{} x {request:?}", count - other));
        }
    }
    lines
}

const REQUESTS: &str = r#"
import sys, threading, requests
url = sys.argv[1]
def talk(name):
    with requests.Session() as session:
        for number in range(50):
            session.get(f"{url}/words/{name}/{number}", params={"page": number})
            session.post(f"{url}/accept/{name}", data=b"x" * (number * 700))
        session.head(f"{url}/file.txt")
        session.options(f"{url}/words/options")
        session.put(f"{url}/accept/put", json={"a": 1})
        session.delete(f"{url}/accept/delete")
        session.post(f"{url}/accept/chunked", data=(b"part" * n for n in range(1, 9)))
        session.get(f"{url}/large.bin")
        session.get(f"{url}/large.bin", headers={"Range": "bytes=5-10"})
        session.get(f"{url}/moved")
        session.get(f"{url}/missing/{name}")
    requests.get(f"{url}/words/alone", headers={"Connection": "close"})
threads = [threading.Thread(target=talk, args=(name,)) for name in ("red", "green", "blue")]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"#;

const NODE: &str = r"
const http = require('http'), url = process.argv[1], agent = new http.Agent({keepAlive: true, maxSockets: 4});
const ask = (method, path, body) => new Promise((done, failed) => {
  const request = http.request(url + path, {method, agent}, answer => { answer.resume(); answer.on('end', done); });
  request.on('error', failed);
  if (body) { request.write(body); }
  request.end();
});
(async () => {
  for (let round = 0; round < 25; round++) {
    await Promise.all([ask('GET', '/node/plain'), ask('POST', '/accept/node', 'body'.repeat(round * 300 + 1)), ask('GET', '/python/file.txt'), ask('HEAD', '/words/node'), ask('GET', '/missing/node')]);
  }
  agent.destroy();
})();
";

fn clients(url: &str, list: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut add = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments);
        commands.push(command);
    };
    let at = |path: &str| format!("{url}{path}");
    add(
        "curl",
        &["-s", "-o", "/dev/null", &at("/words/curl/[1-400]?q=1")],
    );
    add(
        "curl",
        &["-s", "-I", "-o", "/dev/null", &at("/file.txt?[1-40]")],
    );
    add(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "-H",
            "Connection: close",
            &at("/words/close/[1-40]"),
        ],
    );
    add(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "--http1.0",
            &at("/words/old/[1-20]"),
        ],
    );
    add(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "--compressed",
            &at("/words/compressed/[1-20]"),
        ],
    );
    add(
        "curl",
        &["-s", "-o", "/dev/null", "-L", &at("/moved?[1-10]")],
    );
    add(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "-H",
            "Transfer-Encoding: chunked",
            "-d",
            "some body",
            &at("/accept/curl/[1-20]"),
        ],
    );
    add(
        "curl",
        &[
            "-s",
            "-o",
            "/dev/null",
            "-T",
            "/etc/services",
            &at("/accept/upload/[1-10]"),
        ],
    );
    add("wget", &["-q", "-O", "/dev/null", "-i", list]);
    add(
        "wget",
        &[
            "-q",
            "-O",
            "/dev/null",
            "--post-data=a=b",
            &at("/accept/wget"),
        ],
    );
    add("wget", &["-q", "--spider", &at("/file.txt")]);
    let mut requests = Command::new(python());
    requests.args(["-c", REQUESTS, url]);
    let mut node = Command::new("node");
    node.args(["-e", NODE, url]);
    commands.extend([requests, node]);
    commands
}

#[test]
fn recorded_requests_equal_the_access_log() {
    let store = Store::new();
    let recorder = store.record(&[]);
    let (_node, node_port) = node_server(
        "(request, response) => {
           if (request.url.startsWith('/accept/')) { request.resume(); request.on('end', () => { response.statusCode = 204; response.end(); }); return; }
           response.write('one'); setTimeout(() => response.end('two'), 1);
         }",
    );
    let files = store.scratch().path().to_owned();
    store.scratch().write("file.txt", "a file");
    let (_python, python_port) = python_server(&files);
    let nginx = Nginx::start(&format!(
        "gzip on; gzip_min_length 1; gzip_types *;
         location /words/ {{ return 200 'words that are long enough for gzip to do something\\n'; }}
         location /accept/ {{ proxy_pass http://127.0.0.1:{node_port}; proxy_http_version 1.1; }}
         location /moved {{ return 302 /words/moved; }}
         location /node/ {{ proxy_pass http://127.0.0.1:{node_port}; proxy_http_version 1.1; }}
         location /python/ {{ proxy_pass http://127.0.0.1:{python_port}/; }}"
    ));
    nginx.file("file.txt", "a file");
    nginx.file("large.bin", vec![7; 6 << 20]);
    let lines = (0..100).map(|number| format!("{}/words/wget/{number}\n", nginx.url()));
    let lines = lines.collect::<Vec<_>>().concat();
    let list = store.scratch().write("list", lines);
    let running: Vec<Program> = clients(&nginx.url(), &list.to_string_lossy())
        .iter_mut()
        .map(Program::start)
        .collect();
    for client in running {
        client.wait();
    }

    let log = counted(nginx.log());
    assert!(
        log.values().sum::<usize>() >= 1000,
        "{} requests",
        log.values().sum::<usize>()
    );
    let service = format!("nginx:{}", nginx.port);
    until("same requests in the store and in nginx's log", || {
        let rows = store.rows(&["search-exchanges", "--service", &service]);
        let stored = counted(rows.iter().map(|row| {
            (
                column(row, "method"),
                column(row, "path"),
                column(row, "status"),
            )
        }));
        if stored == log {
            Ok(())
        } else {
            Err((difference(&log, &stored), difference(&stored, &log)))
        }
    });
    let behind = store.rows(&[
        "search-exchanges",
        "--path",
        "=/node/plain",
        "--peer",
        "nginx",
    ]);
    assert_eq!(behind.len(), 25, "nginx's own requests to node: {behind:?}");
    let (status, told) = recorder.end("INT");
    assert!(status.success() && told.contains(" 0 lost"), "{told}");
}
