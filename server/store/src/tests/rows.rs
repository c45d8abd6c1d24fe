//! What becomes of events: rows, roll-ups, names.

use headwater_model::{CloseReason, Coverage, CoverageKind, Event, Outcome};

use super::fixture::{Fixture, SECOND, START};
use crate::Writer;
use crate::names::MOST_SERVICES;
use crate::routes::MOST_ROUTES_OF_SERVICE;

#[test]
fn an_exchange_is_one_row_from_open_to_end() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 1)).unwrap();
    writer.apply(&fixture.event(9, "/slow", None)).unwrap();
    writer.commit(START).unwrap();
    assert_eq!(
        writer.number("SELECT outcome FROM exchange_rows(1) WHERE id = 2"),
        1
    );
    assert_eq!(
        writer.number("SELECT count FROM rollup_1 WHERE kind = 8"),
        1
    );
    let mut ended = fixture.exchange(9, "/slow", Some(502));
    ended.outcome = Outcome::ServerReset;
    writer.apply(&Event::Exchange(Box::new(ended))).unwrap();
    writer.commit(START + 1).unwrap();
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_rows(1)"), 2);
    assert_eq!(
        writer.number("SELECT outcome FROM exchange_rows(1) WHERE id = 2"),
        3
    );
    assert_eq!(
        writer.number("SELECT error_kind FROM exchange_rows(1) WHERE id = 2"),
        502
    );
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM rollup_1 WHERE kind = 8"),
        0
    );
    assert_eq!(
        writer.number("SELECT count FROM rollup_1 WHERE kind = 502"),
        1
    );
    assert_eq!(
        writer.number("SELECT SUM(last_id - first_id + 1) FROM exchange_block"),
        2
    );
}

#[test]
fn an_open_exchange_ends_in_the_segment_that_holds_it() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 1)).unwrap();
    writer.apply(&fixture.event(9, "/slow", None)).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.roll(START).unwrap());
    writer.apply(&fixture.event(9, "/slow", Some(200))).unwrap();
    writer
        .apply(&fixture.event(10, "/next", Some(200)))
        .unwrap();
    writer.commit(START + 1).unwrap();
    assert_eq!(
        writer.number("SELECT outcome FROM exchange_rows(1) WHERE id = 2"),
        0
    );
    assert_eq!(writer.number("SELECT MIN(id) FROM exchange_rows(2)"), 3);
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM rollup_1 WHERE kind = 8"),
        0
    );
    let block = "SELECT COUNT(*) FROM exchange_rows(1) WHERE response_header_block_id NOT IN (SELECT id FROM header_block_1)";
    assert_eq!(writer.number(block), 0);
}

/// What ends when its segment is closed changes the sum of the segment with the slot.
#[test]
fn the_sum_of_a_closed_segment_is_that_of_its_slots() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 3_000)).unwrap();
    writer.apply(&fixture.event(10_000, "/slow", None)).unwrap();
    writer.apply(&fixture.event(10_001, "/lost", None)).unwrap();
    writer.commit(START).unwrap();
    let sums = "SELECT COUNT(*) FROM rollup_1 WHERE slot_ns < 0";
    assert_eq!(writer.number(sums), 0);
    assert!(writer.roll(START).unwrap());
    let part = "server_service_id, client_service_id, route_id, method, kind";
    let assert_equal = |writer: &Writer, open: i64| {
        let slots = format!(
            "SELECT {part}, SUM(count), MIN(first_ns), MAX(last_ns), latency_sum(latency_buckets) FROM rollup_1 WHERE slot_ns >= 0 GROUP BY {part}"
        );
        let sums = format!(
            "SELECT {part}, count, first_ns, last_ns, latency_buckets FROM rollup_1 WHERE slot_ns = -1"
        );
        for (one, other) in [(&slots, &sums), (&sums, &slots)] {
            let differing = format!("SELECT COUNT(*) FROM ({one} EXCEPT {other})");
            assert_eq!(writer.number(&differing), 0);
        }
        let counted =
            "SELECT COALESCE(SUM(count), 0) FROM rollup_1 WHERE slot_ns = -1 AND kind = 8";
        assert_eq!(writer.number(counted), open);
        assert_eq!(
            writer.number("SELECT SUM(count) FROM rollup_1 WHERE slot_ns = -1"),
            3_002
        );
    };
    assert_equal(&writer, 2);
    // Those of the newest ten seconds.
    let newest = "SELECT COUNT(*) FROM rollup_1 s WHERE slot_ns = -1 AND NOT EXISTS (SELECT 1 FROM rollup_1 o WHERE o.slot_ns >= 0 \
        AND o.first_exchange_id = s.first_exchange_id AND o.last_exchange_id = s.last_exchange_id)";
    assert_eq!(writer.number(newest), 0);
    writer
        .apply(&fixture.event(10_000, "/slow", Some(502)))
        .unwrap();
    writer.commit(START + 1).unwrap();
    assert_equal(&writer, 1);
    // What nobody will end any more.
    drop(writer);
    let writer = fixture.writer(START + 2);
    assert_equal(&writer, 0);
}

