//! What every answer says of what could not be seen.

use std::time::{Duration, Instant};

use headwater_query::{
    DnsQuery, Emptiness, ErrorsQuery, Recorder, SearchQuery, ServicesQuery, TimeArgument,
    WindowArgument,
};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never, search_all};

fn nothing() -> SearchQuery {
    SearchQuery {
        method: Some("NONE".to_owned()),
        ..search_all()
    }
}

/// Why the answer is empty; panics when it is because nothing matched.
async fn why(fixture: &Fixture) -> String {
    let answer = fixture.store().search(&nothing(), &never()).await.unwrap();
    match answer.emptiness {
        Some(Emptiness::NotSeen { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn nothing_matched_in_a_window_recorded_in_full() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 5 * SECOND,
        ..Row::default()
    }]);
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - 6_000 * SECOND,
        ..Row::default()
    }]);
    fixture.coverage(
        "own_traffic",
        fixture.now_ns - 9 * SECOND,
        fixture.now_ns,
        3,
        None,
    );
    fixture.coverage(
        "unsupported",
        fixture.now_ns - 9 * SECOND,
        fixture.now_ns,
        1,
        Some("no BTF"),
    );
    let answer = fixture.store().search(&nothing(), &never()).await.unwrap();
    assert_eq!(
        answer.emptiness,
        Some(Emptiness::NothingMatched { in_window: 1 })
    );
    assert_eq!(answer.recorder, Recorder::Running);
    let kinds: Vec<&str> = answer
        .coverage
        .iter()
        .map(|item| item.kind.as_str())
        .collect();
    assert_eq!(kinds, ["unsupported", "own_traffic"], "worst first");
    assert!(answer.coverage[0].explanation.contains("no BTF"));
    let full = fixture
        .store()
        .search(&search_all(), &never())
        .await
        .unwrap();
    assert_eq!((full.value.len(), full.emptiness), (1, None));
}

#[tokio::test]
async fn each_kind_of_loss_is_said_in_the_answer_that_lacks_the_data() {
    for (kind, said) in [
        ("ring_lost", "ring buffer"),
        ("filtered", "filter"),
        ("recorder_killed", "killed"),
        ("tls_not_decoded", "TLS"),
        ("tls_unbound", "no addresses"),
        ("plaintext_unread", "TLS libraries"),
        ("write_failed", "disk"),
        ("retention", "retention"),
        ("connection_unfollowed", "could not be followed"),
        ("flow_table_full", "the probes' table"),
        ("packets_unparsed", "headers that the probes do not read"),
        ("frames_lost", "packets of HTTP/2"),
    ] {
        let fixture = Fixture::new();
        let now_ns = fixture.now_ns;
        fixture.coverage(
            kind,
            now_ns - 90 * SECOND,
            now_ns - 80 * SECOND,
            5,
            Some("port=80"),
        );
        fixture.coverage(
            kind,
            now_ns - 70 * SECOND,
            now_ns - 60 * SECOND,
            7,
            Some("port=80"),
        );
        fixture.coverage(
            kind,
            now_ns - 6_000 * SECOND,
            now_ns - 5_900 * SECOND,
            100,
            Some("port=80"),
        );
        assert!(why(&fixture).await.contains(said), "{kind}");
        let query = ServicesQuery {
            window: hour(),
            limit: 5,
            ..ServicesQuery::default()
        };
        let answer = fixture.store().services(&query, &never()).await.unwrap();
        let [item] = answer.coverage.as_slice() else {
            panic!("{:?}", answer.coverage)
        };
        assert_eq!(
            (item.kind.as_str(), item.count),
            (kind, 12),
            "merged, and only of the window"
        );
        assert_eq!(item.until_ns - item.from_ns, 30 * SECOND.unsigned_abs());
        assert!(matches!(answer.emptiness, Some(Emptiness::NotSeen { .. })));
        let query = ErrorsQuery {
            window: hour(),
            limit: 5,
            ..ErrorsQuery::default()
        };
        let answer = fixture.store().errors(&query, &never()).await.unwrap();
        assert!(matches!(answer.emptiness, Some(Emptiness::NotSeen { .. })));
    }
}

