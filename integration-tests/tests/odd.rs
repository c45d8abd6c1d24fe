//! Odd but legal HTTP, spoken by a socket client of the tests' own, and connections that end badly.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
    time::Duration,
};

use headwater_integration_tests::{
    Nginx, Store, column, free_port, python, said, serve_once, until,
};
use serde_json::Value;

/// Sends parts one by one on one connection, each a segment of its own, and reads to the end.
fn speak(port: u16, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    for part in parts {
        stream.write_all(part).expect("written");
    }
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("read");
    answer
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn nginx() -> Nginx {
    Nginx::start("location / { return 200 'fine'; }")
}

#[test]
fn a_head_that_comes_byte_by_byte() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = nginx();
    let head = b"GET /slowly/said?word=x HTTP/1.1\r\nHost: slow\r\nUser-Agent: byte-by-byte/1\r\nConnection: close\r\n\r\n";
    let parts: Vec<&[u8]> = head.chunks(1).collect();
    assert!(speak(nginx.port, &parts).contains("200 OK"));
    let exchange = store.exchange("/slowly/said");
    assert_eq!(exchange["outcome"], "complete");
    assert_eq!(
        exchange["request"]["header_bytes"],
        head.len(),
        "{exchange:#}"
    );
    assert!(
        exchange["request"]["headers"]
            .to_string()
            .contains("byte-by-byte/1"),
        "{exchange:#}"
    );
}

#[test]
fn requests_in_one_segment_are_each_told() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = nginx();
    let requests =
        (1..=5).map(|number| format!("GET /pipelined/{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let pipeline = requests.collect::<Vec<_>>().concat();
    assert_eq!(
        speak(nginx.port, &[pipeline.as_bytes()])
            .matches("200 OK")
            .count(),
        5
    );
    let rows = store.await_rows(
        &[
            "search-exchanges",
            "--path",
            "/pipelined/",
            "--outcome",
            "complete",
        ],
        5,
    );
    let mut paths: Vec<_> = rows.iter().map(|row| column(row, "path")).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "/pipelined/1",
            "/pipelined/2",
            "/pipelined/3",
            "/pipelined/4",
            "/pipelined/5"
        ]
    );
    assert!(
        rows.iter().all(|row| column(row, "status") == "200"),
        "{rows:?}"
    );
}

#[test]
fn folded_headers_lower_case_methods_and_other_target_forms() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (request, path, method, form) in [
        (
            "GET /folded HTTP/1.1\r\nHost: a\r\nUser-Agent: one\r\n two\r\n\r\n",
            "/folded",
            "GET",
            "origin",
        ),
        (
            "get /lower HTTP/1.1\r\nHost: a\r\n\r\n",
            "/lower",
            "get",
            "origin",
        ),
        (
            "GET http://127.0.0.1/absolute?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
            "/absolute",
            "GET",
            "absolute",
        ),
        (
            "M-SEARCH /search HTTP/1.1\r\nHost: a\r\n\r\n",
            "/search",
            "M-SEARCH",
            "origin",
        ),
    ] {
        let (port, _server) = serve_once(|mut stream| {
            let answer = b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).expect("answered");
        });
        speak(port, &[request.as_bytes()]);
        let exchange = store.exchange(path);
        assert_eq!(
            (words(&exchange["method"]), words(&exchange["target_form"])),
            (method, form),
            "{exchange:#}"
        );
        assert_eq!(
            (&exchange["status_code"], words(&exchange["outcome"])),
            (&Value::from(200), "complete"),
            "{exchange:#}"
        );
    }
}

/// nginx answers 400: the answer is told, though what it answers cannot be read.
#[test]
fn bytes_that_are_no_request_have_an_answer() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = nginx();
    for bytes in [
        &b"GET HTTP/1.1\r\nHost: a\r\n\r\n"[..],
        b"\xdd\0\0 / HTTP/1.1\r\n\r\n",
    ] {
        assert!(speak(nginx.port, &[bytes]).contains(" 400 "));
    }
    let rows = store.await_rows(&["search-exchanges", "--status", "400"], 2);
    for row in rows {
        assert_eq!(column(&row, "outcome"), "malformed", "{row:?}");
        assert_eq!(
            column(&row, "server"),
            format!("nginx:{}", nginx.port),
            "{row:?}"
        );
    }
}

#[test]
fn interim_responses_are_not_the_answer() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, _server) = serve_once(|mut stream| {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .expect("interim");
        let mut body = [0; 4];
        stream.read_exact(&mut body).expect("the body");
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").expect("final");
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(b"POST /patient HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n").expect("head");
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).expect("100 Continue");
    stream.write_all(b"body").expect("body");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the answer");
    let exchange = store.exchange("/patient");
    assert_eq!(
        (&exchange["status_code"], words(&exchange["outcome"])),
        (&Value::from(201), "complete"),
        "{exchange:#}"
    );
    assert_eq!(
        exchange["interim"],
        serde_json::json!([100, 103]),
        "{exchange:#}"
    );
    assert_eq!(exchange["request"]["body_bytes"], 4, "{exchange:#}");
}