#[test]
fn roll_ups_are_what_a_group_by_gives() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    for batch in 0..7 {
        writer
            .apply_all(&fixture.load(batch * 3_000, 3_000))
            .unwrap();
        writer
            .apply(&fixture.event(1_000_000 + batch, "/open", None))
            .unwrap();
        writer.commit(START + batch).unwrap();
    }
    let grouped = "SELECT start_ns / 10000000000 * 10000000000, server_service_id, client_service_id, \
        COALESCE(route_id, 0), http_request_method, CASE outcome WHEN 1 THEN 8 ELSE COALESCE(error_kind, 0) END, \
        COUNT(*), MIN(start_ns), MAX(start_ns), MIN(id), MAX(id) FROM exchange_rows(1) GROUP BY 1, 2, 3, 4, 5, 6";
    let rolled = "SELECT slot_ns, server_service_id, client_service_id, route_id, method, kind, count, first_ns, \
        last_ns, first_exchange_id, last_exchange_id FROM rollup_1";
    for (one, other) in [(grouped, rolled), (rolled, grouped)] {
        assert_eq!(
            writer.number(&format!("SELECT COUNT(*) FROM ({one} EXCEPT {other})")),
            0
        );
    }
    assert_eq!(writer.number("SELECT SUM(count) FROM rollup_1"), 21_007);
    let mut statement = writer
        .connection
        .prepare("SELECT latency_buckets, count FROM rollup_1 WHERE kind <> 8")
        .unwrap();
    let rows = statement
        .query_map([], |row| {
            Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?))
        })
        .unwrap();
    for (buckets, count) in rows.map(Result::unwrap) {
        let sum: u64 = headwater_schema::latency::decode(&buckets)
            .map(|(_, count)| count)
            .sum();
        assert_eq!(i64::try_from(sum).unwrap(), count);
    }
}

#[test]
fn a_refused_connection_counts_once() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    for reason in [
        CloseReason::Open,
        CloseReason::Refused,
        CloseReason::Refused,
    ] {
        writer.apply(&fixture.connection(5, reason)).unwrap();
    }
    writer.commit(START).unwrap();
    assert_eq!(
        writer.number("SELECT count FROM rollup_1 WHERE kind = 3 AND method = ''"),
        1
    );
    assert_eq!(writer.number("SELECT COUNT(*) FROM connection"), 1);
    // A time-out after an exchange is told by the exchange.
    writer.apply_all(&fixture.load(1, 1)).unwrap();
    writer
        .apply(&fixture.connection(1, CloseReason::TimedOut))
        .unwrap();
    writer.commit(START + 1).unwrap();
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM rollup_1 WHERE method = ''"),
        1
    );
}

