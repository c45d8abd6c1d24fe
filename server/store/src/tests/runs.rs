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
    let mut options = fixture.options();
    options.path = fixture.folder.path().join("other.db");
    let other = Connection::open(&options.path).unwrap();
    other.execute("CREATE TABLE mine (x)", []).unwrap();
    let error = Writer::open(options, START).unwrap_err();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
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

#[test]
fn a_file_is_replayed_once() {
    let fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    assert!(!writer.is_replayed("abc").unwrap());
    writer.mark_replayed("abc", START).unwrap();
    writer.commit(START).unwrap();
    assert!(writer.is_replayed("abc").unwrap());
}