#[tokio::test]
async fn a_library_that_is_not_read_is_said_from_when_it_was_met() {
    let fixture = Fixture::new();
    let now_ns = fixture.now_ns;
    let ago = |seconds: i64| now_ns - seconds * SECOND;
    fixture.forget_runs();
    fixture.run("live", ago(900), ago(-60), None);
    fixture.coverage_of(1, "tls_library_not_read", ago(500), Some("java"));
    for (since, until, expected) in [(800, 600, false), (600, 400, true), (60, 0, true)] {
        let query = SearchQuery {
            window: WindowArgument {
                since: Some(TimeArgument(format!("-{since}s"))),
                until: (until > 0).then(|| TimeArgument(format!("-{until}s"))),
            },
            ..nothing()
        };
        let answer = fixture.store().search(&query, &never()).await.unwrap();
        let told = answer
            .coverage
            .iter()
            .find(|item| item.kind == "tls_library_not_read");
        assert_eq!(told.is_some(), expected, "{since} to {until}");
        assert!(
            told.is_none_or(|item| item.explanation.contains("java")),
            "{told:?}"
        );
        assert_eq!(
            answer.emptiness,
            Some(Emptiness::NothingMatched { in_window: 0 }),
            "what it hides is told of each connection by itself"
        );
    }
}

#[tokio::test]
async fn what_a_kernel_cannot_see_is_said_of_the_whole_run() {
    let fixture = Fixture::new();
    let now_ns = fixture.now_ns;
    let ago = |seconds: i64| now_ns - seconds * SECOND;
    fixture.forget_runs();
    fixture.run("live", ago(9_000), ago(8_000), Some(ago(8_000)));
    fixture.run("live", ago(7_000), ago(6_000), None);
    fixture.run("live", ago(5_000), ago(-60), None);
    for (run, second) in [(1, 9_000), (2, 7_000), (3, 5_000)] {
        let words = format!("lack {run}");
        fixture.coverage_of(run, "unsupported", ago(second), Some(&words));
    }
    for (since, until, expected) in [
        (8_900, 8_800, vec!["lack 1"]),
        (7_900, 7_100, vec![]),
        (6_900, 6_800, vec!["lack 2"]),
        (5_900, 5_100, vec![]),
        (60, 0, vec!["lack 3"]),
        (9_500, 0, vec!["lack 1", "lack 2", "lack 3"]),
    ] {
        let query = SearchQuery {
            window: WindowArgument {
                since: Some(TimeArgument(format!("-{since}s"))),
                until: (until > 0).then(|| TimeArgument(format!("-{until}s"))),
            },
            ..search_all()
        };
        let answer = fixture.store().search(&query, &never()).await.unwrap();
        let told: Vec<&str> = answer
            .coverage
            .iter()
            .filter(|item| item.kind == "unsupported")
            .filter_map(|item| item.explanation.split(['(', ')']).nth(1))
            .collect();
        assert_eq!(told, expected, "{since} to {until}");
    }
}

#[tokio::test]
async fn when_no_recorder_ran() {
    let fixture = Fixture::new();
    let now_ns = fixture.now_ns;
    let ago = |seconds: i64| now_ns - seconds * SECOND;
    fixture.forget_runs();
    fixture.run("live", ago(9_000), ago(3_000), Some(ago(3_000)));
    fixture.run("live", ago(2_000), ago(1_000), None);
    let answer = fixture.store().search(&nothing(), &never()).await.unwrap();
    assert_eq!(
        answer.recorder,
        Recorder::Killed {
            last_seen_ns: ago(1_000).unsigned_abs()
        }
    );
    assert_eq!(answer.as_of_ns, ago(1_000).unsigned_abs());
    let [silence] = answer.coverage.as_slice() else {
        panic!("{:?}", answer.coverage)
    };
    assert_eq!((silence.kind.as_str(), silence.count), ("not_recorded", 2));
    assert_eq!(silence.from_ns, ago(3_000).unsigned_abs());
    assert!(
        silence.explanation.contains("killed") && silence.explanation.contains("headwater record")
    );
    assert!(why(&fixture).await.contains("No recorder ran"));

    fixture.forget_runs();
    fixture.run("live", ago(9_000), ago(500), Some(ago(500)));
    let answer = fixture.store().search(&nothing(), &never()).await.unwrap();
    assert_eq!(
        answer.recorder,
        Recorder::Stopped {
            at_ns: ago(500).unsigned_abs()
        }
    );
    assert_eq!(answer.coverage.len(), 1);
}

