//! `run -- CMD`: the command's exit code, its streams untouched, and what it caused.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::{Command, Output};

use headwater_integration_tests::{Nginx, Program, Store, headwater, python, run, said};
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

/// Says that it is ready, and then waits for a signal that it may or may not catch.
fn waiting(store: &Store, script: &str) -> Program {
    let script = format!("{script} echo ready; while :; do sleep 0.05; done");
    let running = Program::start(&mut store.command(&["run", "--", "sh", "-c", &script]));
    running.await_line("ready");
    running
}

#[test]
fn signals_are_passed_on_and_end_it_as_they_ended_the_command() {
    let store = Store::new();
    for (signal, number) in [
        ("TERM", 15),
        ("INT", 2),
        ("HUP", 1),
        ("USR1", 10),
        ("QUIT", 3),
    ] {
        let (status, told) = waiting(&store, "").end(signal);
        assert_eq!(status.code(), Some(128 + number), "{signal}: {told}");
        assert!(
            told.contains("exchanges, "),
            "{signal}: the summary is told: {told}"
        );
        let (status, told) =
            waiting(&store, &format!("trap 'echo caught; exit 9' {signal};")).end(signal);
        assert_eq!(status.code(), Some(9), "{signal}: {told}");
        assert_eq!(told.matches("caught").count(), 1, "{signal}: {told}");
    }
}

/// Types Ctrl-C at a terminal of its own once the command is ready, and prints what came of it.
const AT_A_TERMINAL: &str = r"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
told, typed = b'', False
while True:
    try: piece = os.read(terminal, 4096)
    except OSError: break
    if not piece: break
    told += piece
    if b'ready' in told and not typed:
        typed = True
        os.write(terminal, b'\x03')
print(told.decode(), 'code', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn ctrl_c_at_a_terminal_reaches_the_command_once() {
    let store = Store::new();
    let at_terminal = |script: &str| {
        let script = format!("{script} echo ready; while :; do sleep 0.05; done");
        let mut command = Command::new(python());
        command.args(["-c", AT_A_TERMINAL]).arg(headwater());
        command.args(["run", "--", "sh", "-c", &script]);
        command.env("HEADWATER_DB", store.path());
        said(command.env_remove("SUDO_UID").env_remove("SUDO_GID"))
    };
    let told = at_terminal("trap 'echo caught; exit 7' INT;");
    assert!(
        told.contains("code 7") && told.contains("exchanges, "),
        "{told}"
    );
    assert_eq!(told.matches("caught").count(), 1, "{told}");
    let told = at_terminal("");
    assert!(
        told.contains("code 130") && told.contains("exchanges, "),
        "{told}"
    );
}

#[test]
fn a_command_that_is_not_there_or_cannot_be_run() {
    let store = Store::new();
    let file = store.scratch().write("no-program", "not to be run");
    for (command, code) in [("/no/such/command", 127), (&*file.to_string_lossy(), 126)] {
        let output = run(&mut store.command(&["run", "--", command]));
        assert_eq!(output.status.code(), Some(code), "{output:?}");
    }
}

/// Leaves the process tree as daemons do: a child of a child in a session of its own, whose parent is gone. Then it asks.
const DAEMON: &str = r"
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    middle = os.getpid()
    if os.fork() != 0: os._exit(0)
    while os.getppid() == middle: time.sleep(0.01)
    subprocess.run(['curl', '-s', '-o', '/dev/null', sys.argv[1]])
    with open(sys.argv[2] + '-', 'w') as file: file.write(str(os.getpid()))
    os.rename(sys.argv[2] + '-', sys.argv[2])
    os._exit(0)
os.wait()
while not os.path.exists(sys.argv[2]): time.sleep(0.01)
# It is nobody's child but the recorder's, and does not stay a zombie.
while os.path.exists('/proc/' + open(sys.argv[2]).read()): time.sleep(0.01)
";

#[test]
fn a_child_that_leaves_the_process_tree_is_counted() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let (file, done) = (
        store.scratch().file("summary.json"),
        store.scratch().file("done"),
    );
    let url = format!("{}/daemon", nginx.url());
    let mut command = store.command(&["run", "--json", &file.to_string_lossy(), "--"]);
    command
        .arg(python())
        .args(["-c", DAEMON, &url, &done.to_string_lossy()]);
    // Somebody else asks meanwhile, and does not count.
    let other = said(Command::new("curl").args(["-s", &format!("{}/somebody", nginx.url())]));
    let output = run(&mut command);
    assert!(output.status.success() && other == "fine", "{output:?}");
    let summary = summary(&store);
    let exchanges = summary["exchanges"].as_array().expect("exchanges");
    assert_eq!(exchanges.len(), 1, "{summary:#}");
    assert_eq!(exchanges[0]["url_path"], "/daemon", "{summary:#}");
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
        output.status.success() && told.contains("1 exchange, 0 failed"),
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
