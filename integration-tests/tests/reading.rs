//! Reading without privileges: another user of the store's group gets the same answers in every state of the recorder.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::{Command, Output};

use headwater_integration_tests::{Nginx, Store, reachable, run, said};

/// `nobody`, with a group that owns nothing else.
const UID: &str = "65534";
const GID: &str = "64999";

fn as_nobody(store: &Store, gid: &str, question: &[&str]) -> Output {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", UID, "--regid", gid, "--clear-groups"])
        .arg(store.scratch().file("headwater"));
    run(command
        .args(question)
        .arg("--json")
        .env("HEADWATER_DB", store.path()))
}

#[test]
fn another_user_of_the_group_reads_in_every_state() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    reachable(store.scratch());
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
    let recorder = store.record(&["--group", GID]);
    said(Command::new("curl").args(["-s", &format!("{}/seen", nginx.url())]));
    store.exchange("/seen");
    store.settle();
    check("running");
    recorder.end("INT");
    check("stopped");
    let recorder = store.record(&["--group", GID]);
    check("running again");
    recorder.end("KILL");
    check("killed");
    let other = as_nobody(&store, "64998", &["search-exchanges"]);
    assert!(
        !String::from_utf8_lossy(&other.stdout).contains("/seen"),
        "a user of another group reads nothing"
    );
}
