//! Secrets planted in every carrier are nowhere to be found; harmless values are.
#![expect(clippy::unwrap_used, reason = "a test's way of failing is to panic")]

use headwater_integration_tests::{Nginx, Place, Recorder, curl};

/// Looks like nothing else, and like a token everywhere.
const CANARY: &str = "ghp_Qz7Rk2Vw9Xn4Lt8Yb3Mc6Hd1Jf5Gs0PaUe";

#[test]
fn canaries_are_nowhere_and_join_everywhere() {
    let (place, nginx) = (Place::default(), Nginx::start());
    let recorder = Recorder::start(&place, &[]);
    let query = format!("{}?token={CANARY}", nginx.url("/ok/query"));
    let path = nginx.url(&format!("/ok/{CANARY}"));
    let body = format!("secret={CANARY}");
    curl(&["-o", "/dev/null", "-A", "harmless-agent/1.0", "-H", &format!("Authorization: Bearer {CANARY}"), &nginx.url("/ok/bearer")]);
    curl(&["-o", "/dev/null", "-b", &format!("session={CANARY}"), &nginx.url("/ok/cookie")]);
    curl(&["-o", "/dev/null", &query, "-o", "/dev/null", &path]);
    curl(&["-o", "/dev/null", "-H", &format!("X-Custom: {CANARY}"), "-H", &format!("Referer: http://u:{CANARY}@h/x?k={CANARY}"), &nginx.url("/ok/custom")]);
    curl(&["-o", "/dev/null", "-H", "Transfer-Encoding: chunked", "-d", &body, &nginx.url("/post")]);
    curl(&["-o", "/dev/null", "-u", &format!("user:{CANARY}"), &nginx.url("/ok/basic")]);
    let rows = place.await_rows(7, &[]);
    assert!(rows.len() >= 7, "{rows:?}");
    let mut answers = String::new();
    for row in &rows {
        let id = row["id"].as_str().unwrap();
        answers.push_str(&place.ask(&["get-exchange", id, "--detail", "detailed"]).to_string());
        answers.push_str(&String::from_utf8_lossy(&place.run(&["get-exchange", id]).stdout));
    }
    for tool in ["list-services", "find-errors", "status"] {
        answers.push_str(&place.ask(&[tool]).to_string());
    }
    let found = place.search(&["--header-value", CANARY]);
    assert!(found.len() >= 3, "a plain value is found by its hash in bearer, cookie and custom header: {found:?}");
    let told = recorder.stop();
    assert!(!answers.contains(CANARY) && !told.contains(CANARY));
    assert!(answers.contains("harmless-agent/1.0") && answers.contains("/ok/bearer"));
    for entry in std::fs::read_dir(place.store().parent().unwrap()).unwrap() {
        let file = entry.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{}", file.display());
    }
}
