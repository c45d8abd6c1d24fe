//! Services of units and containers, by cgroups of the tests' own: one service over restarts, and what a command under `run`
//! cannot own of what an engine starts for it.

#![allow(clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Command};

use headwater_integration_tests::{
    Cgroup, Nginx, Program, Store, column, free_port, python, run, said, until,
};
use serde_json::Value;

/// A container's id that no other test has: 64 hexadecimal digits.
fn container_id(word: u8) -> String {
    format!(
        "{:08x}{}",
        std::process::id(),
        format!("{word:02x}").repeat(28)
    )
}

/// A folder as docker names a container's under systemd.
fn container(id: &str) -> Cgroup {
    Cgroup::new(&format!("docker-{id}.scope"))
}

/// Node's server on a port of the test's choice, started by what begins with `command`.
fn serve(mut command: Command, port: u16) -> Program {
    let script = format!(
        "require('http').createServer((request, response) => response.end('fine')).listen({port}, '127.0.0.1', () => console.log('ready'))"
    );
    let program = Program::start(command.args(["-e", &script]));
    program.await_line("ready");
    program
}

fn ask(port: u16, path: &str) {
    let url = format!("http://127.0.0.1:{port}{path}");
    assert_eq!(said(Command::new("curl").args(["-s", &url])), "fine");
}

/// Two lives of a server and two of the recorder: one row, with the requests of all.
fn one_service(name: &str, kind: &str, cgroup: impl Fn() -> Option<Cgroup>) {
    let port = free_port();
    let store = Store::new();
    let mut asked: u64 = 0;
    for life in 0..2 {
        let recorder = store.record(&[]);
        for ended in ["TERM", "KILL"] {
            // Made anew for each life, as service managers and engines do.
            let cgroup = cgroup();
            let node = || Command::new("node");
            let command = cgroup.as_ref().map_or_else(node, |own| own.command("node"));
            let server = serve(command, port);
            let path = format!("/{life}/{ended}");
            ask(port, &path);
            store.exchange(&path);
            asked += 1;
            server.end(ended);
        }
        assert!(recorder.end("INT").0.success());
    }
    let rows = store.rows(&["list-services", "--detail", "detailed"]);
    let of_server: Vec<_> = rows
        .iter()
        .filter(|row| column(row, "server").ends_with(&format!(":{port}")))
        .collect();
    assert_eq!(of_server.len(), 1, "{rows:#?}");
    let row = of_server[0];
    assert_eq!(column(row, "server"), format!("{name}:{port}"));
    assert_eq!(column(row, "server_kind"), kind, "{row:#?}");
    assert_eq!(column(row, "requests"), asked.to_string(), "{row:#?}");
}

#[test]
fn a_program_is_one_service_over_restarts() {
    let node = said(Command::new("node").args(["-p", "process.execPath"]));
    let name = Path::new(node.trim()).file_name().expect("a name");
    one_service(&name.to_string_lossy(), "program", || None);
}

#[test]
fn a_unit_is_one_service_over_restarts() {
    let name = format!("headwater-test-{}.service", std::process::id());
    one_service(&name, "unit", || Some(Cgroup::new(&name)));
}

#[test]
fn a_container_is_one_service_over_restarts() {
    let id = container_id(0xa1);
    one_service(&id[..12], "container", || Some(container(&id)));
}

/// An engine's daemon: for each connection to its socket it starts a container, which asks, and answers when that has ended.
const DAEMON: &str = r"
import os, socket, subprocess, sys
at, cgroup, url = sys.argv[1:]
server = socket.socket(socket.AF_UNIX); server.bind(at); server.listen(); print('ready', flush=True)
while True:
    client, _ = server.accept()
    join = 'echo $$ > ' + cgroup + '/cgroup.procs; exec curl -s -o /dev/null ' + url
    subprocess.run(['sh', '-c', join])
    client.send(b'ended'); client.close()
";

/// What asks the daemon.
const CLIENT: &str = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(9).decode())";

#[test]
fn what_an_engine_starts_for_a_command_is_named_and_not_counted() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let (id, other) = (container_id(0xb2), container_id(0xc3));
    let (cgroup, other) = (container(&id), container(&other));
    let _recorder = store.record(&[]);
    // A container that was there before is not the command's.
    let before = format!("{}/before", nginx.url());
    said(other.command("curl").args(["-s", &before]));
    store.exchange("/before");
    let socket = store.scratch().file("engine.sock");
    let mut daemon = Command::new(python());
    daemon.args(["-c", DAEMON]).args([&socket, cgroup.path()]);
    let daemon = Program::start(daemon.arg(format!("{}/in/container", nginx.url())));
    daemon.await_line("ready");
    // The engine's client, by the engine's name and by another.
    let client = store.scratch().write(
        "docker",
        format!(
            "#!/bin/sh\nexec {} -c '{CLIENT}' {}\n",
            python().display(),
            socket.display()
        ),
    );
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&client, open).expect("an executable client");
    let named = store.scratch().file("podman-like");
    std::fs::copy(&client, &named).expect("a client of another name");
    let file = store.scratch().file("summary.json");
    for (client, is_known) in [(&client, true), (&named, false)] {
        let script = format!(
            "{} && curl -s -o /dev/null {}/mine",
            client.display(),
            nginx.url()
        );
        let mut command = store.command(&["run", "--json", &file.to_string_lossy(), "--"]);
        let output = run(command.args(["sh", "-c", &script]));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.stdout, b"ended\n", "{told}");
        let text = std::fs::read_to_string(&file).expect("a summary");
        let summary: Value = serde_json::from_str(&text).expect("JSON");
        let rows = summary["exchanges"].as_array().expect("exchanges");
        assert_eq!(rows.len(), 1, "{summary:#}");
        assert_eq!(rows[0]["url_path"], "/mine", "{summary:#}");
        let not_counted = summary["not_counted"].to_string();
        assert_eq!(not_counted.contains("docker's daemon"), is_known, "{told}");
        // The container came up with the first command, and was there before the second.
        assert_eq!(not_counted.contains(&id[..12]), is_known, "{told}");
        assert_eq!(told.contains(&id[..12]), is_known, "{told}");
    }
    let rows = until("the container's exchanges", || {
        let rows = store.rows(&["search-exchanges", "--path", "=/in/container"]);
        if rows.len() == 2 { Ok(rows) } else { Err(rows) }
    });
    for row in rows {
        assert_eq!(column(&row, "client"), id[..12], "{row:?}");
    }
}
