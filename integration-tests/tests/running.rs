//! `run -- CMD`: the command's exit code, its streams untouched, and what it caused.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::{Command, Output};

use headwater_integration_tests::{Nginx, Store, run, said};
use serde_json::Value;

fn headwater_run(store: &Store, options: &[&str], script: &str) -> (Output, String) {
    let output =
        run(&mut store.command(&[&["run"], options, &["--", "sh", "-c", script]].concat()));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, told)
}

fn summary(store: &Store) -> Value {
    let text = std::fs::read_to_string(store.scratch().file("summary.json")).expect("a summary");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn the_exit_code_is_the_commands() {
    let store = Store::new();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 128 + 15),
        ("kill -KILL $$", 128 + 9),
    ] {
        let (output, told) = headwater_run(&store, &[], script);
        assert_eq!(output.status.code(), Some(code), "{script}: {told}");
    }
}

#[test]
fn a_command_and_its_children_are_told_and_nobody_else() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; } location /gone { return 410; }"),
    );
    let file = store.scratch().file("summary.json");
    let url = nginx.url();
    let script = format!(
        "echo heard; curl -s {url}/mine >/dev/null; (setsid curl -s {url}/child >/dev/null); curl -s {url}/gone >/dev/null; exit 3"
    );
    let (output, told) = headwater_run(&store, &["--json", &file.to_string_lossy()], &script);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice()),
        (Some(3), &b"heard\n"[..]),
        "{told}"
    );
    assert!(
        told.contains("3 exchanges, 1 failed") && told.contains("/gone"),
        "{told}"
    );
    let summary = summary(&store);
    assert_eq!(summary["exit_code"], 3, "{summary:#}");
    let mut paths: Vec<_> = summary["exchanges"]
        .as_array()
        .expect("exchanges")
        .iter()
        .map(|row| row["url_path"].clone())
        .collect();
    paths.sort_by_key(Value::to_string);
    assert_eq!(paths, ["/child", "/gone", "/mine"], "{summary:#}");
}

#[test]
fn a_running_recorder_is_used() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&[]);
    let url = nginx.url();
    let options = ["--only-port", "1", "--cap", "4KiB"];
    let (output, told) = headwater_run(&store, &options, &format!("curl -s {url}/with/recorder"));
    assert!(
        output.status.success() && told.contains("1 exchanges, 0 failed"),
        "{told}"
    );
    assert!(
        told.contains("--cap, --only-port changed nothing"),
        "{told}"
    );
    assert_eq!(output.stdout, b"fine");
    assert_eq!(store.exchange("/with/recorder")["outcome"], "complete");
    assert!(recorder.end("INT").0.success());
}

/// The environment that sudo gives, without sudo: the command is the caller's in all that `id` and `env` tell.
#[test]
fn under_sudo_the_command_is_its_callers() {
    let store = Store::new();
    let script = "id -u; id -G; echo $USER $LOGNAME $HOME $SHELL";
    let mut command = store.command(&["run", "--", "sh", "-c", script]);
    let told = run(command
        .env(
            "SUDO_UID",
            said(Command::new("id").args(["-u", CALLER])).trim(),
        )
        .env(
            "SUDO_GID",
            said(Command::new("id").args(["-g", CALLER])).trim(),
        )
        .env("USER", "root")
        .env("LOGNAME", "root")
        .env("HOME", "/root")
        .env("SHELL", "/bin/none"));
    let entry = said(Command::new("getent").args(["passwd", CALLER]));
    let fields: Vec<_> = entry.trim().split(':').collect();
    let expected = format!(
        "{}{}{CALLER} {CALLER} {} {}\n",
        said(Command::new("id").args(["-u", CALLER])),
        said(Command::new("id").args(["-G", CALLER])),
        fields[5],
        fields[6],
    );
    assert_eq!(
        String::from_utf8_lossy(&told.stdout),
        expected,
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
}

/// A user of every Debian who has groups besides their own where packages gave them any.
const CALLER: &str = "www-data";
