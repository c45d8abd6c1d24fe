//! Opening, closing, dying.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use rusqlite::{Connection, OpenFlags};

use super::fixture::{Fixture, SECOND, START};
use crate::{OpenError, StopReason, Writer};

#[test]
fn ids_and_tag_survive_a_restart() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let tag = writer.tag().to_owned();
    assert_eq!(tag.len(), 4);
    writer.apply_all(&fixture.load(1, 10)).unwrap();
    writer.close(START + SECOND, StopReason::Signal).unwrap();
    let mut writer = fixture.writer(START + 2 * SECOND);
    assert_eq!(writer.tag(), tag);
    writer.apply_all(&fixture.load(1, 10)).unwrap();
    writer.commit(START + 3 * SECOND).unwrap();
    assert_eq!(writer.number("SELECT MAX(id) FROM exchange_rows(1)"), 20);
    assert_eq!(writer.number("SELECT MAX(id) FROM connection"), 2);
    assert_eq!(writer.number("SELECT COUNT(*) FROM header_block_1"), 1);
    assert_eq!(writer.number("SELECT COUNT(*) FROM service"), 2);
    assert_eq!(
        writer.number("SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_exchange_id'"),
        21
    );
    let stopped = "SELECT COUNT(*) FROM recorder_run WHERE stop_reason = 'signal' AND stopped_ns = heartbeat_ns";
    assert_eq!(writer.number(stopped), 1);
}

#[test]
fn files_are_for_owner_and_group() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    let group = std::fs::metadata(fixture.folder.path()).unwrap().gid();
    options.group = Some(group);
    let path = options.path.clone();
    let writer = Writer::open(options, START).unwrap();
    let check = |expected: &[&str]| {
        let folder = std::fs::metadata(path.parent().unwrap()).unwrap();
        assert_eq!(
            (folder.permissions().mode() & 0o7777, folder.gid()),
            (0o750, group)
        );
        for suffix in expected {
            let file = std::fs::metadata(crate::files::beside(&path, suffix)).unwrap();
            assert_eq!(
                (file.permissions().mode() & 0o7777, file.gid()),
                (0o640, group),
                "{suffix}"
            );
        }
    };
    check(&["", "-wal", "-shm", "-lock"]);
    writer.close(START, StopReason::Signal).unwrap();
    check(&["", "-wal", "-shm", "-lock"]);
    let log = std::fs::metadata(crate::files::beside(&path, "-wal")).unwrap();
    assert_eq!(log.len(), 0);
}

#[test]
fn a_second_writer_is_refused_and_names_the_first() {
    let fixture = Fixture::new();
    let _writer = fixture.writer(START);
    let error = Writer::open(fixture.options(), START).unwrap_err();
    assert!(
        matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()),
        "{error}"
    );
}

#[test]
fn a_newer_store_another_key_and_a_foreign_file_are_refused() {
    let fixture = Fixture::new();
    fixture
        .writer(START)
        .close(START, StopReason::Signal)
        .unwrap();
    let mut options = fixture.options();
    options.key_fingerprint = [8; 8];
    let error = Writer::open(options, START).unwrap_err();
    assert!(matches!(error, OpenError::OtherKey { .. }), "{error}");
    let path = fixture.options().path;
    let add = "INSERT INTO _sqlx_migrations VALUES (9999, 'later', 0, 1, x'00', 0)";
    Connection::open(&path).unwrap().execute(add, []).unwrap();
    let error = Writer::open(fixture.options(), START).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 9999, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("restart the recorder"),
        "{error}"
    );
}

#[test]
fn what_is_no_store_is_refused_and_left_as_it_is() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("is it % a store?");
    std::fs::create_dir(&folder).unwrap();
    let [database, text, inner] = ["other.db", "text", "inner"].map(|name| folder.join(name));
    let other = Connection::open(&database).unwrap();
    other.execute("CREATE TABLE mine (x)", []).unwrap();
    drop(other);
    std::fs::write(&text, "words ".repeat(100)).unwrap();
    std::fs::create_dir(&inner).unwrap();
    let there = || -> Vec<_> {
        let files = std::fs::read_dir(&folder).unwrap().map(|entry| {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().mode();
            (std::fs::read(&path).ok(), mode, path)
        });
        let mut files: Vec<_> = files.collect();
        files.sort();
        files
    };
    let before = there();
    for path in [database, text, inner] {
        let mut options = fixture.options();
        options.path.clone_from(&path);
        let error = Writer::open(options, START).unwrap_err();
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
        let error = crate::prepare_folder(&path, None).unwrap_err();
        assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    }
    assert_eq!(there(), before);
}

