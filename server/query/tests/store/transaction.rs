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

/// Segments of which a group has the newest: in the last a request of nginx, which one that began in another segment caused; both
/// carry the value, as does so much else in each.
struct Grouped {
    segments: i64,
    of: i64,
    cause_in: i64,
    others_in_each: i64,
}

impl Grouped {
    /// With a run of the group that has these entries. Gives what a trace of the request shows.
    async fn traced(&self, ids: &[i64]) -> Vec<String> {
        let mut fixture = Fixture::new();
        fixture
            .writer
            .execute_batch("INSERT INTO service VALUES (4, 'unit', 'nginx.service', 0)")
            .unwrap();
        let request = &[("x-customer-id", VALUE)];
        for segment in 1..=self.segments {
            let start_ns = fixture.now_ns - 600 * SECOND + segment * 20 * SECOND;
            let mut rows = vec![if segment == self.segments {
                Row {
                    start_ns,
                    request,
                    client: 4,
                    server: 3,
                    connection: 2,
                    ..Row::default()
                }
            } else if segment == self.cause_in {
                Row {
                    start_ns,
                    request,
                    latency_ns: ((self.segments - segment) * 20 + 10) * SECOND,
                    ..Row::default()
                }
            } else {
                Row {
                    start_ns,
                    ..Row::default()
                }
            }];
            rows.extend((0..self.others_in_each).map(|_| Row {
                start_ns: start_ns + SECOND,
                request,
                ..Row::default()
            }));
            let first = fixture.commit(&rows);
            let last = first + self.others_in_each;
            fixture
                .writer
                .execute(
                    "INSERT INTO identifier_run VALUES (?, 1, ?, ?, 2)",
                    [segment, first, last],
                )
                .unwrap();
            if segment < self.segments {
                fixture.open_segment();
            }
        }
        let hash =
            Redactor::new(&fixture.key, &Policy::default()).identifiers_of(VALUE.as_bytes())[0];
        let entries: Vec<Entry> = ids.iter().map(|id| Entry::new(hash, *id)).collect();
        let mut data = Vec::new();
        write_part(&entries, &mut data);
        let of_last = self.segments;
        fixture
            .writer
            .execute(
                "INSERT INTO identifier_run VALUES (?, 8, 0, -1, 16 + ?)",
                [of_last, self.of],
            )
            .unwrap();
        fixture
            .writer
            .execute(
                &format!("INSERT INTO identifier_{of_last} VALUES (?, ?)"),
                rusqlite::params![group_place(8, entries[0].prefix), data],
            )
            .unwrap();
        let id = (self.segments - 1) * (self.others_in_each + 1) + 1;
        let query = TransactionQuery {
            id: headwater_query::ExchangeId(id.unsigned_abs()).printed("k7q2"),
            limit: 200,
        };
        let cancel = CancellationToken::new();
        let answer = fixture.store().transaction(&query, &cancel).await.unwrap();
        answer.value.into_iter().map(|hop| hop.id).collect()
    }
}

/// What is told of an exchange when it ends stands in a run of a later segment, and goes from there into a group that its own may not
/// be of; or into the same, twice.
#[tokio::test]
async fn what_came_late_is_found_in_a_group() {
    for (cause_in, ids, expected) in [
        // Near.
        (6, &[6, 7][..], &["x_k7q26", "x_k7q27"][..]),
        // Of an older segment than the group's, and of one that is gone.
        (1, &[0, 1, 7], &["x_k7q21", "x_k7q27"]),
        (3, &[3, 3, 7], &["x_k7q23", "x_k7q27"]),
        // Neither near nor late.
        (3, &[3, 7], &["x_k7q27"]),
    ] {
        let grouped = Grouped {
            segments: 7,
            of: 6,
            cause_in,
            others_in_each: 0,
        };
        assert_eq!(grouped.traced(ids).await, expected, "{cause_in} {ids:?}");
    }
}

/// Whether a value is common is asked of what is near, whether or not a run of several segments has it.
#[tokio::test]
async fn what_is_far_makes_no_value_common() {
    let grouped = Grouped {
        segments: 6,
        of: 6,
        cause_in: 5,
        others_in_each: 14,
    };
    let all: Vec<i64> = (1..=90).collect();
    assert_eq!(grouped.traced(&all).await, ["x_k7q21x", "x_k7q22c"]);
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
