//! Secrets planted in every carrier are nowhere to be found; harmless values are.

#![allow(clippy::expect_used, reason = "tests")]

mod canary;
mod carriers;
mod encrypted;
mod freed;

use std::{os::unix::fs::PermissionsExt, process::Command};

use headwater_integration_tests::{Nginx, Store, run, said};

use crate::canary::{all_answers, assert_absent, assert_nowhere, canary};

/// One request for every carrier; curl's command line is a carrier of its own. `options` go with each of them.
fn plant(url: &str, options: &[&str]) {
    let with_user = url.replace("://", &format!("://user:{}@", canary("Ui")));
    for arguments in [
        &[
            "-H",
            &format!("Authorization: Bearer {}", canary("Be")),
            &format!("{url}/words/bearer"),
        ][..],
        &[
            "-b",
            &format!("session={}; theme=dark", canary("Co")),
            &format!("{url}/words/cookie"),
        ],
        &[&format!("{url}/words/query?token={}&page=2", canary("Qu"))],
        &[&format!("{url}/words/{}/path", canary("Pa"))],
        &[&format!("{with_user}/words/userinfo")],
        &[
            "-H",
            &format!("X-Custom: {}", canary("Cu")),
            &format!("{url}/words/custom"),
        ],
        &[
            "-H",
            &format!("Referer: http://u:{}@h/x?k={}", canary("Ru"), canary("Rq")),
            &format!("{url}/words/referer"),
        ],
        &[
            "-H",
            "Transfer-Encoding: chunked",
            "-d",
            &format!("secret={}", canary("Bo")),
            &format!("{url}/words/body"),
        ],
    ] {
        said(curl(options).args(arguments));
    }
}

fn curl(options: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-s", "-o", "/dev/null", "-A", "harmless-agent/1.0"]);
    command.args(options);
    command
}

#[test]
fn canaries_are_nowhere() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&["-vv"]);
    plant(&nginx.url(), &[]);
    let absolute = format!(
        "http://u:{}@proxied.example/words/absolute?k={}",
        canary("Au"),
        canary("Aq")
    );
    said(curl(&["-x", &nginx.url()]).arg(absolute));
    let rows = store.await_rows(
        &[
            "search-exchanges",
            "--service",
            &format!("nginx:{}", nginx.port),
            "--outcome",
            "complete",
        ],
        9,
    );
    let answers = all_answers(&store, &rows);
    assert!(
        answers.contains("harmless-agent/1.0") && answers.contains("/words/bearer"),
        "{answers}"
    );
    let found = store.rows(&["search-exchanges", "--header-value", &canary("Cu")]);
    assert_eq!(
        found.len(),
        1,
        "a plain value is found by its hash: {found:?}"
    );
    assert_nowhere(&store, recorder, &answers);
    assert!(run(&mut store.command(&["status"])).status.success());
}

#[test]
fn the_summary_of_a_run_has_no_secret_and_is_the_callers_alone() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let file = store.scratch().file("summary.json");
    let output = run(store
        .command(&["run", "--json", &file.to_string_lossy(), "--"])
        .args(["curl", "-s", "-o", "/dev/null", "-A", "harmless-agent/1.0"])
        .args(["-u", &format!("me:{}", canary("Us"))])
        .args(["-H", &format!("Authorization: Bearer {}", canary("Be"))])
        .arg(format!("{}/words/run?token={}", nginx.url(), canary("Qu"))));
    assert!(output.status.success(), "{output:?}");
    let summary = std::fs::read(&file).expect("a summary");
    let words = String::from_utf8_lossy(&summary);
    assert!(
        words.contains("harmless-agent/1.0") && words.contains("/words/run"),
        "{words}"
    );
    assert_absent("the summary", &summary);
    assert_absent("what run said", &output.stderr);
    let mode = std::fs::metadata(&file)
        .expect("a summary")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn a_secret_asked_for_is_not_in_the_log() {
    let store = Store::new();
    let request = |id: u8, method: &str, params: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
    };
    let call = format!(
        r#"{{"name":"search_exchanges","arguments":{{"header_value":"{}"}}}}"#,
        canary("As")
    );
    let session = [
        request(
            1,
            "initialize",
            r#"{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}"#,
        ),
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned(),
        request(2, "tools/call", &call),
    ]
    .join("\n");
    let input = store.scratch().write("session", session + "\n");
    for log in [None, Some("debug"), Some("rmcp=trace")] {
        let mut command = store.command(&["-vv", "mcp"]);
        if let Some(filter) = log {
            command.env("HEADWATER_LOG", filter);
        }
        let output = run(command.stdin(std::fs::File::open(&input).expect("the session")));
        assert!(output.status.success(), "{output:?}");
        assert!(!output.stdout.is_empty(), "nothing was answered");
        assert_absent("the log of mcp", &output.stderr);
    }
}
