//! Gateways that run as another's program.

use headwater_query::ServicesQuery;
use headwater_redact::{HeaderBlock, Policy, Redactor};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

/// nginx, asked by curl, which asks another itself; who answers with Kong's fields is said.
async fn told(answers_of: &[i64]) -> Option<&'static str> {
    let mut fixture = Fixture::new();
    fixture
        .writer
        .execute_batch("INSERT INTO service VALUES (4, 'unit', 'nginx.service', 0)")
        .unwrap();
    let row = |server, client, connection| Row {
        start_ns: fixture.now_ns - 60 * SECOND,
        server,
        client,
        connection,
        ..Row::default()
    };
    let rows = [row(1, 2, 1), row(3, 4, 2)];
    fixture.commit(&rows);
    let mut block = HeaderBlock::default();
    let fields = [(&b"X-Kong-Upstream-Latency"[..], &b"3"[..])].into_iter();
    Redactor::new(&fixture.key, &Policy::default()).headers(fields, &mut block);
    fixture
        .writer
        .execute(
            "INSERT INTO header_block_1 VALUES (99, ?)",
            [block.template()],
        )
        .unwrap();
    for server in answers_of {
        fixture
            .writer
            .execute(
                "UPDATE exchange_1 SET response_header_block_id = 99, response_header_holes = ? WHERE server_service_id = ?",
                rusqlite::params![block.holes(), server],
            )
            .unwrap();
    }
    let query = ServicesQuery {
        window: hour(),
        limit: 10,
        ..ServicesQuery::default()
    };
    let answer = fixture.store().services(&query, &never()).await.unwrap();
    let nginx = answer
        .value
        .iter()
        .find(|row| row.program.as_deref() == Some("nginx"));
    nginx.unwrap().gateway
}

#[tokio::test]
async fn what_is_built_on_nginx_is_known_by_its_answers() {
    assert_eq!(told(&[]).await, Some("nginx"));
    assert_eq!(told(&[1]).await, Some("kong"));
    // It hands on what the one behind it says.
    assert_eq!(told(&[1, 3]).await, Some("nginx"));
}
