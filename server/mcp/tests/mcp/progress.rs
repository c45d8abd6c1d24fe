//! Who waits is told that there is something to wait for.

use std::sync::{Arc, Mutex};

use headwater_mcp::serve_stream;
use rmcp::{
    ClientHandler, RoleClient, ServiceExt,
    model::{CallToolRequestParams, ProgressNotificationParam},
    service::NotificationContext,
};
use serde_json::json;

use crate::fixture::{Fixture, object};

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<ProgressNotificationParam>>>);

impl ClientHandler for Told {
    async fn on_progress(
        &self,
        told: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.0.lock().unwrap().push(told);
    }
}

#[tokio::test]
async fn what_takes_more_than_a_second_says_so() {
    let fixture = Fixture::new();
    let (near, far) = tokio::io::duplex(64 << 10);
    tokio::spawn(serve_stream(fixture.store(), "0.0.0-test", far));
    let told = Told::default();
    let client = told.clone().serve(near).await.unwrap();
    // Until it is stopped for taking too long.
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n";
    let request =
        CallToolRequestParams::new("query_sql").with_arguments(object(json!({ "sql": endless })));
    let answer = client.call_tool(request).await.unwrap();
    assert_eq!(answer.is_error, Some(true), "{answer:?}");
    let told = told.0.lock().unwrap();
    assert!(!told.is_empty());
    assert!(
        told.windows(2)
            .all(|pair| pair[0].progress < pair[1].progress),
        "{told:?}"
    );
    assert!(told.iter().all(|told| told.total.is_none()), "{told:?}");
}
