//! The index of identifiers.

use headwater_model::{CloseReason, Event, Outcome};
use headwater_pack::identifiers::{Entry, part_of, read_part};

use super::fixture::{Fixture, START};
use crate::{StopReason, Writer};

/// All entries of the first segment, and the spans of its runs with their levels.
fn index(writer: &Writer) -> (Vec<Entry>, Vec<(i64, i64, i64)>) {
    let mut entries = Vec::new();
    let mut rows = writer
        .connection
        .prepare("SELECT place, data FROM identifier_1")
        .unwrap();
    let rows = rows
        .query_map([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
        })
        .unwrap();
    for row in rows {
        let (place, data) = row.unwrap();
        read_part(part_of(place), &data, |entry| {
            entries.push(entry);
            true
        })
        .unwrap();
    }
    entries.sort_unstable();
    let mut runs = writer
        .connection
        .prepare(
            "SELECT first_id, last_id, level FROM identifier_run WHERE segment_id = 1 ORDER BY run",
        )
        .unwrap();
    let runs = runs
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap();
    (entries, runs.map(Result::unwrap).collect())
}

/// The entries of an exchange that its own row would be found by.
pub(super) fn expected(event: &Event, id: i64) -> Vec<Entry> {
    let Event::Exchange(exchange) = event else {
        return Vec::new();
    };
    let request = exchange.request.as_ref().unwrap();
    let hashes = request.target.identifiers();
    hashes.iter().map(|hash| Entry::new(*hash, id)).collect()
}

#[test]
fn runs_hold_all_that_was_committed_and_are_merged() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    let mut all = Vec::new();
    for batch in 0..67_u64 {
        for at in 0..1_024 {
            let key = 100_000 + batch * 1_024 + at;
            let event = fixture.event(key, &format!("/orders/{key}"), Some(200));
            let id = i64::try_from(batch * 1_024 + at + 1).unwrap();
            all.extend(expected(&event, id));
            writer.apply(&event).unwrap();
        }
        writer.commit(START + batch).unwrap();
    }
    all.sort_unstable();
    assert_eq!(all.len(), 67 * 1_024);
    let (found, runs) = index(&writer);
    // The three batches behind sixteen runs are in none yet.
    let expected: Vec<_> = (0..16)
        .map(|run| (run * 4_096 + 1, (run + 1) * 4_096, 0))
        .collect();
    assert_eq!(runs, expected);
    let is_written = |entry: &&Entry| entry.id <= 65_536;
    let written: Vec<Entry> = all.iter().filter(is_written).copied().collect();
    assert_eq!(found, written);
    assert!(writer.roll(START + 100).unwrap());
    assert_eq!(index(&writer).0, all);
    // Nothing is missing while they are merged, in the middle of which the recorder is killed.
    for _ in 0..20 {
        commit(&mut writer, &mut fixture);
        let runs = index(&writer).1;
        assert_eq!(index(&writer).0, all);
        assert_eq!(runs.iter().filter(|run| run.2 == 0).count(), 17);
    }
    drop(writer);
    let mut writer = fixture.writer(START + 200);
    for _ in 0..11 {
        commit(&mut writer, &mut fixture);
        let last = index(&writer).1.last().copied();
        assert!(matches!(last, Some((_, -1, 3))), "{last:?}");
    }
    commit(&mut writer, &mut fixture);
    assert_eq!(index(&writer), (all.clone(), vec![(1, 67 * 1_024, 1)]));
    // And nothing more is done.
    commit(&mut writer, &mut fixture);
    commit(&mut writer, &mut fixture);
    assert_eq!(index(&writer), (all, vec![(1, 67 * 1_024, 1)]));
}

/// A batch with something in it.
pub(super) fn commit(writer: &mut Writer, fixture: &mut Fixture) {
    writer
        .apply(&fixture.connection(2, CloseReason::Open))
        .unwrap();
    writer.commit(START + 200).unwrap();
}

#[test]
fn a_batch_that_is_rolled_back_leaves_nothing() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    let first = fixture.event(7_001, "/orders/7001", Some(200));
    writer.apply(&first).unwrap();
    writer.commit(START).unwrap();
    writer
        .apply(&fixture.event(7_002, "/orders/7002", Some(200)))
        .unwrap();
    writer.state.restore(&writer.connection).unwrap();
    writer.connection.execute_batch("ROLLBACK").unwrap();
    writer.batch = crate::batch::Batch::default();
    let third = fixture.event(7_003, "/orders/7003", Some(200));
    writer.apply(&third).unwrap();
    writer.commit(START + 1).unwrap();
    writer.roll(START + 2).unwrap();
    let mut all = [expected(&first, 1), expected(&third, 2)].concat();
    all.sort_unstable();
    assert_eq!(index(&writer), (all, vec![(1, 2, 0)]));
}

