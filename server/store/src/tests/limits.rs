//! Retention, and what happens when there is no room.

use std::time::Duration;

use headwater_model::{CloseReason, Coverage, CoverageKind, Event};

use super::fixture::{Fixture, SECOND, START};
use crate::{Retained, StopReason, Writer};

const DAY: u64 = 24 * 3_600 * SECOND;

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
fn connections_alone_stay_within_the_limit_of_size() {
    let mut fixture = Fixture::new();
    let mut options = fixture.options();
    options.max_bytes = 4 << 20;
    let mut writer = Writer::open(options.clone(), START).unwrap();
    let mut key = 0;
    for batch in 0..40 {
        let now_ns = START + batch * SECOND;
        for _ in 0..2_000 {
            key += 1;
            writer
                .apply(&fixture.connection(key, CloseReason::Fin))
                .unwrap();
        }
        writer.commit(now_ns).unwrap();
        let used_bytes = writer.retain(now_ns).unwrap().used_bytes;
        assert!(used_bytes < options.max_bytes, "{used_bytes}");
    }
    let kept = writer.number("SELECT COUNT(*) FROM connection");
    assert!((2_000..40_000).contains(&kept), "{kept}");
    let told = "SELECT SUM(count) FROM coverage WHERE kind = 'retention' AND detail = 'size'";
    assert_eq!(writer.number(told), 80_000 - kept);
}

#[test]
fn connections_alone_go_by_age() {
    let mut fixture = Fixture::new();
    let mut options = fixture.options();
    options.max_age = Duration::from_hours(1);
    options.segment_age = Duration::from_mins(10);
    let mut writer = Writer::open(options, START).unwrap();
    for minute in 0..180 {
        let now_ns = START + minute * 60 * SECOND;
        writer
            .apply(&fixture.connection(minute, CloseReason::Fin))
            .unwrap();
        writer.commit(now_ns).unwrap();
        writer.retain(now_ns).unwrap();
    }
    let kept = writer.number("SELECT COUNT(*) FROM connection");
    assert!((60..75).contains(&kept), "{kept}");
}

#[test]
fn old_coverage_goes_though_no_segment_does_and_what_cannot_be_seen_stays_with_its_run() {
    let mut fixture = Fixture::new();
    let coverage = |kind, at_ns| {
        Event::Coverage(Coverage {
            kind,
            from_ns: at_ns,
            until_ns: at_ns,
            count: 1,
            detail: None,
        })
    };
    let told = |writer: &Writer, kind: &str| {
        writer.number(&format!(
            "SELECT COUNT(*) FROM coverage WHERE kind = '{kind}'"
        ))
    };
    let mut writer = fixture.writer(START);
    writer
        .apply_all(&[
            coverage(CoverageKind::Unsupported, START),
            coverage(CoverageKind::RingLost, START),
        ])
        .unwrap();
    writer.commit(START).unwrap();
    let later = START + 8 * DAY;
    // The run goes on.
    writer.commit(later).unwrap();
    assert_eq!(writer.retain(later).unwrap().segments, 0);
    assert_eq!(told(&writer, "ring_lost"), 0);
    assert_eq!(told(&writer, "unsupported"), 1);
    // A connection of it is still there, though the run ended long ago.
    writer
        .apply(&fixture.connection(1, CloseReason::Fin))
        .unwrap();
    writer.close(later, StopReason::Signal).unwrap();
    let last = later + 8 * DAY;
    let mut writer = fixture.writer(last);
    writer
        .apply(&fixture.connection(1, CloseReason::Fin))
        .unwrap();
    writer.commit(last).unwrap();
    writer.retain(last + 60 * SECOND).unwrap();
    assert_eq!(told(&writer, "unsupported"), 1);
    // Once nothing is left of it, this goes, too. The segment was old enough to be closed by the commit.
    let end = last + 8 * DAY;
    writer.commit(end).unwrap();
    assert_eq!(writer.retain(end).unwrap().segments, 1);
    assert_eq!(told(&writer, "unsupported"), 0);
    assert_eq!(writer.number("SELECT COUNT(*) FROM recorder_run"), 1);
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
    writer.apply(&Event::Exchange(Box::new(late))).unwrap();
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
