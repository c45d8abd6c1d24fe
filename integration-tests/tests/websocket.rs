//! WebSocket between real programs: what is told of each connection is what its two ends did. And of capture files: counts
//! are tshark's.

#![allow(clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Command};

use headwater_integration_tests::{Nginx, Program, Store, captures, column, python, run, until};
use serde_json::Value;

/// A server that does by path, and what clients need.
const PYTHON: &str = r#"
import os, socket, struct, subprocess, sys, threading
from websockets.sync.client import connect
from websockets.sync.server import serve

def handler(ws):
    path = ws.request.path
    if path.startswith("/bye"):
        ws.recv()
        return ws.close(1000, "secret-reason")
    if path.startswith("/fail"):
        ws.recv()
        raise RuntimeError("on purpose")
    if path.startswith("/count"):
        return ws.send(str(sum(1 for _ in ws)))
    for message in ws: ws.send(message)
import logging; logging.disable()
server = serve(handler, "127.0.0.1", 0)
port = server.socket.getsockname()[1]
threading.Thread(target=server.serve_forever, daemon=True).start()
print("serving on port", port, flush=True)
def plain(path, at=None): return connect(f"ws://127.0.0.1:{at or port}{path}", compression=None, ping_interval=None)
def talk(ws):
    for message in ["one", "two", b"\x00\x01", ["a" * 300, "b" * 70000, "c"]]:
        ws.send(message)
        ws.recv()
    ws.ping().wait()
def handshake(path):
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"): head += raw.recv(1)
    return raw
def frame(opcode, payload):
    key = os.urandom(4)
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + key + bytes(b ^ key[i % 4] for i, b in enumerate(payload))
"#;

fn talk(rest: &str) -> Program {
    let mut command = Command::new(python());
    command.args([
        "-u",
        "-c",
        &format!("{PYTHON}\n{rest}\nprint('done', flush=True)\nthreading.Event().wait()"),
    ]);
    Program::start(&mut command)
}

fn told(exchange: &Value) -> (&str, &str, &str, &str) {
    let websocket = &exchange["websocket"];
    (
        exchange["outcome"].as_str().unwrap_or_default(),
        websocket["ending"].as_str().unwrap_or_default(),
        websocket["close_code"].as_str().unwrap_or_default(),
        websocket["closed_by"].as_str().unwrap_or_default(),
    )
}

#[test]
fn every_way_to_talk_and_to_close() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let program = talk(
        r#"
with plain("/talk") as ws: talk(ws)
with connect(f"ws://127.0.0.1:{port}/deflate") as ws:
    for _ in range(10):
        ws.send("compress me " * 20)
        ws.recv()
for path in ["/bye", "/fail"]:
    with plain(path) as ws:
        ws.send("hello")
        try: ws.recv()
        except Exception: pass
subprocess.run([sys.executable, "-c", f"""
import os
from websockets.sync.client import connect
ws = connect("ws://127.0.0.1:{port}/killed", compression=None)
ws.send("hello")
ws.recv()
os.kill(os.getpid(), 9)"""])
"#,
    );
    program.await_line("done");
    let talked = store.exchange("/talk");
    assert_eq!(
        told(&talked),
        ("complete", "clean", "1000 normal_closure", "client"),
        "{talked:#}"
    );
    let websocket = &talked["websocket"];
    assert_eq!(
        websocket["client_sent"],
        "3 text, 1 binary, 1 of them fragmented, 3 continuation frames, 1 ping, 1 close, 70315 payload bytes",
        "{talked:#}"
    );
    assert_eq!(
        websocket["server_sent"], "3 text, 1 binary, 1 pong, 1 close, 70315 payload bytes",
        "{talked:#}"
    );
    assert_eq!(websocket["compression"], false, "{talked:#}");
    assert_eq!(talked["status_code"], 101, "{talked:#}");
    assert!(talked.get("gaps").is_none(), "{talked:#}");
    assert_eq!(
        talked["request"]["thread_evidence"], "socket_lock",
        "{talked:#}"
    );
    let deflated = store.exchange("/deflate");
    assert_eq!(
        told(&deflated),
        ("complete", "clean", "1000 normal_closure", "client"),
        "{deflated:#}"
    );
    assert_eq!(deflated["websocket"]["compression"], true, "{deflated:#}");
    for side in ["client_sent", "server_sent"] {
        let sent = deflated["websocket"][side].as_str().unwrap_or_default();
        assert!(
            sent.starts_with("10 text, 0 binary, 10 of them compressed, 1 close"),
            "{deflated:#}"
        );
    }
    let bye = store.exchange("/bye");
    assert_eq!(
        told(&bye),
        ("complete", "clean", "1000 normal_closure", "server"),
        "{bye:#}"
    );
    assert!(!bye.to_string().contains("secret-reason"), "{bye:#}");
    let fail = store.exchange("/fail");
    assert_eq!(
        told(&fail),
        ("complete", "clean", "1011 internal_error", "server"),
        "{fail:#}"
    );
    let killed = store.exchange("/killed");
    assert_eq!(
        told(&killed),
        ("client_gave_up", "abnormal", "1006 abnormal_closure", ""),
        "{killed:#}"
    );
    let errors = store.rows(&["find-errors"]);
    let kinds: Vec<_> = errors.iter().map(|row| column(row, "kind")).collect();
    for kind in [
        "websocket 1006 abnormal_closure",
        "websocket 1011 internal_error",
    ] {
        assert!(kinds.iter().any(|told| told == kind), "{kind}: {kinds:?}");
    }
    assert!(!kinds.iter().any(|kind| kind.contains("1000")), "{kinds:?}");
}

