//! OpenSSL and BoringSSL in programs and libraries that have no names of functions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_integration_tests::{
    Front, Nginx, Program, Scratch, Store, certificate, python, said, until,
};

use crate::openssl::python_program;
use crate::{BEFORE, as_logged, once_read};

/// Requests over pyOpenSSL, eight connections at a time.
const PYOPENSSL: &str = r#"
import os, socket, sys, threading, time
from OpenSSL import SSL
count, port, name, go = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
context = SSL.Context(SSL.TLS_CLIENT_METHOD)
wrong = []
def connect():
    connection = SSL.Connection(context, socket.create_connection(("127.0.0.1", port)))
    connection.set_connect_state()
    connection.do_handshake()
    return connection
while not os.path.exists(go):
    connection = connect()
    connection.sendall(f"GET /small/before-{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    time.sleep(0.02)
def client(number):
    connection = connect()
    for k in range(number, count, 8):
        put, large = k % 10 == 7, k % 10 == 5
        path = f"/{'put' if put else 'large' if large else 'small'}/{name}-{k}"
        body = bytes(1 << 20) if put else b""
        head = f"{'PUT' if put else 'GET'} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        answer = b""
        while b"\r\n\r\n" not in answer: answer += connection.recv(16384)
        head, body = answer.split(b"\r\n\r\n", 1)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        while len(body) < length: body += connection.recv(65536)
        if length != (0 if put else 1 << 20 if large else 6): wrong.append(k)
    connection.shutdown()
threads = [threading.Thread(target=client, args=(i,)) for i in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong, wrong
"#;

/// A server of gRPC that tells the client's address of each call.
const GRPC_SERVER: &str = r"
import concurrent.futures, grpc, sys
certificate, key = (open(path, 'rb').read() for path in sys.argv[1:])
def answer(request, context):
    status = 5 if request.endswith(b'-wrong') else 0
    print(f'call {context.peer()} {status}\n', end='', flush=True)
    if request.endswith(b'-wrong'): context.abort(grpc.StatusCode.NOT_FOUND, 'not here')
    return request * 1000
method = grpc.unary_unary_rpc_method_handler(answer)
before = grpc.unary_unary_rpc_method_handler(lambda request, context: request * 1000)
server = grpc.server(concurrent.futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler('shop.Cart', {'Get': method, 'Before': before}),))
port = server.add_secure_port('127.0.0.1:0', grpc.ssl_server_credentials([(key, certificate)]))
server.start()
print('listening on port', port, flush=True)
server.wait_for_termination()
";

/// Calls of it, eight at a time over four connections.
const GRPC: &str = r"
import concurrent.futures, grpc, os, sys, time
count, port, go, certificate = int(sys.argv[1]), sys.argv[2], sys.argv[3], open(sys.argv[4], 'rb').read()
credentials = grpc.ssl_channel_credentials(certificate)
# Channels that are alike share a connection.
channels = [grpc.secure_channel('localhost:' + port, credentials, options=[('grpc.use_local_subchannel_pool', 1)]) for _ in range(4)]
while not os.path.exists(go):
    with grpc.secure_channel('localhost:' + port, credentials, options=[('grpc.use_local_subchannel_pool', 1)]) as channel:
        channel.unary_unary('/shop.Cart/Before')(b'')
    time.sleep(0.02)
methods = [channel.unary_unary('/shop.Cart/Get') for channel in channels]
def call(k):
    request = b'%d' % k + (b'-wrong' if k % 10 == 3 else b'')
    try:
        answer = methods[k % 4](request)
    except grpc.RpcError as error:
        return error.code() == grpc.StatusCode.NOT_FOUND and k % 10 == 3
    return answer == request * 1000
with concurrent.futures.ThreadPoolExecutor(8) as pool: assert all(pool.map(call, range(count)))
";

/// The library of the server alone is read.
#[test]
fn a_server_with_openssl_in_it() {
    let store = Store::new();
    let (nginx, http2_port) = Nginx::start_behind_proxy();
    let front = Front::start(Front::STRIPPED, nginx.port, http2_port);
    let _recorder = store.record(&["--tls-program", Front::STRIPPED, "--ring-size", "32MiB"]);
    let at = |path: &str| format!("https://127.0.0.1:{}/{path}", front.port);
    front.await_known(&store, BEFORE);
    let body = store.scratch().write("body", "x".repeat(1 << 20));
    for version in ["--http1.1", "--http2"] {
        let name = |kind: &str, numbers: &str| at(&format!("{kind}/{version}-{kind}-[{numbers}]"));
        said(
            Command::new("curl")
                .args(["-skf", "-o", "/dev/null", "--parallel", version])
                .args(["--parallel-max", "16"])
                .args([name("small", "1-80"), name("large", "1-20")]),
        );
        // One after the other, over one connection.
        said(
            Command::new("curl")
                .args(["-skf", version, "-T"])
                .arg(&body)
                .arg(name("put", "1-20")),
        );
    }
    as_logged(&store, front.port, 240, || nginx.access_log());
}

/// pyOpenSSL has its library in Python's cryptography; a copy of that has no names.
#[test]
fn pyopenssl() {
    let (store, nginx, scratch) = (Store::new(), Nginx::start_sized(), Scratch::new());
    let packages = purelib();
    said(
        Command::new("cp")
            .arg("-r")
            .arg(packages.join("cryptography"))
            .arg(scratch.path()),
    );
    let bindings = scratch.file("cryptography/hazmat/bindings");
    said(
        Command::new("sh")
            .args(["-c", "strip \"$0\"/*.so"])
            .arg(bindings),
    );
    let _recorder = store.record(&["--tls-program", &python_program(), "--ring-size", "32MiB"]);
    let go = store.scratch().file("go");
    once_read(
        &store,
        Command::new(python())
            .env("PYTHONPATH", scratch.path())
            .args(["-c", PYOPENSSL, "400", &nginx.port.to_string(), "pyopenssl"])
            .arg(&go),
        &go,
        &format!("=/small/{BEFORE}pyopenssl"),
    );
    as_logged(&store, nginx.port, 400, || nginx.access_log());
}

/// gRPC for Python has BoringSSL in itself. One end at a time is read.
#[test]
fn grpc_for_python() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let (certificate, key) = certificate(&scratch);
    // Another program, by its file's name.
    let program = std::fs::canonicalize(python()).expect("Python; ./test installs it");
    let server_program = scratch.file("grpc-server");
    std::fs::copy(program, &server_program).expect("a copy");
    let server = Program::start(
        Command::new(server_program)
            .env("PYTHONPATH", purelib())
            .env("PYTHONHOME", said_of_python("sys.base_prefix"))
            .args(["-c", GRPC_SERVER])
            .args([&certificate, &key]),
    );
    let port = server.await_port();
    for program in ["grpc-server", &python_program()] {
        let _recorder = store.record(&["--tls-program", program, "--ring-size", "32MiB"]);
        let go = store.scratch().file(program);
        once_read(
            &store,
            Command::new(python())
                .args(["-c", GRPC, "400", &port.to_string()])
                .args([&go, &certificate]),
            &go,
            "=/shop.Cart/Before",
        );
        // By the client's port and the status.
        let logged = || -> BTreeMap<String, usize> {
            let said = server.said();
            let mut calls = BTreeMap::new();
            for line in said.lines().filter(|line| line.starts_with("call ")) {
                let port_and_status = line.rsplit(':').next().unwrap_or_default();
                *calls.entry(port_and_status.to_owned()).or_default() += 1;
            }
            calls
        };
        let sql = format!(
            "SELECT c.client_port, e.grpc_status FROM exchanges e JOIN connections c ON c.id = e.connection_id
             WHERE c.server_port = {port} AND e.path = '/shop.Cart/Get' AND e.outcome = 'complete' ORDER BY e.id"
        );
        until("calls as logged", || {
            let mut recorded = BTreeMap::new();
            for row in store.sql(&sql) {
                *recorded
                    .entry(format!("{} {}", row[0], row[1]))
                    .or_default() += 1;
            }
            let logged = logged();
            let is_all = recorded == logged && logged.values().sum::<usize>() % 400 == 0;
            is_all.then_some(()).ok_or((recorded, logged))
        });
    }
}

/// Where the packages of the tests' Python are.
fn purelib() -> PathBuf {
    Path::new(&said_of_python(
        "__import__('sysconfig').get_path('purelib')",
    ))
    .to_owned()
}

fn said_of_python(expression: &str) -> String {
    let print = format!("import sys; print({expression})");
    let output = said(Command::new(python()).args(["-c", &print]));
    output.trim().to_owned()
}