#[test]
fn names_beyond_the_caps_are_other_and_counted() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 0)).unwrap();
    for key in 0..u64::try_from(MOST_ROUTES_OF_SERVICE).unwrap() + 30 {
        let letters: String = key
            .to_string()
            .bytes()
            .map(|digit| char::from(digit + 50))
            .collect();
        writer
            .apply(&fixture.event(key, &format!("/shop.Orders/{letters}"), Some(200)))
            .unwrap();
    }
    for key in 0..u64::try_from(MOST_SERVICES).unwrap() + 20 {
        let Event::Connection(mut connection) = fixture.connection(10 + key, CloseReason::Fin)
        else {
            unreachable!();
        };
        connection.server.service = fixture.service(&format!("host {key}"), Some(80));
        writer.apply(&Event::Connection(connection)).unwrap();
    }
    writer.commit(START + 1).unwrap();
    let other = "SELECT SUM(count) FROM rollup_1 JOIN route ON route.id = route_id WHERE template = '(other)'";
    assert_eq!(writer.number(other), 30);
    let services = writer.number("SELECT COUNT(*) FROM service");
    assert_eq!(services, i64::try_from(MOST_SERVICES).unwrap() + 1);
    assert_eq!(
        writer.number("SELECT count FROM coverage WHERE kind = 'name_overflow'"),
        52
    );
}

#[test]
fn names_beyond_the_cap_are_told_of_each_interval() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let mut connect = |key: u64, name: &str| {
        let Event::Connection(mut connection) = fixture.connection(key, CloseReason::Fin) else {
            unreachable!();
        };
        connection.server.service = fixture.service(name, Some(80));
        Event::Connection(connection)
    };
    let most = u64::try_from(MOST_SERVICES).unwrap();
    for key in 1..=most {
        let event = connect(key, &format!("host {key}"));
        writer.apply(&event).unwrap();
    }
    for second in 1..=40 {
        for of_second in 1..=3 {
            let event = connect(most + second * 3 + of_second, "one too many");
            writer.apply(&event).unwrap();
        }
        writer.commit(START + second * SECOND).unwrap();
    }
    let told = |since: u64| {
        writer.number(&format!(
            "SELECT COALESCE(SUM(count), 0) FROM coverage WHERE kind = 'name_overflow' AND detail IS NULL \
             AND until_ns >= {}",
            START + since * SECOND
        ))
    };
    assert!((4..=7).contains(&told(0)), "{}", told(0));
    assert!((1..=3).contains(&told(20)), "{}", told(20));
}

#[test]
fn an_exchange_of_an_unknown_connection_is_counted() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply(&fixture.event(1, "/", Some(200))).unwrap();
    writer.commit(START + 1).unwrap();
    assert_eq!(
        writer.number("SELECT count FROM coverage WHERE kind = 'connection_evicted'"),
        1
    );
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_rows(1)"), 0);
}

#[test]
fn coverage_that_goes_on_is_few_rows() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    for second in 0..100 {
        writer
            .apply(&Event::Coverage(Coverage {
                kind: CoverageKind::RingLost,
                from_ns: START + second * SECOND,
                until_ns: START + (second + 1) * SECOND,
                count: 2,
                detail: None,
            }))
            .unwrap();
        writer.commit(START + second).unwrap();
    }
    assert_eq!(writer.number("SELECT COUNT(*) FROM coverage"), 10);
    assert_eq!(writer.number("SELECT SUM(count) FROM coverage"), 200);
}

#[test]
fn keys_that_begin_anew_stand_for_other_rows() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    for round in 1..=3 {
        writer.apply_all(&fixture.load(1, 2)).unwrap();
        writer.apply(&fixture.event(9, "/open", None)).unwrap();
        writer.commit(START + round * SECOND).unwrap();
        writer.forget_keys();
    }
    assert_eq!(writer.number("SELECT COUNT(*) FROM connection"), 3);
    let pairs = "SELECT COUNT(DISTINCT connection_id) * 100 + COUNT(*) FROM exchange_rows(1)";
    assert_eq!(writer.number(pairs), 309);
}
