//! `wait_s`: at once when something matches, with the commit that brings a match, never after the caller went away.

use std::time::{Duration, Instant};

use headwater_mcp::{Asking, Tool, ToolError};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Row, SECOND, answer, object};

#[tokio::test]
async fn a_match_that_is_there_is_told_at_once() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/there")]);
    let begun = Instant::now();
    let given = json!({ "since": "-1m", "wait_s": 25, "path": "/there" });
    let result = answer(&fixture.store(), Tool::SearchExchanges, given).await;
    assert_eq!(result["rows"].as_array().unwrap().len(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn the_commit_of_a_match_ends_the_wait_and_cancelling_does() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row::at(fixture.now_ns - 5 * SECOND, "/before")]);
    for cancelled in [false, true] {
        let store = fixture.store();
        let cancel = CancellationToken::new();
        let (tell, mut told) = mpsc::unbounded_channel();
        let waiting = tokio::spawn({
            let cancel = cancel.clone();
            async move {
                let asking = Asking {
                    store: &store,
                    cancel: &cancel,
                    progress: &move |elapsed, total| tell.send((elapsed, total)).unwrap(),
                };
                Tool::SearchExchanges
                    .answer(
                        object(json!({ "since": "-1m", "path": "/next", "wait_s": 25 })),
                        &asking,
                    )
                    .await
            }
        });
        let begun = Instant::now();
        // The first progress is told when the first look found nothing.
        assert_eq!(told.recv().await.unwrap(), (0, 25));
        if cancelled {
            cancel.cancel();
            assert!(matches!(waiting.await.unwrap(), Err(ToolError::Cancelled)));
        } else {
            fixture.commit(&[Row::at(fixture.now_ns - 1, "/next")]);
            let result = headwater_mcp::structured(&waiting.await.unwrap().unwrap());
            assert_eq!(result["rows"].as_array().unwrap().len(), 1);
            fixture
                .writer
                .execute("UPDATE exchange_1 SET url_path = '/gone'", [])
                .unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}
