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
    let answer = answer(&fixture.store(), Tool::SearchExchanges, given).await;
    let columns = answer["columns"].as_array().unwrap();
    let at = columns.iter().position(|column| column == "path").unwrap();
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
        (json!({ "path": "nope" }), &["nope.internal"]),
        (json!({ "path": "=API.internal." }), &["api.internal"]),
        (json!({ "path": "=s*.internal" }), &["silent.internal"]),
        (
            json!({ "status": "nxdomain, SERVFAIL" }),
            &["broken.internal", "nope.internal"],
        ),
        (json!({ "outcome": "no_answer" }), &["silent.internal"]),
        (
            json!({ "outcome": "failed" }),
            &["silent.internal", "broken.internal", "nope.internal"],
        ),
        (json!({ "method": "AAAA" }), &[]),
        (json!({ "method": "a", "limit": 1 }), &["silent.internal"]),
        (
            json!({ "service": "nginx", "peer": "curl", "status": "NOERROR" }),
            &["api.internal"],
        ),
        (json!({ "service": "nobody" }), &[]),
        (json!({ "since": "-10s" }), &[]),
    ] {
        let mut all = object(json!({ "since": "-1h", "protocol": "dns" }));
        all.extend(object(given.clone()));
        assert_eq!(
            names(&fixture, Value::Object(all)).await,
            expected,
            "{given}"
        );
    }
}

#[tokio::test]
async fn a_query_that_came_back_says_who_said_so() {
    let fixture = fixture();
    fixture
        .writer
        .execute_batch(
            "UPDATE dns_exchange_1 SET outcome = 5, error_kind = 3997, icmp = '90000,client,3,3,,10.0.0.53' WHERE id = 4",
        )
        .unwrap();
    let words = "ICMP from 10.0.0.53: destination unreachable, port unreachable (type 3, code 3)";
    let given = json!({ "since": "-1h", "protocol": "dns", "outcome": "unreachable" });
    let found = answer(&fixture.store(), Tool::SearchExchanges, given).await;
    let columns = found["columns"].as_array().unwrap();
    let cell = |name: &str| {
        let at = columns.iter().position(|column| column == name).unwrap();
        &found["rows"][0][at]
    };
    assert_eq!(cell("icmp"), words);
    assert_eq!(cell("latency_ms"), 0.09);
    let given = json!({ "id": cell("id") });
    let told = answer(&fixture.store(), Tool::GetExchange, given).await;
    assert_eq!(told["outcome"], "unreachable", "{told:#}");
    assert_eq!(told["dns"]["icmp"], words, "{told:#}");
    assert_eq!(told["timing"]["wait_ms"], 0.09, "{told:#}");
}

#[tokio::test]
async fn pages_go_on_where_the_one_before_ended() {
    let fixture = fixture();
    let mut given = json!({ "since": "-1h", "limit": 3, "protocol": "dns" });
    let first = answer(&fixture.store(), Tool::SearchExchanges, given.clone()).await;
    assert_eq!(first["rows"].as_array().unwrap().len(), 3);
    given["cursor"] = first["next_cursor"].clone();
    assert_eq!(names(&fixture, given).await, ["api.internal"]);
}

#[tokio::test]
async fn one_is_told_in_full_by_its_id() {
    let fixture = fixture();
    let told = answer(
        &fixture.store(),
        Tool::GetExchange,
        json!({ "id": "d_k7q22" }),
    )
    .await;
    assert_eq!(
        (&told["dns"]["name"], &told["dns"]["rcode"]),
        (&json!("nope.internal"), &json!("NXDOMAIN")),
        "{told:#}"
    );
    let untrusted = told["untrusted"].to_string();
    assert!(untrusted.contains("dns.name"), "{untrusted}");
}

#[tokio::test]
async fn mistakes_are_told_with_what_would_be_right() {
    let fixture = fixture();
    let dns = |more: Value| {
        let mut given = object(json!({ "protocol": "dns" }));
        given.extend(object(more));
        (Tool::SearchExchanges, Value::Object(given))
    };
    let one = |id: &str| (Tool::GetExchange, json!({ "id": id }));
    for ((tool, given), part) in [
        (dns(json!({ "method": "ADDRESS" })), "AAAA"),
        (dns(json!({ "status": "NOPE" })), "NXDOMAIN"),
        (dns(json!({ "outcome": "lost" })), "complete"),
        (dns(json!({ "outcome": "client_gave_up" })), "answered_late"),
        (
            dns(json!({ "header_name": "host", "order": "slowest" })),
            "no header_name, order",
        ),
        (
            (Tool::SearchExchanges, json!({ "status": "NXDOMAIN" })),
            "with protocol dns",
        ),
        (one("d_k7q2zz"), "never given out"),
        (one("d_aaaa1"), "another store"),
        (one("d_!"), "no id"),
    ] {
        let error = ask(&fixture.store(), tool, given.clone())
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{given}: {error}");
    }
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
