//! Capture files: never a panic, the same file twice adds nothing, several keep their connections apart.
//!
//! Tests named `corpus_…` need HEADWATER_CORPORA and fail without it; `./test` leaves them out there, and says so.

#![allow(clippy::expect_used, reason = "tests")]

use headwater_integration_tests::{
    Container, Link, Order, Store, capture, captures, column, conversation, fast_open, run, said,
};
use serde_json::Value;

#[test]
fn corpus_every_capture_is_read_and_twice_adds_nothing() {
    let files = captures()
        .into_iter()
        .map(|(_, path)| path)
        .collect::<Vec<_>>();
    let store = Store::new();
    let replay = || run(store.command(&["replay"]).args(&files));
    let count = || {
        store.ask(&["status"])["recorded"]["exchanges"]
            .as_u64()
            .expect("a count")
    };
    let first = replay();
    let told = String::from_utf8_lossy(&first.stderr);
    assert!(
        matches!(first.status.code(), Some(0 | 66)) && !told.contains("panicked"),
        "{:?}: {told}",
        first.status
    );
    let once = count();
    assert!(once > 100, "{once} exchanges");
    assert!(String::from_utf8_lossy(&replay().stderr).contains("replayed before"));
    assert_eq!(count(), once);
}

const REQUEST: &str = "GET /captured HTTP/1.1\r\nHost: a\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";

/// One exchange of these two ends.
fn exchange_of(client: &str, server: &str) -> Vec<Vec<u8>> {
    let end = |text: &str| text.parse().expect("an address");
    conversation(end(client), end(server), &[REQUEST, RESPONSE])
}

/// A pcap file of raw IP from this machine.
fn small(packets: &[Vec<u8>]) -> Vec<u8> {
    let (container, order, link) = (Container::Pcap, Order::Little, Link::Raw);
    capture(container, order, link, 1_700_000_000, packets)
}

#[test]
fn a_small_capture_twice_adds_nothing() {
    let store = Store::new();
    let packets = exchange_of("10.0.0.1:4000", "10.0.0.2:8080");
    let file = store.scratch().write("small.pcap", small(&packets));
    for _ in 0..2 {
        said(store.command(&["replay"]).arg(&file));
        let rows = store.rows_since("2023-01-01T00:00:00Z", &["search-exchanges"]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let told =
            ["start", "method", "path", "status", "outcome"].map(|name| column(&rows[0], name));
        let start = "2023-11-14T22:13:22.000Z";
        assert_eq!(told, [start, "GET", "/captured", "404", "complete"]);
    }
}

/// What a server does not acknowledge of a SYN's payload comes again, and is told once.
#[test]
fn a_request_in_the_syn_is_told() {
    let [client, server] =
        ["10.0.0.1:4000", "10.0.0.2:8080"].map(|end| end.parse().expect("an address"));
    let taken = fast_open(client, server, REQUEST, RESPONSE);
    let mut refused = exchange_of("10.0.0.1:4000", "10.0.0.2:8080");
    refused[0].clone_from(&taken[0]);
    for packets in [taken, refused] {
        let store = Store::new();
        let file = store.scratch().write("fast-open.pcap", small(&packets));
        said(store.command(&["replay"]).arg(&file));
        let rows = store.rows_since("2023-01-01T00:00:00Z", &["search-exchanges"]);
        assert_eq!(rows.len(), 1, "{rows:?}");
        let told =
            ["start", "method", "path", "status", "outcome"].map(|name| column(&rows[0], name));
        let start = "2023-11-14T22:13:20.000Z";
        assert_eq!(told, [start, "GET", "/captured", "404", "complete"]);
    }
}

/// Each file counts its connections from the first on; in the store they are all different ones.
#[test]
fn captures_replayed_together_keep_their_connections_apart() {
    let store = Store::new();
    let addresses = ["10.0.0.1:4001", "10.0.0.2:4002", "10.0.0.3:4003"];
    let files = addresses.map(|client| {
        let packets = exchange_of(client, "10.0.0.9:8080");
        store.scratch().write(client, small(&packets))
    });
    said(store.command(&["replay"]).args(&files));
    let rows = store.rows_since("2023-01-01T00:00:00Z", &["search-exchanges"]);
    let exchanges = rows
        .iter()
        .map(|row| store.ask(&["get-exchange", &column(row, "id"), "--detail", "detailed"]));
    let (mut clients, mut connections): (Vec<_>, Vec<_>) = exchanges
        .map(|exchange| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            (
                text(&exchange["client"]["address"]),
                text(&exchange["connection"]["id"]),
            )
        })
        .unzip();
    clients.sort();
    assert_eq!(clients, addresses);
    connections.sort();
    connections.dedup();
    assert_eq!(connections.len(), 3, "{connections:?}");
}

#[test]
fn every_link_type_container_and_byte_order_tells_the_same() {
    let packets = [
        exchange_of("10.0.0.1:4000", "10.0.0.2:8080"),
        exchange_of("[fd00::1]:4000", "[fd00::2]:8080"),
    ]
    .concat();
    let containers = [Container::Pcap, Container::PcapNg];
    let kinds =
        containers.map(|container| [Order::Little, Order::Big].map(|order| (container, order)));
    let mut first = None;
    for link in Link::ALL {
        let store = Store::new();
        let files = kinds.concat().into_iter().map(|(container, order)| {
            let bytes = capture(container, order, link, 1_700_000_000, &packets);
            let name = format!("{container:?}-{order:?}");
            store.scratch().write(&name, bytes)
        });
        let output = run(store.command(&["replay"]).args(files));
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let whole = "12 packets, 12 TCP segments, 2 exchanges\n";
        assert_eq!(words.matches(whole).count(), 4, "{link:?}: {words}");
        let rows = store.rows_since("2023-01-01T00:00:00Z", &["search-exchanges"]);
        let mut exchanges = rows
            .iter()
            .map(|row| {
                let id = column(row, "id");
                let mut exchange = store.ask(&["get-exchange", &id, "--detail", "detailed"]);
                for own in ["id", "connection", "coverage"] {
                    exchange[own] = Value::Null;
                }
                exchange.to_string()
            })
            .collect::<Vec<_>>();
        assert_eq!(exchanges.len(), 8, "{link:?}: {exchanges:?}");
        exchanges.sort();
        exchanges.dedup();
        assert_eq!(exchanges.len(), 2, "{link:?}: {exchanges:#?}");
        assert_eq!(
            first.get_or_insert(exchanges.clone()),
            &exchanges,
            "{link:?}"
        );
    }
    let first = first.expect("a link type").concat();
    for word in [
        "10.0.0.1:4000",
        "[fd00::1]:4000",
        "/captured",
        "404",
        "complete",
    ] {
        assert!(first.contains(word), "{word}: {first}");
    }
}

#[test]
fn what_is_no_capture_is_named() {
    let store = Store::new();
    let text = store.scratch().write("no.pcap", "this is no capture");
    let output = run(store.command(&["replay"]).arg(&text));
    assert_eq!(
        output.status.code(),
        Some(66),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said(&mut store.command(&["--version"])).contains("headwater"));
}
