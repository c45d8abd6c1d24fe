//! How exchanges end, as the tools tell it: every outcome on real sockets, its words and its numbers.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    process::Command,
};

use headwater_integration_tests::{
    Namespace, Nginx, Program, Store, column, joined, python, run, said, serve_once, sh, until,
};
use serde_json::Value;

fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command
        .args(["-s", "-S", "-o", "/dev/null"])
        .args(arguments);
    command
}

fn words(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The list and the exchange itself tell the same outcome; gives the words of the latter.
fn ended(store: &Store, path: &str, outcome: &str) -> String {
    let exchange = store.exchange(path);
    assert_eq!(words(&exchange["outcome"]), outcome, "{exchange:#}");
    let path = format!("={path}");
    let rows = store.rows(&["search-exchanges", "--path", &path, "--outcome", outcome]);
    assert_eq!(rows.len(), 1, "{rows:?}");
    words(&exchange["outcome_explained"]).to_owned()
}

/// The milliseconds in `… 512.3 ms after …` or `… 1.204 s after …`.
fn milliseconds(words: &str) -> f64 {
    let list: Vec<_> = words.split_whitespace().collect();
    let at = list
        .windows(3)
        .find(|window| window[2] == "after")
        .unwrap_or_else(|| panic!("no span in {words:?}"));
    let factor = match at[1] {
        "s" => 1000.0,
        "ms" => 1.0,
        "µs" => 0.001,
        unit => panic!("{unit} in {words:?}"),
    };
    at[0].parse::<f64>().expect("a number") * factor
}

/// A proxy that knows CONNECT and nothing else, to one port.
const PROXY: &str = r"
import asyncio, sys
allowed = sys.argv[1]
async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data); await writer.drain()
    writer.close()
async def serve(reader, writer):
    while True:
        head = (await reader.readuntil(b'\r\n\r\n')).decode()
        target = head.split(' ')[1]
        if target == '127.0.0.1:' + allowed:
            break
        writer.write(b'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope'); await writer.drain()
    there, back = await asyncio.open_connection('127.0.0.1', int(allowed))
    writer.write(b'HTTP/1.1 200 Connection established\r\n\r\n'); await writer.drain()
    await asyncio.gather(pump(reader, back), pump(there, writer))
async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    print('listening on port', server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
";

#[test]
fn a_tunnel_through_a_proxy() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = Nginx::start("location / { return 200 fine; }");
    let port = nginx.port.to_string();
    let proxy = Program::start(Command::new(python()).args(["-c", PROXY, &port]));
    let line = proxy.await_line("listening on port");
    let proxy_port = line.rsplit(' ').next().unwrap_or_default().to_owned();
    let at = format!("http://127.0.0.1:{proxy_port}");
    let url = format!("{}/through", nginx.url());
    said(&mut curl(&["--proxytunnel", "-x", &at, &url]));
    let refused = run(&mut curl(&[
        "--proxytunnel",
        "-x",
        &at,
        "http://127.0.0.1:1/never",
    ]));
    assert!(!refused.status.success(), "{refused:?}");

    let tunnels = store.await_rows(
        &[
            "search-exchanges",
            "--method",
            "CONNECT",
            "--outcome",
            "complete",
        ],
        2,
    );
    let mut told: Vec<_> = tunnels
        .iter()
        .map(|row| {
            let exchange = store.ask(&["get-exchange", &column(row, "id"), "--detail", "detailed"]);
            let (target, form) = (words(&exchange["target"]), words(&exchange["target_form"]));
            format!(
                "{target} {form} {} {}",
                exchange["status_code"], exchange["response"]["body_bytes"]
            )
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "127.0.0.1:1 authority 403 4".to_owned(),
            format!("127.0.0.1:{port} authority 200 0")
        ]
    );
    // What went through is told where the proxy asked for it; inside the tunnel is another protocol's place.
    assert!(ended(&store, "/through", "complete").contains("both seen to their end"));
    assert!(
        store
            .rows(&["search-exchanges", "--path", "/never"])
            .is_empty()
    );
}

