//! Questions that are stopped: by their caller, and by their time limit.

use std::time::{Duration, Instant};

use headwater_query::{QueryError, SearchQuery};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, LATER_COLUMNS, Row, SECOND};
use crate::{never, search_all};

/// A store, and a question to it that takes far longer than a test may.
fn endless() -> (Fixture, SearchQuery) {
    let mut fixture = Fixture::new();
    let start_ns = fixture.now_ns - 60 * SECOND;
    fixture.commit(&[Row {
        start_ns,
        ..Row::default()
    }]);
    // Every row of a large table is compared with a pattern that backtracks.
    let sql = "INSERT INTO exchange_1 SELECT NULL, connection_id, ordinal, start_ns + value, 1, 1, 1, end_delta_ns, 2, 1, 1, \
               'GET', 0, NULL, NULL, replace(hex(zeroblob(400)), '0', 'a') || 'b', NULL, 200, NULL, 1, 1, NULL, 0, NULL, 0, \
               NULL, NULL, NULL, NULL, 1, 1, 1, 1, NULL, NULL, NULL{LATER} FROM exchange_1, generated"
        .replace("{LATER}", &", NULL".repeat(LATER_COLUMNS));
    fixture
        .writer
        .execute_batch(&format!(
            "CREATE TEMP TABLE generated AS WITH RECURSIVE g(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM g LIMIT \
             30000) SELECT value FROM g; {sql}; UPDATE exchange_block SET last_id = 30001, max_start_ns = max_start_ns + \
             100000"
        ))
        .unwrap();
    let query = SearchQuery {
        path: Some("*aaaa*aaaa*aaaac".to_owned()),
        ..search_all()
    };
    (fixture, query)
}

#[tokio::test]
async fn cancelling_stops_a_long_question() {
    let (fixture, query) = endless();
    let cancel = CancellationToken::new();
    let store = fixture.store();
    let stopper = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(150)).await;
        stopper.cancel();
    });
    let begun = Instant::now();
    let error = store.search(&query, &cancel).await.unwrap_err();
    assert!(matches!(error, QueryError::Cancelled), "{error}");
    assert!(
        begun.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    store.status(&never()).await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "connections are free again: {:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_question_that_takes_too_long_says_how_to_make_it_shorter() {
    let (fixture, query) = endless();
    let store = fixture.store().with_time_limit(Duration::from_millis(200));
    let error = store.search(&query, &never()).await.unwrap_err();
    assert!(
        matches!(
            error,
            QueryError::Argument {
                argument: "since",
                ..
            }
        ),
        "{error}"
    );
}
