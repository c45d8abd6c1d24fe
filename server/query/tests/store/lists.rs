//! The ranked lists made from roll-ups.

use headwater_query::{ErrorsQuery, ServicesQuery};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

fn filled() -> Fixture {
    let mut fixture = Fixture::new();
    let at = fixture.now_ns - 100 * SECOND;
    for (offset, status, outcome) in [
        (0, Some(200), 0),
        (1, Some(200), 0),
        (20, Some(404), 0),
        (21, Some(502), 0),
        (22, Some(502), 0),
        (23, Some(502), 0),
        (24, Some(502), 0),
        (40, None, 2),
        (41, None, 1),
    ] {
        fixture.commit(&[Row {
            start_ns: at + offset * SECOND,
            status,
            outcome,
            ..Row::default()
        }]);
    }
    fixture.open_segment();
    fixture.commit(&[Row {
        start_ns: at + 50 * SECOND,
        latency_ns: 80_000_000,
        ..Row::default()
    }]);
    let refused = Row {
        start_ns: at + 60 * SECOND,
        server: 3,
        ..Row::default()
    };
    fixture.roll_up(&refused, 3, None, 1_000);
    fixture
        .writer
        .execute(
            "INSERT INTO connection SELECT 3, run_id, ?, ?, 'refused', 0, NULL, client_address, client_port, NULL, NULL, \
             client_local, client_netns, client_process_id, client_process_evidence, client_service_id, server_address, \
             server_port, NULL, NULL, 0, 0, NULL, 'none', 3, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM connection WHERE id = 1",
            [refused.start_ns; 2],
        )
        .unwrap();
    fixture
}

#[tokio::test]
async fn services_are_ranked_by_requests() {
    let fixture = filled();
    let query = ServicesQuery {
        window: hour(),
        limit: 10,
        ..ServicesQuery::default()
    };
    let answer = fixture.store().services(&query, &never()).await.unwrap();
    let [nginx, remote] = answer.value.as_slice() else {
        panic!("{:?}", answer.value)
    };
    assert_eq!(
        (nginx.server.as_str(), nginx.server_kind.as_str()),
        ("nginx.service:80", "unit")
    );
    assert_eq!(
        (nginx.client.as_str(), nginx.client_kind.as_str()),
        ("curl", "program")
    );
    assert_eq!(
        (nginx.requests, nginx.errors, nginx.client_errors),
        (10, 5, 1)
    );
    assert_eq!(
        (nginx.address.as_deref(), nginx.pid, nginx.route.clone()),
        (Some("127.0.0.1:80"), Some(100), None)
    );
    assert_eq!(nginx.program.as_deref(), Some("nginx"));
    assert!(
        nginx.p50_ns.unwrap().abs_diff(5_000_000) < 400_000,
        "{:?}",
        nginx.p50_ns
    );
    assert!(
        nginx.p99_ns.unwrap().abs_diff(80_000_000) < 6_000_000,
        "{:?}",
        nginx.p99_ns
    );
    assert_eq!(
        (remote.server.as_str(), remote.requests, remote.errors),
        ("api.example.com:443", 1, 1)
    );
    assert_eq!((remote.address.clone(), remote.pid), (None, None));
    let window = answer.window.unwrap();
    assert_eq!(
        (
            window.since_ns % 10_000_000_000,
            (window.until_ns + 1) % 10_000_000_000
        ),
        (0, 0)
    );
}

#[tokio::test]
async fn services_by_route_filter_and_pages() {
    let fixture = filled();
    let store = fixture.store();
    let mut query = ServicesQuery {
        window: hour(),
        by_route: true,
        limit: 1,
        ..ServicesQuery::default()
    };
    let first = store.services(&query, &never()).await.unwrap();
    assert_eq!(first.value[0].route.as_deref(), Some("GET /items/{}"));
    query.cursor = first.next_cursor;
    let second = store.services(&query, &never()).await.unwrap();
    assert_eq!(second.value[0].route.as_deref(), Some("(connection)"));
    assert!(second.next_cursor.is_none());
    assert_eq!(
        first.window, second.window,
        "the window stays between pages"
    );
    for (service, count) in [
        ("nginx", 1),
        ("CURL", 2),
        ("api.example.com:443", 1),
        ("nobody", 0),
    ] {
        let query = ServicesQuery {
            window: hour(),
            service: Some(service.to_owned()),
            limit: 9,
            ..Default::default()
        };
        assert_eq!(
            store.services(&query, &never()).await.unwrap().value.len(),
            count,
            "{service}"
        );
    }
}

#[tokio::test]
async fn errors_are_grouped_with_examples() {
    let fixture = filled();
    let store = fixture.store();
    let query = ErrorsQuery {
        window: hour(),
        include_client_errors: true,
        limit: 10,
        ..ErrorsQuery::default()
    };
    let answer = store.errors(&query, &never()).await.unwrap();
    let told: Vec<(&str, u64, u64)> = answer
        .value
        .iter()
        .map(|group| (group.kind.as_str(), group.count, group.of_requests))
        .collect();
    assert_eq!(
        told,
        [
            ("status 502", 4, 10),
            ("refused", 1, 1),
            ("gave_up", 1, 10),
            ("status 404", 1, 10)
        ]
    );
    let bad = &answer.value[0];
    assert_eq!(
        (bad.server.as_str(), bad.client.as_str()),
        ("nginx.service:80", "curl")
    );
    assert_eq!(bad.route, "GET /items/{}");
    assert_eq!(bad.examples, ["x_k7q27", "x_k7q26", "x_k7q25"]);
    assert_eq!(bad.last_ns - bad.first_ns, 3_000_000_000);
    assert_eq!(
        answer.value[1].examples,
        ["c_k7q23"],
        "a refused connection has no exchange, and an id of its own"
    );
    for id in &bad.examples {
        assert_eq!(
            store
                .exchange(id, &never())
                .await
                .unwrap()
                .value
                .status_code,
            Some(502)
        );
    }
    let query = ErrorsQuery {
        include_client_errors: false,
        limit: 2,
        ..query
    };
    let first = store.errors(&query, &never()).await.unwrap();
    let rest = ErrorsQuery {
        cursor: first.next_cursor,
        ..query
    };
    let rest = store.errors(&rest, &never()).await.unwrap();
    assert_eq!(
        (first.value.len(), rest.value.len(), rest.next_cursor),
        (2, 1, None)
    );
}
