//! Conditions of a search, and what is said of wrong ones.

use headwater_query::{ContainersQuery, Counted, SearchOrder, SearchQuery, WindowArgument};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never, paths, search_all};

pub(crate) const SECRET: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";

pub(crate) fn filled() -> Fixture {
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

pub(crate) async fn check(fixture: &Fixture, query: SearchQuery, expected: &[&str]) {
    assert_eq!(paths(&fixture.store(), &query).await, expected, "{query:?}");
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a short word for the optional fields of a query"
)]
pub(crate) fn some(text: &str) -> Option<String> {
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

/// What `run` asks for: the folder's name is never redacted, what is above it may be, and below it count too.
#[tokio::test]
async fn a_cgroup_goes_by_its_folder() {
    let mut fixture = Fixture::new();
    let start_ns = fixture.now_ns - 10 * SECOND;
    fixture.commit(&[Row {
        start_ns,
        ..Row::default()
    }]);
    let all = SearchQuery {
        window: hour(),
        limit: 9,
        ..SearchQuery::default()
    };
    for (cgroup, found) in [
        ("/a/{h:0123456789abcdef:22}/headwater-run-7-9", 1),
        ("/headwater-run-7-9", 1),
        ("/headwater-run-7-9/below", 1),
        ("/headwater-run-7-91", 0),
        ("/x-headwater-run-7-9", 0),
        ("/", 0),
    ] {
        let sql = "UPDATE process SET cgroup = ? WHERE id = 1";
        fixture.writer.execute(sql, [cgroup]).unwrap();
        let query = SearchQuery {
            cgroup: some("headwater-run-7-9"),
            ..all.clone()
        };
        let answer = fixture.store().search(&query, &never()).await.unwrap();
        assert_eq!(answer.value.len(), found, "{cgroup}");
    }
}

/// What `run` asks for, too: a container counts by the first of its processes, and not when one of them is the command's.
#[tokio::test]
async fn containers_that_came_up_in_a_window() {
    let fixture = Fixture::new();
    let other_boot = "INSERT INTO recorder_run (id, source, boot_id, pid, version, settings, started_ns, heartbeat_ns) \
                      VALUES (0, 'live', 'a', 1, '', '{}', 0, 0)";
    fixture.writer.execute(other_boot, []).unwrap();
    let add = "INSERT INTO process (run_id, pid, start_boot_ns, executable_name, cgroup, ancestors, service_id, first_seen_ns) \
               VALUES (?, ?, ?, 'x', ?, ?, ?, 0)";
    let named = "INSERT INTO service (id, kind, name, port) VALUES (?, ?, ?, 0)";
    for (id, kind, name) in [
        (91, "container", "earlier"),
        (92, "container", "newer"),
        (93, "container", "mine"),
        (94, "container", "child"),
        (95, "program", "other"),
        (96, "container", "later"),
        (97, "container", "newest"),
        (98, "container", "of another boot"),
    ] {
        fixture.writer.execute(named, (id, kind, name)).unwrap();
    }
    for (pid, second, cgroup, ancestors, service) in [
        (501, 9, "/a", "1", 91),
        (502, 11, "/a", "1", 91),
        (503, 12, "/b", "1", 92),
        (504, 11, "/headwater-run-7-9", "1", 93),
        (505, 11, "/c", "400,77,1", 94),
        (506, 11, "/d", "1", 95),
        (507, 21, "/e", "1", 96),
        (508, 13, "/f", "770,1", 97),
        (509, 13, "/g", "1", 98),
    ] {
        let row = (
            i32::from(service != 98),
            pid,
            second * SECOND,
            cgroup,
            ancestors,
            service,
        );
        fixture.writer.execute(add, row).unwrap();
    }
    let query = ContainersQuery {
        since_boot_ns: 10 * SECOND.cast_unsigned(),
        until_boot_ns: 20 * SECOND.cast_unsigned(),
        process_tree: Some(77),
        cgroup: some("headwater-run-7-9"),
    };
    let found = fixture.store().containers(&query, &never()).await.unwrap();
    assert_eq!(found, ["newer", "newest"]);
}

#[tokio::test]
async fn every_exchange_is_counted_once() {
    let mut fixture = filled();
    assert_eq!(
        fixture
            .store()
            .count_exchanges(Counted::Exchanges, &never())
            .await
            .unwrap(),
        u64::try_from(fixture.next_id - 1).unwrap()
    );
    fixture.open_segment();
    fixture.commit(&[Row::default()]);
    assert_eq!(
        fixture
            .store()
            .count_exchanges(Counted::Exchanges, &never())
            .await
            .unwrap(),
        u64::try_from(fixture.next_id - 1).unwrap()
    );
}
