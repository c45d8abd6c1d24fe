//! Answers keep to their budget, counted with a real tokenizer.

use headwater_mcp::Tool;
use rmcp::model::CallToolRequestParams;
use serde_json::json;
use tiktoken_rs::o200k_base_singleton;

use crate::client::{Era, connect};
use crate::fixture::{good, object, varied};

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
                let known = |name: &String| tool.parameters().iter().any(|p| p.name == name);
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
