//! Incidents: small real systems with one fault each, investigated through a real MCP client by one script for all of them,
//! which knows the symptom alone. Each also without its fault, where nobody may be blamed, and beside a system that fails too.
//!
//! These are races and time-outs on a machine that others share: a run that goes wrong is played again, twice at most, and of all
//! runs one in twenty at most may need that.
//!
//! `scenarios/run.py --help` runs one of them by hand.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::path::PathBuf;

use headwater_integration_tests::{Scratch, headwater, python, run};
use serde_json::Value;
use tiktoken_rs::o200k_base_singleton;

/// Incidents that are played again with every hop over TLS, where packets say nothing; `http2` over HTTP/2 wherever both ends
/// speak it.
const OVER_TLS: [(&str, &str); 13] = [
    ("cut_body", "http1"),
    ("frozen_process", "http1"),
    ("job_failed_elsewhere", "http1"),
    ("killed_in_mid_request", "http1"),
    ("large_bodies", "http1"),
    ("pool_exhausted", "http1"),
    ("go_mix", "http2"),
    ("http2_stream_reset", "http2"),
    ("one_bad_backend", "http2"),
    ("reset_at_third_hop", "http2"),
    ("service_token_rotated", "http2"),
    ("session_lost_by_one", "http2"),
    ("stale_version", "http2"),
];

/// What a run came to.
struct Run {
    name: String,
    mode: &'static str,
    is_right: bool,
    calls: usize,
    tokens: usize,
    told: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Every file of the folder but those that are no scenario.
fn names() -> Vec<String> {
    let printed = run(std::process::Command::new(python())
        .arg(folder().join("run.py"))
        .arg("--names"));
    let printed = String::from_utf8_lossy(&printed.stdout).into_owned();
    let names: Vec<String> = printed.split_whitespace().map(str::to_owned).collect();
    assert!(names.len() >= 20, "{names:?}");
    names
}

fn play(name: &str, tls: Option<&str>, mode: &'static str) -> Run {
    let scratch = Scratch::new();
    let kept = scratch.file("kept");
    std::fs::create_dir(&kept).expect("a folder");
    let mut command = std::process::Command::new(python());
    command
        .env("HEADWATER_TEST_BINARY", headwater())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(folder().join("run.py"))
        .args([name, mode, "--keep"])
        .arg(&kept);
    if mode == "--decoy" {
        command.arg("--fault");
    }
    if let Some(tls) = tls {
        command.args(["--tls", tls]);
    }
    let output = command.output().expect("python");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let result: Value = serde_json::from_str(&said).unwrap_or_default();
    let answers = result["answers"].as_array().cloned().unwrap_or_default();
    let tokens = o200k_base_singleton();
    let count = |answer: &Value| {
        tokens
            .encode_ordinary(answer.as_str().unwrap_or_default())
            .len()
    };
    let is_right = result["ok"] == true;
    let told = if is_right {
        String::new()
    } else {
        let problems = format!("{} {}", result["problems"], result["conclusion"]);
        format!("{problems} {}", String::from_utf8_lossy(&output.stderr))
    };
    Run {
        name: [name, tls.unwrap_or_default()].join(" "),
        mode,
        is_right,
        calls: answers.len(),
        tokens: answers.iter().map(count).sum(),
        told,
    }
}

fn median(mut all: Vec<usize>) -> usize {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

#[test]
fn one_script_names_what_was_at_fault_and_nobody_else() {
    let names = names();
    play_all(names.iter().map(|name| (name.as_str(), None)));
}

#[test]
fn it_does_so_where_all_is_encrypted() {
    play_all(OVER_TLS.iter().map(|(name, tls)| (*name, Some(*tls))));
}

fn play_all<'n>(scenarios: impl Iterator<Item = (&'n str, Option<&'n str>)>) {
    let (mut runs, mut repeated) = (Vec::new(), 0);
    for (name, tls) in scenarios {
        for mode in ["--fault", "--decoy", "--healthy"] {
            let mut run = play(name, tls, mode);
            for _ in 0..2 {
                println!(
                    "{} {}: {} calls, {} tokens {}",
                    run.name, run.mode, run.calls, run.tokens, run.told
                );
                if run.is_right {
                    break;
                }
                repeated += 1;
                run = play(name, tls, mode);
            }
            runs.push(run);
        }
    }
    let (calls, tokens) = (
        runs.iter().map(|run| run.calls).collect::<Vec<_>>(),
        runs.iter().map(|run| run.tokens).collect::<Vec<_>>(),
    );
    let most = |all: &[usize]| all.iter().copied().max().unwrap_or(0);
    println!(
        "{} runs, {repeated} of them again: calls median {}, most {}; tokens median {}, most {}",
        runs.len(),
        median(calls.clone()),
        most(&calls),
        median(tokens.clone()),
        most(&tokens)
    );
    assert!(
        repeated * 20 <= runs.len(),
        "{repeated} of {} went wrong at first",
        runs.len()
    );
    assert!(median(calls.clone()) <= 3 && most(&calls) <= 5);
    assert!(median(tokens.clone()) <= 3_000 && most(&tokens) <= 6_000);
    let wrong: Vec<_> = runs
        .iter()
        .filter(|run| !run.is_right)
        .map(|run| format!("{} {}: {}", run.name, run.mode, run.told))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