#[test]
fn an_end_that_comes_late_is_found_within_a_second() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    writer
        .apply(&fixture.event(7_001, "/orders/7001", None))
        .unwrap();
    writer.commit(START).unwrap();
    // A run of it, as it was.
    let state = &mut writer.state;
    writer.connection.execute_batch("BEGIN").unwrap();
    state.end_identifiers(&writer.connection).unwrap();
    writer.connection.execute_batch("COMMIT").unwrap();
    state.identifiers.confirm();
    let mut ended = fixture.exchange(7_001, "/orders/7001", Some(200));
    ended.outcome = Outcome::Complete;
    let ended = Event::Exchange(Box::new(ended));
    writer.apply(&ended).unwrap();
    writer.commit(START + 2_000_000_000).unwrap();
    writer
        .apply(&fixture.connection(2, CloseReason::Open))
        .unwrap();
    writer.commit(START + 4_000_000_000).unwrap();
    let (found, runs) = index(&writer);
    assert_eq!(found, [expected(&ended, 1), expected(&ended, 1)].concat());
    assert_eq!(runs, [(1, 1, 0), (0, -1, 0)]);
}

#[test]
fn a_clean_stop_leaves_nothing_to_be_looked_through() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    writer
        .apply(&fixture.event(7_001, "/orders/7001", Some(200)))
        .unwrap();
    writer.close(START + 1, StopReason::Signal).unwrap();
    let writer = fixture.writer(START + 2);
    assert_eq!(index(&writer).1, [(1, 1, 0)]);
}

/// What is in no run when a recorder is killed stays between the spans, merged or not.
#[test]
fn a_kill_leaves_a_gap_that_no_merge_hides() {
    let mut fixture = Fixture::new();
    let mut id = 0_u64;
    let mut fill = |writer: &mut Writer, fixture: &mut Fixture, batches: u64| {
        writer.apply_all(&fixture.load(0, 0)).unwrap();
        for batch in 0..batches {
            for _ in 0..1_024 {
                id += 1;
                let event = fixture.event(id, &format!("/orders/{}", 100_000 + id), Some(200));
                writer.apply(&event).unwrap();
            }
            writer.commit(START + batch).unwrap();
        }
    };
    let mut writer = fixture.writer(START);
    fill(&mut writer, &mut fixture, 6);
    drop(writer);
    let mut writer = fixture.writer(START + 100);
    fill(&mut writer, &mut fixture, 64);
    writer.roll(START + 200).unwrap();
    for _ in 0..40 {
        commit(&mut writer, &mut fixture);
    }
    let runs = index(&writer).1;
    assert_eq!(runs, [(1, 4_096, 1), (6 * 1_024 + 1, 70 * 1_024, 2)]);
}

/// A segment whose closing is rolled back goes on, and is not merged.
#[test]
fn what_is_being_written_is_not_merged() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    for key in 1..=8_192 {
        let event = fixture.event(key, &format!("/orders/{}", 100_000 + key), Some(200));
        writer.apply(&event).unwrap();
        if key % 1_024 == 0 {
            writer.commit(START + key).unwrap();
        }
    }
    writer.state.merges.add(1);
    commit(&mut writer, &mut fixture);
    commit(&mut writer, &mut fixture);
    assert_eq!(index(&writer).1, [(1, 4_096, 0), (4_097, 8_192, 0)]);
}

/// A batch with more than may be held writes runs before its end; rolled back, what was there before it is there again.
#[test]
fn a_batch_with_too_much_writes_early_and_can_be_rolled_back() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    let first = fixture.event(7_001, "/orders/7001", Some(200));
    writer.apply(&first).unwrap();
    writer.commit(START).unwrap();
    let path = |key: u64| {
        let segments: Vec<String> = (0..8).map(|at| format!("{key}{at}")).collect();
        format!("/{}", segments.join("/"))
    };
    for key in 10_000..20_000 {
        let event = fixture.event(key, &path(key), Some(200));
        writer.apply(&event).unwrap();
    }
    assert!(writer.number("SELECT COUNT(*) FROM identifier_run") > 0);
    writer.state.restore(&writer.connection).unwrap();
    writer.connection.execute_batch("ROLLBACK").unwrap();
    writer.batch = crate::batch::Batch::default();
    assert!(writer.roll(START + 1).unwrap());
    assert_eq!(index(&writer), (expected(&first, 1), vec![(1, 1, 0)]));
}

#[test]
fn what_is_beyond_the_cap_of_one_exchange_is_counted() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    let mut exchange = fixture.exchange(7_001, "/orders/7001", Some(200));
    let fields: Vec<String> = (0..70)
        .map(|number| format!("a value of its own {number}"))
        .collect();
    let fields = fields.iter().map(|value| (&b"x-own"[..], value.as_bytes()));
    exchange.request.as_mut().unwrap().message.headers = fixture.headers(fields);
    writer.apply(&Event::Exchange(Box::new(exchange))).unwrap();
    writer.commit(START).unwrap();
    let sql = "SELECT count FROM coverage WHERE kind = 'identifiers_capped'";
    // 70 of the header and one of the path.
    assert_eq!(writer.number(sql), 7);
    writer.roll(START + 1).unwrap();
    assert_eq!(index(&writer).0.len(), 64);
}
