//! What is said of wrong arguments.

use headwater_query::SearchQuery;

use crate::search::{filled, some};
use crate::{never, search_all};

#[tokio::test]
async fn wrong_arguments_name_the_right_ones() {
    let fixture = filled();
    let all = search_all();
    let cases = [
        (
            SearchQuery {
                limit: 0,
                ..all.clone()
            },
            "limit: ",
            "1 to 200",
        ),
        (
            SearchQuery {
                limit: 201,
                ..all.clone()
            },
            "limit: ",
            "1 to 200",
        ),
        (
            SearchQuery {
                status: some("teapot"),
                ..all.clone()
            },
            "status: ",
            "5xx",
        ),
        (
            SearchQuery {
                outcome: some("teapot"),
                ..all.clone()
            },
            "outcome: ",
            "client_gave_up",
        ),
        (
            SearchQuery {
                min_latency_ms: Some(-1.0),
                ..all.clone()
            },
            "min_latency_ms: ",
            "milliseconds",
        ),
        (
            SearchQuery {
                min_latency_ms: Some(f64::NAN),
                ..all.clone()
            },
            "min_latency_ms: ",
            "milliseconds",
        ),
        (
            SearchQuery {
                after: some("teapot"),
                ..all.clone()
            },
            "after: ",
            "x_k7q2",
        ),
        (
            SearchQuery {
                cursor: some("teapot"),
                ..all.clone()
            },
            "cursor: ",
            "next_cursor",
        ),
    ];
    for (query, begin, right) in cases {
        let error = fixture
            .store()
            .search(&query, &never())
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(begin) && error.contains(right) && !error.contains("teapot"),
            "{error}"
        );
    }
}
