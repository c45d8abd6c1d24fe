//! What comes behind a header of the PROXY protocol, as haproxy sends it: read as if it were not there, and told whose it is.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, free_port, said, until};
use serde_json::Value;

/// Three answers of HTTP/1 over one connection, of whichever certificate.
const CURL: [&str; 9] = [
    "curl",
    "-skf",
    "--http1.1",
    "-o",
    "/dev/null",
    "-o",
    "/dev/null",
    "-o",
    "/dev/null",
];
/// Of HTTP/2 over TLS.
const CURL_HTTP2: [&str; 9] = [
    "curl",
    "-skf",
    "--http2",
    "-o",
    "/dev/null",
    "-o",
    "/dev/null",
    "-o",
    "/dev/null",
];

/// A haproxy that passes on what comes at each of these ports, to the other, with such a header.
fn haproxy(store: &Store, ways: &[(u16, u16, &str)]) -> Program {
    let mut configuration =
        "defaults\n mode tcp\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
            .to_owned();
    for (from, to, how) in ways {
        let way =
            format!("listen at{from}\n bind 127.0.0.1:{from}\n server s 127.0.0.1:{to} {how}\n");
        configuration.push_str(&way);
    }
    let configuration = store.scratch().write("haproxy.cfg", configuration);
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    Program::start(
        Command::new("haproxy")
            .env("PATH", path)
            .arg("-db")
            .arg("-f")
            .arg(configuration),
    )
}

/// A small request, a large one and a small one over one connection.
fn ask(client: &[&str], scheme: &str, port: u16, name: &str) {
    let url = |kind: &str| format!("{scheme}://127.0.0.1:{port}/{kind}/{name}");
    let [program, options @ ..] = client else {
        panic!("a program");
    };
    said(
        Command::new(program)
            .args(options)
            .args([url("small"), url("large"), url("small/last")]),
    );
}

#[test]
fn what_follows_the_header_is_read() {
    let store = Store::new();
    let ((nginx, http2_port), tls) = (Nginx::start_behind_proxy(), Nginx::start_tls_behind_proxy());
    let fronts: [u16; 6] = std::array::from_fn(|_| free_port());
    let cases = [
        (nginx.port, "send-proxy", "http", &CURL[..], "1"),
        (nginx.port, "send-proxy-v2", "http", &CURL, "2"),
        (http2_port, "send-proxy", "http", &["nghttp", "-n"], "1"),
        (http2_port, "send-proxy-v2", "http", &["nghttp", "-n"], "2"),
        (tls.port, "send-proxy", "https", &CURL_HTTP2, "1"),
        (
            tls.port,
            "send-proxy-v2 proxy-v2-options authority,unique-id",
            "https",
            &CURL,
            "2",
        ),
    ];
    let ways: Vec<_> = fronts
        .iter()
        .zip(&cases)
        .map(|(from, case)| (*from, case.0, case.1))
        .collect();
    let _haproxy = haproxy(&store, &ways);
    let _recorder = store.record(&[]);
    for (front, (port, how, scheme, client, version)) in fronts.into_iter().zip(cases) {
        let name = format!("{front}-{port}");
        until("a listening haproxy", || {
            std::net::TcpStream::connect(("127.0.0.1", front)).map(drop)
        });
        ask(client, scheme, front, &name);
        let of_the_hop = format!(
            "SELECT e.connection_id, e.path, e.status, e.response_bytes FROM exchanges e JOIN connections c ON c.id = e.connection_id \
             WHERE e.path LIKE '%{name}' AND c.server_port = {port} ORDER BY e.start_ns"
        );
        let rows = until(&format!("three exchanges over {how}"), || {
            let rows = store.sql(&of_the_hop);
            let all = rows.iter().map(|row| &row[2]).collect::<Vec<_>>();
            if all == [200, 200, 200] {
                Ok(rows)
            } else {
                Err(rows)
            }
        });
        let mut sizes: Vec<_> = rows.iter().map(|row| row[3].as_u64()).collect();
        sizes.sort_unstable();
        assert_eq!(sizes, [Some(6), Some(6), Some(1 << 20)], "{how}");
        let id = rows[0][0].as_str().expect("an id");
        assert!(
            rows.iter().all(|row| row[0] == id),
            "one connection: {rows:?}"
        );
        let before = format!(
            "SELECT client_port FROM connections WHERE server_port = {front} AND client_bytes > 0 ORDER BY start_ns"
        );
        let before = store.sql(&before);
        let [client] = &before[..] else {
            panic!("{before:?}");
        };
        let client = &client[0];
        let connection = store.ask(&["get-connection", id]);
        let told = connection["story"].to_string();
        let said = format!(
            "PROXY protocol, version {version}: says that it stands for 127.0.0.1:{client}, which connected to 127.0.0.1:{front}"
        );
        assert!(told.contains(&said), "{said}: {told}");
        assert_eq!(
            told.contains("TLS ClientHello"),
            scheme == "https",
            "{told}"
        );
        assert_eq!(
            told.contains("TLS handshake over"),
            scheme == "https",
            "{told}"
        );
    }
    let errors = store.ask(&["find-errors", "--since", "-1h"]);
    let groups = errors["groups"].as_array().or(errors["rows"].as_array());
    assert_eq!(groups.map(Vec::len), Some(0), "{errors}");
    let coverage: Value = store.ask(&["status"]);
    assert!(!coverage.to_string().contains("malformed"), "{coverage}");
}
