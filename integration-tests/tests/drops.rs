//! Packets that the kernel dropped: told of their connection, with the kernel's reason, and counted.

#![allow(clippy::expect_used, reason = "tests")]

use headwater_integration_tests::{Namespace, Store, column, python, run, said, sh, until};
use serde_json::Value;

/// The attempt at a port that the client gave up, once its process has ended.
fn attempt(store: &Store, port: u16) -> Value {
    let server = format!("127.0.0.1:{port}");
    let id = until(&format!("an attempt at {server}"), || {
        let rows = store.rows(&["find-errors"]);
        let found = rows.iter().find(|row| column(row, "server") == server);
        let id = found.and_then(|row| row["examples"][0].as_str());
        id.map(str::to_owned).ok_or(rows)
    });
    until("the end of its process", || {
        let connection = store.ask(&["get-connection", &id, "--detail", "detailed"]);
        if connection["story"]
            .to_string()
            .contains("its process ended")
        {
            Ok(connection)
        } else {
            Err(connection)
        }
    })
}

/// Packets that the kernel's rule has taken so far.
fn taken(namespace: &Namespace, chain: &str) -> u64 {
    let rules = sh(&format!(
        "ip netns exec {} iptables -L {chain} -v -x -n",
        namespace.name()
    ));
    let rule = rules
        .lines()
        .find(|line| line.contains("DROP") && line.contains("dpt:"));
    let count = rule.and_then(|line| line.split_whitespace().next());
    count.and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
fn a_firewall_on_this_machine_is_named() {
    let store = Store::new();
    let recorder = store.record(&[]);
    let namespace = Namespace::new("walled");
    // One takes packets before the probe at their socket can see them, the other behind it.
    for (chain, port) in [("OUTPUT", 81), ("INPUT", 82)] {
        sh(&format!(
            "ip netns exec {} iptables -A {chain} -p tcp --dport {port} -j DROP",
            namespace.name()
        ));
        let url = format!("http://127.0.0.1:{port}/");
        let curl = run(&mut namespace.command("curl", &["-s", "--max-time", "1.5", &url]));
        assert_eq!(curl.status.code(), Some(28), "it timed out");
        let connection = attempt(&store, port);
        let count = taken(&namespace, chain);
        let words = connection["close_explained"].to_string();
        assert!(
            words.contains(&format!("{count} SYNs unanswered")),
            "{count}: {connection:#}"
        );
        assert!(
            words.contains(&format!("{count} NETFILTER_DROP of the client")),
            "{count}: {connection:#}"
        );
        let lines = connection["story"].to_string();
        assert!(lines.contains("a rule of netfilter"), "{connection:#}");
        assert!(
            lines.contains("client\",\"SYN (MSS 65495"),
            "{connection:#}"
        );
        let client = &connection["client"];
        assert!(
            client["executable"].to_string().contains("curl"),
            "{connection:#}"
        );
        assert_eq!(client["process_evidence"], "socket_lock", "{connection:#}");
        assert_eq!(client["netns"], namespace.number(), "{connection:#}");
    }
    let both = taken(&namespace, "OUTPUT") + taken(&namespace, "INPUT");
    counted(&store, "NETFILTER_DROP", both);
    let (_, said) = recorder.end("TERM");
    assert!(said.contains(" 0 lost"), "{said}");
}

/// Waits until as many packets are counted as dropped for a reason; others on this machine may be, too.
fn counted(store: &Store, reason: &str, least: u64) -> Value {
    until("the count of all", || {
        let status = store.ask(&["status"]);
        let told = status["kernel_drops"].as_str().unwrap_or_default();
        let told = told.strip_prefix("since the recorder started: ");
        let count = told
            .unwrap_or_default()
            .split(", ")
            .find_map(|one| one.strip_prefix(reason)?.trim().parse().ok());
        if count >= Some(least) {
            Ok(status)
        } else {
            Err(status)
        }
    })
}

/// More than are told one by one: connections to a port where nobody listens.
#[test]
fn a_flood_is_counted() {
    let store = Store::new();
    let recorder = store.record(&[]);
    let namespace = Namespace::new("flood");
    let knock = "import socket
for _ in range(5000):
    s = socket.socket(); s.connect_ex(('127.0.0.1', 9)); s.close()";
    let python = python();
    said(&mut namespace.command(&python.to_string_lossy(), &["-c", knock]));
    let status = counted(&store, "NO_SOCKET", 5_000);
    let untold = status["coverage"]["not_seen"]
        .as_array()
        .and_then(|kinds| kinds.iter().find(|kind| kind["kind"] == "drops_untold"));
    assert!(untold.is_some(), "{status:#}");
    let (_, said) = recorder.end("TERM");
    assert!(said.contains(" 0 lost"), "{said}");
}
