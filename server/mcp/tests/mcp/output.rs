//! Every structured result is what the tool's output schema describes.

use headwater_mcp::Tool;
use headwater_query::Store;
use serde_json::{Value, json};

use crate::fixture::{Fixture, ask, good, object, varied};

fn check(tool: Tool, result: &Value, of: &str) {
    let schema = Value::Object(tool.output_schema());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let wrong: Vec<String> = validator
        .iter_errors(result)
        .map(|error| format!("{} at {}", error, error.instance_path))
        .collect();
    assert!(wrong.is_empty(), "{} {of}: {wrong:?}", tool.name());
}

#[tokio::test]
async fn results_are_valid() {
    let full = varied();
    let empty = Fixture::new();
    let missing = Store::new(std::path::Path::new("/nonexistent/headwater.db"));
    for (of, store) in [
        ("full", full.store()),
        ("empty", empty.store()),
        ("missing", missing),
    ] {
        for tool in Tool::ALL {
            for more in [
                json!({}),
                json!({ "max_tokens": 200 }),
                json!({ "detail": "detailed", "max_tokens": 8000 }),
                json!({ "header": "x-0" }),
                json!({ "by_route": true }),
            ] {
                let mut given = object(good(tool));
                let known = |name: &String| tool.parameters().iter().any(|p| p.name == name);
                given.extend(object(more).into_iter().filter(|(name, _)| known(name)));
                match ask(&store, tool, given.into()).await {
                    Ok(output) => check(tool, &headwater_mcp::structured(&output), of),
                    Err(error) => {
                        assert!(of != "full", "{} {error}", tool.name());
                        let cure = if of == "missing" {
                            "headwater record"
                        } else {
                            "never given out"
                        };
                        assert!(error.to_string().contains(cure), "{} {error}", tool.name());
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn an_empty_answer_says_why() {
    let empty = Fixture::new();
    for tool in [Tool::FindErrors, Tool::ListServices, Tool::SearchExchanges] {
        let result = crate::fixture::answer(&empty.store(), tool, good(tool)).await;
        let why = result["empty"].as_str().unwrap();
        assert!(why.starts_with("nothing "), "{why}");
    }
}
