//! `get_connection` as it is told: facts, a story, and elements of both directions.

use headwater_mcp::Tool;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Row, SECOND, answer};

#[tokio::test]
async fn a_connection_is_told_with_all_it_knows() {
    let mut fixture = Fixture::new();
    let mut row = Row::at(fixture.now_ns - 60 * SECOND, "/items/\u{202e}7");
    row.status = 502;
    fixture.commit(&[row]);
    let told = answer(
        &fixture.store(),
        Tool::GetConnection,
        json!({ "id": "c_k7q21", "max_tokens": 8000 }),
    )
    .await;
    assert_eq!(told["id"], "c_k7q21", "{told:#}");
    assert_eq!(told["close_reason"], "open");
    assert_eq!(told["handshake_ms"], 0.08);
    assert_eq!(told["exchanges"], 1);
    assert_eq!(told["client"]["pid"], 4242);
    let row = |table: &str, first: &str| -> Value {
        let rows = told[table]["rows"].as_array().unwrap();
        let found = rows.iter().find(|row| row[0] == first);
        found
            .cloned()
            .unwrap_or_else(|| panic!("{first}: {told:#}"))
    };
    assert_eq!(row("elements", "dscp"), json!(["dscp", "46 EF", "0 CS0"]));
    assert_eq!(row("elements", "retransmits")[1], "2");
    assert_eq!(row("elements", "smoothed_round_trip_ms")[2], "unknown");
    let story = told["story"]["rows"].as_array().unwrap();
    let exchange = story.iter().find(|row| row[3] == "x_k7q21").unwrap();
    assert_eq!(exchange[2], "exchange: 502");
    assert_eq!(exchange[4], "GET /items/\\u{202e}7");
    let untrusted = told["untrusted"].as_array().unwrap();
    assert!(
        untrusted.iter().any(|name| name == "story.captured"),
        "{untrusted:?}"
    );
}