#[test]
fn an_upgrade_ends_http_on_its_connection() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, thread) = serve_once(|mut stream| {
        let agreed =
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n";
        stream.write_all(agreed).expect("agreed");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("the other protocol");
        stream.write_all(&bytes).expect("echoed");
    });
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream
        .write_all(
            b"GET /upgraded HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n",
        )
        .expect("asked");
    let mut head = [0; 32];
    stream.read_exact(&mut head).expect("101");
    // Looks like a request, and is none any more.
    stream
        .write_all(b"GET /inside HTTP/1.1\r\nHost: a\r\n\r\n")
        .expect("spoken");
    stream.shutdown(Shutdown::Write).expect("half closed");
    stream.read_to_end(&mut Vec::new()).expect("the end");
    thread.join().expect("the server");
    ended(&store, "/upgraded", "complete");
    assert_eq!(store.exchange("/upgraded")["status_code"], 101);
    store.settle();
    assert!(
        store
            .rows(&["search-exchanges", "--path", "/inside"])
            .is_empty()
    );
}

/// Answers without a body, all on one connection: a length that is told and not sent would hide the next of them.
#[test]
fn answers_without_a_body_do_not_hide_the_next() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nginx = Nginx::start("if_modified_since before; location /none { return 204; }");
    nginx.file("file.txt", vec![b'x'; 5_000]);
    let (head, file, none) = (
        format!("{}/file.txt?head", nginx.url()),
        format!("{}/file.txt?get", nginx.url()),
        format!("{}/none", nginx.url()),
    );
    let future = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    let quiet = ["-s", "-o", "/dev/null"];
    let mut command = Command::new("curl");
    command.args(quiet).args(["-I", &head, "--next"]);
    command.args(quiet).args(["-H", future, &file, "--next"]);
    command.args(quiet).args([&none, "--next"]);
    command.args(quiet).arg(&file);
    said(&mut command);
    let rows = store.await_rows(
        &[
            "search-exchanges",
            "--service",
            "nginx",
            "--outcome",
            "complete",
        ],
        4,
    );
    let mut told: Vec<_> = rows
        .iter()
        .map(|row| {
            let exchange = store.ask(&["get-exchange", &column(row, "id"), "--detail", "detailed"]);
            let connection = &exchange["connection"];
            assert_eq!(exchange["gaps"], Value::Null, "{exchange:#}");
            (
                connection["ordinal"].as_u64().expect("an ordinal"),
                format!(
                    "{} {} {}",
                    words(&exchange["method"]),
                    exchange["status_code"],
                    exchange["response"]["body_bytes"]
                ),
                words(&connection["id"]).to_owned(),
            )
        })
        .collect();
    told.sort();
    let (lines, mut connections): (Vec<_>, Vec<_>) =
        told.into_iter().map(|(_, line, id)| (line, id)).unzip();
    assert_eq!(
        lines,
        ["HEAD 200 0", "GET 304 0", "GET 204 0", "GET 200 5000"]
    );
    connections.dedup();
    assert_eq!(connections.len(), 1, "one connection: {connections:?}");
}

#[test]
fn a_client_that_gives_up_is_told_with_its_patience() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, thread) = serve_once(|mut stream| {
        // Waits for the client's end and answers nothing.
        let _ = stream.read(&mut [0]);
    });
    let url = format!("http://127.0.0.1:{port}/gave/up");
    let output = run(&mut curl(&["--max-time", "0.7", &url]));
    assert_eq!(output.status.code(), Some(28), "{output:?}");
    thread.join().expect("the server");
    let words = ended(&store, "/gave/up", "client_gave_up");
    assert!(
        words.starts_with("the client closed the connection ")
            && words.ends_with("before any response byte"),
        "{words}"
    );
    let patience = milliseconds(&words);
    assert!((500.0..1500.0).contains(&patience), "{words}");
}

/// Reads a head and resets the connection, before or amid its answer.
const RESETTING: &str = r"
import socket, struct, sys
server = socket.create_server(('127.0.0.1', 0))
print('listening on port', server.getsockname()[1], flush=True)
stream, _ = server.accept()
while b'\r\n\r\n' not in stream.recv(65536): pass
stream.sendall(sys.argv[1].encode().decode('unicode_escape').encode())
if sys.argv[1]: stream.recv(1)
stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
stream.close()
";

#[test]
fn a_server_that_resets_before_and_amid_its_answer() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (path, answer, told) in [
        ("/reset/early", "", "before any response byte"),
        (
            "/reset/late",
            "HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nsome",
            "before the response was whole",
        ),
    ] {
        let resetting = Program::start(Command::new(python()).args(["-c", RESETTING, answer]));
        let line = resetting.await_line("listening on port");
        let port = line
            .rsplit(' ')
            .next()
            .and_then(|port| port.parse().ok())
            .unwrap_or(0);
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("asked");
        if !answer.is_empty() {
            let mut some = [0; 42];
            stream.read_exact(&mut some).expect("some of the answer");
            // One byte more, for which the server waits.
            stream.write_all(b"\n").expect("written");
        }
        stream.read_to_end(&mut Vec::new()).expect_err("a reset");
        let words = ended(&store, path, "server_reset");
        assert!(
            words.starts_with("the server reset the connection ") && words.ends_with(told),
            "{words}"
        );
    }
    // Both are one kind of failure of that status for who asks for errors.
    let rows = store.rows(&["find-errors"]);
    let kinds: Vec<_> = rows.iter().map(|row| column(row, "kind")).collect();
    assert!(kinds.iter().any(|kind| kind.contains("reset")), "{kinds:?}");
}

