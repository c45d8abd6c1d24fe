//! Runs of several segments become one.

use headwater_pack::identifiers::{Entry, GROUP_BITS, part_of, read_part};

use super::fixture::{Fixture, START};
use super::identifiers::{commit, expected};
use crate::Writer;
use crate::identifiers::GROUP;

/// All entries that a reader would ask for, and how many runs it would ask.
fn askable(writer: &Writer) -> (Vec<Entry>, usize) {
    let mut entries = Vec::new();
    let mut runs = writer
        .connection
        .prepare("SELECT segment_id, run, level FROM identifier_run WHERE level <> 2")
        .unwrap();
    let runs: Vec<(i64, i64, i64)> = runs
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for (segment, run, level) in &runs {
        let (end, shift) = if *level >= GROUP {
            (run + 8, GROUP_BITS)
        } else {
            (run + 1, 0)
        };
        let sql = format!(
            "SELECT place, data FROM identifier_{segment} WHERE place >> 12 >= ? AND place >> 12 < ?"
        );
        let mut rows = writer.connection.prepare(&sql).unwrap();
        let mut rows = rows.query([*run, end]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let place: i64 = row.get(0).unwrap();
            let data: Vec<u8> = row.get(1).unwrap();
            read_part(part_of(place >> shift), &data, |entry| {
                entries.push(entry);
                true
            })
            .unwrap();
        }
    }
    entries.sort_unstable();
    (entries, runs.len())
}

/// Segments with so many exchanges each, their runs not merged yet.
fn segments(fixture: &mut Fixture, writer: &mut Writer, sizes: &[u64]) -> Vec<Entry> {
    let (mut all, mut id) = (Vec::new(), 0_u64);
    for size in sizes {
        for _ in 0..*size {
            id += 1;
            let event = fixture.event(id, &format!("/orders/{}", 100_000 + id), Some(200));
            all.extend(expected(&event, i64::try_from(id).unwrap()));
            writer.apply(&event).unwrap();
            if id.is_multiple_of(1_024) {
                writer.commit(START + id).unwrap();
            }
        }
        // A segment without anything is not closed.
        writer
            .apply(&fixture.event(1_000_000 + id, "/plain", Some(200)))
            .unwrap();
        id += 1;
        writer.commit(START + id).unwrap();
        assert!(writer.roll(START + id).unwrap());
    }
    all.sort_unstable();
    all
}

#[test]
fn nothing_is_missing_while_a_group_is_made() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    let all = segments(
        &mut fixture,
        &mut writer,
        &[10, 9_000, 0, 4_097, 5, 8_192, 7, 20, 30],
    );
    assert_eq!(askable(&writer).0, all);
    let made = |writer: &Writer| {
        writer.number("SELECT COUNT(*) FROM identifier_run WHERE level BETWEEN 16 AND 31")
    };
    let mut commits = 0;
    while made(&writer) == 0 {
        commit(&mut writer, &mut fixture);
        commits += 1;
        assert_eq!(askable(&writer).0, all);
        assert!(commits < 400, "nothing is done");
        if commits == 130 {
            // Killed.
            drop(writer);
            writer = fixture.writer(START + 1_000_000);
        }
    }
    // Of what it was made of nothing is left, and nothing more is done.
    let mut sizes = Vec::new();
    for _ in 0..20 {
        commit(&mut writer, &mut fixture);
        assert_eq!(askable(&writer).0, all);
        let rows = (1..=7)
            .map(|segment| writer.number(&format!("SELECT COUNT(*) FROM identifier_{segment}")));
        sizes.push(rows.sum::<i64>());
    }
    assert_eq!(sizes.last(), Some(&0));
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM identifier_run WHERE level = 24"),
        1
    );
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM identifier_run WHERE level > 24"),
        0
    );
    assert!(askable(&writer).1 <= 3);
    // Every exchange is in a span still.
    let sql = "SELECT SUM(last_id - first_id + 1) FROM identifier_run WHERE level < 16 AND last_id >= first_id";
    assert_eq!(writer.number(sql), i64::try_from(all.len() + 9).unwrap());
}
