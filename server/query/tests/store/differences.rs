//! What is different: between two times, and between what failed and what did not.

use headwater_query::{
    Change, CompareQuery, Comparison, ErrorsQuery, TimeArgument, WindowArgument, rfc3339,
};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

const OLD: &[(&str, &str)] = &[("accept", "text/html"), ("x-api-version", "1")];
const NEW: &[(&str, &str)] = &[("accept", "text/html"), ("x-api-version", "2")];

/// A minute of one request a second that all end well, and one that begins 60 s after it, in the middle of a slot.
fn two_minutes(after: impl Fn(i64) -> Vec<Row<'static>>) -> (Fixture, i64) {
    let mut fixture = Fixture::new();
    let begun_ns = fixture.now_ns - 303 * SECOND;
    let before: Vec<Row<'_>> = (0..60)
        .map(|second| Row {
            start_ns: begun_ns - 60 * SECOND + second * SECOND,
            request: OLD,
            ..Row::default()
        })
        .collect();
    fixture.commit(&before);
    let after: Vec<Row<'_>> = (0..60)
        .flat_map(|second| after(begun_ns + second * SECOND))
        .collect();
    fixture.commit(&after);
    (fixture, begun_ns)
}

fn at(ns: i64) -> TimeArgument {
    TimeArgument(rfc3339(ns.unsigned_abs()))
}

async fn compare(fixture: &Fixture, begun_ns: i64) -> (Comparison, Vec<String>) {
    let query = CompareQuery {
        window: WindowArgument {
            since: Some(at(begun_ns)),
            until: Some(at(begun_ns + 60 * SECOND)),
        },
        limit: 50,
        ..CompareQuery::default()
    };
    let answer = fixture.store().compare(&query, &never()).await.unwrap();
    let kinds = answer.coverage.into_iter().map(|item| item.kind).collect();
    (answer.value, kinds)
}

fn of<'c>(compared: &'c Comparison, what: &str) -> Vec<&'c Change> {
    compared
        .changes
        .iter()
        .filter(|change| change.what == what)
        .collect()
}

#[tokio::test]
async fn what_got_worse_is_told_first() {
    let (fixture, begun_ns) = two_minutes(|start_ns| {
        let is_bad = start_ns / SECOND % 2 == 0;
        let row = Row {
            start_ns,
            latency_ns: 50_000_000,
            status: Some(if is_bad { 502 } else { 200 }),
            request: NEW,
            ..Row::default()
        };
        let new = Row {
            start_ns,
            connection: 2,
            server: 3,
            ..Row::default()
        };
        vec![row, new]
    });
    let (compared, _) = compare(&fixture, begun_ns).await;
    // The windows meet within a slot of the roll-ups, and are told apart all the same.
    assert_eq!(compared.counts, (60, 120));
    let first = &compared.changes[0];
    assert_eq!(
        (first.what, first.route.as_deref()),
        ("errors", Some("GET /items/{}"))
    );
    assert_eq!(first.before, "60 requests, none failed");
    assert_eq!(first.after, "30 of 60 failed, most often status 502");
    assert_eq!(first.chance, Some("<1e-6"));
    let [appeared] = of(&compared, "appeared")[..] else {
        panic!("{compared:#?}");
    };
    assert_eq!(appeared.server.as_deref(), Some("api.example.com:443"));
    assert_eq!(appeared.client.as_deref(), Some("curl"));
    let [latency] = of(&compared, "latency")[..] else {
        panic!("{compared:#?}");
    };
    assert!(
        latency.before.starts_with("p50 5.") || latency.before.starts_with("p50 4."),
        "{latency:?}"
    );
    let headers: Vec<_> = of(&compared, "requests");
    let version = headers.iter().find(|change| {
        change
            .captured
            .as_deref()
            .is_some_and(|text| text.starts_with("x-api-version: "))
    });
    assert!(version.is_some(), "{headers:#?}");
    assert!(of(&compared, "rate").is_empty(), "{compared:#?}");
}

#[tokio::test]
async fn where_nothing_changed_nothing_is_told() {
    let (fixture, begun_ns) = two_minutes(|start_ns| {
        vec![Row {
            start_ns,
            request: OLD,
            ..Row::default()
        }]
    });
    let (compared, kinds) = compare(&fixture, begun_ns).await;
    assert_eq!((compared.counts, compared.changes), ((60, 60), Vec::new()));
    assert!(!kinds.contains(&"baseline_empty".to_owned()));
    // Nothing is kept of the hour before.
    let (compared, kinds) = compare(&fixture, begun_ns - 60 * SECOND).await;
    assert_eq!((compared.counts, compared.changes), ((0, 61), Vec::new()));
    assert!(kinds.contains(&"baseline_empty".to_owned()), "{kinds:?}");
}

