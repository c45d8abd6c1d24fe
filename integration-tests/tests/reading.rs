//! Reading without privileges: another user of the store's group gets the same answers in every state of the recorder.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::{Command, Output};

use headwater_integration_tests::{Nginx, Store, run, said};

/// `nobody`, with a group that owns nothing else.
const UID: u32 = 65_534;
const GID: u32 = 64_999;

fn as_nobody(store: &Store, gid: u32, question: &[&str]) -> Output {
    run(store.command_as(UID, gid, question).arg("--json"))
}

#[test]
fn another_user_of_the_group_reads_in_every_state() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let check = |state: &str| {
        for question in [
            &["search-exchanges"][..],
            &["search-exchanges", "--path", "/seen"],
            &["list-services"],
        ] {
            let output = as_nobody(&store, GID, question);
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{state}: {told}");
            let answer: serde_json::Value =
                serde_json::from_slice(&output.stdout).expect("an answer");
            assert_eq!(answer["rows"], store.ask(question)["rows"], "{state}");
            assert!(
                !answer["rows"].as_array().expect("rows").is_empty(),
                "{state}: {answer:#}"
            );
        }
    };
    let recorder = store.record(&["--group", &GID.to_string()]);
    said(Command::new("curl").args(["-s", &format!("{}/seen", nginx.url())]));
    store.exchange("/seen");
    store.settle();
    check("running");
    recorder.end("INT");
    check("stopped");
    let recorder = store.record(&["--group", &GID.to_string()]);
    check("running again");
    recorder.end("KILL");
    check("killed");
    let other = as_nobody(&store, GID - 1, &["search-exchanges"]);
    assert!(
        !String::from_utf8_lossy(&other.stdout).contains("/seen"),
        "a user of another group reads nothing"
    );
}
