//! What HTTP/2's ends announce to each other is told of their connection, as nghttp prints it.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Program, Store, said, until};
use serde_json::Value;

/// Node as a server that has its own settings, pushes, and says good-bye with an error before it answers.
const SERVER: &str = r"
const http2 = require('http2');
const settings = { maxConcurrentStreams: 77, initialWindowSize: 70000 };
const server = http2.createServer({ settings });
server.on('stream', (stream) => {
    stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
        pushed.respond({ ':status': 200 });
        pushed.end('pushed');
    });
    stream.session.ping(() => {});
    stream.session.goaway(11);
    stream.respond({ ':status': 200 });
    stream.end('hello');
});
server.listen(0, '127.0.0.1', () => console.log('listening on port ' + server.address().port));
";

/// Value of a setting that nghttp printed behind the frame that begins with `frame`.
fn setting(printed: &str, frame: &str, name: &str) -> String {
    let behind = printed.split(frame).nth(1).unwrap_or_default();
    let value = behind.split(&format!("[{name}(")).nth(1);
    let value = value.and_then(|rest| rest.split(':').nth(1)?.split(']').next());
    value
        .unwrap_or_else(|| panic!("no {name} behind {frame:?}: {printed}"))
        .to_owned()
}

/// How many of these frames nghttp sent, or received, but acknowledgements.
fn frames(printed: &str, what: &str) -> usize {
    printed
        .split("\n[")
        .filter(|frame| frame.contains(&format!("] {what} frame")) && !frame.contains("; ACK"))
        .count()
}

/// What the client and the server sent of an element.
fn element(connection: &Value, name: &str) -> [String; 2] {
    let rows = connection["elements"]["rows"].as_array().expect("elements");
    let row = rows.iter().find(|row| row[0] == name);
    let row = row.unwrap_or_else(|| panic!("no {name}: {connection:#}"));
    [1, 2].map(|at| row[at].as_str().unwrap_or_default().to_owned())
}

#[test]
fn announcements_are_those_that_nghttp_prints() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let server = Program::start(Command::new("node").arg("-e").arg(SERVER));
    let port = &server.await_port().to_string();
    let printed =
        said(Command::new("nghttp").args(["-v", "-n", &format!("http://127.0.0.1:{port}/")]));
    let exchange = store.exchange("/");
    let id = exchange["connection"]["id"].as_str().expect("an id");
    // Node keeps its end of the connection open for good.
    let connection = until("the client's good-bye", || {
        let connection = store.ask(&["get-connection", id, "--detail", "detailed"]);
        if connection["story"]
            .to_string()
            .contains("GOAWAY NO_ERROR, last stream")
        {
            Ok(connection)
        } else {
            Err(connection)
        }
    });
    for (name, told) in [
        (
            "SETTINGS_MAX_CONCURRENT_STREAMS",
            "http2_max_concurrent_streams",
        ),
        ("SETTINGS_INITIAL_WINDOW_SIZE", "http2_initial_window_size"),
    ] {
        let expected = [
            "send SETTINGS frame <length=12",
            "recv SETTINGS frame <length=12",
        ]
        .map(|frame| setting(&printed, frame, name));
        assert_eq!(element(&connection, told), expected, "{connection:#}");
    }
    for (kind, told) in [
        ("SETTINGS", "http2_settings_frames"),
        ("PUSH_PROMISE", "http2_push_promises"),
        ("PING", "http2_pings"),
        ("GOAWAY", "http2_goaways"),
    ] {
        let expected =
            ["send", "recv"].map(|way| frames(&printed, &format!("{way} {kind}")).to_string());
        assert_eq!(
            element(&connection, told),
            expected,
            "{told}: {printed}\n{connection:#}"
        );
    }
    let lines = connection["story"].to_string();
    assert!(
        lines.contains("GOAWAY ENHANCE_YOUR_CALM, last stream"),
        "{connection:#}"
    );
}

/// A client whose last frame and FIN leave in one packet, as a server's last words do when it closes at once.
const AT_ONCE: &str = r"
import socket, sys
client = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
client.send(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
client.recv(65536)
client.send(bytes([0, 0, 8, 6, 0, 0, 0, 0, 0]) + b'whatever', socket.MSG_MORE)
client.shutdown(socket.SHUT_WR)
while client.recv(65536): pass
";

/// Frames are walked by another program than the one that sees the packet, which does not come back to it.
#[test]
fn a_fin_behind_frames_is_seen() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let server = Program::start(Command::new("node").arg("-e").arg(SERVER));
    let port = &server.await_port().to_string();
    said(Command::new(headwater_integration_tests::python()).args(["-c", AT_ONCE, port]));
    until("a connection that has ended", || {
        let sql =
            format!("SELECT id FROM connections WHERE server_port = {port} AND end_ns IS NOT NULL");
        let found = store.ask(&["query-sql", &sql, "--since", "-1h"]);
        let Some(id) = found["rows"][0][0].as_str() else {
            return Err(found.to_string());
        };
        let connection = store.ask(&["get-connection", id]);
        let events = connection["story"]["rows"].as_array().expect("a story");
        let is_seen = events.iter().any(|event| {
            event[1] == "client"
                && event[2]
                    .as_str()
                    .is_some_and(|what| what.starts_with("FIN"))
        });
        assert!(is_seen, "{connection:#}");
        assert_eq!(element(&connection, "bytes")[0], "50");
        Ok(())
    });
}
