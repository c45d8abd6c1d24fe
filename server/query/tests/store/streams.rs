//! What passed after the heads: WebSocket and event streams, as they are stored and as they are told.

use headwater_query::{EventStreamDetail, SearchQuery};

use crate::fixture::{Fixture, Row, SECOND};
use crate::never;

fn fixture() -> Fixture {
    let mut fixture = Fixture::new();
    let start_ns = fixture.now_ns - 9 * SECOND;
    let row = |path, outcome| Row {
        start_ns,
        path,
        status: Some(101),
        outcome,
        ..Row::default()
    };
    let rows = [row("/ended", 0), row("/open", 1), row("/events", 0)];
    fixture.commit(&rows);
    for (path, column, text) in [
        // Compressed, both exact, the server closed, clean.
        (
            "/ended",
            "websocket",
            "87,1011,1000000,9000000,3,1,1,2,4,1,0,1,99,0,5,,0,0,0,0,1,1,7,2",
        ),
        ("/open", "websocket", "6"),
        ("/events", "event_stream", "0,4,2,7000000"),
    ] {
        let sql = format!("UPDATE exchange_1 SET {column} = ? WHERE url_path = ?");
        fixture.writer.execute(&sql, [text, path]).unwrap();
    }
    fixture
}

#[tokio::test]
async fn a_websocket_in_full() {
    let fixture = fixture();
    let exchange = fixture.store().exchange("x_k7q21", &never()).await.unwrap();
    let websocket = exchange.value.websocket.unwrap();
    assert!(websocket.compression);
    assert_eq!(
        (websocket.ending, websocket.closed_by),
        ("clean", Some("server"))
    );
    assert_eq!(websocket.close_code.as_deref(), Some("1011 internal_error"));
    assert_eq!(
        (websocket.first_message_ns, websocket.last_message_ns),
        (Some(1_000_000), Some(9_000_000))
    );
    let [client, server] = [websocket.client, websocket.server];
    assert_eq!((client.text, client.payload_bytes), (3, 99));
    assert!(client.is_exact && server.is_exact);
    assert_eq!((server.text, server.binary, server.pong), (5, 0, 1));
    assert_eq!((server.close, server.malformed), (1, 2));
    assert!(
        exchange
            .value
            .outcome_explained
            .starts_with("the server closed the WebSocket with 1011 internal_error, and the other side answered, "),
        "{}",
        exchange.value.outcome_explained
    );
    let open = fixture.store().exchange("x_k7q22", &never()).await.unwrap();
    let told = open.value.websocket.unwrap();
    assert_eq!((told.ending, told.close_code), ("open", None));
    assert!(
        open.value
            .outcome_explained
            .starts_with("the WebSocket was open for "),
        "{}",
        open.value.outcome_explained
    );
}

#[tokio::test]
async fn an_event_stream_in_full() {
    let fixture = fixture();
    let exchange = fixture.store().exchange("x_k7q23", &never()).await.unwrap();
    assert_eq!(
        exchange.value.event_stream,
        Some(EventStreamDetail {
            events: Some(4),
            comments: 2,
            is_exact: false,
            first_event_ns: Some(7_000_000),
            last_event_ns: None,
        })
    );
    assert!(exchange.value.websocket.is_none());
}

#[tokio::test]
async fn the_search_by_protocol() {
    let fixture = fixture();
    for (protocol, expected) in [
        ("websocket", vec!["/open", "/ended"]),
        ("sse", vec!["/events"]),
        ("grpc", vec![]),
        ("http2", vec![]),
        ("http1", vec!["/events", "/open", "/ended"]),
    ] {
        let query = SearchQuery {
            protocol: Some(protocol.to_owned()),
            limit: 10,
            ..SearchQuery::default()
        };
        let found = fixture.store().search(&query, &never()).await.unwrap();
        let paths: Vec<_> = found
            .value
            .iter()
            .filter_map(|row| row.path.as_deref())
            .collect();
        assert_eq!(paths, expected, "{protocol}");
    }
}
