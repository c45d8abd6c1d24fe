//! Retention, and what happens when there is no room.

use headwater_model::CloseReason;

use super::fixture::{Fixture, SECOND, START};
use crate::{Retained, Writer};

#[test]
fn the_file_stays_within_its_limit() {
    let mut fixture = Fixture::new();
    let mut options = fixture.options();
    options.max_bytes = 4 << 20;
    let mut writer = Writer::open(options.clone(), START).unwrap();
    let (mut written, mut dropped, mut largest) = (0, 0, 0);
    for batch in 0..60 {
        let now_ns = START + batch * SECOND;
        writer
            .apply_all(&fixture.load(batch * 2_000, 2_000))
            .unwrap();
        writer
            .apply(&fixture.connection(1_000 + batch, CloseReason::Fin))
            .unwrap();
        writer.commit(now_ns).unwrap();
        let Retained {
            exchanges,
            used_bytes,
            ..
        } = writer.retain(now_ns).unwrap();
        written += 2_000;
        dropped += exchanges;
        assert!(exchanges <= 8_000, "{exchanges} dropped at once");
        assert!(used_bytes < options.max_bytes, "{used_bytes}");
        largest = largest.max(writer.number("PRAGMA page_count") * 4096);
    }
    assert!(dropped > written / 2, "{dropped} of {written}");
    assert!(largest < 4 << 20, "{largest}");
    let kept = writer.number("SELECT SUM(last_id - first_id + 1) FROM exchange_block");
    assert_eq!(kept, i64::try_from(written - dropped).unwrap());
    let told = writer
        .number("SELECT SUM(count) FROM coverage WHERE kind = 'retention' AND detail = 'size'");
    assert_eq!(told, i64::try_from(dropped).unwrap());
    let missing =
        "SELECT COUNT(*) FROM segment s, connection c WHERE s.closed_ns IS NULL AND c.id = 1";
    assert_eq!(
        writer.number(missing),
        1,
        "the connection that lives on is kept"
    );
    assert!(writer.number("SELECT COUNT(*) FROM connection") < 40);
}

#[test]
fn ids_are_not_given_out_again_when_everything_is_dropped() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 10)).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.roll(START).unwrap());
    let later = START + 8 * 24 * 3_600 * SECOND;
    assert_eq!(writer.retain(later).unwrap().exchanges, 10);
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_block"), 0);
    drop(writer);
    let mut writer = fixture.writer(later);
    writer.apply_all(&fixture.load(1, 1)).unwrap();
    writer.commit(later).unwrap();
    assert_eq!(writer.number("SELECT MIN(id) FROM exchange_rows(2)"), 11);
    assert_eq!(writer.number("SELECT first_exchange_id FROM segment"), 11);
}

#[test]
fn a_full_disk_loses_a_batch_and_says_so() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 100)).unwrap();
    writer.apply(&fixture.event(7_000, "/slow", None)).unwrap();
    writer.commit(START).unwrap();
    writer.leave_room(2);
    for batch in 1..4 {
        let mut events = fixture.load(batch * 1_000, 500);
        events.push(fixture.connection(50 + batch, CloseReason::Open));
        if batch == 2 {
            events.push(fixture.event(7_000, "/slow", Some(200)));
        }
        writer.apply_all(&events).unwrap();
        let committed = writer.commit(START + batch * SECOND).unwrap();
        assert!(committed.lost >= 500, "{committed:?}");
    }
    writer.leave_room(1_000_000);
    let mut late = fixture.exchange(9_000, "/late", Some(200));
    late.connection = headwater_model::ConnectionKey(52);
    writer
        .apply(&headwater_model::Event::Exchange(Box::new(late)))
        .unwrap();
    let committed = writer.commit(START + 5 * SECOND).unwrap();
    assert_eq!((committed.exchanges, committed.lost), (1, 0));
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_rows(1)"), 102);
    assert_eq!(writer.number("SELECT MAX(id) FROM exchange_rows(1)"), 102);
    let told = "SELECT SUM(count) FROM coverage WHERE kind = 'write_failed'";
    assert_eq!(writer.number(told), 1_501);
    assert_eq!(writer.number("SELECT COUNT(*) FROM connection"), 4);
    for sql in [
        "SELECT COUNT(*) FROM exchange_rows(1) WHERE connection_id NOT IN (SELECT id FROM connection)",
        "SELECT COUNT(*) FROM exchange_rows(1) WHERE request_header_block_id NOT IN (SELECT id FROM header_block_1)",
        "SELECT COUNT(*) FROM exchange_rows(1) WHERE route_id NOT IN (SELECT id FROM route)",
        "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ] {
        assert_eq!(writer.number(sql), 0, "{sql}");
    }
    assert_eq!(writer.number("SELECT SUM(count) FROM rollup_1"), 102);
}
