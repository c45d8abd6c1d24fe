//! Bodies that are copied, trailers, host names, command lines and every part of a response; and HTTP/2.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use headwater_integration_tests::{Nginx, Program, Store, python, said};

use crate::canary::{CANARY, answers_once, assert_nowhere, canary};

/// Sends all of a request at once, its body within what is copied of a turn, and reads to the end.
fn speak(port: u16, request: &str) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(request.as_bytes()).expect("written");
    stream.read_to_end(&mut Vec::new()).expect("an answer");
}

/// Answers one connection after the other with secrets in every part of a response.
const TELLING: &str = r#"
import socket, sys
secret = sys.argv[2]
server = socket.create_server(('127.0.0.1', 0))
print('listening on port', server.getsockname()[1], flush=True)
while True:
    stream, _ = server.accept()
    head = b''
    while b'\r\n\r\n' not in head: head += stream.recv(65536)
    stream.sendall((
        'HTTP/1.1 201 Created\r\nServer: harmless/1.0\r\n'
        f'Set-Cookie: sid={secret}Sc; Path=/\r\nX-Api-Key: {secret}Xk\r\n'
        f'Location: http://u:{secret}Lu@{secret}Lh.example/{secret}Lp?t={secret}Lq\r\n'
        f'WWW-Authenticate: Custom realm="x", token="{secret}Wa"\r\n'
        'Connection: close\r\nTrailer: X-Signature\r\nTransfer-Encoding: chunked\r\n\r\n'
        f'28;extension={secret}Ce\r\n{secret:40.40}\r\n0\r\nX-Signature: {secret}Tr\r\n\r\n').encode())
    stream.close()
"#;

#[test]
fn canaries_in_bodies_trailers_hosts_and_command_lines() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&["-vv"]);
    let secret = canary("Bo");
    let length = secret.len();
    speak(
        nginx.port,
        &format!(
            "POST /words/chunked HTTP/1.1\r\nHost: a\r\nConnection: close\r\nUser-Agent: harmless-agent/1.0\r\n\
         Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
         {length:x};extension={secret}\r\n{secret}\r\n0\r\nX-Sum: {secret}\r\nAuthorization: {secret}\r\n\r\n",
        ),
    );
    speak(
        nginx.port,
        &format!(
            "POST /words/length HTTP/1.1\r\nHost: {}.example\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{secret}",
            canary("Ho"),
        ),
    );
    speak(
        nginx.port,
        &format!(
            "GET /words/{}/{}/between HTTP/1.1\r\nHost: {}.example:80\r\nConnection: close\r\n\
         Forwarded: for=10.0.0.1;host={}.example\r\nX-Forwarded-Host: {}.example\r\n\r\n",
            canary("P1"),
            canary("P2"),
            canary("H1"),
            canary("H2"),
            canary("H3"),
        ),
    );
    // Both processes have secrets on their command lines, in all the ways that programs take them.
    let telling =
        Program::start(Command::new(python()).args(["-u", "-c", TELLING, "--password", CANARY]));
    let port = telling.await_line("listening on port");
    let port = port.rsplit(' ').next().unwrap_or_default();
    let ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read()";
    said(
        Command::new(python())
            .args([
                "-c",
                ask,
                &format!("http://127.0.0.1:{port}/words/told"),
                "--readable-word",
            ])
            .args(["-p", &canary("C1"), &format!("--token={}", canary("C2"))])
            .args([&format!("API_KEY={}", canary("C3")), &canary("C4")])
            .arg(format!(
                "http://u:{}@h/{}?k={}",
                canary("C5"),
                canary("C6"),
                canary("C7")
            ))
            .arg(format!("-H=Authorization: Bearer {}", canary("C8")))
            .env("SECRET", canary("En")),
    );
    let answers = answers_once(&store, 4);
    for word in [
        "harmless-agent/1.0",
        "harmless/1.0",
        "/words/chunked",
        "/between",
        "--readable-word",
        ".example",
    ] {
        assert!(answers.contains(word), "{word}: {answers}");
    }
    let found = store.rows(&["search-exchanges", "--header-value", &format!("{CANARY}Xk")]);
    assert_eq!(
        found.len(),
        1,
        "a plain value is found by its hash: {found:?}"
    );
    assert_nowhere(&store, recorder, &answers);
}

#[test]
fn canaries_in_http2() {
    let locations = format!(
        "location / {{ add_header X-Api-Key {CANARY}Xk; add_header Set-Cookie 'sid={CANARY}Sc'; add_trailer X-Signature {CANARY}Tr;
         add_header X-Location 'http://u:{CANARY}Lu@h/{CANARY}Lp?k={CANARY}Lq'; return 200 '{CANARY}Bo'; }}"
    );
    let (store, nginx) = (Store::new(), Nginx::start_http2(&locations));
    let recorder = store.record(&["-vv"]);
    let url = nginx.url();
    let header = |name: &str, value: String| format!("{name}: {value}");
    let mut command = Command::new("nghttp");
    command.args(["-n", "-H", "user-agent: harmless-agent/1.0"]);
    for value in [
        header("authorization", format!("Bearer {}", canary("Be"))),
        header("cookie", format!("session={}; theme=dark", canary("Co"))),
        header("x-custom", canary("Cu")),
        header(
            "referer",
            format!(
                "http://u:{}@h/{}?k={}",
                canary("Ru"),
                canary("Rp"),
                canary("Rq")
            ),
        ),
        header(
            ":authority",
            format!("{}.example", canary("Ho").replace('_', "-")),
        ),
    ] {
        command.args(["-H", &value]);
    }
    // The same again on the same connection: now they are entries of HPACK's table.
    let paths = [1, 2, 3].map(|round| {
        format!(
            "{url}/words/{round}/{}?token={}&page=2",
            canary("Pa"),
            canary("Qu")
        )
    });
    said(command.args(paths));
    let answers = answers_once(&store, 3);
    for word in [
        "harmless-agent/1.0",
        "/words/3/",
        "page=2",
        "HTTP/2",
        ".example",
    ] {
        assert!(answers.contains(word), "{word}: {answers}");
    }
    let found = store.rows(&["search-exchanges", "--header-value", &canary("Cu")]);
    assert_eq!(
        found.len(),
        3,
        "a plain value is found by its hash: {found:?}"
    );
    assert_nowhere(&store, recorder, &answers);
}
