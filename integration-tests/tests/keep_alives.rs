//! What idle connections send, beside what tshark makes of the same packets.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{
    Namespace, Program, Store, python, stranger, tshark_on_loopback, until,
};
use serde_json::Value;

/// What client and server sent of an element; empty when nothing is told of it.
fn element(connection: &Value, name: &str) -> [String; 2] {
    let rows = connection["elements"]["rows"].as_array().expect("elements");
    let found = rows.iter().find(|row| row[0] == name);
    let text = |at: usize| found.and_then(|row| row[at].as_str()).unwrap_or_default();
    [text(1).to_owned(), text(2).to_owned()]
}

fn told(store: &Store, id: &str) -> Value {
    store.ask(&["get-connection", id, "--detail", "detailed"])
}

fn connection_of(store: &Store, path: &str) -> String {
    let exchange = store.exchange(path);
    let id = exchange["connection"]["id"].as_str();
    id.expect("an id").to_owned()
}

/// The connection, once `is_it`.
fn when(store: &Store, id: &str, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until(what, || {
        let connection = told(store, id);
        if is_it(&connection) {
            Ok(connection)
        } else {
            Err(connection)
        }
    })
}

fn has_ended(connection: &Value) -> bool {
    connection["close_reason"] != "open"
}

/// Asks once, and then keeps the connection alive until it is told to stop (by a file).
const IDLE: &str = "import os, socket, sys, time
address, port, path, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
s = socket.create_connection((address, port))
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
s.sendall(f'GET {path} HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n'.encode())
seen = b''
while not seen.endswith(b'done'): seen += s.recv(4096)
print('idle from port', s.getsockname()[1], flush=True)
while not os.path.exists(stop): time.sleep(0.02)
s.close()";

/// Answers one request, reads to the end, and does nothing else.
const ANSWERING: &str = "import socket, sys
l = socket.create_server((sys.argv[1], 0), family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)
print('listening on port', l.getsockname()[1], flush=True)
s, _ = l.accept(); s.recv(4096)
s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')
while s.recv(4096): pass";

fn last_word(line: &str) -> String {
    line.rsplit(' ').next().unwrap_or_default().to_owned()
}

/// How many lines are about this port and no FIN.
fn keep_alives(said: &str, port: &str) -> usize {
    let starts = format!("{port}|");
    let of = |line: &&str| {
        line.starts_with(&starts) && !line.ends_with("|True") && !line.ends_with("|1")
    };
    said.lines().filter(of).count()
}

fn fins(said: &str) -> usize {
    let is_fin = |line: &&str| line.ends_with("|True") || line.ends_with("|1");
    said.lines().filter(is_fin).count()
}

#[test]
fn keep_alives_are_those_that_tshark_sees() {
    for address in ["127.0.0.1", "::1"] {
        let store = Store::new();
        let _recorder = store.record(&[]);
        let server = Program::start(Command::new(python()).args(["-u", "-c", ANSWERING, address]));
        let port = last_word(&server.await_line("listening on port"));
        let tshark = tshark_on_loopback(
            &port,
            "tcp.analysis.keep_alive || tcp.flags.fin == 1",
            &["tcp.srcport", "tcp.flags.fin"],
        );
        let stop = store.scratch().file("stop");
        let client = Program::start(
            Command::new(python())
                .args(["-u", "-c", IDLE, address, &port, "/idle"])
                .arg(&stop),
        );
        let own_port = last_word(&client.await_line("idle from port"));
        let id = connection_of(&store, "/idle");
        let open = when(&store, &id, "two keep-alives", |connection| {
            element(connection, "keep_alives")[0]
                .parse()
                .is_ok_and(|count: usize| count >= 2)
        });
        assert_eq!(
            open["close_reason"], "open",
            "told while it is open: {open:#}"
        );
        std::fs::write(&stop, "").expect("a file");
        let ended = when(&store, &id, "its end", has_ended);
        let seen = until("both FINs", || {
            let said = tshark.said();
            if fins(&said) >= 2 {
                Ok(said)
            } else {
                Err(said)
            }
        });
        tshark.end("INT");
        let expected = keep_alives(&seen, &own_port);
        assert!(expected >= 2, "{seen}");
        assert_eq!(
            keep_alives(&seen, &port),
            0,
            "the server keeps nothing alive: {seen}"
        );
        assert_eq!(
            element(&ended, "keep_alives"),
            [expected.to_string(), "0".to_owned()],
            "{seen}\n{ended:#}"
        );
        assert_eq!(element(&ended, "window_probes"), ["0", "0"], "{ended:#}");
        assert_eq!(element(&ended, "retransmits"), ["0", "0"], "{ended:#}");
        let lines = ended["story"].to_string();
        assert!(
            lines.contains(&format!("{expected} keep-alives")),
            "{lines}"
        );
        let unknown = ended["unknown"].to_string();
        assert!(!unknown.contains("keep-alives"), "{unknown}");
        assert!(unknown.contains("fragments of IP: not seen"), "{unknown}");
    }
}

