//! HTTP/2 and gRPC of real programs: what is recorded is what the server's own log says, whoever speaks and whenever the
//! recorder joins.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use headwater_integration_tests::{Nginx, Program, Store, column, free_port, python, said, until};
use serde_json::{Map, Value};

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
    counted(at_port(store, port, &[]).iter().map(|row| {
        (
            column(row, "method"),
            column(row, "path"),
            column(row, "status"),
        )
    }))
}

/// The exchanges of a server.
fn at_port(store: &Store, port: u16, more: &[&str]) -> Vec<Map<String, Value>> {
    let mut rows = store.rows(&[&["search-exchanges"], more].concat());
    rows.retain(|row| column(row, "server").ends_with(&format!(":{port}")));
    rows
}

#[test]
fn a_thousand_requests_over_http2_are_what_nginx_logged() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    // What is uploaded is read whole by a proxy; nginx alone would answer before.
    let backend = Nginx::start("location = /accept { return 204; }");
    let nginx = Nginx::start_http2(&format!(
        "location = /moved {{ return 302 /file.txt; }}
         location = /accept {{ client_body_buffer_size 1m; proxy_pass http://127.0.0.1:{}; }}",
        backend.port
    ));
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
    std::fs::write(&body, vec![b'y'; 20_000]).expect("a body");
    for _ in 0..20 {
        let curl = |arguments: &[&str], url: &str| {
            let mut command = Command::new("curl");
            command.args(["-s", "--http2-prior-knowledge", "-o", "/dev/null"]);
            said(command.args(arguments).arg(at(url)));
        };
        curl(
            &["--data-binary", &format!("@{}", body.display())],
            "/accept",
        );
        curl(&["-H", "X-Color: blue"], "/missing/again");
    }
    until("exchanges as logged", || {
        let (logged, seen) = (counted(nginx.log()), recorded(&store, nginx.port));
        if logged == seen {
            Ok(())
        } else {
            Err((logged, seen))
        }
    });
    let post = at_port(&store, nginx.port, &["--path", "=/accept"]);
    let post = store.ask(&["get-exchange", &column(&post[0], "id")]);
    assert_eq!(post["request"]["version"], "HTTP/2", "{post:#}");
    assert_eq!(post["request"]["body_bytes"], 20_000, "{post:#}");
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

/// The last frame of each comes in two parts, of which the second holds no header; the answer comes at once.
#[test]
fn uploads_are_counted_to_their_ends() {
    const CLIENT: &str = r#"
import socket, sys
def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
def field(name, value): return bytes([0, len(name)]) + name + bytes([len(value)]) + value
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
answers = connection.makefile("rb")
connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b""))
for stream in range(1, 41, 2):
    path = b"/put/upload-%d" % stream
    head = [(b":method", b"PUT"), (b":path", path), (b":scheme", b"http"), (b":authority", b"localhost"), (b"content-length", b"5000")]
    connection.sendall(frame(1, 4, stream, b"".join(field(*pair) for pair in head)))
    last = frame(0, 1, stream, b"x" * 5000)
    for part in (last[:3000], last[3000:]): connection.sendall(part)
    while True:
        header = answers.read(9)
        answers.read(int.from_bytes(header[:3], "big"))
        if int.from_bytes(header[5:], "big") == stream and header[3] < 2 and header[4] & 1: break
"#;
    let store = Store::new();
    let nginx = Nginx::start_http2("location /put/ { dav_methods PUT; create_full_put_path on; }");
    let recorder = store.record(&[]);
    said(Command::new(python()).args(["-c", CLIENT, &nginx.port.to_string()]));
    let sql = "SELECT request_bytes, COUNT(*) FROM exchanges WHERE method = 'PUT' GROUP BY 1";
    recorder.end("INT");
    assert_eq!(store.sql(sql), [[Value::from(5000), Value::from(20)]]);
}