#[test]
fn a_server_that_closes_before_and_amid_its_answer() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (path, answer, told) in [
        ("/closed/early", &b""[..], "before any response byte"),
        (
            "/closed/late",
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome",
            "before the response was whole",
        ),
        (
            "/closed/chunks",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n50\r\npart",
            "before the response was whole",
        ),
    ] {
        let (port, thread) =
            serve_once(move |mut stream| stream.write_all(answer).expect("answered"));
        let output = run(&mut curl(&[&format!("http://127.0.0.1:{port}{path}")]));
        assert!(!output.status.success(), "{output:?}");
        thread.join().expect("the server");
        let words = ended(&store, path, "server_closed");
        assert!(
            words.starts_with("the server closed the connection ") && words.ends_with(told),
            "{words}"
        );
    }
}

#[test]
fn what_goes_on_is_open_until_it_ends() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (port, thread) = serve_once(move |mut stream| {
        held.recv().expect("the word");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .expect("answered");
    });
    let client = Program::start(&mut curl(&[&format!("http://127.0.0.1:{port}/going/on")]));
    let arguments = [
        "search-exchanges",
        "--path",
        "=/going/on",
        "--outcome",
        "open",
    ];
    let row = store.await_row(&arguments);
    let exchange = store.ask(&["get-exchange", &column(&row, "id"), "--detail", "detailed"]);
    let told = words(&exchange["outcome_explained"]);
    assert!(
        told.starts_with("it had not ended when last looked at")
            && told.ends_with("no response byte was seen"),
        "{told}"
    );
    assert_eq!(exchange["status_code"], Value::Null, "{exchange:#}");
    release.send(()).expect("the server");
    assert!(client.wait().0.success());
    thread.join().expect("the server");
    ended(&store, "/going/on", "complete");
    assert_eq!(
        store.exchange("/going/on")["id"],
        exchange["id"],
        "the same exchange"
    );
    assert!(store.rows(&arguments).is_empty());
}

/// Connects, tells so, waits for a line, and asks over a link that is cut by then.
const OVER_A_CUT_LINK: &str = r"
import socket, sys, time
stream = socket.create_connection(('10.77.0.2', 8080))
stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1500)
print('connected', flush=True)
while True:
    try: open(sys.argv[1]); break
    except FileNotFoundError: time.sleep(0.01)
stream.sendall(b'GET /cut/off HTTP/1.1\r\nHost: a\r\n\r\n')
try: stream.recv(1); print('an end')
except TimeoutError: print('timed out')
";

#[test]
fn tcp_that_times_out_over_a_cut_link() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [one, two] = ["cut-a", "cut-b"].map(Namespace::new);
    joined(&one, &two);
    let _server = two.serve("10.77.0.2", "8080");
    let go = store.scratch().file("go");
    let python = python().to_string_lossy().into_owned();
    let client =
        Program::start(&mut one.command(&python, &["-c", OVER_A_CUT_LINK, &go.to_string_lossy()]));
    client.await_line("connected");
    // Everything that comes in on the other side is dropped from now on.
    sh(&format!(
        "ip -n {0} link set $(ip -n {0} -o link | grep -o 'hwb[0-9]*' | head -1) down",
        two.name()
    ));
    std::fs::write(&go, "").expect("the word");
    let (_, told) = client.wait();
    assert!(told.contains("timed out"), "{told}");
    let words = ended(&store, "/cut/off", "timed_out");
    assert!(
        words.starts_with("TCP gave up on the connection (no acknowledgement came) "),
        "{words}"
    );
    let patience = milliseconds(&words);
    assert!((1000.0..10_000.0).contains(&patience), "{words}");
    until("the time-out among the errors", || {
        let rows = store.rows(&["find-errors"]);
        let found = rows
            .iter()
            .any(|row| column(row, "kind").contains("timed_out"));
        if found { Ok(()) } else { Err(rows) }
    });
}
