//! SELECTs of the caller's own: what they see, and what they cannot do.

use headwater_query::{
    QueryError, SqlQuery, SqlRows, SqlValue, Store, TimeArgument, VIEWS, WindowArgument, rfc3339,
};

use crate::fixture::{Fixture, Row, SECOND};
use crate::{hour, never};

fn at(ns: i64) -> TimeArgument {
    TimeArgument(rfc3339(ns.unsigned_abs()))
}

fn filled() -> Fixture {
    let mut fixture = Fixture::new();
    for batch in 0..3 {
        let rows: Vec<Row<'_>> = (0..40)
            .map(|number| Row {
                start_ns: fixture.now_ns - 600 * SECOND + (batch * 40 + number) * SECOND,
                status: Some(if number % 10 == 9 { 503 } else { 200 }),
                latency_ns: (number + 1) * 1_000_000,
                ..Row::default()
            })
            .collect();
        fixture.commit(&rows);
        fixture.open_segment();
    }
    fixture
}

async fn ask(store: &Store, sql: &str) -> Result<SqlRows, QueryError> {
    let query = SqlQuery {
        sql: sql.to_owned(),
        window: hour(),
        limit: 50,
    };
    store.sql(&query, &never()).await.map(|answer| answer.value)
}

#[tokio::test]
async fn views_have_what_the_store_has() {
    let fixture = filled();
    let store = fixture.store();
    let grouped = "WITH failed AS (SELECT server, status FROM exchanges WHERE error IS NOT NULL) \
        SELECT server, status, COUNT(*) AS n FROM failed GROUP BY 1, 2 ORDER BY n DESC;";
    let answer = ask(&store, grouped).await.unwrap();
    assert_eq!(answer.columns, ["server", "status", "n"]);
    let text = |text: &str| SqlValue::Text(text.to_owned());
    assert_eq!(
        answer.rows,
        [vec![
            text("nginx.service:80"),
            SqlValue::Integer(503),
            SqlValue::Integer(12)
        ]]
    );
    let slowest = "SELECT id, latency_ms, outcome, error FROM exchanges ORDER BY latency_ms DESC, start_ns DESC LIMIT 1";
    let answer = ask(&store, slowest).await.unwrap();
    let [id, latency, outcome, error] = &answer.rows[0][..] else {
        panic!("{answer:#?}");
    };
    assert_eq!(
        (latency, outcome, error),
        (
            &SqlValue::Real(40.0),
            &text("complete"),
            &text("status 503")
        )
    );
    let SqlValue::Text(id) = id else {
        panic!("{id:?}");
    };
    assert!(store.exchange(id, &never()).await.is_ok());
    // Every view and every column can be read, also of a window without anything.
    for window in [
        hour(),
        WindowArgument {
            since: Some(at(SECOND)),
            until: Some(at(2 * SECOND)),
        },
    ] {
        for view in VIEWS {
            let query = SqlQuery {
                sql: format!("SELECT * FROM {}", view.name),
                window: window.clone(),
                limit: 9,
            };
            let answer = store.sql(&query, &never()).await.unwrap();
            assert_eq!(answer.value.columns, view.columns);
        }
    }
    // The rest is said to be there.
    let query = SqlQuery {
        sql: "SELECT id FROM exchanges".to_owned(),
        window: hour(),
        limit: 10,
    };
    let answer = store.sql(&query, &never()).await.unwrap();
    assert_eq!(answer.value.rows.len(), 10);
    assert!(answer.coverage.iter().any(|item| item.kind == "rows_cut"));
}

#[tokio::test]
async fn nothing_else_can_be_done() {
    let fixture = filled();
    let store = fixture.store();
    let before = std::fs::read(&fixture.path).unwrap();
    for sql in [
        "SELECT * FROM meta",
        "SELECT * FROM exchange_1",
        "SELECT * FROM exchange_rows(1)",
        "SELECT * FROM main.service",
        "SELECT sql FROM sqlite_schema",
        "SELECT sql FROM temp.sqlite_temp_schema",
        "SELECT * FROM pragma_database_list",
        "SELECT exchange_id(1)",
        "SELECT load_extension('x')",
        "SELECT randomblob(1000000000)",
        "SELECT zeroblob(1000000000)",
        "SELECT writefile('/tmp/headwater', 'x')",
        "SELECT readfile('/etc/passwd')",
        "PRAGMA query_only = OFF",
        "PRAGMA database_list",
        "ATTACH '/tmp/other.db' AS other",
        "CREATE TEMP TABLE t (a)",
        "INSERT INTO service VALUES (9, 'a', 'b', 1)",
        "UPDATE meta SET value = 'x'",
        "DELETE FROM exchange_1",
        "DROP VIEW exchanges",
        "VACUUM INTO '/tmp/headwater-copy'",
        "BEGIN",
        "EXPLAIN SELECT 1",
        "ANALYZE",
        "REINDEX",
        "SELECT 1; SELECT 2",
        "SELECT ?",
        "",
        "-- nothing",
        "SELEC",
    ] {
        let error = ask(&store, sql).await.unwrap_err();
        assert!(
            matches!(
                error,
                QueryError::Argument {
                    argument: "sql",
                    ..
                }
            ),
            "{sql}: {error:?}"
        );
        assert!(error.to_string().contains("SELECT"), "{sql}: {error}");
    }
    assert_eq!(std::fs::read(&fixture.path).unwrap(), before);
    for sql in [
        // What a captured text may be made to look like is not said back.
        "SELECT json_extract('{}', path) FROM exchanges",
        "SELECT replace(printf('%.9999999c', 'x'), 'x', printf('%.9999999c', 'y'))",
    ] {
        let error = ask(&store, sql).await.unwrap_err().to_string();
        assert!(
            error.starts_with("sql: ") && !error.contains("items"),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn an_endless_one_is_stopped() {
    let fixture = filled();
    let store = fixture
        .store()
        .with_time_limit(std::time::Duration::from_millis(300));
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
    let error = ask(&store, endless).await.unwrap_err();
    assert!(error.to_string().contains("takes too long"), "{error}");
    let cancel = tokio_util::sync::CancellationToken::new();
    let query = SqlQuery {
        sql: endless.to_owned(),
        window: hour(),
        limit: 1,
    };
    let store = fixture.store();
    let asked = store.sql(&query, &cancel);
    let (answer, ()) = tokio::join!(asked, async { cancel.cancel() });
    assert!(matches!(answer, Err(QueryError::Cancelled)));
}