#[tokio::test]
async fn the_default_window_ends_at_the_newest_data_of_a_store_at_rest() {
    let mut fixture = Fixture::new();
    let day_ago = fixture.now_ns - 86_400 * SECOND;
    fixture.forget_runs();
    fixture.run(
        "replay",
        fixture.now_ns,
        fixture.now_ns,
        Some(fixture.now_ns),
    );
    fixture.commit(&[Row {
        start_ns: day_ago,
        ..Row::default()
    }]);
    let query = SearchQuery {
        limit: 5,
        ..SearchQuery::default()
    };
    let answer = fixture.store().search(&query, &never()).await.unwrap();
    let window = answer.window.unwrap();
    assert_eq!(window.until_ns, day_ago.unsigned_abs());
    assert_eq!(
        window.until_ns - window.since_ns,
        900 * SECOND.unsigned_abs()
    );
    assert_eq!(
        (answer.value.len(), answer.recorder, answer.coverage.len()),
        (1, Recorder::Never, 0)
    );
    assert!(why(&fixture).await.contains("replayed"));
}

#[tokio::test]
async fn status_counts_cheaply() {
    let mut fixture = Fixture::new();
    let start_ns = fixture.now_ns - 5 * SECOND;
    fixture.commit(&[
        Row {
            start_ns,
            ..Row::default()
        },
        Row {
            start_ns: start_ns + 1,
            ..Row::default()
        },
    ]);
    fixture.open_segment();
    fixture.commit(&[Row {
        start_ns: start_ns + 2,
        ..Row::default()
    }]);
    let status = fixture.store().status(&never()).await.unwrap().value;
    assert_eq!(
        (status.exchanges, status.connections, status.services),
        (3, 2, 3)
    );
    assert_eq!(
        (status.oldest_ns, status.newest_ns),
        (
            Some(start_ns.unsigned_abs()),
            Some(start_ns.unsigned_abs() + 2)
        )
    );
    assert_eq!(
        (status.source.as_deref(), status.recorder_version.as_deref()),
        (Some("live"), Some("0.1.0"))
    );
    assert!(status.store_bytes > 4_096 && status.cure.is_none());
}

#[tokio::test]
async fn changed_waits_for_the_next_commit() {
    let fixture = Fixture::new();
    let store = fixture.store();
    let as_of_ns = store.status(&never()).await.unwrap().as_of_ns;
    store
        .changed(as_of_ns - 1, Duration::from_secs(20), &never())
        .await
        .unwrap();
    let begun = Instant::now();
    store
        .changed(as_of_ns, Duration::from_millis(250), &never())
        .await
        .unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(250));

    let begun = Instant::now();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move {
            store
                .changed(as_of_ns, Duration::from_secs(20), &never())
                .await
        }
    });
    fixture
        .writer
        .execute(
            "UPDATE recorder_run SET heartbeat_ns = heartbeat_ns + 1",
            [],
        )
        .unwrap();
    waiting.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));

    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(
        store
            .changed(as_of_ns + 1, Duration::from_secs(20), &cancel)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn what_does_not_match_and_what_was_not_seen_are_told_apart() {
    let mut fixture = Fixture::new();
    let now_ns = fixture.now_ns;
    fixture.commit(&[Row {
        start_ns: now_ns - 85 * SECOND,
        ..Row::default()
    }]);
    fixture.coverage(
        "malformed",
        now_ns - 90 * SECOND,
        now_ns - 80 * SECOND,
        5,
        None,
    );
    let found = fixture.store().search(&nothing(), &never()).await.unwrap();
    let Some(Emptiness::NothingMatchedOrNotSeen { in_window: 1, why }) = found.emptiness else {
        panic!("{:?}", found.emptiness);
    };
    assert!(why.contains("HTTP"), "{why}");
    // Neither HTTP's rows nor its faults say anything of DNS.
    let query = DnsQuery {
        window: hour(),
        limit: 20,
        ..DnsQuery::default()
    };
    let found = fixture.store().dns(&query, &never()).await.unwrap();
    assert_eq!(
        found.emptiness,
        Some(Emptiness::NothingMatched { in_window: 0 })
    );
}
