//! UDP that is not DNS: counted by flow; QUIC recognised, with the name that its client gives.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Store, column, python, said, until};

/// Runs Python on `script`, and gives what it prints.
fn run_python(script: &str, arguments: &[&str]) -> String {
    said(Command::new(python()).arg("-c").arg(script).args(arguments))
        .trim()
        .to_owned()
}

/// Waits until the flow to a port of this machine has these columns.
fn await_flow(store: &Store, port: &str, columns: &str, expected: &str) {
    const READ: &str = "import sqlite3, sys
store = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True)
print(store.execute(sys.argv[2]).fetchall())";
    let sql = format!("SELECT {columns} FROM udp_flow_1 WHERE server_port = {port}");
    let path = store.path().display().to_string();
    until("the flow", || {
        let found = run_python(READ, &[&path, &sql]);
        if found == expected {
            Ok(())
        } else {
            Err(found)
        }
    });
}

#[test]
fn datagrams_are_counted_by_flow_and_direction() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = run_python(
        "import socket
a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a.bind(('127.0.0.1', 0))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.connect(a.getsockname())
for n in range(7):
    b.send(b'x' * 100)
for n in range(3):
    a.sendto(b'y' * 10, b.getsockname())
print(a.getsockname()[1])",
        &[],
    );
    await_flow(
        &store,
        &port,
        "client_packets, client_bytes, server_packets, server_bytes",
        "[(7, 700, 3, 30)]",
    );
    let rows = store.rows(&[
        "search-exchanges",
        "--protocol",
        "udp",
        "--detail",
        "detailed",
    ]);
    let flow = rows
        .iter()
        .find(|row| column(row, "server_address") == format!("127.0.0.1:{port}"))
        .expect("the flow");
    assert_eq!(
        [
            "client_packets",
            "client_bytes",
            "server_packets",
            "server_bytes"
        ]
        .map(|name| column(flow, name)),
        ["7", "700", "3", "30"]
    );
    let recorded = &store.ask(&["status"])["recorded"];
    assert!(recorded["udp_flows"].as_u64() >= Some(1), "{recorded:#}");
}

/// The beginning of the client's packet in RFC 9001, appendix A.2.
const INITIAL: &str = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9bd8bab936b47d92ec356c\
    0bab7df5976d27cd449f63300099f3991c260ec4c60d17b31f8429157bb35a1282a643a8d2262cad67500cadb8e7378c\
    8eb7539ec4d4905fed1bee1fc8aafba17c750e2c7ace01e6005f80fcb7df621230c83711b39343fa028cea7f7fb5ff89\
    eac2308249a02252155e2347b63d58c5457afd84d05dfffdb20392844ae812154682e9cf012f9021a6f0be17ddd0c208\
    4dce25ff9b06cde535d0f920a2db1bf362c23e596d11a4f5a6cf3948838a3aec4e15daf8500a6ef69ec4e3feb6b1d98e\
    610ac8b7ec3faf6ad760b7bad1db4ba3485e8a94dc250ae3fdb41ed15fb6a8e5eba0fc3dd60bc8e30c5c4287e53805db";

#[test]
fn quic_is_recognised_and_named_in_coverage() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = run_python(
        "import socket, sys
a = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
a.bind(('::1', 0))
b = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
b.connect(a.getsockname())
b.send(bytes.fromhex(sys.argv[1]))
print(a.getsockname()[1])",
        &[INITIAL],
    );
    await_flow(
        &store,
        &port,
        "quic_version, tls_server_name",
        "[(1, 'example.com')]",
    );
    let told = store.ask(&["status"])["coverage"].to_string();
    assert!(told.contains("quic_not_decoded"), "{told}");
}