#[test]
fn a_killed_writer_loses_no_committed_batch() {
    let mut fixture = Fixture::new();
    let mut options = fixture.options();
    options.path = fixture.folder.path().join("first").join("headwater.db");
    let mut writer = Writer::open(options, START).unwrap();
    writer.apply_all(&fixture.load(1, 1_000)).unwrap();
    writer.commit(START + SECOND).unwrap();
    writer.apply_all(&fixture.load(2_000, 20_000)).unwrap();
    // What a SIGKILL leaves is the files as they are now, with a batch under way.
    let copied = Command::new("cp")
        .arg("-r")
        .args(["first", "store"])
        .current_dir(fixture.folder.path())
        .status()
        .unwrap();
    assert!(copied.success());
    let path = fixture.options().path;
    // Readers see the committed batch before any recorder comes back.
    let reader = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |reader: &Connection| -> i64 {
        headwater_pack::register(reader).unwrap();
        reader
            .query_row("SELECT COUNT(*) FROM exchange_rows(1)", [], |row| {
                row.get(0)
            })
            .unwrap()
    };
    assert_eq!(count(&reader), 1_000);
    let writer = fixture.writer(START + 9 * SECOND);
    assert_eq!(count(&writer.connection), 1_000);
    let killed =
        "SELECT stopped_ns - 1700000000000000000 FROM recorder_run WHERE stop_reason = 'killed'";
    assert_eq!(writer.number(killed), 1_000_000_000);
    let told =
        "SELECT (until_ns - from_ns) / 1000000000 FROM coverage WHERE kind = 'recorder_killed'";
    assert_eq!(writer.number(told), 8);
    assert_eq!(
        writer.number("SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
        0
    );
}

#[test]
fn what_was_open_when_a_recorder_was_killed_has_lost_its_end() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 4)).unwrap();
    writer.apply(&fixture.event(5, "/slow", None)).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.roll(START).unwrap());
    writer.apply_all(&fixture.load(10, 4)).unwrap();
    for key in [20, 21] {
        writer.apply(&fixture.event(key, "/slow", None)).unwrap();
    }
    let mut refused = fixture.exchange(22, "/slow", Some(500));
    refused.outcome = headwater_model::Outcome::Open;
    writer
        .apply(&headwater_model::Event::Exchange(Box::new(refused)))
        .unwrap();
    writer.commit(START).unwrap();
    let number = |writer: &Writer, what: &str, segment: i64| {
        writer.number(&format!("SELECT {what}_{segment} WHERE slot_ns >= 0"))
    };
    let open = "COUNT(*) FROM exchange_rows(1) WHERE outcome = 1";
    assert_eq!(writer.number(&format!("SELECT {open}")), 1);
    assert_eq!(number(&writer, "SUM(count) FROM rollup", 2), 7);
    drop(writer);
    let writer = fixture.writer(START + 9 * SECOND);
    for (segment, total, truncated, well) in [(1, 5, 1, 3), (2, 7, 3, 4)] {
        assert_eq!(number(&writer, "SUM(count) FROM rollup", segment), total);
        let count = |what: &str| writer.number(&format!("SELECT {what}"));
        let rows = format!("COUNT(*) FROM exchange_{segment} WHERE outcome");
        assert_eq!(count(&format!("{rows} = 1")), 0, "open");
        assert_eq!(count(&format!("{rows} = 6")), truncated);
        let sum =
            format!("COALESCE(SUM(count), 0) FROM rollup_{segment} WHERE slot_ns >= 0 AND kind");
        assert_eq!(count(&format!("{sum} = 8")), 0, "open");
        assert_eq!(count(&format!("{sum} = 0")), well);
    }
}

#[test]
fn a_quiet_commit_is_a_heartbeat() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.commit(START + SECOND / 10).unwrap();
    assert_eq!(
        writer.number("SELECT heartbeat_ns - started_ns FROM recorder_run"),
        0
    );
    writer.commit(START + 2 * SECOND).unwrap();
    assert_eq!(
        writer.number("SELECT heartbeat_ns - started_ns FROM recorder_run"),
        2_000_000_000
    );
}

