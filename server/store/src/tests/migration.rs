//! Stores of other versions: an older one is brought up to date with all that is in it, a newer one is left alone.
//!
//! Those that come next are made up here.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::fixture::{Fixture, SECOND, START};
use crate::{OpenError, StopReason, Writer, migrate};

/// A program with one migration more.
fn later(sql: &'static str) -> Migrator {
    let mut migrations: Vec<_> = migrate::known().iter().cloned().collect();
    let version = migrations.iter().map(|one| one.version).max().unwrap() + 1;
    migrations.push(Migration::new(
        version,
        "later".into(),
        MigrationType::Simple,
        sql.into_sql_str(),
        false,
    ));
    Migrator::with_migrations(migrations)
}

/// Nothing that this program's own statements would trip over: the program that a migration comes with has its own.
const ADDS: &str = "CREATE TABLE later (id INTEGER PRIMARY KEY) STRICT; \
                    INSERT INTO later SELECT id FROM connection; \
                    CREATE INDEX later_start ON connection (start_ns);";

/// How many migrations this program has.
fn known() -> i64 {
    i64::try_from(migrate::known().iter().count()).unwrap()
}

fn migrations(writer: &Writer) -> i64 {
    writer.number("SELECT COUNT(*) FROM _sqlx_migrations")
}

/// What tells whether everything is still there.
fn numbers(writer: &Writer) -> Vec<i64> {
    [
        "SELECT COUNT(*) FROM exchange_rows(1)",
        "SELECT SUM(id) FROM exchange_rows(1)",
        "SELECT SUM(response_start_delta_ns) FROM exchange_rows(1)",
        "SELECT COUNT(*) FROM connection",
        "SELECT COUNT(*) FROM header_block_1",
        "SELECT SUM(count) FROM rollup_1",
        "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'next_exchange_id'",
    ]
    .map(|sql| writer.number(sql))
    .to_vec()
}

#[test]
fn an_older_store_is_brought_up_to_date_with_all_that_is_in_it() {
    for stopped in [true, false] {
        let mut fixture = Fixture::new();
        let mut writer = fixture.writer(START);
        writer.apply_all(&fixture.load(1, 500)).unwrap();
        writer.commit(START).unwrap();
        let (tag, before) = (writer.tag().to_owned(), numbers(&writer));
        if stopped {
            writer.close(START + SECOND, StopReason::Signal).unwrap();
        } else {
            // As by a kill: the log is still to be moved.
            drop(writer);
        }
        let later = later(ADDS);
        let options = fixture.options();
        let open = |at_ns| Writer::open_with(options.clone(), at_ns, &later).unwrap();
        let mut writer = open(START + 2 * SECOND);
        assert_eq!((writer.tag(), numbers(&writer)), (&*tag, before));
        assert_eq!(writer.number("SELECT COUNT(*) FROM later"), 1);
        writer.apply_all(&fixture.load(900, 1)).unwrap();
        writer.commit(START + 3 * SECOND).unwrap();
        assert_eq!(writer.number("SELECT MAX(id) FROM exchange_rows(1)"), 501);
        drop(writer);
        // Once is enough.
        let writer = open(START + 4 * SECOND);
        assert_eq!(migrations(&writer), known() + 1);
        assert_eq!(writer.number("SELECT COUNT(*) FROM later"), 1);
        assert_eq!(
            writer.number(
                "SELECT COUNT(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"
            ),
            0
        );
    }
}

#[test]
fn an_older_recorder_leaves_a_newer_store_alone_and_says_what_to_restart() {
    let fixture = Fixture::new();
    let writer = Writer::open_with(fixture.options(), START, &later(ADDS)).unwrap();
    writer.close(START, StopReason::Signal).unwrap();
    let bytes = std::fs::read(fixture.options().path).unwrap();
    let error = Writer::open(fixture.options(), START + SECOND).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found, known: newest, .. } if (found, newest) == (known() + 1, known())),
        "{error}"
    );
    for words in [
        "newer Headwater",
        "restart the recorder (headwater record, or headwater up)",
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert_eq!(std::fs::read(fixture.options().path).unwrap(), bytes);
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    writer.apply_all(&fixture.load(1, 50)).unwrap();
    writer.commit(START).unwrap();
    let before = numbers(&writer);
    writer.close(START, StopReason::Signal).unwrap();
    let broken = later("CREATE TABLE half (x) STRICT; INSERT INTO nowhere VALUES (1);");
    let error = Writer::open_with(fixture.options(), START + SECOND, &broken).unwrap_err();
    assert!(matches!(error, OpenError::Migration { .. }), "{error}");
    let writer = fixture.writer(START + 2 * SECOND);
    assert_eq!(numbers(&writer), before);
    let half = "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('half', 'later')";
    assert_eq!(writer.number(half), 0);
    assert_eq!(migrations(&writer), known());
}

/// Up to version 1 the runs of a segment stood in a table of its own, which nobody reads any more.
#[test]
fn what_an_older_recorder_indexed_is_not_mixed_up_with_new_runs() {
    let mut fixture = Fixture::new();
    let mut writer = fixture.writer(START);
    let order =
        |fixture: &mut Fixture, key| fixture.event(key, &format!("/orders/{key}"), Some(200));
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    writer.apply(&order(&mut fixture, 100_001)).unwrap();
    writer.commit(START).unwrap();
    writer.close(START, StopReason::Signal).unwrap();
    let before_it = rusqlite::Connection::open(fixture.options().path).unwrap();
    before_it
        .execute_batch(
            "CREATE TABLE identifier_run_1 (run INTEGER PRIMARY KEY, first_id, last_id, level); \
             INSERT INTO identifier_run_1 SELECT run, first_id, last_id, level FROM identifier_run; \
             DROP TABLE identifier_run; DELETE FROM _sqlx_migrations WHERE version = 2",
        )
        .unwrap();
    let rows = "SELECT COUNT(*) FROM identifier_1";
    let before: i64 = before_it.query_row(rows, [], |row| row.get(0)).unwrap();
    assert!(before > 0);
    drop(before_it);
    let mut writer = fixture.writer(START + SECOND);
    writer.apply_all(&fixture.load(0, 0)).unwrap();
    writer.apply(&order(&mut fixture, 100_002)).unwrap();
    writer.commit(START + SECOND).unwrap();
    writer.close(START + SECOND, StopReason::Signal).unwrap();
    let writer = fixture.writer(START + 2 * SECOND);
    assert!(writer.number(rows) > before);
    assert_eq!(writer.number("SELECT COUNT(*) FROM identifier_run"), 1);
}
