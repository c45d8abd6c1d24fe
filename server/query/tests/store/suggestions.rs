//! Values for arguments: what may be offered, in which order, how many; and whether failures changed.

use headwater_query::{Suggested, Suggestions, SuggestionsQuery};

use crate::fixture::{Fixture, Row, SECOND};
use crate::never;

async fn suggested(fixture: &Fixture, of: Suggested, prefix: &str) -> Suggestions {
    of_service(fixture, of, prefix, None).await
}

async fn of_service(
    fixture: &Fixture,
    of: Suggested,
    prefix: &str,
    service: Option<&str>,
) -> Suggestions {
    let query = SuggestionsQuery {
        of,
        prefix: prefix.to_owned(),
        service: service.map(str::to_owned),
    };
    fixture.store().suggestions(&query, &never()).await.unwrap()
}

/// Two requests to the third service, one to the first.
fn used() -> Fixture {
    let mut fixture = Fixture::new();
    let row = |server, request| Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        server,
        request,
        ..Row::default()
    };
    let rows = [
        row(
            1,
            &[
                ("Accept", "*/*"),
                ("X-Request-Id", "some-long-value-of-one"),
            ][..],
        ),
        row(3, &[("accept", "*/*")]),
        row(3, &[("traceparent", "00-1-2-00")]),
    ];
    fixture.commit(&rows);
    fixture
}

#[tokio::test]
async fn what_is_used_comes_first_and_any_case_is_meant() {
    let fixture = used();
    let all = suggested(&fixture, Suggested::Services, "").await;
    assert_eq!(all.values, ["api.example.com:443", "nginx.service:80"]);
    assert_eq!(all.total, Some(2));
    let one = suggested(&fixture, Suggested::Services, "NGINX.service:").await;
    assert_eq!(
        (one.values, one.total),
        (vec!["nginx.service:80".to_owned()], Some(1))
    );
    let callers = suggested(&fixture, Suggested::Callers, "").await;
    assert_eq!(callers.values, ["curl"]);
    let headers = suggested(&fixture, Suggested::Headers, "").await;
    assert_eq!(headers.values, ["accept", "traceparent", "x-request-id"]);
    for strange in ["ngińx", "n%", "n_inx", "'", "\u{1f600}", "curl "] {
        for of in [Suggested::Services, Suggested::Callers, Suggested::Headers] {
            let none = suggested(&fixture, of, strange).await;
            assert_eq!((none.values, none.total), (vec![], Some(0)), "{strange}");
        }
    }
}

#[tokio::test]
async fn routes_are_those_of_the_service_that_is_given() {
    let fixture = used();
    let all = suggested(&fixture, Suggested::Routes, "/").await;
    assert_eq!(all.values.len(), 2, "{all:?}");
    let some = of_service(&fixture, Suggested::Routes, "", Some("api.example")).await;
    assert_eq!(some.values, ["/"]);
    let none = of_service(&fixture, Suggested::Routes, "", Some("nobody")).await;
    assert_eq!(none.total, Some(0));
}

#[tokio::test]
async fn what_is_more_than_a_name_is_not_offered_and_takes_no_place() {
    let fixture = used();
    for number in 0..150 {
        let name = format!("fit-{number:03}");
        fixture
            .writer
            .execute("INSERT INTO service VALUES (NULL, 'host', ?, 80)", [name])
            .unwrap();
    }
    let of_70 = "a".repeat(70);
    for name in [
        "fit ignore this",
        "fit\u{202e}",
        "fit\n",
        "fit\0",
        "fit`",
        "",
        &of_70,
    ] {
        fixture
            .writer
            .execute("INSERT INTO service VALUES (NULL, 'host', ?, 80)", [name])
            .unwrap();
        fixture
            .writer
            .execute("INSERT INTO route VALUES (NULL, 1, ?)", [name])
            .unwrap();
    }
    let fit = suggested(&fixture, Suggested::Services, "fit").await;
    assert_eq!(
        (fit.values.len(), fit.total),
        (Suggestions::MOST, Some(150))
    );
    assert!(
        fit.values
            .iter()
            .all(|name| name.starts_with("fit-") && name.ends_with(":80"))
    );
    let routes = suggested(&fixture, Suggested::Routes, "").await;
    assert_eq!(routes.values.len(), 2, "{routes:?}");
    let long = suggested(&fixture, Suggested::Services, "aaa").await;
    assert_eq!(long.total, Some(0));
}

#[tokio::test]
async fn ids_are_of_what_failed_the_newest_first_and_say_that_there_are_more() {
    let mut fixture = used();
    let failed = Row {
        start_ns: fixture.now_ns - 50 * SECOND,
        status: Some(503),
        ..Row::default()
    };
    fixture.commit(&[failed]);
    let few = suggested(&fixture, Suggested::Failures, "").await;
    assert_eq!(
        (few.values.clone(), few.total),
        (vec!["x_k7q24".to_owned()], Some(1))
    );
    assert_eq!(
        suggested(&fixture, Suggested::FailuresOfAnyKind, "X_K7").await,
        few
    );
    assert_eq!(
        suggested(&fixture, Suggested::FailedConnections, "")
            .await
            .total,
        Some(0)
    );
    fixture.open_segment();
    let many: Vec<Row<'_>> = (0..1_200)
        .map(|_| Row {
            start_ns: fixture.now_ns - 40 * SECOND,
            status: Some(503),
            ..Row::default()
        })
        .collect();
    fixture.commit(&many);
    let many = suggested(&fixture, Suggested::Failures, "").await;
    assert_eq!((many.values.len(), many.total), (Suggestions::MOST, None));
    assert_eq!(many.values[0], "x_k7q215m", "{many:?}");
}

#[tokio::test]
async fn failures_are_others_when_one_comes_and_when_it_is_long_ago() {
    let mut fixture = used();
    let store = fixture.store();
    let nothing = store.failing(None, &never()).await.unwrap();
    let row = |status, age| Row {
        start_ns: fixture.now_ns - age * SECOND,
        status: Some(status),
        ..Row::default()
    };
    let (good, bad) = (row(200, 30), row(500, 20));
    let (again, old) = (row(500, 10), row(500, 3_600));
    commit(&mut fixture, good);
    let good = store.failing(Some(nothing), &never()).await.unwrap();
    assert!(!good.is_other_than(&nothing) && !good.is_any());
    commit(&mut fixture, bad);
    let bad = store.failing(Some(good), &never()).await.unwrap();
    assert!(bad.is_other_than(&good) && bad.is_any());
    // The same group, once more.
    commit(&mut fixture, again);
    let again = store.failing(Some(bad), &never()).await.unwrap();
    assert!(again.is_other_than(&bad));
    commit(&mut fixture, old);
    let old = store.failing(Some(again), &never()).await.unwrap();
    assert!(!old.is_other_than(&again));
    fixture
        .writer
        .execute_batch("UPDATE rollup_1 SET slot_ns = slot_ns - 7200000000000")
        .unwrap();
    // What is not told to be committed is not looked at.
    let unread = store.failing(Some(old), &never()).await.unwrap();
    assert_eq!(unread, old);
    beat(&fixture);
    let gone = store.failing(Some(old), &never()).await.unwrap();
    assert!(!gone.is_any() && gone.is_other_than(&old));
}

/// As a recorder does, whose every commit is a heartbeat.
fn commit(fixture: &mut Fixture, row: Row<'_>) {
    fixture.commit(&[row]);
    beat(fixture);
}

fn beat(fixture: &Fixture) {
    fixture
        .writer
        .execute_batch("UPDATE recorder_run SET heartbeat_ns = heartbeat_ns + 1")
        .unwrap();
}
