//! What each tool is called, takes and gives, compared with what is committed.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_mcp::{Kind, Tool};
use serde_json::{Value, json};
use tiktoken_rs::o200k_base_singleton;

use crate::client::{Era, connect};
use crate::fixture::Fixture;

/// Compares, or writes the file when `UPDATE_SNAPSHOTS=1`.
pub(crate) fn same_as_file(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some_and(|value| value == "1") {
        std::fs::write(path, text).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == text,
        "{} is stale: run `UPDATE_SNAPSHOTS=1 cargo test -p headwater-mcp` and look at the difference",
        path.display()
    );
}

async fn listed() -> Vec<Value> {
    let fixture = Fixture::new();
    let client = connect(fixture.store(), Era::Initialize).await;
    let tools = client.list_all_tools().await.unwrap();
    tools
        .iter()
        .map(|tool| serde_json::to_value(tool).unwrap())
        .collect()
}

#[tokio::test]
async fn declarations_are_as_committed() {
    let tools = listed().await;
    assert_eq!(tools.len(), Tool::ALL.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    for tool in tools {
        let path = folder.join(format!("{}.json", tool["name"].as_str().unwrap()));
        same_as_file(
            &path,
            &format!("{}\n", serde_json::to_string_pretty(&tool).unwrap()),
        );
    }
}

#[tokio::test]
async fn every_tool_is_described_and_says_whether_it_writes() {
    for tool in listed().await {
        let name = tool["name"].as_str().unwrap();
        assert!(!tool["title"].as_str().unwrap().is_empty(), "{name}");
        let description = tool["description"].as_str().unwrap();
        assert!((20..2_048).contains(&description.len()), "{name}");
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], name != "mark", "{name}");
        assert_eq!(hints["destructiveHint"], false, "{name}");
        assert_eq!(
            hints["openWorldHint"], true,
            "{name}: captured text comes from outside"
        );
        for schema in ["inputSchema", "outputSchema"] {
            strict(&tool[schema], &format!("{name}.{schema}"));
        }
    }
}

/// Closed objects, one type each, and no keyword that clients read differently.
fn strict(schema: &Value, at: &str) {
    assert!(schema["type"].is_string(), "{at} has one type");
    for keyword in ["$ref", "$defs", "anyOf", "oneOf", "allOf", "format"] {
        assert!(schema.get(keyword).is_none(), "{at} has {keyword}");
    }
    if schema["type"] == "object" {
        assert_eq!(schema["additionalProperties"], false, "{at} is closed");
        for (name, inner) in schema["properties"].as_object().unwrap() {
            strict(inner, &format!("{at}.{name}"));
        }
    }
    if let Some(items) = schema.get("items") {
        strict(items, &format!("{at}[]"));
    }
}

#[test]
fn arguments_have_the_same_names_and_meaning_everywhere() {
    let window = [
        "since",
        "until",
        "service",
        "limit",
        "cursor",
        "detail",
        "max_tokens",
    ];
    let mut seen: BTreeMap<&str, (Tool, &headwater_mcp::Parameter)> = BTreeMap::new();
    for tool in Tool::ALL {
        let names: Vec<&str> = tool.parameters().iter().map(|p| p.name).collect();
        let (common, own): (&[&str], &[&str]) = match tool {
            Tool::Compare => (
                &["since", "until", "service", "limit", "max_tokens"],
                &["baseline_since", "baseline_until"],
            ),
            Tool::Mark => (&["limit", "max_tokens"], &["name", "at"]),
            Tool::QuerySql => (&["since", "until", "limit", "max_tokens"], &["sql"]),
            Tool::ExplainFailure => (&["id", "max_tokens"], &[]),
            Tool::FindErrors => (&window, &["without_client_errors"]),
            Tool::GetConnection => (&["id", "detail", "max_tokens"], &[]),
            Tool::GetExchange => (&["id", "cursor", "detail", "max_tokens"], &["header"]),
            Tool::GetSession => (&["id", "limit", "max_tokens"], &[]),
            Tool::ListServices => (&window, &["by_route"]),
            Tool::SearchExchanges => (
                &window,
                &[
                    "peer",
                    "protocol",
                    "method",
                    "path",
                    "status",
                    "header_name",
                    "header_value",
                    "min_latency_ms",
                    "outcome",
                    "order",
                    "wait_s",
                ],
            ),
            Tool::Status => (&["max_tokens"], &[]),
            Tool::TraceTransaction => (&["id", "limit", "detail", "max_tokens"], &[]),
        };
        let mut expected: Vec<&str> = common.iter().chain(own).copied().collect();
        let mut given = names.clone();
        expected.sort_unstable();
        given.sort_unstable();
        assert_eq!(given, expected, "{}", tool.name());
        for parameter in tool.parameters() {
            let (first, other) = seen.entry(parameter.name).or_insert((tool, parameter));
            // What an id names depends on what is asked for; all else means the same everywhere.
            if parameter.name != "id" {
                assert_eq!(&parameter, other, "{} and {}", first.name(), tool.name());
            }
            if let Kind::Integer { min, max, default } = parameter.kind {
                assert!((min..=max).contains(&default), "{}", parameter.name);
            }
        }
    }
}

#[tokio::test]
async fn the_list_of_tools_is_short() {
    let tokens = o200k_base_singleton();
    let count = |value: &Value| tokens.encode_ordinary(&value.to_string()).len();
    let (mut asked, mut whole) = (0, 0);
    for tool in listed().await {
        let told = json!({ "name": tool["name"], "description": tool["description"], "inputSchema": tool["inputSchema"] });
        let here = count(&told);
        asked += here;
        whole += here + count(&tool["outputSchema"]);
    }
    assert!(asked <= 4_000, "{asked} tokens without output schemas");
    assert!(
        whole <= 8_000,
        "{whole} tokens with output schemas ({asked} without)"
    );
}
