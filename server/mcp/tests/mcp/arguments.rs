//! What is said of wrong arguments: which, and what would be right.

use headwater_mcp::Tool;
use serde_json::json;

use crate::fixture::{Fixture, Row, SECOND, answer, ask, good, object};

#[tokio::test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
async fn a_wrong_argument_is_named_with_what_is_right() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/one")]);
    let store = fixture.store();
    let search = Tool::SearchExchanges;
    for (tool, given, said) in [
        (
            search,
            json!({ "sinse": "-1h" }),
            &["sinse", "did you mean since?", "max_tokens"][..],
        ),
        (search, json!({ "limit": "some" }), &["limit", "1 to 200"]),
        (search, json!({ "limit": 0 }), &["limit", "1 to 200"]),
        (search, json!({ "limit": 201 }), &["limit", "1 to 200"]),
        (search, json!({ "limit": 1.5 }), &["limit", "1 to 200"]),
        (search, json!({ "wait_s": 26 }), &["wait_s", "0 to 25"]),
        (
            search,
            json!({ "max_tokens": 199 }),
            &["max_tokens", "200 to 8000"],
        ),
        (
            search,
            json!({ "max_tokens": 8001 }),
            &["max_tokens", "200 to 8000"],
        ),
        (
            search,
            json!({ "min_latency_ms": -1 }),
            &["min_latency_ms", "at least 0"],
        ),
        (
            search,
            json!({ "order": "oldest" }),
            &["order", "newest, slowest"],
        ),
        (
            search,
            json!({ "detail": "verbose" }),
            &["detail", "concise, detailed"],
        ),
        (search, json!({ "path": ["/"] }), &["path", "string"]),
        (
            search,
            json!({ "path": "p".repeat(1025) }),
            &["path", "1024"],
        ),
        (search, json!({ "status": "teapot" }), &["status", "5xx"]),
        (
            search,
            json!({ "outcome": "teapot" }),
            &["outcome", "client_gave_up"],
        ),
        (
            search,
            json!({ "since": "yesterday" }),
            &["since", "RFC 3339", "-15m"],
        ),
        (
            search,
            json!({ "until": "2026-13-01T00:00:00Z" }),
            &["until", "RFC 3339"],
        ),
        (
            search,
            json!({ "since": "-1h", "until": "-2h" }),
            &["since", "after until"],
        ),
        (
            search,
            json!({ "cursor": "teapot" }),
            &["cursor", "next_cursor"],
        ),
        (
            Tool::FindErrors,
            json!({ "without_client_errors": 1 }),
            &["without_client_errors", "true or false"],
        ),
        (
            Tool::FindErrors,
            json!({ "wait_s": 1 }),
            &["no argument wait_s", "cursor"],
        ),
        (
            Tool::ListServices,
            json!({ "by_route": "yes" }),
            &["by_route", "true or false"],
        ),
        (
            Tool::Status,
            json!({ "since": "-1h" }),
            &["since", "max_tokens"],
        ),
        (Tool::GetConnection, json!({}), &["id is missing", "c_"]),
        (
            Tool::TraceTransaction,
            json!({ "id": "abc" }),
            &["at least 4 characters", "x_"],
        ),
        (
            Tool::TraceTransaction,
            json!({ "id": "c_k7q21" }),
            &["for get_connection"],
        ),
        (
            Tool::GetConnection,
            json!({ "id": "x_k7q21" }),
            &["for get_exchange", "c_k7q2"],
        ),
        (
            Tool::GetConnection,
            json!({ "id": "c_aaaa1" }),
            &["another store", "c_k7q2"],
        ),
        (
            Tool::GetConnection,
            json!({ "id": "c_k7q2zz" }),
            &["never given out"],
        ),
        (Tool::GetExchange, json!({}), &["id is missing", "x_"]),
        (Tool::GetExchange, json!({ "id": 7 }), &["id", "x_k7q2"]),
        (
            Tool::GetExchange,
            json!({ "id": "teapot" }),
            &["id", "x_k7q2"],
        ),
        (
            Tool::GetExchange,
            json!({ "id": "c_k7q21" }),
            &["connection's id", "x_k7q2"],
        ),
        (
            Tool::GetExchange,
            json!({ "id": "x_aaaa1" }),
            &["another store", "x_k7q2"],
        ),
        (
            Tool::GetExchange,
            json!({ "id": "x_k7q2zz" }),
            &["never given out"],
        ),
        (
            Tool::GetExchange,
            json!({ "id": "x_k7q21", "header": "a b" }),
            &["header", "content-type"],
        ),
    ] {
        let told = ask(&store, tool, given.clone())
            .await
            .unwrap_err()
            .to_string();
        for part in said {
            assert!(told.contains(part), "{part} in {told} for {given}");
        }
        assert!(!told.contains("teapot") && told.len() < 700, "{told}");
    }
}

#[tokio::test]
async fn null_and_empty_text_count_as_absent() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/one")]);
    let store = fixture.store();
    for tool in Tool::ALL {
        let plain = answer(&store, tool, good(tool)).await;
        for nothing in [json!(null), json!(""), json!(" ")] {
            let mut given = object(good(tool));
            for parameter in tool.parameters() {
                given
                    .entry(parameter.name)
                    .or_insert_with(|| nothing.clone());
            }
            let same = answer(&store, tool, given.into()).await;
            assert_eq!(same["rows"], plain["rows"], "{} {nothing}", tool.name());
            assert_eq!(same["id"], plain["id"], "{} {nothing}", tool.name());
        }
    }
    for nothing in [json!(null), json!("")] {
        let told = ask(&store, Tool::GetExchange, json!({ "id": nothing })).await;
        assert!(told.unwrap_err().to_string().contains("id is missing"));
    }
}

#[tokio::test]
async fn numbers_as_text_and_text_as_numbers_are_understood() {
    let mut fixture = Fixture::new();
    fixture.commit(&[
        Row::at(fixture.now_ns - 5 * SECOND, "/one"),
        Row::at(fixture.now_ns - 4 * SECOND, "/two"),
    ]);
    let store = fixture.store();
    let strict = json!({ "status": "200", "limit": 1 });
    let loose = json!({ "status": 200, "limit": "1" });
    let strict = answer(&store, Tool::SearchExchanges, strict).await;
    assert_eq!(strict["rows"].as_array().map(Vec::len), Some(1));
    let loose = answer(&store, Tool::SearchExchanges, loose).await;
    assert_eq!(strict["rows"], loose["rows"]);
    for wrong in [json!({ "limit": "many" }), json!({ "status": true })] {
        ask(&store, Tool::SearchExchanges, wrong).await.unwrap_err();
    }
}
