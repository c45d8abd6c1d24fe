//! Capture files: never a panic, the same file twice adds nothing, and agreement with tshark.
//!
//! Tests named `corpus_…` need HEADWATER_CORPORA and fail without it; `./test` leaves them out there, and says so.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use headwater_integration_tests::{Store, column, corpora, run, said};

/// Files of the corpus.
fn captures() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(corpora().join("pcap/zeek-http")).expect("pcap/zeek-http");
    let mut files: Vec<_> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "an empty corpus");
    files
}

#[test]
fn corpus_every_capture_is_read_and_twice_adds_nothing() {
    let files = captures();
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

/// Requests and final responses that tshark finds; a frame names each message in it.
fn theirs(file: &Path) -> (usize, usize) {
    let mut command = Command::new("tshark");
    let fields = [
        "-Y",
        "http",
        "-T",
        "fields",
        "-e",
        "http.request.method",
        "-e",
        "http.response.code",
    ];
    let output = run(command.arg("-r").arg(file).args(fields));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let column = |number: usize| {
        text.lines()
            .filter_map(move |line| line.split('\t').nth(number))
            .flat_map(|cell| cell.split(','))
            .filter(|value| !value.is_empty())
    };
    // tshark counts interim responses too; here they belong to the one that follows.
    (
        column(0).count(),
        column(1)
            .filter(|code| !code.starts_with('1') || *code == "101")
            .count(),
    )
}

#[test]
fn corpus_requests_and_responses_agree_with_tshark() {
    let (mut agreed, mut all) = (0, 0);
    for file in captures() {
        let store = Store::new();
        run(&mut store.command(&["replay", &file.to_string_lossy()]));
        let rows = store.rows_since("1990-01-01T00:00:00Z", &["search-exchanges"]);
        let seen = |name: &str| {
            rows.iter()
                .filter(|row| column(row, name) != "null")
                .count()
        };
        let (requests, responses) = (seen("method"), seen("status"));
        let (asked, answered) = theirs(&file);
        let (least, most) = (
            requests.min(asked) + responses.min(answered),
            requests.max(asked) + responses.max(answered),
        );
        if least != most {
            let name = file
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            println!(
                "{name}: requests {requests} (tshark {asked}), responses {responses} (tshark {answered})"
            );
        }
        agreed += least;
        all += most;
    }
    println!("agreement with tshark: {agreed} of {all}");
    assert!(agreed * 100 >= all * 90, "{agreed} of {all}");
}

/// A raw IPv4 packet of TCP from port `from` to port `to`, as a pcap record.
fn packet(at: u32, from: u16, to: u16, numbers: [u32; 2], flags: u8, payload: &str) -> Vec<u8> {
    let length = 40 + u16::try_from(payload.len()).expect("a short payload");
    let mut bytes = Vec::new();
    for field in [at, 0, u32::from(length), u32::from(length)] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([0x45, 0]);
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend([10, 0, 0, if from < to { 1 } else { 2 }]);
    bytes.extend([10, 0, 0, if from < to { 2 } else { 1 }]);
    bytes.extend([from.to_be_bytes(), to.to_be_bytes()].concat());
    bytes.extend([numbers[0].to_be_bytes(), numbers[1].to_be_bytes()].concat());
    bytes.extend([0x50, flags, 255, 255, 0, 0, 0, 0]);
    bytes.extend(payload.as_bytes());
    bytes
}

#[test]
fn a_small_capture_twice_adds_nothing() {
    let (client, server) = (4000, 8080);
    let request = "GET /captured?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let lengths = [request, response].map(|text| u32::try_from(text.len()).expect("short"));
    let (asked, answered) = (101 + lengths[0], 501 + lengths[1]);
    // Little-endian pcap of raw IP.
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65535, 101]
        .map(u32::to_le_bytes)
        .concat();
    for record in [
        packet(1_700_000_000, client, server, [100, 0], 2, ""),
        packet(1_700_000_001, server, client, [500, 101], 0x12, ""),
        packet(1_700_000_002, client, server, [101, 501], 0x18, request),
        packet(1_700_000_003, server, client, [501, asked], 0x18, response),
        packet(1_700_000_004, server, client, [answered, asked], 0x11, ""),
        packet(
            1_700_000_005,
            client,
            server,
            [asked, answered + 1],
            0x11,
            "",
        ),
    ] {
        file.extend(record);
    }
    let store = Store::new();
    let file = store.scratch().write("small.pcap", file);
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
