//! What happened can be asked for within a second.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    process::Command,
    time::{Duration, Instant},
};

use headwater_integration_tests::{Nginx, Program, Store, said, until};

/// How long after the last byte of a response its row may take.
const WITHIN: Duration = Duration::from_secs(1);

/// From the end of a response to the first answer that has it, the time of asking included. The bound holds for half of the
/// requests: processors here are shared with whatever else is tested, and one question that has to wait for its turn says
/// nothing about the recorder.
fn check(store: &Store, nginx: &Nginx, word: &str) {
    let mut took: Vec<Duration> = (0..11)
        .map(|number| {
            let path = format!("/{word}/{number}");
            let url = format!("{}{path}", nginx.url());
            assert_eq!(said(Command::new("curl").args(["-s", &url])), "fine");
            let ended = Instant::now();
            let question = ["search-exchanges", "--path", &format!("={path}")];
            until("row of an exchange", || {
                let answer = store.ask(&question);
                match answer["rows"].as_array() {
                    Some(rows) if !rows.is_empty() => Ok(ended.elapsed()),
                    _ => Err(answer),
                }
            })
        })
        .collect();
    took.sort();
    assert!(took[took.len() / 2] <= WITHIN, "{word}: {took:?}");
}

#[test]
fn a_row_is_there_within_a_second() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&[]);
    check(&store, &nginx, "quiet");
    // Batches are no longer where there is always something to write.
    let url = format!("{}/load/[1-100000]", nginx.url());
    let load = Program::start(Command::new("curl").args(["-s", "-o", "/dev/null", &url]));
    check(&store, &nginx, "busy");
    load.signal("TERM");
    assert!(recorder.end("INT").0.success());
}
