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
