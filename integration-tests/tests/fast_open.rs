//! TCP Fast Open (RFC 7413): the request leaves with the SYN.

#![allow(clippy::expect_used, reason = "tests")]

use headwater_integration_tests::{Namespace, Program, Store, column, python, said, sh};

/// Takes what SYNs carry; answers each request once it is whole, on a connection that stays.
const SERVER: &str = "import socket
l = socket.socket(); l.setsockopt(socket.SOL_TCP, socket.TCP_FASTOPEN, 5); l.bind(('127.0.0.1', 0)); l.listen()
print('listening on port', l.getsockname()[1], flush=True)
while True:
    s, _ = l.accept(); seen = b''
    while True:
        while not seen.endswith(b'\\r\\n\\r\\n'):
            part = s.recv(4096)
            if not part: break
            seen += part
        if not seen: break
        seen = b''
        s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')
    s.close()";

/// Asks for a cookie with a first connection. Then one sends a whole request with its SYN, and another behind the answer; the
/// next one's SYN carries half a request, and the other half follows at once.
const CLIENT: &str = "import socket, sys
MSG_FASTOPEN = 0x20000000
to = ('127.0.0.1', int(sys.argv[1]))
def answered(s):
    seen = b''
    while not seen.endswith(b'done'): seen += s.recv(4096)
def begun(data):
    s = socket.socket(); s.setsockopt(socket.SOL_TCP, socket.TCP_NODELAY, 1); s.sendto(data, MSG_FASTOPEN, to); return s
def ask(path): return f'GET {path} HTTP/1.1\\r\\nHost: h\\r\\nX-Padding: {\"p\" * 200}\\r\\n\\r\\n'.encode()
s = begun(ask('/cookie')); answered(s); s.close()
s = begun(ask('/whole')); answered(s)
carried = s.getsockopt(socket.SOL_TCP, socket.TCP_INFO, 8)[5] & 32
s.sendall(ask('/behind')); answered(s); s.close()
for n in range(8):
    request = ask(f'/halves-{n}')
    s = begun(request[:40]); s.sendall(request[40:]); answered(s); s.close()
print('carried' if carried else 'not carried')";

#[test]
fn a_request_in_a_syn_is_whole() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let here = Namespace::new("fastopen");
    sh(&format!(
        "ip netns exec {} sysctl -q -w net.ipv4.tcp_fastopen=3",
        here.name()
    ));
    let python = python().to_string_lossy().into_owned();
    let server = Program::start(&mut here.command(&python, &["-u", "-c", SERVER]));
    let line = server.await_line("listening on port");
    let port = line.rsplit(' ').next().unwrap_or_default();
    let told = said(&mut here.command(&python, &["-c", CLIENT, port]));
    assert_eq!(told.trim(), "carried", "TCPI_OPT_SYN_DATA");
    let rows = store.await_rows(&["search-exchanges"], 11);
    for row in &rows {
        assert_eq!(column(row, "outcome"), "complete", "{row:?}");
    }
    assert_eq!(rows.len(), 11, "{rows:#?}");
    let mut paths = vec![
        "/cookie".to_owned(),
        "/whole".to_owned(),
        "/behind".to_owned(),
    ];
    paths.extend((0..8).map(|n| format!("/halves-{n}")));
    for path in &paths {
        let exchange = store.exchange(path);
        assert_eq!(exchange["status_code"], 200, "{exchange:#}");
        let headers = exchange.to_string();
        assert!(headers.to_lowercase().contains("x-padding"), "{exchange:#}");
    }
    let whole = store.exchange("/whole");
    let id = whole["connection"]["id"].as_str().expect("an id");
    let connection = store.ask(&["get-connection", id, "--detail", "detailed"]);
    let rows = connection["elements"]["rows"].as_array().expect("elements");
    let cookie = rows.iter().find(|row| row[0] == "fast_open");
    let cookie = cookie.and_then(|row| row[1].as_str()).unwrap_or_default();
    assert!(cookie.starts_with("cookie of"), "{connection:#}");
    let retries = rows.iter().find(|row| row[0] == "syn_retries");
    assert_eq!(retries.expect("a count")[1], "0", "{connection:#}");
}
