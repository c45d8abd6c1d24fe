//! A real client on a pipe, in both eras of the protocol.

use headwater_mcp::{Tool, serve_stream};
use headwater_query::Store;
use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceExt,
    model::{CallToolRequestParams, ClientConfig, PaginatedRequestParams, ProtocolVersion},
    service::RunningService,
};
use serde_json::json;

use crate::fixture::{Fixture, Row, SECOND, good, object};

/// How a client begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Era {
    /// With a handshake (2025-11-25 and before).
    Initialize,
    /// Without (2026-07-28).
    Stateless,
}

pub(crate) async fn connect(store: Store, era: Era) -> RunningService<RoleClient, ClientConfig> {
    connect_as(ClientConfig::default(), store, era).await
}

/// As a client that says this of itself.
pub(crate) async fn connect_as(
    config: ClientConfig,
    store: Store,
    era: Era,
) -> RunningService<RoleClient, ClientConfig> {
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(serve_stream(store, "0.0.0-test", far));
    match era {
        Era::Initialize => config.serve(near).await.unwrap(),
        Era::Stateless => config
            .serve_with_lifecycle(
                near,
                ClientLifecycleMode::Discover {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                },
            )
            .await
            .unwrap(),
    }
}

#[tokio::test]
async fn a_cursor_that_no_list_gave_is_told() {
    let fixture = Fixture::new();
    let client = connect(fixture.store(), Era::Initialize).await;
    let page =
        |cursor: &str| Some(PaginatedRequestParams::default().with_cursor(Some(cursor.to_owned())));
    let refused = [
        client.list_tools(page("2")).await.err(),
        client.list_prompts(page("2")).await.err(),
        client.list_resources(page("2")).await.err(),
        client.list_resource_templates(page("2")).await.err(),
    ];
    for error in refused {
        let told = error.unwrap().to_string();
        assert!(told.contains("leave the cursor out"), "{told}");
    }
    // What some clients send for one that they do not have.
    assert!(client.list_tools(page("")).await.is_ok());
}

#[tokio::test]
async fn lists_and_calls_every_tool_in_both_eras() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/one")]);
    for era in [Era::Initialize, Era::Stateless] {
        let client = connect(fixture.store(), era).await;
        let listed = client.list_all_tools().await.unwrap();
        let names: Vec<_> = listed.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, Tool::ALL.map(Tool::name), "{era:?}");
        for tool in Tool::ALL {
            let request =
                CallToolRequestParams::new(tool.name()).with_arguments(object(good(tool)));
            let result = client.call_tool(request).await.unwrap();
            assert_ne!(result.is_error, Some(true), "{era:?} {}", tool.name());
            assert!(result.structured_content.unwrap()["coverage"].is_object());
            assert!(
                result.content[0]
                    .as_text()
                    .unwrap()
                    .text
                    .contains("data as of")
            );
        }
        let wrong = CallToolRequestParams::new("status")
            .with_arguments(object(json!({ "max_token": 500 })));
        let wrong = client.call_tool(wrong).await.unwrap();
        assert_eq!(wrong.is_error, Some(true), "{era:?}");
        let unknown = client
            .call_tool(CallToolRequestParams::new("top_talkers"))
            .await;
        assert!(unknown.unwrap_err().to_string().contains("find_errors"));
        client.cancel().await.unwrap();
    }
}
