//! What can be read by its address.

use crate::client::{Era, connect};
use crate::fixture::{Fixture, Row, SECOND};
use rmcp::model::ReadResourceRequestParams;

/// The text of a resource, with its type.
fn read(result: &rmcp::model::ReadResourceResult) -> (String, String) {
    let value = serde_json::to_value(result).unwrap();
    let of = |name: &str| value["contents"][0][name].as_str().unwrap().to_owned();
    assert_eq!(value["contents"].as_array().map(Vec::len), Some(1));
    (of("text"), of("mimeType"))
}

#[tokio::test]
async fn each_is_read_in_both_eras() {
    let mut fixture = Fixture::new();
    let mut row = Row::at(fixture.now_ns - 5 * SECOND, "/one");
    row.headers = vec![("mcp-session-id".to_owned(), "a session/of 100%".to_owned())];
    fixture.commit(&[row]);
    for era in [Era::Initialize, Era::Stateless] {
        let client = connect(fixture.store(), era).await;
        // Clients ask for nothing that is not announced.
        let told = client.peer_info().unwrap();
        let told = serde_json::to_value(&told.capabilities).unwrap();
        assert!(
            ["prompts", "resources", "tools"]
                .iter()
                .all(|one| told.get(one).is_some()),
            "{told}"
        );
        let listed = client.list_all_resources().await.unwrap();
        let uris: Vec<&str> = listed.iter().map(|one| one.uri.as_str()).collect();
        assert_eq!(
            uris,
            [
                "headwater://coverage",
                "headwater://failures",
                "headwater://schema"
            ],
            "{era:?}"
        );
        let templates = client.list_all_resource_templates().await.unwrap();
        assert_eq!(templates.len(), 4);
        assert!(
            templates
                .iter()
                .all(|one| one.uri_template.ends_with("/{id}"))
        );
        for (uri, kind, part) in [
            ("headwater://coverage", "text/plain", "data as of"),
            ("headwater://schema", "text/markdown", "## exchanges"),
            ("headwater://exchange/x_k7q21", "text/plain", "/one"),
            ("headwater://transaction/x_k7q21", "text/plain", "/one"),
            ("headwater://connection/c_k7q21", "text/plain", "story"),
            (
                "headwater://session/a%20session%2Fof%20100%25",
                "text/plain",
                "/one",
            ),
        ] {
            let got = client
                .read_resource(ReadResourceRequestParams::new(uri))
                .await
                .unwrap();
            let (text, mime) = read(&got);
            assert_eq!(mime, kind, "{uri}");
            assert!(text.contains(part), "{uri}: {text}");
        }
        client.cancel().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_without_saying_the_address_back() {
    let fixture = Fixture::new();
    let client = connect(fixture.store(), Era::Initialize).await;
    for (uri, words) in [
        ("headwater://canary", "headwater://exchange/ID"),
        ("file:///canary", "headwater://coverage"),
        ("headwater://exchange/", "x_"),
        ("headwater://canary/x_k7q21", "headwater://exchange/ID"),
        ("headwater://exchange/%ff", "UTF-8"),
        ("headwater://exchange/canary", "x_"),
        ("headwater://exchange/x_k7q29999", "x_"),
        ("headwater://exchange/../coverage/canary", "x_"),
    ] {
        let request = ReadResourceRequestParams::new(uri);
        let error = client.read_resource(request).await.unwrap_err().to_string();
        assert!(error.contains(words), "{uri}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
    client.cancel().await.unwrap();
}