#[test]
fn an_upgrade_goes_on_as_http2() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (backend, port) = (Nginx::start(""), free_port());
    backend.file("upgraded", "hello\n");
    backend.file("second", "hello\n");
    let mut proxy = Command::new("nghttpx");
    proxy.env(
        "PATH",
        format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()),
    );
    proxy.arg(format!("--frontend=127.0.0.1,{port};no-tls"));
    proxy.arg(format!("--backend=127.0.0.1,{}", backend.port));
    let _proxy = Program::start(&mut proxy);
    until("listening nghttpx", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).map(drop)
    });
    let url = format!("http://127.0.0.1:{port}");
    said(Command::new("nghttp").args([
        "-nu",
        &format!("{url}/upgraded"),
        &format!("{url}/second"),
    ]));
    // At the proxy, over HTTP/2, and behind it, over HTTP/1.
    let at_proxy = |path: &str| {
        until(path, || {
            let rows = at_port(
                &store,
                port,
                &["--path", &format!("={path}"), "--status", "200"],
            );
            rows.first().map(|row| column(row, "id")).ok_or(rows)
        })
    };
    let second = store.ask(&["get-exchange", &at_proxy("/second")]);
    assert_eq!(second["request"]["version"], "HTTP/2", "{second:#}");
    assert_eq!(second["outcome"], "complete", "{second:#}");
    // The request that asked for it was answered on stream 1.
    let first = store.ask(&["get-exchange", &at_proxy("/upgraded")]);
    assert_eq!(first["http2"]["stream_id"], 1, "{first:#}");
    assert_eq!(first["outcome"], "complete", "{first:#}");
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
def endless(request, context):
    for n in range(1000):
        if not context.is_active(): return
        yield b"more"
        time.sleep(0.05)
def collect(requests, context): return b"".join(requests)
def both(requests, context):
    for request in requests: yield request
class Handler(grpc.GenericRpcHandler):
    def service(self, call):
        name = call.method.rsplit("/", 1)[1]
        return {"Echo": grpc.unary_unary_rpc_method_handler(echo), "Missing": grpc.unary_unary_rpc_method_handler(missing),
                "Slow": grpc.unary_unary_rpc_method_handler(slow), "Endless": grpc.unary_stream_rpc_method_handler(endless), "Count": grpc.unary_stream_rpc_method_handler(count),
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
    stream = call("unary_stream", "Endless")(b"")
    assert next(stream) == b"more"
    stream.cancel()
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
    // The server keeps the deadline too: it may be heard before the client's reset.
    let slow = of("Slow");
    let timeout_ms = slow["rpc"]["timeout_ms"].as_f64().unwrap_or_default();
    assert!((100.0..=310.0).contains(&timeout_ms), "{slow:#}");
    assert!(
        slow["rpc"]["grpc_status"] == "DEADLINE_EXCEEDED" || slow["outcome"] == "client_gave_up",
        "{slow:#}"
    );
    let cancelled = of("Endless");
    assert_eq!(cancelled["outcome"], "client_gave_up", "{cancelled:#}");
    assert_eq!(cancelled["http2"]["error"], "CANCEL", "{cancelled:#}");
    assert_eq!(cancelled["http2"]["error_by"], "client", "{cancelled:#}");
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
        assert call('unary_unary', 'Echo')(b'x' * (n % 500), metadata=[('x-turn', 'turn-%d-%d' % (n, threading.get_ident()))]) == b'x' * (n % 500)
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
    let mut opaque = BTreeSet::new();
    for row in &rows {
        let path = column(row, "path");
        // Calls that had begun before: their answers are there, and say that the request was not seen.
        let unseen = column(row, "outcome") == "request_not_seen";
        let known = ["/shop.Orders/Echo", "/shop.Orders/Missing"].contains(&path.as_str());
        assert!(known || unseen || path.starts_with("{unknown"), "{row:?}");
        if !known && !unseen {
            opaque.insert(path);
        }
        let method = column(row, "method");
        assert!(
            unseen || ["POST", "{unknown}"].contains(&method.as_str()),
            "{row:?}"
        );
        assert!(
            ["200", "null"].contains(&column(row, "status").as_str()),
            "{row:?}"
        );
    }
    // What is not known has one name for each path.
    assert!(opaque.len() <= 2, "{opaque:?}");
}
