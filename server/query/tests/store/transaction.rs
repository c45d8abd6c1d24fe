//! What a value names, by the index of identifiers and without it.

use headwater_pack::identifiers::{Entry, group_place, place, write_part};
use headwater_query::{Hop, TransactionQuery};
use headwater_redact::{Policy, Redactor};
use tokio_util::sync::CancellationToken;

use crate::fixture::{Fixture, Row, SECOND};

const VALUE: &str = "order-of-77777777";

/// Exchanges one after the other that all carry the value.
fn carrying(count: i64) -> Fixture {
    let mut fixture = Fixture::new();
    let rows: Vec<Row<'_>> = (0..count)
        .map(|number| Row {
            start_ns: fixture.now_ns - 600 * SECOND + number * SECOND,
            request: &[("x-order", VALUE)],
            ..Row::default()
        })
        .collect();
    fixture.commit(&rows);
    fixture
}

/// A run of the index, of these exchanges: as it is written, or (level 1) as one that was made of many.
fn index(fixture: &Fixture, ids: std::ops::RangeInclusive<i64>, level: i64) {
    let redactor = Redactor::new(&fixture.key, &Policy::default());
    let hash = redactor.identifiers_of(VALUE.as_bytes())[0];
    let entries: Vec<Entry> = ids.clone().map(|id| Entry::new(hash, id)).collect();
    let mut data = Vec::new();
    write_part(&entries, &mut data);
    let run = ids.start();
    let sql = "INSERT INTO identifier_run VALUES (1, ?, ?, ?, ?)";
    fixture
        .writer
        .execute(sql, [run, ids.start(), ids.end(), &level])
        .unwrap();
    let place = match level {
        0 => place(*run, entries[0].part() << 4),
        1 => place(*run, entries[0].fine_part()),
        _ => group_place(*run, entries[0].prefix),
    };
    let sql = "INSERT INTO identifier_1 VALUES (?, ?)";
    fixture
        .writer
        .execute(sql, rusqlite::params![place, data])
        .unwrap();
}

async fn hops(fixture: &Fixture) -> (Vec<Hop>, Vec<String>) {
    let query = TransactionQuery {
        id: VALUE.to_owned(),
        limit: 200,
    };
    let cancel = CancellationToken::new();
    let answer = fixture.store().transaction(&query, &cancel).await.unwrap();
    let kinds = answer.coverage.into_iter().map(|item| item.kind).collect();
    (answer.value, kinds)
}

#[tokio::test]
async fn few_are_found_with_the_index_and_without_it() {
    let fixture = carrying(9);
    for indexed in [None, Some(1..=4), Some(5..=9)] {
        if let Some(ids) = indexed {
            let level = i64::from(*ids.start() > 1);
            index(&fixture, ids, level);
        }
        let (hops, kinds) = hops(&fixture).await;
        assert_eq!(hops.len(), 9);
        assert!(hops.iter().all(|hop| hop.is_named && hop.link.is_none()));
        assert!(!kinds.contains(&"value_is_common".to_owned()), "{kinds:?}");
    }
}

/// Of a group of segments, whose run has no span, also while it is made; what it has of segments that are gone is not told.
#[tokio::test]
async fn a_group_is_asked() {
    let fixture = carrying(9);
    fixture
        .writer
        .execute("INSERT INTO identifier_run VALUES (1, 1, 1, 9, 2)", [])
        .unwrap();
    assert_eq!(hops(&fixture).await.0.len(), 0);
    index(&fixture, -8..=5, 17);
    assert_eq!(hops(&fixture).await.0.len(), 5);
    index(&fixture, 8..=12, 33);
    assert_eq!(hops(&fixture).await.0.len(), 7);
}

/// What shares an identifier is looked for near what was named, whether or not a run of several segments has it.
#[tokio::test]
async fn of_a_group_only_what_is_near_is_taken() {
    let mut fixture = Fixture::new();
    let value = "a-customer-of-many-orders-4711";
    for segment in 1..=6_i64 {
        let rows: Vec<Row> = (0..15)
            .map(|number| Row {
                start_ns: fixture.now_ns - 600 * SECOND + (segment * 60 + number) * SECOND,
                request: &[("x-customer-id", "a-customer-of-many-orders-4711")],
                ..Row::default()
            })
            .collect();
        fixture.commit(&rows);
        if segment < 6 {
            fixture.open_segment();
        }
    }
    let query = TransactionQuery {
        id: "x_k7q21d".to_owned(),
        limit: 200,
    };
    let cancel = CancellationToken::new();
    let told = |answer: &headwater_query::Answer<Vec<Hop>>| -> Vec<String> {
        answer.value.iter().map(|hop| hop.id.clone()).collect()
    };
    // Looked through one by one, as no run has any.
    let without = fixture.store().transaction(&query, &cancel).await.unwrap();
    let hash = Redactor::new(&fixture.key, &Policy::default()).identifiers_of(value.as_bytes())[0];
    let entries: Vec<Entry> = (1..=90).map(|id| Entry::new(hash, id)).collect();
    let mut data = Vec::new();
    write_part(&entries, &mut data);
    for segment in 1..=6 {
        let (first, last) = (segment * 15 - 14, segment * 15);
        fixture
            .writer
            .execute(
                "INSERT INTO identifier_run VALUES (?, 1, ?, ?, 2)",
                [segment, first, last],
            )
            .unwrap();
    }
    fixture
        .writer
        .execute("INSERT INTO identifier_run VALUES (6, 8, 0, -1, 22)", [])
        .unwrap();
    fixture
        .writer
        .execute(
            "INSERT INTO identifier_6 VALUES (?, ?)",
            rusqlite::params![group_place(8, entries[0].prefix), data],
        )
        .unwrap();
    let with = fixture.store().transaction(&query, &cancel).await.unwrap();
    assert_eq!(told(&with), told(&without));
}

#[tokio::test]
async fn of_many_the_newest_are_shown() {
    let fixture = carrying(300);
    let newest_ns = u64::try_from(fixture.now_ns - 600 * SECOND + 268 * SECOND).unwrap();
    for indexed in [None, Some(1..=299)] {
        if let Some(ids) = indexed {
            index(&fixture, ids, 1);
        }
        let (hops, kinds) = hops(&fixture).await;
        assert_eq!(hops.len(), 32);
        assert!(
            hops.iter().all(|hop| hop.start_ns >= newest_ns),
            "{hops:#?}"
        );
        assert!(kinds.contains(&"value_is_common".to_owned()), "{kinds:?}");
    }
}