#[test]
fn an_open_one_is_shown_while_it_lasts() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let program = talk(
        r#"
ws = plain("/open")
ws.send("hello")
ws.recv()
"#,
    );
    program.await_line("done");
    let rows = store.await_rows(
        &["search-exchanges", "--outcome", "open", "--path", "=/open"],
        1,
    );
    let id = column(&rows[0], "id");
    until("a message told", || {
        let open = store.ask(&["get-exchange", &id]);
        if open["websocket"]["server_sent"] == "1 text, 0 binary, 5 payload bytes"
            && open["websocket"]["ending"] == "open"
        {
            Ok(())
        } else {
            Err(open)
        }
    });
    program.end("KILL");
    let ended = store.exchange("/open");
    assert_eq!(ended["id"].as_str(), Some(id.as_str()), "{ended:#}");
    assert_eq!(told(&ended).1, "abnormal", "{ended:#}");
}

#[test]
fn thousands_of_small_frames() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    // As a library writes them, at most some hundred to a packet; as many at once; and more than are followed.
    let program = talk(
        r#"
with plain("/count/single") as ws:
    for n in range(5000):
        ws.send("x" * (n % 40))
        if n % 500 == 499: ws.ping().wait()
def burst(path, rounds, frames):
    raw = handshake(path)
    for _ in range(rounds):
        raw.sendall(b"".join(frame(1, b"x") for _ in range(frames)) + frame(9, b""))
        assert raw.recv(2, socket.MSG_WAITALL) == b"\x8a\x00"
    raw.sendall(frame(8, struct.pack(">H", 1000)))
    while raw.recv(4096): pass
    raw.close()
burst("/count/burst", 50, 200)
burst("/count/flood", 2, 8000)
"#,
    );
    program.await_line("done");
    let single = store.exchange("/count/single");
    assert_eq!(
        single["websocket"]["client_sent"],
        format!(
            "5000 text, 0 binary, 10 ping, 1 close, {} payload bytes",
            5000 / 40 * (39 * 40 / 2) + 10 * 4 + 2
        ),
        "{single:#}"
    );
    assert_eq!(told(&single).1, "clean", "{single:#}");
    let burst = store.exchange("/count/burst");
    assert_eq!(
        burst["websocket"]["client_sent"],
        "10000 text, 0 binary, 50 ping, 1 close, 10002 payload bytes",
        "{burst:#}"
    );
    // No more than there were, and it says that there may have been more.
    let flood = store.exchange("/count/flood");
    let sent = flood["websocket"]["client_sent"]
        .as_str()
        .unwrap_or_default();
    let count: u64 = sent
        .strip_prefix("at least ")
        .and_then(|rest| rest.split(' ').next())
        .and_then(|count| count.parse().ok())
        .unwrap_or(u64::MAX);
    assert!(count < 16_000, "{flood:#}");
    until("lost frames told", || {
        let status = store.ask(&["status"]);
        if status.to_string().contains("frames_lost") {
            Ok(())
        } else {
            Err(status)
        }
    });
}

