//! Look-ups by id.

use headwater_query::{Emptiness, QueryError};

use crate::fixture::{Fixture, Row, SECOND};
use crate::never;

#[tokio::test]
async fn one_exchange_in_full() {
    let mut fixture = Fixture::new();
    let start_ns = fixture.now_ns - 9 * SECOND;
    let request = [
        ("Host", "shop.test"),
        ("X-Api-Key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
    ];
    fixture.commit(&[Row {
        start_ns,
        path: "/items/7",
        request: &request,
        ..Row::default()
    }]);
    let answer = fixture
        .store()
        .exchange(" X_K7Q21 ", &never())
        .await
        .unwrap();
    assert_eq!(answer.window, None);
    let exchange = answer.value;
    assert_eq!(
        (exchange.id.as_str(), exchange.connection_id.as_str()),
        ("x_k7q21", "c_k7q21")
    );
    assert_eq!(
        (exchange.target_form, exchange.target.as_deref()),
        ("origin", Some("/items/7?a=b"))
    );
    assert_eq!(
        (exchange.route.as_deref(), exchange.interim.as_slice()),
        (Some("/items/{}"), [100, 103].as_slice())
    );
    assert_eq!(
        (exchange.request_sent_ns, exchange.wait_ns),
        (Some(1_000), Some(2_499_000))
    );
    assert_eq!(exchange.response_ns, Some(2_500_000));
    assert_eq!(
        (exchange.outcome, exchange.gaps.as_slice()),
        ("complete", ["request_head_cut", "records_lost"].as_slice())
    );
    assert!(
        exchange.outcome_explained.contains("5.000 ms"),
        "{}",
        exchange.outcome_explained
    );
    let message = exchange.request.unwrap();
    assert_eq!(
        (
            message.version.as_str(),
            message.thread_id,
            message.thread_evidence
        ),
        ("HTTP/1.1", Some(11), "socket_lock")
    );
    let lines: Vec<(&str, bool)> = message
        .headers
        .iter()
        .map(|line| (line.name.as_str(), line.redacted))
        .collect();
    assert_eq!(lines, [("Host", false), ("X-Api-Key", true)]);
    assert!(!message.headers[1].value.contains("sk_live"));
    assert_eq!(exchange.response.unwrap().thread_evidence, "turn_start");
    let (client, server) = (exchange.client, exchange.server);
    assert_eq!(
        (client.service.as_str(), client.pid, client.address.as_str()),
        ("curl", Some(4_242), "127.0.0.1:40000")
    );
    assert_eq!(client.executable.as_deref(), Some("curl"));
    assert_eq!(
        (server.service.as_str(), server.process_evidence.as_str()),
        ("nginx.service:80", "proc")
    );
    assert_eq!(server.executable.as_deref(), Some("/usr/sbin/nginx"));
}

#[tokio::test]
async fn what_is_not_known_stays_out() {
    let mut fixture = Fixture::new();
    let row = Row {
        start_ns: fixture.now_ns,
        status: None,
        outcome: 2,
        connection: 2,
        server: 3,
        ..Row::default()
    };
    fixture.commit(&[
        row,
        Row {
            start_ns: fixture.now_ns,
            connection: 99,
            ..Row::default()
        },
    ]);
    let store = fixture.store();
    let exchange = store.exchange("x_k7q21", &never()).await.unwrap().value;
    assert!(
        exchange.response.is_none() && exchange.wait_ns.is_none() && exchange.server.pid.is_none()
    );
    assert_eq!(exchange.client.address, "[::1]:40001");
    assert_eq!(
        exchange.client.peer_as_seen.as_deref(),
        Some("10.0.0.9:8080")
    );
    assert!(exchange.joined_midstream);
    assert_eq!(
        exchange.outcome_explained,
        "the client reset the connection 4.999 ms after the request was sent, before any response byte"
    );
    let orphan = store.exchange("x_k7q22", &never()).await.unwrap().value;
    assert_eq!(
        (
            orphan.client.service.as_str(),
            orphan.client.address.as_str()
        ),
        ("curl", "unknown")
    );
}

#[tokio::test]
async fn ids_fail_in_four_ways() {
    let mut fixture = Fixture::new();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns - SECOND,
        ..Row::default()
    }]);
    fixture.open_segment();
    fixture.commit(&[Row {
        start_ns: fixture.now_ns,
        ..Row::default()
    }]);
    let store = fixture.store();
    assert!(store.exchange("x_k7q21", &never()).await.is_ok());
    fixture.drop_segment(1);
    let fails = async |id: &str| store.exchange(id, &never()).await.unwrap_err();
    let expired = fails("x_k7q21").await;
    assert!(
        matches!(&expired, QueryError::Expired { id, oldest } if id == "x_k7q21" && oldest.ends_with('Z')),
        "{expired}"
    );
    assert!(store.exchange("x_k7q22", &never()).await.is_ok());
    assert!(matches!(fails("x_k7q23").await, QueryError::Unknown { id } if id == "x_k7q23"));
    assert!(matches!(fails("x_k7q20").await, QueryError::Unknown { .. }));
    assert!(matches!(
        fails("x_k7q2fzzzzzzzzzzzz").await,
        QueryError::Unknown { .. }
    ));
    assert!(
        matches!(fails("x_aaaa1").await, QueryError::Foreign { prefix, .. } if prefix == "x_k7q2")
    );
    for malformed in ["", "7", "c_k7q21", "x_k7q2", "x_k7q2'--"] {
        assert!(
            matches!(
                fails(malformed).await,
                QueryError::Argument { argument: "id", .. }
            ),
            "{malformed}"
        );
    }
    fixture.drop_segment(2);
    assert!(matches!(fails("x_k7q22").await, QueryError::Expired { .. }));
}

#[tokio::test]
async fn a_long_header_comes_in_pages() {
    let mut fixture = Fixture::new();
    let long = "text/html, ".repeat(90);
    let request = [("Accept", long.as_str()), ("accept", "a/b")];
    fixture.commit(&[Row {
        start_ns: fixture.now_ns,
        request: &request,
        ..Row::default()
    }]);
    let store = fixture.store();
    let shown = store
        .exchange("x_k7q21", &never())
        .await
        .unwrap()
        .value
        .request
        .unwrap()
        .headers;
    let (mut cursor, mut values) = (None, [String::new(), String::new()]);
    loop {
        let answer = store
            .header("x_k7q21", "ACCEPT", cursor.as_deref(), 100, &never())
            .await
            .unwrap();
        assert!(
            answer
                .value
                .iter()
                .map(|page| page.value.len())
                .sum::<usize>()
                <= 100
        );
        for page in answer.value {
            assert_eq!(page.of, "request");
            values[usize::from(page.name == "accept")].push_str(&page.value);
        }
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
        let other = store
            .header("x_k7q21", "host", cursor.as_deref(), 100, &never())
            .await;
        assert!(other.unwrap_err().to_string().contains("another question"));
    }
    assert!(values.iter().eq(shown.iter().map(|line| &line.value)));
    let none = store
        .header("x_k7q21", "host", None, 100, &never())
        .await
        .unwrap();
    assert!(
        matches!(none.emptiness, Some(Emptiness::NotSeen { .. })),
        "its head was cut"
    );
    assert!(
        store
            .header("x_k7q21", "a b", None, 100, &never())
            .await
            .is_err()
    );
}
