use std::time::{Duration, Instant};

use headwater_query::{QueryError, SearchOrder, SearchQuery, WindowArgument};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Row, SECOND};
use crate::{never, paths, search_all};

const SECRET: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";

fn filled() -> Fixture {
    let mut fixture = Fixture::new();
    let at = |seconds: i64| fixture.now_ns - seconds * SECOND;
    let rows = [
        Row {
            start_ns: at(3_000),
            path: "/old",
            latency_ns: 900_000_000,
            ..Row::default()
        },
        Row {
            start_ns: at(60),
            path: "/items/1",
            request: &[("Host", "shop.test"), ("Accept", "text/html")],
            ..Row::default()
        },
        Row {
            start_ns: at(50),
            path: "/items/2",
            method: "POST",
            status: Some(503),
            request: &[("Host", "shop.test"), ("X-Api-Key", SECRET)],
            latency_ns: 2_000_000_000,
            ..Row::default()
        },
        Row {
            start_ns: at(40),
            path: "/gone",
            status: None,
            outcome: 2,
            connection: 2,
            server: 3,
            ..Row::default()
        },
        Row {
            start_ns: at(30),
            path: "/nope[1]?",
            status: Some(404),
            ..Row::default()
        },
    ];
    fixture.commit(&rows[..2]);
    fixture.commit(&rows[2..]);
    fixture
}

async fn check(fixture: &Fixture, query: SearchQuery, expected: &[&str]) {
    assert_eq!(paths(&fixture.store(), &query).await, expected, "{query:?}");
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a short word for the optional fields of a query"
)]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn filters() {
    let fixture = filled();
    let all = search_all();
    let every = ["/nope[1]?", "/gone", "/items/2", "/items/1", "/old"];
    check(&fixture, all.clone(), &every).await;
    check(
        &fixture,
        SearchQuery {
            window: WindowArgument::default(),
            ..all.clone()
        },
        &every[..4],
    )
    .await;
    let cases = [
        (
            SearchQuery {
                service: some("NGINX"),
                ..all.clone()
            },
            vec![0, 2, 3, 4],
        ),
        (
            SearchQuery {
                service: some("nginx.service:80"),
                ..all.clone()
            },
            vec![0, 2, 3, 4],
        ),
        (
            SearchQuery {
                service: some("api.example.com:443"),
                ..all.clone()
            },
            vec![1],
        ),
        (
            SearchQuery {
                service: some("nginx.service:81"),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                service: some("%"),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                peer: some("curl"),
                ..all.clone()
            },
            vec![0, 1, 2, 3, 4],
        ),
        (
            SearchQuery {
                method: some("POST"),
                ..all.clone()
            },
            vec![2],
        ),
        (
            SearchQuery {
                method: some("post' OR 1=1 --"),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                path: some("/items/"),
                ..all.clone()
            },
            vec![2, 3],
        ),
        (
            SearchQuery {
                path: some("=/items"),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                path: some("=/*/1"),
                ..all.clone()
            },
            vec![3],
        ),
        (
            SearchQuery {
                path: some("e[1]?"),
                ..all.clone()
            },
            vec![0],
        ),
        (
            SearchQuery {
                status: some("5xx"),
                ..all.clone()
            },
            vec![2],
        ),
        (
            SearchQuery {
                status: some("404, 200"),
                ..all.clone()
            },
            vec![0, 3, 4],
        ),
        (
            SearchQuery {
                min_latency_ms: Some(900.0),
                ..all.clone()
            },
            vec![2, 4],
        ),
        (
            SearchQuery {
                outcome: some("failed"),
                ..all.clone()
            },
            vec![1],
        ),
        (
            SearchQuery {
                outcome: some("complete, client_gave_up"),
                ..all.clone()
            },
            vec![0, 1, 2, 3, 4],
        ),
        (
            SearchQuery {
                process_tree: Some(77),
                ..all.clone()
            },
            vec![0, 2, 3, 4],
        ),
        (
            SearchQuery {
                process_tree: Some(100),
                ..all.clone()
            },
            vec![0, 2, 3, 4],
        ),
        (
            SearchQuery {
                process_tree: Some(7),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                after: some("x_k7q23"),
                ..all.clone()
            },
            vec![0, 1],
        ),
        (
            SearchQuery {
                order: SearchOrder::Slowest,
                limit: 2,
                ..all.clone()
            },
            vec![2, 4],
        ),
    ];
    for (query, expected) in cases {
        let expected: Vec<&str> = expected
            .into_iter()
            .map(|index: usize| every[index])
            .collect();
        check(&fixture, query, &expected).await;
    }
}

#[tokio::test]
async fn headers_by_name_and_by_plain_secret() {
    let fixture = filled();
    let all = search_all();
    let cases = [
        (
            SearchQuery {
                header_name: some("x-api-key"),
                ..all.clone()
            },
            vec!["/items/2"],
        ),
        (
            SearchQuery {
                header_name: some("host"),
                ..all.clone()
            },
            vec!["/items/2", "/items/1"],
        ),
        (
            SearchQuery {
                header_name: some("absent"),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                header_value: some("text/html"),
                ..all.clone()
            },
            vec!["/items/1"],
        ),
        (
            SearchQuery {
                header_value: some(SECRET),
                ..all.clone()
            },
            vec!["/items/2"],
        ),
        (
            SearchQuery {
                header_name: some("host"),
                header_value: some(SECRET),
                ..all.clone()
            },
            vec![],
        ),
        (
            SearchQuery {
                header_name: some("X-API-KEY"),
                header_value: some(SECRET),
                ..all.clone()
            },
            vec!["/items/2"],
        ),
    ];
    for (query, expected) in cases {
        check(&fixture, query, &expected).await;
    }
    std::fs::remove_file(fixture.path.with_extension("key")).unwrap();
    let query = SearchQuery {
        header_value: some(SECRET),
        ..all
    };
    let answer = fixture.store().search(&query, &never()).await.unwrap();
    assert!(answer.value.is_empty());
    let told = format!("{answer:?}");
    assert!(
        told.contains("key_unavailable") && told.contains("NotSeen"),
        "{told}"
    );
    assert!(!told.contains(SECRET));
}

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
               NULL, NULL, NULL, NULL, 1, 1, 1, 1, NULL, NULL, NULL FROM exchange_1, generated";
    fixture
        .writer
        .execute_batch(&format!(
            "CREATE TEMP TABLE generated AS WITH RECURSIVE g(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM g LIMIT \
             30000) SELECT value FROM g; {sql}; UPDATE exchange_block SET last_id = 30001, max_start_ns = max_start_ns + \
             100000"
        ))
        .unwrap();
    let query = SearchQuery {
        path: some("*aaaa*aaaa*aaaac"),
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
