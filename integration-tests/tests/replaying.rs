//! Capture files: never a panic, the same file twice adds nothing, and agreement with tshark.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's way of failing is to panic")]

use std::{path::PathBuf, process::Command};

use headwater_integration_tests::Place;

/// The corpora, or a word that they are left out.
fn captures() -> Option<Vec<PathBuf>> {
    let Some(folder) = std::env::var_os("HEADWATER_CORPORA") else {
        println!("left out: HEADWATER_CORPORA is not set");
        return None;
    };
    let mut files: Vec<_> = std::fs::read_dir(PathBuf::from(folder).join("pcap/zeek-http")).expect("pcap/zeek-http").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    Some(files)
}

#[test]
fn every_capture_is_read_and_twice_adds_nothing() {
    let Some(files) = captures() else { return };
    let place = Place::default();
    let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let first = place.run(&[&["replay"], &names[..]].concat());
    assert!(matches!(first.status.code(), Some(0 | 66)), "{:?}: {}", first.status, String::from_utf8_lossy(&first.stderr));
    let count = place.ask(&["status"])["recorded"]["exchanges"].clone();
    assert!(count.as_u64().unwrap() > 100, "{count}");
    let second = place.run(&[&["replay"], &names[..]].concat());
    assert!(String::from_utf8_lossy(&second.stderr).contains("replayed before"));
    assert_eq!(place.ask(&["status"])["recorded"]["exchanges"], count);
}

#[test]
fn requests_and_responses_agree_with_tshark() {
    let Some(files) = captures() else { return };
    let (mut ours_and_theirs, mut all) = (0, 0);
    for file in files {
        let place = Place::default();
        place.run(&["replay", file.to_str().unwrap()]);
        let rows = place.search(&["--since", "1990-01-01T00:00:00Z"]);
        let requests = rows.iter().filter(|row| row["method"].is_string()).count();
        let responses = rows.iter().filter(|row| row["status"].is_number()).count();
        let field = |filter: &str| {
            let output = Command::new("tshark").arg("-r").arg(&file).args(["-Y", filter, "-T", "fields", "-e", "frame.number"]).output().expect("tshark");
            String::from_utf8_lossy(&output.stdout).lines().count()
        };
        // tshark counts interim responses as responses; here they belong to the one that follows.
        let (asked, answered) = (field("http.request"), field("http.response && http.response.code >= 200 || http.response.code == 101"));
        let agreed = requests.min(asked) + responses.min(answered);
        let most = requests.max(asked) + responses.max(answered);
        if agreed != most {
            println!("{}: requests {requests} (tshark {asked}), responses {responses} (tshark {answered})", file.file_name().unwrap().display());
        }
        ours_and_theirs += agreed;
        all += most;
    }
    println!("agreement with tshark: {ours_and_theirs} of {all}");
    assert!(ours_and_theirs * 100 >= all * 90, "{ours_and_theirs} of {all}");
}