#[test]
fn probes_of_a_closed_window_are_told_apart() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let server = "import os, socket, sys, time
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096); l.bind(('127.0.0.1', 0)); l.listen()
print('listening on port', l.getsockname()[1], flush=True)
s, _ = l.accept(); s.recv(4096)
s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
while s.recv(1 << 20): pass";
    let stop = store.scratch().file("stop");
    let server = Program::start(Command::new(python()).args(["-u", "-c", server]).arg(&stop));
    let port = last_word(&server.await_line("listening on port"));
    let client = "import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
s.sendall(b'GET /shut HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')
seen = b''
while not seen.endswith(b'done'): seen += s.recv(4096)
s.sendall(b'x' * 400000)";
    let _client = Program::start(Command::new(python()).args(["-u", "-c", client, &port]));
    let id = connection_of(&store, "/shut");
    when(&store, &id, "two window probes", |connection| {
        element(connection, "window_probes")[0]
            .parse()
            .is_ok_and(|count: usize| count >= 2)
    });
    std::fs::write(&stop, "").expect("a file");
    let ended = when(&store, &id, "its end", has_ended);
    assert_eq!(element(&ended, "keep_alives"), ["0", "0"], "{ended:#}");
    let lines = ended["story"].to_string();
    assert!(
        lines.contains("probes of the window that its peer had closed"),
        "{lines}"
    );
}

/// Asks; keeps the connection alive in both ways there are; then shuts its own window, and opens it for the answer.
const FROM_ELSEWHERE: &str = r"
send(SYN, 999, options=b'\2\4\5\xb4')
flags, seq, ack, _, _ = receive()
seq, own = seq + 1, 1000
send(ACK, own, seq)
request = b'GET /from-elsewhere HTTP/1.1\r\nHost: h\r\n\r\n'
send(ACK | PUSH, own, seq, request); own += len(request)
while True:
    flags, at, _, payload, _ = receive()
    if payload: break
seq = at + len(payload)
send(ACK, own, seq)
for payload in (b'', b'\0'):
    send(ACK, own - 1, seq, payload)
    _, _, ack, _, window = receive()
    assert ack == own, (ack, own)
# Fills the window of a server that does not read, and probes it with nothing and with the byte that comes next.
while window:
    send(ACK | PUSH, own, seq, b'y' * min(window, 1000))
    _, _, own, _, window = receive()
send(ACK, own - 1, seq)
send(ACK, own, seq, b'z')
print('probed', flush=True)
send(RST | ACK, own, seq)
";

#[test]
fn a_peer_elsewhere_keeps_alive_and_probes() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let here = Namespace::new("idle");
    let server = "import socket, sys, time
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192); l.bind(('0.0.0.0', 0)); l.listen()
print('listening on port', l.getsockname()[1], flush=True)
s, _ = l.accept(); s.recv(4096)
s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')
while True: time.sleep(1)";
    let server =
        Program::start(&mut here.command(&python().to_string_lossy(), &["-u", "-c", server]));
    let port = last_word(&server.await_line("listening on port"));
    let peer = stranger(&here, &port, FROM_ELSEWHERE);
    peer.await_line("probed");
    let id = connection_of(&store, "/from-elsewhere");
    let ended = when(&store, &id, "its end", has_ended);
    assert_eq!(element(&ended, "keep_alives"), ["2", "0"], "{ended:#}");
    assert_eq!(element(&ended, "window_probes"), ["2", "0"], "{ended:#}");
}
