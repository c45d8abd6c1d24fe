//! The page for people: who gets it, under which policy, and which clients are told of it as an MCP App. What it shows is looked at
//! in a browser, in the integration tests.

use headwater_mcp::HttpOptions;
use rmcp::{
    RoleClient,
    model::{ClientCapabilities, ClientConfig, ReadResourceRequestParams},
    service::RunningService,
};
use serde_json::{Value, json};

use crate::{
    client::{Era, connect_as},
    fixture::Fixture,
    wire::{INITIALIZE, Served, status},
};

const TOKEN: &str = "a-token-of-the-test's-own";
const APP: &str = "text/html;profile=mcp-app";

#[tokio::test]
async fn the_page_is_given_without_the_token_and_nothing_else_is() {
    let fixture = Fixture::new();
    let options = HttpOptions {
        token: Some(TOKEN.to_owned()),
        ..HttpOptions::default()
    };
    let served = Served::store(&fixture, options).await;
    let page = served.ask("GET", "/ui", "", "").await;
    assert_eq!(status(&page), "200", "{page}");
    let head = page.split_once("\r\n\r\n").unwrap().0.to_ascii_lowercase();
    for line in [
        "content-type: text/html; charset=utf-8",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-resource-policy: same-origin",
        "content-security-policy: default-src 'none'; script-src 'sha256-",
    ] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} in {head}");
    }
    for part in [
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(head.contains(part), "{part} in {head}");
    }
    assert!(!head.contains("unsafe"), "{head}");
    // The name of SVG is no address that is asked.
    let addresses = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!addresses.contains("http:") && !addresses.contains("https:"));
    let moved = served.ask("GET", "/ui/", "", "").await;
    assert_eq!(status(&moved), "308", "{moved}");
    for (method, path, expected) in [
        ("POST", "/ui", "405"),
        ("GET", "/ui/x", "401"),
        ("GET", "/uix", "401"),
        ("GET", "//ui", "401"),
        ("GET", "/ui/../mcp", "401"),
        ("GET", "/", "401"),
        ("POST", "/mcp", "401"),
    ] {
        let refused = served.ask(method, path, "", INITIALIZE).await;
        assert_eq!(status(&refused), expected, "{method} {path} {refused}");
    }
    let foreign = "Origin: http://evil.example\r\n";
    assert_eq!(status(&served.ask("GET", "/ui", foreign, "").await), "403");
    let refused = served.ask_host("evil.example", "GET", "/ui", "", "").await;
    assert_eq!(status(&refused), "403", "{refused}");
    served.end().await;
}

async fn connect(
    fixture: &Fixture,
    era: Era,
    shows: Option<Value>,
) -> RunningService<RoleClient, ClientConfig> {
    let mut config = ClientConfig::default();
    config.capabilities = match shows {
        Some(shows) => {
            serde_json::from_value(json!({ "extensions": { "io.modelcontextprotocol/ui": shows } }))
                .unwrap()
        }
        None => ClientCapabilities::default(),
    };
    connect_as(config, fixture.store(), era).await
}

#[tokio::test]
async fn only_clients_that_show_it_are_told_of_it() {
    let fixture = Fixture::new();
    for era in [Era::Initialize, Era::Stateless] {
        for (shows, is_told) in [
            (Some(json!({ "mimeTypes": ["text/plain", APP] })), true),
            (Some(json!({ "mimeTypes": ["text/plain"] })), false),
            (Some(json!({})), false),
            (None, false),
        ] {
            let client = connect(&fixture, era, shows.clone()).await;
            let capabilities = &client.peer_info().unwrap().capabilities;
            let capabilities = serde_json::to_value(capabilities).unwrap();
            assert!(
                capabilities["extensions"]["io.modelcontextprotocol/ui"].is_object(),
                "{capabilities}"
            );
            let tools = serde_json::to_value(client.list_all_tools().await.unwrap()).unwrap();
            let drawn: Vec<_> = tools
                .as_array()
                .unwrap()
                .iter()
                .filter(|tool| tool.get("_meta").is_some())
                .map(|tool| (tool["name"].as_str().unwrap(), &tool["_meta"]))
                .collect();
            let listed = client.list_all_resources().await.unwrap();
            let listed = listed.iter().any(|one| one.uri.starts_with("ui://"));
            assert_eq!(listed, is_told, "{era:?} {shows:?}");
            if is_told {
                let names: Vec<_> = drawn.iter().map(|(name, _)| *name).collect();
                let expected = [
                    "explain_failure",
                    "find_errors",
                    "list_services",
                    "trace_transaction",
                ];
                assert_eq!(names, expected, "{era:?}");
                let uri = drawn[0].1["ui"]["resourceUri"].as_str().unwrap();
                let request = ReadResourceRequestParams::new(uri);
                let read = client.read_resource(request).await.unwrap();
                let read = serde_json::to_value(&read).unwrap();
                let document = &read["contents"][0];
                assert_eq!(document["mimeType"], APP);
                assert_eq!(document["uri"], uri);
                let asks = document["_meta"]["ui"]["csp"].as_object().unwrap();
                assert!(asks.values().all(|domains| domains == &json!([])));
                let text = document["text"].as_str().unwrap();
                assert!(text.starts_with("<!DOCTYPE html>") && text.contains("ui/initialize"));
            } else {
                assert!(drawn.is_empty(), "{era:?} {shows:?} {drawn:?}");
            }
            client.cancel().await.unwrap();
        }
    }
}
