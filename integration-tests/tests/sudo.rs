//! `up` on behalf of who called sudo: the recorder is root, the server is the caller, and both end together.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Command, Output},
};

use headwater_integration_tests::{Nginx, Program, Store, reachable, run, said, until};
use serde_json::Value;

/// Who called sudo: no user of this machine, and a group that owns nothing else.
const UID: u32 = 64_997;
const GID: u32 = 64_998;
/// Another user of that group.
const OTHER_UID: u32 = 64_996;

/// `headwater up` as sudo would start it, ready; gives the address of the server too.
fn up(store: &Store) -> (Program, String) {
    let mut command = Command::new(reachable(store.scratch()));
    command
        .env("HEADWATER_DB", store.path())
        .env("SUDO_UID", UID.to_string())
        .env("SUDO_GID", GID.to_string())
        .args(["up", "--listen", "127.0.0.1:0"]);
    let up = Program::start(&mut command);
    up.await_line("(probes attached)");
    let line = up.await_line("serving MCP at ");
    let address = line
        .split("serving MCP at ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    (up, address.expect("an address").to_owned())
}

/// The one child of a process.
fn child(pid: u32) -> u32 {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("threads");
    let of_threads = threads.filter_map(|thread| {
        let folder = thread.ok()?.path();
        std::fs::read_to_string(folder.join("children")).ok()
    });
    let children: Vec<u32> = of_threads
        .flat_map(|list| {
            list.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .filter_map(|pid| pid.parse().ok())
        .collect();
    assert_eq!(children.len(), 1, "{children:?} {list:?}");
    children[0]
}

/// Lines of a process's status by their names; the ids in it are the real, effective, saved and file system's.
fn status(pid: u32) -> HashMap<String, Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, rest)| {
            let words = rest.split_whitespace().map(str::to_owned);
            (name.to_owned(), words.collect())
        })
        .collect()
}

fn is_there(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn as_user(store: &Store, uid: u32, gid: u32, question: &[&str]) -> Output {
    run(&mut store.command_as(uid, gid, question))
}

/// Calls a tool over HTTP, with no session (the newer era of the protocol needs none for a call).
fn initialized(address: &str) -> String {
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
    let headers = [
        "-H",
        "Content-Type: application/json",
        "-H",
        "Accept: application/json, text/event-stream",
    ];
    said(
        Command::new("curl")
            .args(["-s", "-S", "-d", request])
            .args(headers)
            .arg(address),
    )
}

#[test]
fn the_server_is_the_caller_and_the_recorder_is_root() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let (up, address) = up(&store);
    let server = child(up.pid());
    assert_eq!(status(up.pid())["Uid"], ["0"; 4]);
    let of_server = status(server);
    assert_eq!(of_server["Uid"], [UID.to_string().as_str(); 4]);
    assert_eq!(of_server["Gid"], [GID.to_string().as_str(); 4]);
    assert!(of_server["Groups"].is_empty(), "{of_server:?}");
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(of_server[set], ["0000000000000000"], "{set}");
    }
    // The server answers, and reads the store by its group alone.
    assert!(initialized(&address).contains("headwater"));
    said(Command::new("curl").args(["-s", &format!("{}/seen/by/group", nginx.url())]));
    store.exchange("/seen/by/group");
    let folder = store.path().parent().expect("a folder").to_owned();
    for (path, mode) in [(folder.clone(), 0o750), (store.path(), 0o640)] {
        let file = std::fs::metadata(&path).expect("the store");
        assert_eq!(
            (file.uid(), file.gid(), file.mode() & 0o7777),
            (0, GID, mode),
            "{path:?}"
        );
    }
    let question = ["search-exchanges", "--path", "=/seen/by/group", "--json"];
    for uid in [UID, OTHER_UID] {
        let output = as_user(&store, uid, GID, &question);
        let answer: Value = serde_json::from_slice(&output.stdout).expect("an answer");
        assert_eq!(
            answer["rows"].as_array().map(Vec::len),
            Some(1),
            "{uid}: {answer:#}"
        );
    }
    let stranger = as_user(&store, OTHER_UID, GID + 1, &question);
    assert!(
        !String::from_utf8_lossy(&stranger.stdout).contains("/seen"),
        "{stranger:?}"
    );

    let (status, told) = up.end("TERM");
    assert!(status.success() && told.contains("stopped: "), "{told}");
    assert!(
        !is_there(server),
        "the server ended before the recorder did"
    );
}

#[test]
fn the_server_ends_with_a_recorder_that_is_killed_and_the_other_way_round() {
    let store = Store::new();
    let (killed, _) = up(&store);
    let server = child(killed.pid());
    killed.end("KILL");
    until("end of the server", || {
        if is_there(server) {
            Err(status(server))
        } else {
            Ok(())
        }
    });

    let (left, _) = up(&store);
    said(Command::new("sh").args(["-c", &format!("kill -TERM {}", child(left.pid()))]));
    let (status, told) = left.wait();
    assert!(
        !status.success() && told.contains("the server ended"),
        "{told}"
    );
    assert!(
        told.contains("stopped: "),
        "the recorder ended in order: {told}"
    );
}
