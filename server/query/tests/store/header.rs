//! Conditions on headers, with and without the key beside the store.

use headwater_query::SearchQuery;

use crate::fixture::{Fixture, Row, SECOND};
use crate::search::{SECRET, check, filled, some};
use crate::{hour, never, search_all};

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
        ..all.clone()
    };
    let answer = fixture.store().search(&query, &never()).await.unwrap();
    assert!(answer.value.is_empty());
    let told = format!("{answer:?}");
    assert!(
        told.contains("key_unavailable") && told.contains("NotSeen"),
        "{told}"
    );
    assert!(!told.contains(SECRET));
    for (path, expected) in [(SECRET, true), ("/nothing/here", false)] {
        let query = SearchQuery {
            path: some(path),
            ..all.clone()
        };
        let answer = fixture.store().search(&query, &never()).await.unwrap();
        let told = format!("{answer:?}");
        assert_eq!(told.contains("so path was compared"), expected, "{told}");
        assert_eq!(told.contains("NotSeen"), expected, "{told}");
        assert!(!told.contains(SECRET));
    }
}

/// Members of lists are hashed singly, and found singly or together.
#[tokio::test]
async fn lists_and_pairs_of_unlisted_headers() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 10 * SECOND,
        request: &[("X-Session", "user=bob; sid=hunter2, beta")],
        ..Row::default()
    }]);
    for (text, found) in [
        ("hunter2", 1),
        ("bob", 1),
        ("beta", 1),
        ("user=bob", 1),
        ("sid=hunter2", 1),
        ("user=bob; sid=hunter2", 1),
        ("user=bob; sid=hunter2, beta", 1),
        ("user=hunter2", 0),
        ("sid=bob", 0),
        ("hunter", 0),
    ] {
        let query = SearchQuery {
            window: hour(),
            header_value: some(text),
            ..search_all()
        };
        let answer = fixture.store().search(&query, &never()).await.unwrap();
        assert_eq!(answer.value.len(), found, "{text}");
    }
}
