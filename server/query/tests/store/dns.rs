//! DNS exchanges, plain and packed: where a row lies makes no difference to any answer.

use headwater_pack::{DNS_EXCHANGES, Packer};
use headwater_query::{DnsQuery, Emptiness, TimeArgument, WindowArgument};
use rusqlite::{params, params_from_iter, types::Value};

use crate::fixture::{Fixture, SECOND};
use crate::never;

/// Rows in each of the segments; the clock was set back before the last.
const ROWS: [i64; 3] = [300, 150, 200];
const PACKED: u64 = 20;

/// All of them plain.
fn filled() -> Fixture {
    let mut fixture = Fixture::new();
    let mut next_id = 1;
    for (number, rows) in (1..).zip(ROWS) {
        if number > 1 {
            fixture.open_segment();
        }
        for _ in 0..rows {
            insert(&fixture, number, next_id);
            next_id += 1;
        }
    }
    fixture
        .writer
        .execute_batch(
            "UPDATE segment SET clock_epoch = 1 WHERE id = 3; \
             UPDATE connection SET network_protocol_name = 'dns' WHERE id = 1",
        )
        .unwrap();
    let sql = "INSERT INTO meta VALUES ('next_dns_exchange_id', ?)";
    fixture.writer.execute(sql, [next_id.to_string()]).unwrap();
    fixture
}

/// Starts out of the order of ids, with ties; some failures, some slow answers.
fn insert(fixture: &Fixture, segment: i64, id: i64) {
    let slow = if id % 41 == 0 { 300 } else { 0 };
    let start_ns = fixture.now_ns - (2_000 - id * 2 + id * 7 % 11 + slow) * SECOND;
    let rcode = [0, 0, 0, 3, 0, 2][usize::try_from(id % 6).unwrap()];
    let values: Vec<Value> = vec![
        id.into(),
        start_ns.into(),
        (id * 1_000).into(),
        (id * 1_000).into(),
        2.into(),
        1.into(),
        format!("10.0.0.{}", id % 3).into(),
        40_000.into(),
        1.into(),
        9.into(),
        2.into(),
        "turn_start".to_owned().into(),
        "127.0.0.1".to_owned().into(),
        53.into(),
        1.into(),
        9.into(),
        Value::Null,
        "none".to_owned().into(),
        0.into(),
        if id % 50 < 2 { 1.into() } else { Value::Null },
        (id % 9).into(),
        format!("host-{}.example", id % 13).into(),
        if id % 2 == 0 { 1 } else { 28 }.into(),
        1.into(),
        0.into(),
        0.into(),
        rcode.into(),
        0.into(),
        "10.1.2.3,fd00::1".to_owned().into(),
        2.into(),
        Value::Null,
        0.into(),
        60.into(),
        30.into(),
        80.into(),
        if rcode == 0 {
            Value::Null
        } else {
            (3000 + rcode).into()
        },
        Value::Null,
    ];
    let marks = vec!["?"; values.len()].join(", ");
    let sql = format!("INSERT INTO dns_exchange_{segment} VALUES ({marks})");
    fixture
        .writer
        .execute(&sql, params_from_iter(values))
        .unwrap();
}

/// Moves what is no failure into packs.
fn pack(fixture: &Fixture) {
    for segment in 1..=3 {
        let mut packer = Packer::new(&DNS_EXCHANGES);
        let sql =
            format!("SELECT * FROM dns_exchange_{segment} WHERE error_kind IS NULL ORDER BY id");
        let mut statement = fixture.writer.prepare(&sql).unwrap();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..DNS_EXCHANGES.columns.len() {
                packer.put(row.get_ref(column).unwrap());
            }
            packer.end_row();
            if packer.size().0 == PACKED {
                store(fixture, segment, &mut packer);
            }
        }
        drop(rows);
        store(fixture, segment, &mut packer);
        let sql = format!("DELETE FROM dns_exchange_{segment} WHERE error_kind IS NULL");
        fixture.writer.execute(&sql, []).unwrap();
    }
}

fn store(fixture: &Fixture, segment: i64, packer: &mut Packer) {
    let Some(pack) = packer.pack() else {
        return;
    };
    let sql = format!("INSERT INTO dns_exchange_pack_{segment} VALUES (?, ?, ?, ?, ?, ?)");
    fixture
        .writer
        .execute(
            &sql,
            params![
                pack.ids.1,
                pack.ids.0,
                pack.span_ns.0,
                pack.span_ns.1,
                pack.rows.cast_signed(),
                pack.data
            ],
        )
        .unwrap();
    packer.clear();
}

/// From and to so many seconds before the fixture was made.
fn window(fixture: &Fixture, since: i64, until: i64) -> WindowArgument {
    let at = |seconds: i64| {
        let at_ns = fixture.now_ns - seconds * SECOND;
        let at = jiff::Timestamp::from_nanosecond(at_ns.into()).unwrap();
        Some(TimeArgument(at.to_string()))
    };
    WindowArgument {
        since: at(since),
        until: at(until),
    }
}

/// Everything that is told of the DNS in a store.
async fn told(fixture: &Fixture) -> Vec<String> {
    let store = fixture.store();
    let some = |text: &str| Some(text.to_owned());
    let mut told = Vec::new();
    for query in [
        DnsQuery::default(),
        DnsQuery {
            name: some("host-7"),
            ..DnsQuery::default()
        },
        DnsQuery {
            kind: some("AAAA"),
            rcode: some("NOERROR"),
            ..DnsQuery::default()
        },
        DnsQuery {
            outcome: some("failed"),
            ..DnsQuery::default()
        },
        DnsQuery {
            service: some("nobody"),
            ..DnsQuery::default()
        },
    ] {
        for (since, until) in [(3_600, 0), (1_500, 1_200), (1_001, 1_000), (3_600, 2_100)] {
            for limit in [7, 200] {
                let mut query = DnsQuery {
                    window: window(fixture, since, until),
                    limit,
                    ..query.clone()
                };
                for _ in 0..12 {
                    let answer = store.dns(&query, &never()).await.unwrap();
                    told.extend(answer.value.iter().map(|row| format!("{row:?}")));
                    told.push(match answer.emptiness {
                        Some(
                            Emptiness::NothingMatchedOrNotSeen { in_window, .. }
                            | Emptiness::NothingMatched { in_window },
                        ) => in_window.to_string(),
                        other => format!("{other:?}"),
                    });
                    query.cursor = answer.next_cursor;
                    if query.cursor.is_none() {
                        break;
                    }
                }
            }
        }
    }
    for id in ["1", "3", "5n", "hz"] {
        let found = store.dns_exchange(&format!("d_k7q2{id}"), &never()).await;
        told.push(format!("{:?}", found.map(|answer| answer.value)));
    }
    let connection = store.connection("c_k7q21", 20, &never()).await.unwrap();
    told.push(format!("{:?}", connection.value));
    assert!(
        told.iter()
            .any(|line| line.contains("DNS exchange: NOERROR"))
    );
    let status = store.status(&never()).await.unwrap().value;
    told.push(format!(
        "{} {:?} {:?}",
        status.dns_exchanges, status.oldest_ns, status.newest_ns
    ));
    told
}

#[tokio::test]
async fn packed_or_not_the_answers_are_the_same() {
    let fixture = filled();
    let plain = told(&fixture).await;
    assert!(plain.len() > 500, "{}", plain.len());
    pack(&fixture);
    let packed = told(&fixture).await;
    for (packed, plain) in packed.iter().zip(&plain) {
        assert_eq!(packed, plain);
    }
    assert_eq!(packed.len(), plain.len());
}
