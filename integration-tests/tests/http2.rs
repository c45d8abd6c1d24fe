//! HTTP/2 and gRPC of real programs: what is recorded is what the server's own log says, whoever speaks and whenever the
//! recorder joins.

#![allow(clippy::expect_used, reason = "tests")]

use std::{collections::BTreeMap, process::Command};

use headwater_integration_tests::{Nginx, Program, Store, column, free_port, python, said, until};
use serde_json::Value;

type Counted = BTreeMap<(String, String, String), usize>;

fn counted(requests: impl IntoIterator<Item = (String, String, String)>) -> Counted {
    let mut counts = Counted::new();
    for request in requests {
        *counts.entry(request).or_default() += 1;
    }
    counts
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What was recorded at a port: method, path and status of all exchanges.
fn recorded(store: &Store, port: u16) -> Counted {
    let service = format!(":{port}");
    counted(
        store
            .rows(&["search-exchanges", "--service", &service])
            .iter()
            .map(|row| {
                (
                    column(row, "method"),
                    column(row, "path"),
                    column(row, "status"),
                )
            }),
    )
}

#[test]
fn a_thousand_requests_over_http2_are_what_nginx_logged() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = Nginx::start_http2(
        "location = /moved { return 302 /file.txt; }
         location = /accept { client_body_buffer_size 1m; return 204; }",
    );
    nginx.file("file.txt", "hello\n");
    nginx.file("large.bin", vec![b'x'; 3 << 20]);
    let url = nginx.url();
    let at = |path: &str| format!("{url}{path}");
    said(Command::new("h2load").args(["-n", "700", "-c", "5", "-m", "20", &at("/file.txt")]));
    said(Command::new("h2load").args(["-n", "30", "-c", "2", "-m", "8", &at("/large.bin")]));
    said(Command::new("nghttp").args([
        "-n",
        &at("/file.txt"),
        &at("/missing"),
        &at("/moved"),
        &at("/large.bin"),
    ]));
    let body = nginx.folder().join("body.bin");
    std::fs::write(&body, vec![b'y'; 200_000]).expect("a body");
    for _ in 0..20 {
        said(
            Command::new("curl")
                .args(["-s", "--http2-prior-knowledge", "--data-binary"])
                .arg(format!("@{}", body.display()))
                .args([
                    &at("/accept"),
                    "-o",
                    "/dev/null",
                    "--next",
                    "-s",
                    "--http2-prior-knowledge",
                ])
                .args([
                    "-H",
                    "X-Color: blue",
                    &at("/missing/again"),
                    "-o",
                    "/dev/null",
                ]),
        );
    }
    until("exchanges as logged", || {
        let (logged, seen) = (counted(nginx.log()), recorded(&store, nginx.port));
        if logged == seen {
            Ok(())
        } else {
            Err((logged, seen))
        }
    });
    let post = store.exchange("/accept");
    assert_eq!(post["request"]["version"], "HTTP/2", "{post:#}");
    assert_eq!(post["request"]["body_bytes"], 200_000, "{post:#}");
    assert_eq!(
        post["client"]["process_evidence"], "socket_lock",
        "{post:#}"
    );
    assert!(
        words(&post["client"]["service"]).starts_with("curl"),
        "{post:#}"
    );
    assert!(
        words(&post["server"]["service"]).starts_with("nginx"),
        "{post:#}"
    );
    let names = &post["request"]["headers"]["rows"];
    assert!(names.to_string().contains(":authority"), "{post:#}");
    let large = store.exchange("/large.bin");
    assert_eq!(large["response"]["body_bytes"], 3 << 20, "{large:#}");
    assert_eq!(large["outcome"], "complete", "{large:#}");
    assert!(large.get("gaps").is_none(), "{large:#}");
}