/// As the roll-ups have them: of a request in clear to a server that speaks TLS the exchange has failed.
#[tokio::test]
async fn a_failed_handshake_is_counted_once() {
    for (protocol, counted) in [("'tls'", 1), ("'http'", 0), ("NULL", 0)] {
        let (fixture, begun_ns) = two_minutes(|start_ns| {
            vec![Row {
                start_ns,
                request: OLD,
                ..Row::default()
            }]
        });
        // Within the slot that both windows have a part of.
        let sql = format!(
            "UPDATE connection SET start_ns = {begun_ns} + 1000000000, end_ns = NULL, close_reason = 'fin', \
             network_protocol_name = {protocol} WHERE id = 1; \
             REPLACE INTO connection_tls VALUES (1, 10304, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0, '', '', 0, '', NULL, '')"
        );
        fixture.writer.execute_batch(&sql).unwrap();
        let (compared, _) = compare(&fixture, begun_ns).await;
        assert_eq!(compared.counts, (60, 60 + counted), "{protocol}");
    }
}

#[tokio::test]
async fn what_vanished_is_told() {
    let (fixture, begun_ns) = two_minutes(|start_ns| {
        vec![Row {
            start_ns,
            connection: 2,
            server: 3,
            request: OLD,
            ..Row::default()
        }]
    });
    let (compared, _) = compare(&fixture, begun_ns).await;
    let [vanished] = of(&compared, "vanished")[..] else {
        panic!("{compared:#?}");
    };
    assert_eq!(vanished.server.as_deref(), Some("nginx.service:80"));
    assert_eq!(vanished.after, "none");
}

#[tokio::test]
async fn a_failure_is_explained_by_what_it_has_in_common() {
    let acme: &[(&str, &str)] = &[("accept", "text/html"), ("x-tenant", "acme-of-the-north")];
    let other: &[(&str, &str)] = &[("accept", "text/html"), ("x-tenant", "everybody-else-here")];
    let (mut fixture, _) = two_minutes(|start_ns| {
        let is_bad = start_ns / SECOND % 6 == 0;
        vec![Row {
            start_ns,
            latency_ns: 1_000_000,
            status: Some(if is_bad { 500 } else { 200 }),
            request: if is_bad { acme } else { other },
            ..Row::default()
        }]
    });
    let last = fixture.commit(&[Row {
        start_ns: fixture.now_ns - 200 * SECOND,
        status: Some(500),
        request: acme,
        ..Row::default()
    }]);
    let id = format!("x_k7q2{}", printed(last));
    let answer = fixture.store().failure(&id, &never()).await.unwrap();
    let common: Vec<_> = answer
        .value
        .findings
        .iter()
        .filter(|it| it.is == "common")
        .collect();
    assert!(
        common[0]
            .captured
            .as_deref()
            .unwrap()
            .starts_with("x-tenant: "),
        "{:#?}",
        answer.value
    );
    assert!(
        common[0].what.contains("11 of 11 that failed like it"),
        "{common:#?}"
    );
    assert!(
        answer.value.verdict.contains("in common"),
        "{}",
        answer.value.verdict
    );
}

#[tokio::test]
async fn one_as_fast_as_is_usual_needs_no_explanation_and_a_slow_one_does() {
    let (mut fixture, _) = two_minutes(|start_ns| {
        vec![Row {
            start_ns,
            ..Row::default()
        }]
    });
    let slow = fixture.commit(&[Row {
        start_ns: fixture.now_ns - 200 * SECOND,
        latency_ns: 900_000_000,
        ..Row::default()
    }]);
    let usual = slow - 1;
    let usual = fixture
        .store()
        .failure(&format!("x_k7q2{}", printed(usual)), &never())
        .await;
    let usual = usual.unwrap().value;
    assert_eq!(usual.suspect, None);
    assert!(
        usual.verdict.contains("took as long about then"),
        "{}",
        usual.verdict
    );
    let slow = fixture
        .store()
        .failure(&format!("x_k7q2{}", printed(slow)), &never())
        .await;
    let slow = slow.unwrap().value;
    assert!(
        slow.findings.iter().any(|finding| finding.is == "slow"),
        "{slow:#?}"
    );
    assert!(slow.suspect.is_some());
}