#[test]
fn a_body_that_ends_with_the_connection() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, _server) = serve_once(|mut stream| {
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").expect("head");
        stream.write_all(&vec![b'x'; 30_000]).expect("body");
    });
    let answer = speak(port, &[b"GET /until/close HTTP/1.0\r\n\r\n"]);
    assert_eq!(answer.len(), 30_019);
    let exchange = store.exchange("/until/close");
    assert_eq!(words(&exchange["outcome"]), "complete", "{exchange:#}");
    assert_eq!(exchange["response"]["body_bytes"], 30_000, "{exchange:#}");
}

#[test]
fn a_client_that_leaves_early_gave_up() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, _server) = serve_once(|mut stream| {
        // Waits for the client's end and answers nothing.
        let _ = stream.read(&mut [0]);
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream
        .write_all(b"GET /never/answered HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("written");
    stream
        .set_read_timeout(Some(Duration::from_millis(150)))
        .expect("a timeout");
    let _ = stream.read(&mut [0]);
    drop(stream);
    let exchange = store.exchange("/never/answered");
    assert_eq!(
        words(&exchange["outcome"]),
        "client_gave_up",
        "{exchange:#}"
    );
}

#[test]
fn a_server_that_resets_is_named() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    // Unread bytes at the close make the kernel send a reset.
    let (port, _server) = serve_once(|stream| {
        until("unread bytes", || {
            if matches!(stream.peek(&mut [0]), Ok(1)) {
                Ok(())
            } else {
                Err(())
            }
        });
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream
        .write_all(
            b"POST /reset/me HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nsome of the body",
        )
        .expect("written");
    let _ = stream.read(&mut [0]);
    let exchange = store.exchange("/reset/me");
    assert_eq!(words(&exchange["outcome"]), "server_reset", "{exchange:#}");
}

#[test]
fn a_refused_connection_is_a_failure_with_its_address() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = free_port();
    TcpStream::connect(("127.0.0.1", port)).expect_err("nothing listens");
    let server = format!("127.0.0.1:{port}");
    until("the refusal", || {
        let rows = store.rows(&["find-errors"]);
        rows.iter()
            .any(|row| column(row, "server") == server && column(row, "kind") == "refused")
            .then_some(())
            .ok_or(rows)
    });
}

/// Every packet of these carries options of IPv4 (RFC 791 section 3.1), or hop-by-hop and destination options, extension headers
/// of IPv6 (RFC 8200 section 4).
const WITH_OPTIONS: &str = r"
import socket, sys
port = int(sys.argv[1])
four = socket.socket(socket.AF_INET)
four.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1] * 11 + [0]))
six = socket.socket(socket.AF_INET6)
padding = bytes([0, 0, 1, 4, 0, 0, 0, 0])
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, padding)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, padding)
for stream, host in [(four, '127.0.0.1'), (six, '::1')]:
    stream.connect((host, port))
    path = f'/options/{stream.family.name}'
    stream.sendall(f'GET {path} HTTP/1.1\r\nHost: options\r\nConnection: close\r\n\r\n'.encode())
    while stream.recv(4096): pass
";

#[test]
fn options_of_ip_and_extension_headers() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = nginx();
    said(Command::new(python()).args(["-c", WITH_OPTIONS, &nginx.port.to_string()]));
    for (path, address) in [
        ("/options/AF_INET", "127.0.0.1"),
        ("/options/AF_INET6", "[::1]"),
    ] {
        let exchange = store.exchange(path);
        assert_eq!(exchange["status_code"], 200, "{exchange:#}");
        assert_eq!(exchange["outcome"], "complete", "{exchange:#}");
        assert_eq!(
            words(&exchange["server"]["address"]),
            format!("{address}:{}", nginx.port)
        );
        assert_eq!(
            exchange["client"]["process_evidence"], "socket_lock",
            "{exchange:#}"
        );
        assert_eq!(
            exchange["request"]["header_bytes"],
            format!("GET {path} HTTP/1.1\r\nHost: options\r\nConnection: close\r\n\r\n").len()
        );
    }
}

/// HTTP may run the other way than TCP: an agent connects out, and is asked by who listens.
#[test]
fn who_listens_may_ask_who_connects() {
    const BOTH: &str = r#"
import socket, subprocess, sys
AGENT = r'''
import socket, sys
c = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
for _ in range(2):
    head = b""
    while not head.endswith(b"\r\n\r\n"): head += c.recv(1000)
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
c.recv(1)
'''
listener = socket.create_server(("127.0.0.1", 0))
listener.settimeout(20)
agent = subprocess.Popen([sys.executable, "-c", AGENT, str(listener.getsockname()[1])])
asking, _ = listener.accept()
for word in ["one", "other"]:
    asking.sendall(f"GET /asked/{word} HTTP/1.1\r\nHost: agent\r\n\r\n".encode())
    assert asking.recv(1000).endswith(b"ok")
asking.close()
print(agent.pid, agent.wait())
"#;
    let store = Store::new();
    let _recorder = store.record(&[]);
    let mut both = Command::new(python());
    let told = said(both.args(["-c", BOTH]));
    let agent = told.split(' ').next().unwrap_or_default();
    for path in ["/asked/one", "/asked/other"] {
        let exchange = store.exchange(path);
        assert_eq!(exchange["outcome"], "complete", "{exchange:#}");
        assert_eq!(exchange["server"]["pid"].to_string(), agent, "{exchange:#}");
    }
}