#[test]
fn an_upgrade_goes_on_as_http2() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, files) = (free_port(), store.scratch().path().join("files"));
    std::fs::create_dir(&files).expect("a folder");
    std::fs::write(files.join("upgraded"), "hello\n").expect("a file");
    std::fs::write(files.join("second"), "hello\n").expect("a file");
    let mut server = Command::new("nghttpd");
    server
        .arg("--no-tls")
        .arg("-d")
        .arg(&files)
        .arg(port.to_string());
    let _server = Program::start(&mut server);
    until("listening nghttpd", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)
    });
    let url = format!("http://127.0.0.1:{port}");
    said(Command::new("nghttp").args([
        "-nu",
        &format!("{url}/upgraded"),
        &format!("{url}/second"),
    ]));
    let second = store.exchange("/second");
    assert_eq!(second["status_code"], 200, "{second:#}");
    assert_eq!(second["request"]["version"], "HTTP/2", "{second:#}");
    // The request that asked for it was answered on stream 1.
    let rows = store.rows(&["search-exchanges", "--path", "=/upgraded"]);
    let statuses: Vec<_> = rows.iter().map(|row| column(row, "status")).collect();
    assert!(statuses.contains(&"200".to_owned()), "{rows:?}");
}

/// A server and a client of gRPC without generated code: messages are bytes.
const GRPC: &str = r#"
import grpc, sys, threading, time
from concurrent import futures

def echo(request, context): return request
def missing(request, context): context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
def slow(request, context): time.sleep(5); return request
def count(request, context):
    for n in range(5): yield b"x" * (n * 9000)
def collect(requests, context): return b"".join(requests)
def both(requests, context):
    for request in requests: yield request
class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        name = call.method.rsplit("/", 1)[1]
        return {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Missing": grpc.unary_unary_rpc_method_handler(missing),
                "Slow": grpc.unary_unary_rpc_method_handler(slow), "Count": grpc.unary_stream_rpc_method_handler(count),
                "Collect": grpc.stream_unary_rpc_method_handler(collect), "Both": grpc.stream_stream_rpc_method_handler(both)}.get(name)
