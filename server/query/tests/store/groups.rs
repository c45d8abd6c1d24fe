//! Groups of failures by their ids.

use headwater_query::{ErrorGroup, ErrorsQuery, QueryError, TimeArgument, WindowArgument, rfc3339};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

/// Two kinds of failure of one route, and a connection that was refused.
fn failing() -> Fixture {
    let mut fixture = Fixture::new();
    for second in 0..6 {
        let status = if second == 0 { 503 } else { 502 };
        fixture.commit(&[Row {
            start_ns: fixture.now_ns - 100 * SECOND + second * SECOND,
            status: Some(status),
            ..Row::default()
        }]);
    }
    let refused = Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        server: 3,
        ..Row::default()
    };
    fixture.roll_up(&refused, 3, None, 1_000);
    let sql = "INSERT INTO connection SELECT 3, run_id, ?, ?, 'refused', 0, NULL, client_address, client_port, NULL, NULL, \
               client_local, client_netns, client_process_id, client_process_evidence, client_service_id, server_address, \
               server_port, NULL, NULL, 0, 0, NULL, 'none', 3, 0, 0, 0, NULL, NULL, NULL, NULL, NULL FROM connection WHERE id = 1";
    fixture.writer.execute(sql, [refused.start_ns; 2]).unwrap();
    fixture
}

async fn groups(fixture: &Fixture, window: WindowArgument) -> Vec<ErrorGroup> {
    let query = ErrorsQuery {
        window,
        include_client_errors: true,
        limit: 10,
        ..ErrorsQuery::default()
    };
    let answer = fixture.store().errors(&query, &never()).await.unwrap();
    answer.value
}

#[tokio::test]
async fn a_group_is_explained_by_its_id() {
    let mut fixture = failing();
    let told = groups(&fixture, hour()).await;
    let [bad, refused, once] = told.as_slice() else {
        panic!("{told:#?}");
    };
    assert_eq!((bad.kind.as_str(), bad.agreeing), ("status 502", (2, 2)));
    assert_eq!((once.kind.as_str(), once.agreeing), ("status 503", (1, 1)));
    let store = fixture.store();
    let explained = store.failure(&bad.id, &never()).await.unwrap().value;
    assert_eq!(explained.suspect.as_ref(), bad.examples.first());
    let agreement = explained.findings.iter().find(|finding| {
        finding
            .what
            .starts_with("of the group's 2 newest, 2 failed")
    });
    assert_eq!(
        agreement.map(|finding| finding.is),
        Some("known"),
        "{explained:#?}"
    );
    assert_eq!(agreement.and_then(|finding| finding.id.clone()), None);
    // Of one example nothing is compared.
    let explained = store.failure(&once.id, &never()).await.unwrap().value;
    assert_eq!(explained.suspect.as_ref(), once.examples.first());
    let compares = |what: &str| what.starts_with("of the group's");
    assert!(
        !explained
            .findings
            .iter()
            .any(|finding| compares(&finding.what))
    );
    // What came to no exchange is told elsewhere.
    let error = store.failure(&refused.id, &never()).await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains(&refused.examples[0]) && said.contains("get_connection"),
        "{said}"
    );
    // The same id stands for the same, whenever it is asked for.
    fixture.open_segment();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 50 * SECOND,
        status: Some(502),
        ..Row::default()
    }]);
    let later = groups(&fixture, hour()).await;
    assert_eq!(later[0].id, bad.id);
    let explained = fixture.store().failure(&bad.id, &never()).await.unwrap();
    assert_eq!(explained.value.suspect.as_ref(), later[0].examples.first());
    assert_ne!(later[0].examples, bad.examples);
}

#[tokio::test]
async fn ids_of_no_group_are_told_apart() {
    let fixture = failing();
    let store = fixture.store();
    let error = store.failure("g_k7q21", &never()).await.unwrap_err();
    assert!(
        error.to_string().contains("nothing of that group is kept"),
        "{error}"
    );
    let error = store.failure("g_aaaa1234", &never()).await.unwrap_err();
    assert!(matches!(error, QueryError::Foreign { .. }), "{error}");
    let query = headwater_query::TransactionQuery {
        id: "g_k7q21".to_owned(),
        limit: 10,
    };
    let error = store.transaction(&query, &never()).await.unwrap_err();
    assert!(error.to_string().contains("for explain_failure"), "{error}");
}

/// Nobody counted the requests of a route before it was learned.
#[tokio::test]
async fn a_route_that_was_just_learned_has_no_time_before() {
    for (template, expected) in [("/items/{}", Some(0)), ("/items/{name}", None)] {
        let mut fixture = Fixture::new();
        fixture
            .writer
            .execute("UPDATE route SET template = ?", [template])
            .unwrap();
        // Somebody asks another service all the time.
        for second in 0..20 {
            fixture.commit(&[Row {
                start_ns: fixture.now_ns - 200 * SECOND + second * 10 * SECOND,
                server: if second < 15 { 3 } else { 1 },
                status: Some(if second < 15 { 200 } else { 502 }),
                ..Row::default()
            }]);
        }
        let ago = |seconds: i64| {
            TimeArgument(rfc3339((fixture.now_ns - seconds * SECOND).unsigned_abs()))
        };
        let window = WindowArgument {
            since: Some(ago(80)),
            until: Some(ago(1)),
        };
        let told = groups(&fixture, window).await;
        assert_eq!(told[0].before, expected, "{told:#?}");
    }
}