#[tokio::test]
async fn failures_that_are_new_come_before_those_that_always_were() {
    let mut fixture = Fixture::new();
    let mut rows = Vec::new();
    for second in 0..400 {
        let start_ns = fixture.now_ns - 800 * SECOND + second * 2 * SECOND;
        // As often before as after.
        rows.push(Row {
            start_ns,
            status: Some(404),
            ..Row::default()
        });
        if second >= 300 {
            rows.push(Row {
                start_ns: start_ns + 1,
                status: Some(503),
                ..Row::default()
            });
        }
    }
    fixture.commit(&rows);
    let query = ErrorsQuery {
        window: WindowArgument {
            since: Some(at(fixture.now_ns - 200 * SECOND)),
            until: Some(at(fixture.now_ns - 1)),
        },
        include_client_errors: true,
        limit: 10,
        ..ErrorsQuery::default()
    };
    let answer = fixture.store().errors(&query, &never()).await.unwrap();
    let told: Vec<_> = answer
        .value
        .iter()
        .map(|group| (group.kind.as_str(), group.count, group.before))
        .collect();
    assert_eq!(
        told,
        [("status 503", 100, Some(0)), ("status 404", 100, Some(100))]
    );
    let suspect = answer.value[0].suspect.as_ref().unwrap();
    assert_eq!((suspect.hops, suspect.kind.as_str()), (0, "status 503"));
    // Nothing is kept of the time before the hour.
    let query = ErrorsQuery {
        window: hour(),
        ..query
    };
    let answer = fixture.store().errors(&query, &never()).await.unwrap();
    assert!(answer.value.iter().all(|group| group.before.is_none()));
}

/// A route that takes longer than it did is a group, wherever the exchanges lie; one that always took as long is none.
#[tokio::test]
async fn a_route_that_became_slow_is_told_with_the_failures() {
    let mut fixture = Fixture::new();
    let mut last = 0;
    for slot in 0..80 {
        let start_ns = fixture.now_ns - 800 * SECOND + slot * 10 * SECOND;
        let latency_ns = if slot >= 60 { 500_000_000 } else { 10_000_000 };
        let method = |method, latency_ns| Row {
            start_ns: start_ns + 1,
            status: Some(200),
            method,
            latency_ns,
            ..Row::default()
        };
        let first = fixture.commit(&[method("GET", latency_ns), method("POST", 700_000_000)]);
        last = first;
        if slot % 25 == 24 {
            fixture.open_segment();
        }
    }
    let query = ErrorsQuery {
        window: WindowArgument {
            since: Some(at(fixture.now_ns - 400 * SECOND)),
            until: Some(at(fixture.now_ns - 1)),
        },
        limit: 10,
        ..ErrorsQuery::default()
    };
    let answer = fixture.store().errors(&query, &never()).await.unwrap();
    let [slow] = &answer.value[..] else {
        panic!("{:#?}", answer.value);
    };
    assert_eq!((slow.kind.as_str(), slow.count), ("slow", 20));
    assert_eq!((slow.before, slow.of_requests), (Some(0), 40));
    assert!(slow.route.starts_with("GET "), "{slow:#?}");
    let began_ns = fixture.now_ns - 200 * SECOND + 1;
    assert_eq!(slow.first_ns, began_ns.unsigned_abs());
    let newest = [last, last - 2, last - 4].map(printed);
    let told: Vec<_> = slow
        .examples
        .iter()
        .map(|id| id.trim_start_matches("x_k7q2").to_owned())
        .collect();
    assert_eq!(told, newest);
    let suspect = slow.suspect.as_ref().unwrap();
    assert_eq!((suspect.hops, suspect.kind.as_str()), (0, "slow"));
    // Before it began there is nothing to tell.
    let query = ErrorsQuery {
        window: WindowArgument {
            since: Some(at(fixture.now_ns - 400 * SECOND)),
            until: Some(at(fixture.now_ns - 201 * SECOND)),
        },
        ..query
    };
    let answer = fixture.store().errors(&query, &never()).await.unwrap();
    assert!(answer.value.is_empty(), "{:#?}", answer.value);
}

/// As ids are printed, behind the tag.
fn printed(id: i64) -> String {
    headwater_query::ExchangeId(id.unsigned_abs())
        .printed("")
        .trim_start_matches("x_")
        .to_owned()
}
