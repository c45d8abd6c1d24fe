//! DNS exchanges: found by each condition, grouped as errors, and told of by the connections that used them.

use headwater_mcp::Tool;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Row, SECOND, answer, ask, object};

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for (id, name, rcode) in [
        (1, "api.internal", Some(0)),
        (2, "nope.internal", Some(3)),
        (3, "broken.internal", Some(2)),
        (4, "silent.internal", None),
    ] {
        fixture.dns(id, name, rcode);
    }
    fixture
}

/// The names of the rows found, newest first.
async fn names(fixture: &Fixture, given: Value) -> Vec<String> {
    let answer = answer(&fixture.store(), Tool::SearchDns, given).await;
    let columns = answer["columns"].as_array().unwrap();
    let at = columns.iter().position(|column| column == "name").unwrap();
    let rows = answer["rows"].as_array().unwrap();
    rows.iter()
        .map(|row| row[at].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn each_condition_finds_its_own() {
    let fixture = fixture();
    for (given, expected) in [
        (
            json!({}),
            &[
                "silent.internal",
                "broken.internal",
                "nope.internal",
                "api.internal",
            ][..],
        ),
        (json!({ "name": "nope" }), &["nope.internal"]),
        (json!({ "name": "=API.internal." }), &["api.internal"]),
        (json!({ "name": "=s*.internal" }), &["silent.internal"]),
        (
            json!({ "rcode": "nxdomain, SERVFAIL" }),
            &["broken.internal", "nope.internal"],
        ),
        (json!({ "outcome": "no_answer" }), &["silent.internal"]),
        (
            json!({ "outcome": "failed" }),
            &["silent.internal", "broken.internal", "nope.internal"],
        ),
        (json!({ "type": "AAAA" }), &[]),
        (json!({ "type": "a", "limit": 1 }), &["silent.internal"]),
        (
            json!({ "service": "nginx", "peer": "curl", "rcode": "NOERROR" }),
            &["api.internal"],
        ),
        (json!({ "service": "nobody" }), &[]),
        (json!({ "since": "-10s" }), &[]),
        (
            json!({ "id": "d_k7q22", "since": "-10s" }),
            &["nope.internal"],
        ),
    ] {
        let mut all = object(json!({ "since": "-1h" }));
        all.extend(object(given.clone()));
        assert_eq!(
            names(&fixture, Value::Object(all)).await,
            expected,
            "{given}"
        );
    }
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let fixture = fixture();
    let mut given = json!({ "since": "-1h", "limit": 3 });
    let first = answer(&fixture.store(), Tool::SearchDns, given.clone()).await;
    assert_eq!(first["rows"].as_array().unwrap().len(), 3);
    given["cursor"] = first["next_cursor"].clone();
    assert_eq!(names(&fixture, given).await, ["api.internal"]);
}

#[tokio::test]
async fn mistakes_are_told_with_what_would_be_right() {
    let fixture = fixture();
    for (given, part) in [
        (json!({ "type": "ADDRESS" }), "AAAA"),
        (json!({ "rcode": "NOPE" }), "NXDOMAIN"),
        (json!({ "outcome": "lost" }), "answered_late"),
        (json!({ "id": "x_k7q21" }), "get_exchange"),
        (json!({ "id": "d_k7q2zz" }), "never given out"),
        (json!({ "id": "d_aaaa1" }), "another store"),
    ] {
        let error = ask(&fixture.store(), Tool::SearchDns, given.clone())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{given}: {error}");
    }
    let error = ask(
        &fixture.store(),
        Tool::GetExchange,
        json!({ "id": "d_k7q21" }),
    )
    .await
    .unwrap_err()
    .to_string();
    assert!(error.contains("search_dns"), "{error}");
}

#[tokio::test]
async fn an_exchange_tells_how_its_server_was_found() {
    let mut fixture = fixture();
    fixture.commit(&[Row::at(fixture.now_ns - 30 * SECOND, "/a")]);
    let sql =
        "INSERT INTO connection_resolution VALUES (1, 1, 'api.internal', 40000000, 'process')";
    fixture.writer.execute(sql, []).unwrap();
    let told = answer(
        &fixture.store(),
        Tool::GetExchange,
        json!({ "id": "x_k7q21" }),
    )
    .await;
    assert_eq!(
        told["resolution"],
        json!({ "name": "api.internal", "before_ms": 40.0, "asked_by": "process", "dns_exchange": "d_k7q21" }),
        "{told:#}"
    );
    let status = answer(&fixture.store(), Tool::Status, json!({})).await;
    assert_eq!(status["recorded"]["dns_exchanges"], 4, "{status:#}");
}
