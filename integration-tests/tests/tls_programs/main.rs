//! TLS libraries and programs that take care to be met: several versions of OpenSSL by all of its calls, new keys in the
//! middle of a connection, servers of other makes. What is recorded is what the server logged, each on its connection.

#![allow(clippy::expect_used, reason = "tests")]

mod caddy;
mod gnutls;
mod java;
mod openssl;
mod served;
mod stripped;

use std::{path::Path, process::Command};

use headwater_integration_tests::{Program, Store, until};
use serde_json::Value;

/// How names begin that count for nothing.
const BEFORE: &str = "before-";

/// Method, path, status and the client's port of all exchanges that ended well and are bound to a connection to a port, with the sizes of
/// both bodies, in order.
fn recorded(store: &Store, port: u16) -> Vec<String> {
    let sql = format!(
        "SELECT e.method, e.path, e.status, c.client_port, e.request_bytes, e.response_bytes
         FROM exchanges e JOIN connections c ON c.id = e.connection_id WHERE c.server_port = {port} AND e.outcome = 'complete' AND e.path NOT LIKE '%{BEFORE}%' ORDER BY e.id"
    );
    let line = |row: Vec<Value>| {
        let word = |value: &Value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned)
        };
        row.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<_> = store.sql(&sql).into_iter().map(line).collect();
    lines.sort();
    lines
}

/// A server's log, `METHOD PATH STATUS PORT` in each line, with the sizes that requests and answers have here.
fn with_sizes(log: &str) -> Vec<String> {
    let line = |line: &str| {
        let sizes = if line.starts_with("PUT") {
            "1048576 0"
        } else if line.contains("/large/") {
            "0 1048576"
        } else {
            "0 6"
        };
        format!("{line} {sizes}")
    };
    let counted = log.lines().filter(|line| !line.contains(BEFORE));
    let mut lines: Vec<_> = counted.map(line).collect();
    lines.sort();
    lines
}

/// Runs a client once it is read: of a file that was never met before it is a few milliseconds after a program mapped it, and of
/// programs that are asked for by their names after each began. Until `go` is there, it asks for what `before` chooses by its path. Gives
/// what it says.
fn once_read(store: &Store, client: &mut Command, go: &Path, before: &str) -> String {
    let client = Program::start(client);
    let known = || store.rows(&["search-exchanges", "--path", before]).len();
    let others = known();
    until("library that is read", || {
        if known() == others {
            Err(client.said())
        } else {
            Ok(())
        }
    });
    std::fs::write(go, "").expect("a file");
    let (status, told) = client.wait();
    assert!(status.success(), "{told}");
    told
}

/// Waits until what is recorded at a port is what the log says, so many requests.
fn as_logged(store: &Store, port: u16, count: usize, log: impl Fn() -> String) {
    until("exchanges as logged", || {
        let (logged, recorded) = (with_sizes(&log()), recorded(store, port));
        if logged.len() == count && logged == recorded {
            return Ok(());
        }
        let only_in = |these: &[String], those: &[String]| -> Vec<String> {
            let only = these.iter().filter(|line| !those.contains(line));
            only.take(5).cloned().collect()
        };
        let (lacking, wrong) = (only_in(&logged, &recorded), only_in(&recorded, &logged));
        Err((logged.len(), recorded.len(), lacking, wrong))
    });
}
