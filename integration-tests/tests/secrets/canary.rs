//! The secret that is planted, and where it must not be found.

use headwater_integration_tests::{Program, Store, column, run, said};
use serde_json::{Map, Value};

/// Looks like a token everywhere; each carrier has its own ending, so that a find names its carrier.
pub(crate) const CANARY: &str = "ghp_Qz7Rk2Vw9Xn4Lt8Yb3Mc6Hd1Jf5Gs0";

pub(crate) fn canary(ending: &str) -> String {
    format!("{CANARY}{ending}")
}

/// Every tool's answers, about these exchanges above all: as tables, as JSON, and over MCP.
pub(crate) fn all_answers(store: &Store, rows: &[Map<String, Value>]) -> String {
    let mut answers = String::new();
    let mut calls = Vec::new();
    for row in rows {
        let id = column(row, "id");
        for options in [
            &["--json", "--detail", "detailed"][..],
            &[],
            &["--header", "authorization"],
            &["--header", "cookie"],
        ] {
            let mut command = store.command(&["get-exchange", &id]);
            let output = run(command.args(options));
            answers.push_str(&String::from_utf8_lossy(&output.stdout));
            answers.push_str(&String::from_utf8_lossy(&output.stderr));
        }
        calls.push((
            "get_exchange",
            format!(r#"{{"id":"{id}","detail":"detailed"}}"#),
        ));
    }
    for (tool, protocol) in [
        ("list-services", None),
        ("find-errors", None),
        ("status", None),
        ("search-exchanges", None),
        ("search-exchanges", Some("dns")),
        ("search-exchanges", Some("udp")),
    ] {
        let option = protocol.map(|protocol| format!("--protocol={protocol}"));
        let words: Vec<&str> = std::iter::once(tool).chain(option.as_deref()).collect();
        answers.push_str(&said(store.command(&words).arg("--json")));
        answers.push_str(&said(&mut store.command(&words)));
        let given = protocol.map(|protocol| format!(r#"{{"protocol":"{protocol}"}}"#));
        calls.push((tool, given.unwrap_or_else(|| "{}".to_owned())));
    }
    answers + &over_mcp(store, &calls)
}

/// What an MCP client on standard input is answered, and the server's log.
fn over_mcp(store: &Store, calls: &[(&str, String)]) -> String {
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
    let mut lines = vec![
        initialize.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
    ];
    for (id, (tool, arguments)) in (1..).zip(calls) {
        let tool = tool.replace('-', "_");
        let params = format!(r#"{{"name":"{tool}","arguments":{arguments}}}"#);
        lines.push(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#
        ));
    }
    let input = store.scratch().write("calls", lines.join("\n") + "\n");
    let output = run(store
        .command(&["-vv", "mcp"])
        .stdin(std::fs::File::open(input).expect("the calls")));
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(answers.lines().count(), calls.len() + 1, "{answers}");
    answers + &String::from_utf8_lossy(&output.stderr)
}

/// The same, once so many exchanges are complete.
pub(crate) fn answers_once(store: &Store, count: usize) -> String {
    let complete = ["--path", "/words/", "--outcome", "complete"];
    let rows = store.await_rows(&[&["search-exchanges"][..], &complete].concat(), count);
    all_answers(store, &rows)
}

/// Neither these answers nor the recorder's log nor any file holds one, while it records and afterwards.
pub(crate) fn assert_nowhere(store: &Store, recorder: Program, answers: &str) {
    assert_absent("an answer", answers.as_bytes());
    look_into_files(store, "running");
    assert_absent("the recorder's log", recorder.end("INT").1.as_bytes());
    look_into_files(store, "stopped");
}

pub(crate) fn look_into_files(store: &Store, state: &str) {
    for entry in std::fs::read_dir(store.path().parent().expect("a folder")).expect("the store") {
        let file = entry.expect("an entry").path();
        assert_absent(
            &format!("{} ({state})", file.display()),
            &std::fs::read(&file).expect("a file"),
        );
    }
}

/// Half of the common part is enough to be a find, in upper or lower case.
pub(crate) fn assert_absent(place: &str, bytes: &[u8]) {
    let part = &CANARY.as_bytes()[4..20];
    let found = bytes
        .windows(part.len())
        .position(|window| window.eq_ignore_ascii_case(part));
    if let Some(at) = found {
        let around = &bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())];
        panic!(
            "{place} holds a canary: {}",
            String::from_utf8_lossy(around)
        );
    }
}