/// A recorder knows of what happened a moment after it did.
#[test]
fn a_commit_reaches_as_far_as_is_said() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let reached = |writer: &Writer| {
        writer.number("SELECT heartbeat_ns - 1700000000000000000 FROM recorder_run")
    };
    let at = |tenths: u64| START + tenths * SECOND / 10;
    writer.apply_all(&fixture.load(1, 10)).unwrap();
    writer.commit_until(at(10), at(7)).unwrap();
    assert_eq!(reached(&writer), 700_000_000);
    // Nothing has come since, and it is said soon that this was all of that time.
    writer.commit_until(at(13), at(10)).unwrap();
    assert_eq!(reached(&writer), 1_000_000_000);
    writer.commit_until(at(16), at(13)).unwrap();
    writer.commit_until(at(19), at(16)).unwrap();
    assert_eq!(reached(&writer), 1_300_000_000, "no news, and it was said");
    // Behind: not further, and another commit all the same.
    writer.apply_all(&fixture.load(2, 10)).unwrap();
    writer.commit_until(at(21), at(13)).unwrap();
    assert_eq!(reached(&writer), 1_300_000_001);
    writer.close(at(30), StopReason::Signal).unwrap();
    let last = "SELECT COUNT(*) FROM recorder_run WHERE stopped_ns = heartbeat_ns AND heartbeat_ns = 1700000003000000000";
    let writer = fixture.writer(at(40));
    assert_eq!(writer.number(last), 1, "all is told at the end");
}

#[test]
fn a_file_is_replayed_once() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    assert!(!writer.is_replayed("abc").unwrap());
    writer.mark_replayed("abc", START).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.is_replayed("abc").unwrap());
}

#[test]
fn what_follows_a_clock_set_back_is_kept_apart() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 10)).unwrap();
    writer
        .apply(&fixture.event(11, "/before", Some(200)))
        .unwrap();
    writer.clock_set_back(START - 3_600 * SECOND).unwrap();
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_rows(1)"), 11);
    assert_eq!(
        writer.number("SELECT clock_epoch FROM segment WHERE closed_ns IS NULL"),
        1
    );
    let ended = "SELECT COUNT(*) FROM recorder_run WHERE id = 1 AND stop_reason = 'clock_set_back' AND \
                 stopped_ns = heartbeat_ns AND heartbeat_ns = 1700000000000000000";
    assert_eq!(writer.number(ended), 1);
    // The connection goes on, in the next segment and run.
    writer
        .apply(&fixture.event(12, "/after", Some(200)))
        .unwrap();
    writer.commit(START - 3_599 * SECOND).unwrap();
    assert_eq!(writer.number("SELECT COUNT(*) FROM exchange_rows(2)"), 1);
    // A quiet recorder still shows that it is alive.
    writer.commit(START - 3_590 * SECOND).unwrap();
    let alive =
        "SELECT (1700000000000000000 - heartbeat_ns) / 1000000000 FROM recorder_run WHERE id = 2";
    assert_eq!(writer.number(alive), 3_590);
    writer
        .close(START - 3_580 * SECOND, StopReason::Signal)
        .unwrap();
}

#[test]
fn a_recorder_that_starts_before_the_last_sign_of_life_begins_an_epoch() {
    let fixture = Fixture::new();
    let epoch = "SELECT clock_epoch FROM segment WHERE closed_ns IS NULL";
    for (now_ns, expected) in [
        (START, 0),
        (START - 60 * SECOND, 1),
        (START - 50 * SECOND, 1),
        (START + 50 * SECOND, 1),
        (START + 49 * SECOND, 2),
    ] {
        let writer = fixture.writer(now_ns);
        assert_eq!(writer.number(epoch), expected);
        writer.close(now_ns, StopReason::Signal).unwrap();
    }
    let writer = fixture.writer(START + 60 * SECOND);
    let steps =
        "SELECT group_concat(count, ' ') = '60000 1000' FROM coverage WHERE kind = 'clock_step'";
    assert_eq!(writer.number(steps), 1);
}

#[test]
fn an_open_exchange_keeps_the_start_that_it_was_stored_with() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 1)).unwrap();
    writer.apply(&fixture.event(2, "/slow", None)).unwrap();
    writer.commit(START + SECOND).unwrap();
    // The clock is set an hour ahead before it ends.
    let mut ended = fixture.event(2, "/slow", Some(200));
    ended.move_later(3_600 * SECOND);
    writer.apply(&ended).unwrap();
    writer.commit(START + 3_601 * SECOND).unwrap();
    let row = "SELECT start_ns = 1700000000002000000 AND response_start_delta_ns = 50000 FROM exchange_rows(1) WHERE id = 2";
    assert_eq!(writer.number(row), 1);
    let span = "SELECT MAX(max_start_ns) - 1700000000000000000 FROM exchange_block";
    assert_eq!(writer.number(span), 2_000_000);
}
