//! The official conformance suite, nobody's of this project: against its own fixtures on Headwater's HTTP, and against
//! `headwater serve`.
//!
//! No failure is expected, and a warning is one (but for `NOT_DONE`). Left out are the scenarios of the tasks extension, which Headwater does not offer
//! and the suite does not score.

#![allow(clippy::expect_used, reason = "tests")]

use std::{collections::BTreeMap, path::Path, process::Command};

use headwater_integration_tests::{Program, Scratch, Store, address_of, node_folder, run};
use serde_json::Value;

/// Revisions for which the suite has requirements.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// What each scenario found, by its name.
type Found = BTreeMap<String, Vec<Value>>;

/// Runs all that a revision requires, and gives with it whether the suite's own verdict is good, and what it said.
fn suite(address: &str, revision: &str) -> (Found, bool, String) {
    let program = node_folder().join("node_modules/.bin/conformance");
    let scratch = Scratch::new();
    let output = run(Command::new(program)
        .args(["server", "--url", address, "--requirements", revision, "-o"])
        .arg(scratch.path()));
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    let found = found_in(scratch.path());
    // `Running requirements 2026-07-28 (50 scenarios) against …`
    let expected = said
        .lines()
        .find(|line| line.starts_with("Running requirements"))
        .and_then(|line| line.split(['(', ' ']).find_map(|word| word.parse().ok()));
    assert_eq!(
        expected,
        Some(found.len()),
        "scenarios were left out\n{said}"
    );
    (found, output.status.success(), said)
}

fn found_in(folder: &Path) -> Found {
    let entries = std::fs::read_dir(folder).expect("the suite's results");
    let mut found = Found::new();
    for entry in entries {
        let entry = entry.expect("a result");
        // `server-SCENARIO-2026-11-29T11-33-39-555Z`
        let name = entry.file_name().to_string_lossy().into_owned();
        let stamp = name.len().saturating_sub("-2026-11-29T11-33-39-555Z".len());
        let scenario = name[..stamp].strip_prefix("server-").expect("a scenario");
        let checks = std::fs::read(entry.path().join("checks.json")).expect("checks");
        let checks = serde_json::from_slice(&checks).expect("checks");
        found.insert(scenario.to_owned(), checks);
    }
    found
}

/// The checks that went wrong, as lines.
fn wrong<'a>(scenario: &str, checks: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let bad = |check: &&Value| matches!(check["status"].as_str(), Some("FAILURE" | "WARNING"));
    let line = |check: &Value| {
        let (id, status) = (&check["id"], &check["status"]);
        format!("{scenario} {id} {status}: {}", check["errorMessage"])
    };
    checks.into_iter().filter(bad).map(line).collect()
}

#[test]
fn the_suite_passes_with_its_fixtures_on_our_http() {
    for revision in REVISIONS {
        let mut server = Command::new(env!("CARGO_BIN_EXE_conformance-server"));
        let server = Program::start(&mut server);
        let (found, verdict, said) = suite(&address_of(&server), revision);
        let scenarios = found.iter();
        let scenarios = scenarios.filter(|(scenario, _)| !scenario.starts_with("tasks-"));
        let wrong: Vec<_> = scenarios
            .flat_map(|(scenario, checks)| wrong(scenario, checks))
            .collect();
        assert!(wrong.is_empty(), "{revision}\n{}", wrong.join("\n"));
        assert!(verdict, "{revision}: the suite says no\n{said}");
        assert!(server.end("TERM").0.success());
    }
}

/// Those that need no fixture. A check of `server-stateless` that does is told as not testable.
const WITHOUT_FIXTURES: [&[&str]; 2] = [
    &[
        "dns-rebinding-protection",
        "ping",
        "prompts-list",
        "resources-list",
        "server-initialize",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "tools-list",
    ],
    &[
        "caching",
        "dns-rebinding-protection",
        "http-header-validation",
        "input-required-result-unsupported-methods",
        "prompts-list",
        "resources-list",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "server-stateless",
        "tools-list",
    ],
];

/// What a server should do and `serve` does not: an address may be made of captured text, and no error says such text back.
const NOT_DONE: &str = "sep-2164-data-uri";

#[test]
fn serve_passes_what_needs_no_fixtures() {
    for (revision, scenarios) in REVISIONS.into_iter().zip(WITHOUT_FIXTURES) {
        let store = Store::new();
        let (server, address) = store.serve(&[]);
        let (found, _, _) = suite(&address, revision);
        let mut problems = Vec::new();
        for scenario in scenarios {
            let checks = found
                .get(*scenario)
                .unwrap_or_else(|| panic!("{scenario} did not run"));
            let testable = checks
                .iter()
                .filter(|check| check["details"]["untestable"] != true && check["id"] != NOT_DONE);
            problems.extend(wrong(scenario, testable));
            let passed = checks.iter().any(|check| check["status"] == "SUCCESS");
            assert!(passed, "{revision}: {scenario} checked nothing");
        }
        assert!(problems.is_empty(), "{revision}\n{}", problems.join("\n"));
        assert!(server.end("TERM").0.success());
    }
}
