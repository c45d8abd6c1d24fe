//! Secrets planted in every carrier are nowhere to be found; harmless values are.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Store, column, run, said};

/// Looks like a token everywhere; each carrier has its own ending, so that a find names its carrier.
const CANARY: &str = "ghp_Qz7Rk2Vw9Xn4Lt8Yb3Mc6Hd1Jf5Gs0";

fn canary(ending: &str) -> String {
    format!("{CANARY}{ending}")
}

/// One request for every carrier; curl's command line is a carrier of its own.
fn plant(url: &str) {
    let with_user = url.replace("http://", &format!("http://user:{}@", canary("Ui")));
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
        &[
            "-x",
            url,
            &format!(
                "http://u:{}@proxied.example/words/absolute?k={}",
                canary("Au"),
                canary("Aq")
            ),
        ],
    ] {
        said(
            Command::new("curl")
                .args(["-s", "-o", "/dev/null", "-A", "harmless-agent/1.0"])
                .args(arguments),
        );
    }
}

#[test]
fn canaries_are_nowhere() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&["-vv"]);
    plant(&nginx.url());
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
    let mut answers = String::new();
    for row in &rows {
        let id = column(row, "id");
        answers.push_str(&said(&mut store.command(&[
            "get-exchange",
            &id,
            "--json",
            "--detail",
            "detailed",
        ])));
        answers.push_str(&said(&mut store.command(&["get-exchange", &id])));
        answers.push_str(&said(&mut store.command(&[
            "get-exchange",
            &id,
            "--header",
            "authorization",
        ])));
    }
    for tool in ["list-services", "find-errors", "status", "search-exchanges"] {
        answers.push_str(&said(&mut store.command(&[tool, "--json"])));
        answers.push_str(&said(&mut store.command(&[tool])));
    }
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
    assert_absent("an answer", answers.as_bytes());
    look_into_files(&store, "running");
    assert_absent("the recorder's log", recorder.end("INT").1.as_bytes());
    look_into_files(&store, "stopped");
    assert!(run(&mut store.command(&["status"])).status.success());
}

fn look_into_files(store: &Store, state: &str) {
    for entry in std::fs::read_dir(store.path().parent().expect("a folder")).expect("the store") {
        let file = entry.expect("an entry").path();
        assert_absent(
            &format!("{} ({state})", file.display()),
            &std::fs::read(&file).expect("a file"),
        );
    }
}

/// Half of the common part is enough to be a find.
fn assert_absent(place: &str, bytes: &[u8]) {
    let part = &CANARY.as_bytes()[4..20];
    if let Some(at) = bytes.windows(part.len()).position(|window| window == part) {
        let around = &bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())];
        panic!(
            "{place} holds a canary: {}",
            String::from_utf8_lossy(around)
        );
    }
}