#[test]
fn through_a_proxy_both_hops_tell_the_same() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let program = talk("");
    let line = program.await_line("serving on port");
    let port: u16 = line
        .rsplit(' ')
        .next()
        .and_then(|port| port.parse().ok())
        .expect("a port");
    let nginx = Nginx::start(&format!(
        "location / {{ proxy_pass http://127.0.0.1:{port}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade;
           proxy_set_header Connection upgrade; }}"
    ));
    let client = talk(&format!(
        "with plain('/proxied', {}) as ws: talk(ws)",
        nginx.port
    ));
    client.await_line("done");
    let rows = until("both hops", || {
        let rows = store.rows(&[
            "search-exchanges",
            "--path",
            "=/proxied",
            "--outcome",
            "complete",
        ]);
        if rows.len() == 2 { Ok(rows) } else { Err(rows) }
    });
    for row in &rows {
        let hop = store.ask(&["get-exchange", &column(row, "id")]);
        assert_eq!(
            told(&hop),
            ("complete", "clean", "1000 normal_closure", "client"),
            "{hop:#}"
        );
        assert_eq!(
            hop["websocket"]["client_sent"],
            "3 text, 1 binary, 1 of them fragmented, 3 continuation frames, 1 ping, 1 close, 70315 payload bytes",
            "{hop:#}"
        );
    }
}

/// Text and binary messages, closes, pings and pongs of a capture file.
type Counted = [u64; 5];

const OPCODES: [&str; 5] = ["1", "2", "8", "9", "10"];

/// What tshark finds; of a message in several frames the first names the kind.
fn theirs(file: &Path) -> Counted {
    let mut command = Command::new("tshark");
    let fields = ["-Y", "websocket", "-T", "fields", "-e", "websocket.opcode"];
    let output = run(command.arg("-r").arg(file).args(fields));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    OPCODES.map(|opcode| {
        text.split(['\n', ','])
            .filter(|found| *found == opcode)
            .count() as u64
    })
}

fn ours(file: &Path) -> Counted {
    let store = Store::new();
    run(&mut store.command(&["replay", &file.to_string_lossy()]));
    let rows = store.rows_since(
        "1970-01-01T00:00:00Z",
        &["search-exchanges", "--status", "101"],
    );
    let mut counted = Counted::default();
    for row in rows {
        let exchange = store.ask(&["get-exchange", &column(&row, "id")]);
        for side in ["client_sent", "server_sent"] {
            let sent = exchange["websocket"][side].as_str().unwrap_or_default();
            for part in sent.split(", ") {
                let words: Vec<_> = part.split(' ').collect();
                let [.., count, kind] = words[..] else {
                    continue;
                };
                let kinds = ["text", "binary", "close", "ping", "pong"];
                if let Some(place) = kinds.iter().position(|known| *known == kind) {
                    counted[place] += count.parse::<u64>().expect("a count");
                }
            }
        }
    }
    counted
}

#[test]
fn corpus_messages_agree_with_tshark() {
    let exceptions: Vec<_> = include_str!("websocket-exceptions.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("file, packet and reason").0)
        .collect();
    let (mut all, mut differ, mut with_messages) = (0, Vec::new(), 0);
    for (name, file) in captures() {
        let (theirs, ours) = (theirs(&file), ours(&file));
        all += 1;
        with_messages += u32::from(theirs != Counted::default());
        if theirs != ours {
            println!("{name}: tshark {theirs:?}, here {ours:?}");
            differ.push(name);
        }
    }
    println!(
        "of {all} files, {with_messages} with WebSocket, {} differ",
        differ.len()
    );
    assert!(with_messages >= 10, "{with_messages}");
    assert!(differ.len() * 100 <= all, "{differ:?}");
    differ.sort();
    assert_eq!(
        differ, exceptions,
        "the list of exceptions is not what it was"
    );
}
