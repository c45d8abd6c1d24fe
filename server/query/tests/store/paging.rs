//! Pages, while rows come in and segments go.

use std::collections::BTreeSet;

use headwater_query::{ErrorsQuery, SearchOrder, SearchQuery, ServicesQuery};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never, paths_of, search_all};

fn numbered(fixture: &mut Fixture, numbers: std::ops::Range<i64>) -> Vec<String> {
    let paths: Vec<String> = numbers.clone().map(|number| format!("/{number}")).collect();
    let base = fixture.now_ns - 600 * SECOND;
    let rows: Vec<Row<'_>> = numbers
        .zip(&paths)
        // Starts out of the order of commit, with ties.
        .map(|(number, path)| Row {
            start_ns: base + (number * 7_919 % 40) * SECOND,
            latency_ns: 1_000_000 + number * 7_919 % 13 * 1_000,
            path,
            ..Row::default()
        })
        .collect();
    for batch in rows.chunks(7) {
        fixture.commit(batch);
    }
    paths
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_rows_come_in() {
    for order in [SearchOrder::Newest, SearchOrder::Slowest] {
        let mut fixture = Fixture::new();
        let mut wanted: BTreeSet<String> = numbered(&mut fixture, 0..60).into_iter().collect();
        fixture.open_segment();
        wanted.extend(numbered(&mut fixture, 60..100));
        let store = fixture.store();
        let mut query = SearchQuery {
            limit: 9,
            order,
            ..search_all()
        };
        let mut seen = Vec::new();
        let mut next_number = 1_000;
        loop {
            let answer = store.search(&query, &never()).await.unwrap();
            assert!(answer.value.len() <= 9);
            seen.extend(paths_of(&answer));
            query.cursor = answer.next_cursor;
            if query.cursor.is_none() {
                break;
            }
            numbered(&mut fixture, next_number..next_number + 5);
            next_number += 5;
            query.limit = 9 - u32::try_from(seen.len()).unwrap() % 3;
        }
        let distinct: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{order:?}: repeated");
        assert!(
            wanted.is_subset(&distinct),
            "{order:?}: skipped {:?}",
            wanted.difference(&distinct)
        );
    }
}

#[tokio::test]
async fn a_segment_dropped_between_pages_is_not_missed_by_the_rest() {
    let mut fixture = Fixture::new();
    numbered(&mut fixture, 0..20);
    fixture.open_segment();
    let kept = numbered(&mut fixture, 20..40);
    let store = fixture.store();
    let mut query = SearchQuery {
        limit: 5,
        ..search_all()
    };
    let first = store.search(&query, &never()).await.unwrap();
    fixture.drop_segment(1);
    let mut seen = paths_of(&first);
    query.cursor = first.next_cursor;
    while query.cursor.is_some() {
        let answer = store.search(&query, &never()).await.unwrap();
        seen.extend(paths_of(&answer));
        query.cursor = answer.next_cursor;
    }
    for path in kept {
        assert_eq!(
            seen.iter().filter(|other| **other == path).count(),
            1,
            "{path}"
        );
    }
}

#[tokio::test]
async fn segments_that_come_and_go_under_a_question_do_not_fail_it() {
    let mut fixture = Fixture::new();
    numbered(&mut fixture, 0..20);
    let store = fixture.store();
    let asking = tokio::spawn(async move {
        for _ in 0..25 {
            let query = ServicesQuery {
                window: hour(),
                limit: 10,
                ..ServicesQuery::default()
            };
            store.services(&query, &never()).await.unwrap();
            store.search(&search_all(), &never()).await.unwrap();
        }
    });
    while !asking.is_finished() {
        fixture.open_segment();
        numbered(&mut fixture, 20..30);
        fixture.drop_segment(fixture.segment - 1);
        tokio::task::yield_now().await;
    }
    asking.await.unwrap();
}

#[tokio::test]
async fn a_cursor_belongs_to_its_question() {
    let mut fixture = Fixture::new();
    numbered(&mut fixture, 0..20);
    let store = fixture.store();
    let query = SearchQuery {
        limit: 5,
        ..search_all()
    };
    let cursor = store.search(&query, &never()).await.unwrap().next_cursor;
    assert!(cursor.is_some());
    let other = SearchQuery {
        method: Some("GET".to_owned()),
        cursor: cursor.clone(),
        ..query.clone()
    };
    let error = store
        .search(&other, &never())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("cursor: ") && error.contains("another question"),
        "{error}"
    );
    let errors = ErrorsQuery {
        window: hour(),
        limit: 5,
        cursor: cursor.clone(),
        ..ErrorsQuery::default()
    };
    assert!(store.errors(&errors, &never()).await.is_err());
    let wider = SearchQuery {
        limit: 200,
        cursor,
        ..query
    };
    assert_eq!(
        store.search(&wider, &never()).await.unwrap().value.len(),
        15,
        "the limit may change between pages"
    );
}

#[tokio::test]
async fn after_the_clock_was_set_back_the_newest_are_those_recorded_last() {
    let mut fixture = Fixture::new();
    let base = fixture.now_ns - 600 * SECOND;
    let row = |after_s: i64, path| Row {
        start_ns: base + after_s * SECOND,
        path,
        ..Row::default()
    };
    let (before, after) = (
        [row(0, "/a"), row(10, "/b"), row(20, "/c"), row(30, "/d")],
        [row(5, "/e"), row(15, "/f"), row(25, "/g")],
    );
    fixture.commit(&before);
    fixture.open_segment();
    fixture
        .writer
        .execute("UPDATE segment SET clock_epoch = 1 WHERE id = 2", [])
        .unwrap();
    fixture.commit(&after);
    let store = fixture.store();
    for limit in 1..=8 {
        let mut query = SearchQuery {
            limit,
            ..search_all()
        };
        let mut seen = Vec::new();
        loop {
            let answer = store.search(&query, &never()).await.unwrap();
            seen.extend(paths_of(&answer));
            query.cursor = answer.next_cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert_eq!(
            seen,
            ["/g", "/f", "/e", "/d", "/c", "/b", "/a"],
            "pages of {limit}"
        );
    }
    let status = store.status(&never()).await.unwrap().value;
    assert_eq!(status.newest_ns, Some((base + 25 * SECOND).unsigned_abs()));
}
