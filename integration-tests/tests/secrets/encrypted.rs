//! Everything over TLS, whose plaintext is read inside the programs; and what a handshake says in clear.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Scratch, Store, certificate_of, python, said};

use crate::canary::{CANARY, answers_once, assert_nowhere, canary};
use crate::{curl, plant};

#[test]
fn canaries_inside_tls() {
    let locations = format!(
        "location / {{ add_header X-Api-Key {CANARY}Xk; add_header Set-Cookie 'sid={CANARY}Sc'; return 200 '{CANARY}An'; }}"
    );
    let (store, nginx) = (Store::new(), Nginx::start_tls(&locations));
    let recorder = store.record(&["-vv"]);
    let named = format!(
        "{}:443:127.0.0.1:{}",
        canary("Sn.example").replace('_', "-"),
        nginx.port
    );
    let host = named.split(':').next().unwrap_or_default();
    for version in ["--http1.1", "--http2"] {
        plant(&nginx.url_tls(), &["-k", version]);
        said(
            curl(&["-k", version, "--connect-to", &named]).arg(format!("https://{host}/words/sni")),
        );
    }
    let answers = answers_once(&store, 18) + &connections(&store, 18);
    for word in [
        "harmless-agent/1.0",
        "/words/bearer",
        "page=2",
        "HTTP/1.1",
        "HTTP/2",
        "ClientHello",
    ] {
        assert!(answers.contains(word), "{word}: {answers}");
    }
    let found = store.rows(&["search-exchanges", "--header-value", &canary("Cu")]);
    assert_eq!(found.len(), 2, "a plain value is found: {found:?}");
    assert_nowhere(&store, recorder, &answers);
}

/// Answers one connection after the other, with a certificate and an application protocol that hold secrets.
const TELLING: &str = r"
import ssl, socket, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.set_alpn_protocols([sys.argv[3] + 'Al'])
server = context.wrap_socket(socket.create_server(('127.0.0.1', 0)), server_side=True)
print('listening on port', server.getsockname()[1], flush=True)
while True:
    stream, _ = server.accept()
    head = b''
    while b'\r\n\r\n' not in head: head += stream.recv(65536)
    stream.sendall(f'HTTP/1.1 200 Fine\r\nX-Api-Key: {sys.argv[3]}Xk\r\nContent-Length: 2\r\n\r\nok'.encode())
    stream.close()
";
const ASKING: &str = r"
import ssl, socket, sys
context = ssl._create_unverified_context()
context.set_alpn_protocols([sys.argv[2] + 'Al', 'http/1.1'])
with context.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='localhost') as stream:
    stream.sendall(f'GET /words/told HTTP/1.1\r\nHost: localhost\r\nX-Custom: {sys.argv[2]}Cu\r\n\r\n'.encode())
    while stream.recv(65536): pass
";

#[test]
fn canaries_in_handshakes() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let host = canary("Na").replace('_', "-");
    let (certificate, key) = certificate_of(
        &scratch,
        &format!("/O={}/CN={}", canary("Or"), canary("Cn")),
        &format!("DNS:{host}.example,DNS:localhost"),
    );
    let recorder = store.record(&["-vv"]);
    let server = Program::start(
        Command::new(python())
            .args(["-u", "-c", TELLING])
            .args([&certificate, &key])
            .arg(CANARY),
    );
    let port = server.await_port().to_string();
    said(Command::new(python()).args(["-c", ASKING, &port, CANARY]));
    let answers = answers_once(&store, 1) + &connections(&store, 1);
    for word in ["TLS 1.2", "/words/told", "certificate", "localhost"] {
        assert!(answers.contains(word), "{word}: {answers}");
    }
    assert_nowhere(&store, recorder, &answers);
}

/// What is told of the connections of these exchanges.
fn connections(store: &Store, count: usize) -> String {
    let mut answers = String::new();
    for row in store.await_rows(&["search-exchanges", "--path", "/words/"], count) {
        let id = headwater_integration_tests::column(&row, "id");
        let exchange = store.ask(&["get-exchange", &id]);
        let connection = exchange["connection"]["id"].as_str().unwrap_or_default();
        for options in [&["--json"][..], &[]] {
            answers += &said(store.command(&["get-connection", connection]).args(options));
        }
    }
    answers
}
