//! Answers keep to their budget, counted with a real tokenizer.

use headwater_mcp::{Tool, ToolError};
use rmcp::model::CallToolRequestParams;
use serde_json::json;
use tiktoken_rs::o200k_base_singleton;

use crate::client::{Era, connect};
use crate::fixture::{Fixture, HOSTILE, Row, SECOND, answer, ask, good, object, varied};

fn tokens(text: &str) -> usize {
    o200k_base_singleton().encode_ordinary(text).len()
}

#[tokio::test]
async fn both_forms_fit() {
    let fixture = varied();
    let client = connect(fixture.store(), Era::Initialize).await;
    let mut over = Vec::new();
    for tool in Tool::ALL {
        for max_tokens in [200, 500, 2_000, 8_000] {
            for more in [
                json!({}),
                json!({ "limit": 200, "detail": "detailed", "by_route": true }),
                json!({ "id": "x_k7q215", "detail": "detailed" }),
                json!({ "id": "x_k7q217", "header": "x-3" }),
            ] {
                let mut given = object(good(tool));
                given.insert("max_tokens".to_owned(), json!(max_tokens));
                // These are exchanges.
                let is_its = |name: &String| name != "id" || tool == Tool::GetExchange;
                let known = |name: &String| {
                    is_its(name) && tool.parameters().iter().any(|p| p.name == name)
                };
                given.extend(object(more).into_iter().filter(|(name, _)| known(name)));
                let said = format!("{} {given:?}", tool.name());
                let request = CallToolRequestParams::new(tool.name()).with_arguments(given);
                let result = client.call_tool(request).await.unwrap();
                assert_ne!(result.is_error, Some(true), "{said}");
                let text = tokens(&result.content[0].as_text().unwrap().text);
                let structured = tokens(&result.structured_content.unwrap().to_string());
                if text > max_tokens || structured > max_tokens {
                    over.push(format!("{said}: text {text}, structured {structured}"));
                }
            }
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[tokio::test]
async fn pages_of_a_hostile_head_fit_and_miss_nothing() {
    const MANY: usize = 300;
    let mut fixture = Fixture::new();
    let mut row = Row::at(fixture.now_ns - 60 * SECOND, "/hostile");
    row.headers = vec![("user-agent".to_owned(), String::new()); MANY];
    for text in HOSTILE {
        row.headers.push(("user-agent".to_owned(), text.repeat(40)));
    }
    fixture.commit(&[row]);
    let store = fixture.store();
    for max_tokens in [200_usize, 500, 2_000] {
        let mut given =
            json!({ "id": "x_k7q21", "header": "user-agent", "max_tokens": max_tokens });
        let mut begun = 0;
        loop {
            let page = answer(&store, Tool::GetExchange, given.clone()).await;
            let taken = tokens(&page.to_string());
            assert!(taken <= max_tokens, "{taken} of {max_tokens}: {page:#}");
            let rows = page["rows"].as_array().unwrap();
            assert!(!rows.is_empty(), "{page:#}");
            begun += rows.iter().filter(|row| row[3] == 0).count();
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            given["cursor"] = json!(next);
        }
        assert_eq!(begun, MANY + HOSTILE.len(), "{max_tokens}");
    }
}

#[tokio::test]
async fn a_cursor_without_a_header_is_refused() {
    let mut fixture = Fixture::new();
    let row = Row::at(fixture.now_ns - 60 * SECOND, "/one");
    fixture.commit(&[row]);
    let given = json!({ "id": "x_k7q21", "cursor": "whatever" });
    let told = ask(&fixture.store(), Tool::GetExchange, given).await;
    assert!(
        matches!(&told, Err(ToolError::Steer(text)) if text.contains("give header too")),
        "{told:?}"
    );
}

/// Half of the rows of a list, of names and paths of the usual lengths, have at most fifty tokens; groups of failures, which say where
/// they fail, twenty more.
#[tokio::test]
async fn a_row_of_a_list_is_short() {
    let mut fixture = Fixture::new();
    let rows: Vec<Row> = (0..60_i64)
        .map(|number| {
            let at = fixture.now_ns - (60 - number) * SECOND;
            let mut row = Row::at(at, &format!("/orders/{}", 1_000 + number));
            row.status = [200, 201, 404, 503][usize::try_from(number % 4).unwrap()];
            row
        })
        .collect();
    fixture.commit(&rows);
    let client = connect(fixture.store(), Era::Initialize).await;
    for (tool, most) in [
        (Tool::SearchExchanges, 50),
        (Tool::ListServices, 50),
        (Tool::FindErrors, 70),
    ] {
        let given = object(json!({ "limit": 50, "max_tokens": 8_000 }));
        let request = CallToolRequestParams::new(tool.name()).with_arguments(given);
        let result = client.call_tool(request).await.unwrap();
        let structured = result.structured_content.as_ref().unwrap();
        let rows = structured["rows"].as_array().unwrap();
        let mut each: Vec<usize> = rows.iter().map(|row| tokens(&row.to_string())).collect();
        each.sort_unstable();
        assert!(each[each.len() / 2] <= most, "{} {each:?}", tool.name());
    }
}