server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((Handler(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("serving on port", port, flush=True)
channel = grpc.insecure_channel(f"127.0.0.1:{port}")
def failed(call):
    try: call()
    except grpc.RpcError as error: return error.code().name
def call(kind, name): return getattr(channel, kind)("/shop.Orders/" + name)
def all():
    assert call("unary_unary", "Echo")(b"hello", metadata=[("x-order", "o-123"), ("blob-bin", b"\x00\x01")]) == b"hello"
    assert failed(lambda: call("unary_unary", "Missing")(b"")) == "NOT_FOUND"
    assert failed(lambda: call("unary_unary", "Nowhere")(b"")) == "UNIMPLEMENTED"
    assert failed(lambda: call("unary_unary", "Slow")(b"", timeout=0.3)) == "DEADLINE_EXCEEDED"
    assert len(list(call("unary_stream", "Count")(b""))) == 5
    assert call("stream_unary", "Collect")(iter([b"a", b"b" * 30000, b"c"])) == b"a" + b"b" * 30000 + b"c"
    assert list(call("stream_stream", "Both")(iter([b"1", b"2"]))) == [b"1", b"2"]
"#;

fn grpc(rest: &str) -> Program {
    let mut command = Command::new(python());
    command.args(["-u", "-c", &format!("{GRPC}\n{rest}")]);
    Program::start(&mut command)
}

#[test]
fn grpc_calls_of_every_kind() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let program = grpc("all()\nprint('done', flush=True)\nsys.stdin.read()");
    program.await_line("done");
    let of = |name: &str| store.exchange(&format!("/shop.Orders/{name}"));
    let facts = |exchange: &Value| {
        let rpc = &exchange["rpc"];
        (
            words(&rpc["grpc_status"]).to_owned(),
            words(&rpc["request_messages"]).to_owned(),
            words(&rpc["response_messages"]).to_owned(),
            words(&rpc["kind_seen"]).to_owned(),
        )
    };
    let told = |status: &str, requests: &str, responses: &str, kind: &str| {
        (
            status.to_owned(),
            requests.to_owned(),
            responses.to_owned(),
            kind.to_owned(),
        )
    };
    let echo = of("Echo");
    assert_eq!(facts(&echo), told("OK", "1", "1", "unary"), "{echo:#}");
    assert_eq!(echo["rpc"]["service"], "shop.Orders", "{echo:#}");
    assert_eq!(echo["rpc"]["method"], "Echo", "{echo:#}");
    assert!(
        echo["response"]["trailers"]["rows"]
            .to_string()
            .contains("grpc-status"),
        "{echo:#}"
    );
    let headers = echo["request"]["headers"]["rows"].to_string();
    assert!(
        headers.contains("blob-bin") && !headers.contains("AAE"),
        "{echo:#}"
    );
    let missing = of("Missing");
    assert_eq!(missing["rpc"]["grpc_status"], "NOT_FOUND", "{missing:#}");
    assert_eq!(
        missing["rpc"]["grpc_message"], "no such thing",
        "{missing:#}"
    );
    assert_eq!(of("Nowhere")["rpc"]["grpc_status"], "UNIMPLEMENTED");
    let count = of("Count");
    assert_eq!(
        facts(&count),
        told("OK", "1", "5", "server_streaming"),
        "{count:#}"
    );
    let collect = of("Collect");
    assert_eq!(
        facts(&collect),
        told("OK", "3", "1", "client_streaming"),
        "{collect:#}"
    );
    let both = of("Both");
    assert_eq!(facts(&both), told("OK", "2", "2", "bidi"), "{both:#}");
    let slow = of("Slow");
    assert_eq!(slow["outcome"], "client_gave_up", "{slow:#}");
    assert_eq!(slow["http2"]["error"], "CANCEL", "{slow:#}");
    assert!(
        slow["rpc"]["timeout_ms"]
            .as_f64()
            .is_some_and(|ms| ms > 100.0 && ms <= 300.0),
        "{slow:#}"
    );
    let kinds: Vec<_> = store
        .rows(&["find-errors"])
        .iter()
        .map(|row| column(row, "kind"))
        .collect();
    for kind in ["grpc NOT_FOUND", "grpc UNIMPLEMENTED", "gave_up"] {
        assert!(kinds.iter().any(|told| told == kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_busy_grpc_connection_joined_in_the_middle() {
    let store = Store::new();
    // Eight threads on one connection, until the file appears: at most a minute.
    let stop = store.scratch().path().join("stop");
    let program = grpc(&format!(
        "all()
import os
ended = time.monotonic() + 60
def work():
    n = 0
    while not os.path.exists({stop:?}) and time.monotonic() < ended:
        n += 1
        assert call('unary_unary', 'Echo')(b'x' * (n % 500), metadata=[('x-turn', 't%d' % (n % 7))]) == b'x' * (n % 500)
        failed(lambda: call('unary_unary', 'Missing')(b''))
threads = [threading.Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads]
print('busy', flush=True)
[thread.join() for thread in threads]
print('done', flush=True)"
    ));
    program.await_line("busy");
    let recorder = store.record(&[]);
    until("many exchanges", || {
        let rows = store.rows(&["search-exchanges", "--outcome", "complete"]);
        if rows.len() > 500 {
            Ok(())
        } else {
            Err(rows.len())
        }
    });
    std::fs::write(&stop, "").expect("a file");
    program.await_line("done");
    assert!(recorder.end("INT").0.success());
    // Not one wrong value: what is known is one of what was sent, the rest says that it is not known.
    let rows = store.rows(&["search-exchanges"]);
    let mut unknown = 0;
    for row in &rows {
        let path = column(row, "path");
        let known = ["/shop.Orders/Echo", "/shop.Orders/Missing"].contains(&path.as_str());
        assert!(known || path.starts_with("{unknown"), "{row:?}");
        unknown += usize::from(!known);
        assert!(
            ["POST", "{unknown}"].contains(&column(row, "method").as_str()),
            "{row:?}"
        );
        assert!(
            ["200", "null"].contains(&column(row, "status").as_str()),
            "{row:?}"
        );
    }
    println!("{unknown} of {} paths are not known", rows.len());
    let errors = store.rows(&["find-errors"]);
    assert!(
        errors
            .iter()
            .any(|row| column(row, "kind") == "grpc NOT_FOUND"),
        "{errors:?}"
    );
}
