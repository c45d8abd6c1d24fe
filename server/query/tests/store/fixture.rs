//! A store made with plain SQL from the schema's own files, for the reader to be tested on.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_query::Store;
use headwater_redact::{HeaderBlock, Key, Policy, Redactor};
use rusqlite::{Connection, params};

use crate::tables::SEGMENT;

pub(crate) use crate::row::Row;
pub(crate) use crate::tables::{MIGRATION, migrated};

pub(crate) const SECOND: i64 = 1_000_000_000;
pub(crate) const TAG: &str = "k7q2";

/// A store being written.
pub(crate) struct Fixture {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) writer: Connection,
    /// When the fixture was made, on whole seconds.
    pub(crate) now_ns: i64,
    pub(crate) key: Key,
    pub(crate) next_id: i64,
    pub(crate) segment: i64,
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos(),
    )
    .unwrap()
}

/// Those of HTTP/2, gRPC and trailers, which no row of the fixture has.
pub(crate) const LATER_COLUMNS: usize = 17;

impl Fixture {
    /// Two services, two connections, one segment, and a recorder that runs.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headwater.db");
        let key = Key::load_or_create(&folder.path().join("headwater.key")).unwrap();
        let writer = Connection::open(&path).unwrap();
        headwater_pack::register(&writer).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
            .unwrap();
        writer.execute_batch(MIGRATION).unwrap();
        migrated(&writer, 4);
        let now_ns = now_ns() / (10 * SECOND) * (10 * SECOND);
        let fingerprint = format!("{:016x}", u64::from_be_bytes(key.fingerprint()));
        for (key, value) in [
            ("store_tag", TAG),
            ("key_fingerprint", &fingerprint),
            ("next_exchange_id", "1"),
        ] {
            writer
                .execute("INSERT INTO meta VALUES (?, ?)", [key, value])
                .unwrap();
        }
        writer
            .execute_batch(
                "INSERT INTO service VALUES (1, 'unit', 'nginx.service', 80), (2, 'program', 'curl', 0), \
                 (3, 'host', 'api.example.com', 443);
                 INSERT INTO route VALUES (1, 1, '/items/{}'), (2, 3, '/');
                 INSERT INTO process VALUES (1, 1, 100, 5, 'nginx', '/usr/sbin/nginx', 'nginx -g', '/system.slice', NULL, \
                 '1', 1, 0, NULL, NULL, NULL, NULL, NULL, NULL), (2, 1, 4242, 5, 'curl', NULL, NULL, NULL, NULL, '4200,77,1', 2, 0, 2000000000, NULL, 9, 1000000000, 77, NULL);
                 INSERT INTO connection VALUES \
                 (1, 1, 0, NULL, 'open', 0, 'http', '127.0.0.1', 40000, NULL, NULL, 1, 9, 2, 'socket_lock', 2, \
                 '127.0.0.1', 80, NULL, NULL, 1, 9, 1, 'proc', 1, 10, 20, 0, NULL, NULL, NULL, NULL, NULL), \
                 (2, 1, 0, NULL, 'client_reset', 1, 'http', '::1', 40001, '10.0.0.9', 8080, 1, 9, NULL, 'none', 2, \
                 'fd00::2', 80, NULL, NULL, 0, 0, NULL, 'none', 3, 10, 20, 0, NULL, NULL, NULL, NULL, NULL)",
            )
            .unwrap();
        let mut fixture = Self {
            folder,
            path,
            writer,
            now_ns,
            key,
            next_id: 1,
            segment: 0,
        };
        fixture.run("live", now_ns - 7_200 * SECOND, now_ns + 60 * SECOND, None);
        fixture.open_segment();
        fixture
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(&self.path)
    }

    pub(crate) fn run(
        &self,
        source: &str,
        started_ns: i64,
        heartbeat_ns: i64,
        stopped_ns: Option<i64>,
    ) {
        let sql = "INSERT INTO recorder_run (source, boot_id, pid, version, settings, started_ns, heartbeat_ns, \
                   stopped_ns) VALUES (?, 'b', 1, '0.1.0', '{}', ?, ?, ?)";
        self.writer
            .execute(sql, params![source, started_ns, heartbeat_ns, stopped_ns])
            .unwrap();
    }

    /// No recorder has ever run but those added after this.
    pub(crate) fn forget_runs(&self) {
        self.writer.execute("DELETE FROM recorder_run", []).unwrap();
    }

    /// Ends the segment and begins the next one.
    pub(crate) fn open_segment(&mut self) {
        self.writer
            .execute(
                "UPDATE segment SET closed_ns = ? WHERE closed_ns IS NULL",
                [self.now_ns],
            )
            .unwrap();
        if self.segment > 0 {
            self.sum_up();
        }
        self.segment += 1;
        self.writer
            .execute_batch(&SEGMENT.replace("{N}", &self.segment.to_string()))
            .unwrap();
        let sql = "INSERT INTO segment (id, created_ns, first_exchange_id) VALUES (?, ?, ?)";
        self.writer
            .execute(sql, [self.segment, self.now_ns, self.next_id])
            .unwrap();
    }

    /// The sums of a segment that is closed.
    fn sum_up(&self) {
        let number = self.segment;
        self.writer
            .execute_batch(&format!(
                "INSERT INTO rollup_{number} SELECT -1, server_service_id, client_service_id, route_id, method, kind, SUM(count), \
                 MIN(first_ns), MAX(last_ns), MAX(first_exchange_id), MAX(last_exchange_id), latency_sum(latency_buckets) \
                 FROM rollup_{number} GROUP BY 2, 3, 4, 5, 6"
            ))
            .unwrap();
    }

    /// What retention does.
    pub(crate) fn drop_segment(&self, number: i64) {
        self.writer
            .execute_batch(&format!(
                "BEGIN; DROP TABLE exchange_{number}; DROP TABLE exchange_pack_{number}; DROP TABLE header_block_{number}; DROP TABLE rollup_{number}; \
                 DROP TABLE dns_exchange_{number}; DROP TABLE dns_exchange_pack_{number}; DROP TABLE udp_flow_{number}; \
                 DELETE FROM segment WHERE id = {number}; DELETE FROM exchange_block WHERE segment_id = {number}; COMMIT"
            ))
            .unwrap();
    }

    /// Commits rows as one batch, with their roll-ups, and returns the first id.
    pub(crate) fn commit(&mut self, rows: &[Row<'_>]) -> i64 {
        let first_id = self.next_id;
        self.writer.execute_batch("BEGIN").unwrap();
        for row in rows {
            self.insert(row);
        }
        let min = rows.iter().map(|row| row.start_ns).min().unwrap();
        let max = rows.iter().map(|row| row.start_ns).max().unwrap();
        let n = self.segment;
        self.writer
            .execute(
                "INSERT INTO exchange_block VALUES (?, ?, ?, ?, ?)",
                [first_id, self.next_id - 1, n, min, max],
            )
            .unwrap();
        let sql = "UPDATE segment SET row_count = row_count + ?1, min_start_ns = MIN(COALESCE(min_start_ns, ?2), ?2), \
                   max_start_ns = MAX(COALESCE(max_start_ns, ?3), ?3) WHERE id = ?4";
        self.writer
            .execute(sql, [self.next_id - first_id, min, max, n])
            .unwrap();
        self.writer
            .execute(
                "UPDATE meta SET value = ? WHERE key = 'next_exchange_id'",
                [self.next_id.to_string()],
            )
            .unwrap();
        self.writer.execute_batch("COMMIT").unwrap();
        first_id
    }

    fn insert(&mut self, row: &Row<'_>) {
        let (id, n) = (self.next_id, self.segment);
        self.next_id += 1;
        let mut block = HeaderBlock::default();
        let fields = row
            .request
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Redactor::new(&self.key, &Policy::default()).headers(fields, &mut block);
        let found = self.writer.query_row(
            &format!("SELECT id FROM header_block_{n} WHERE template = ?"),
            [block.template()],
            |found| found.get::<_, i64>(0),
        );
        let template = found.unwrap_or_else(|_| {
            let sql = format!("INSERT INTO header_block_{n} (template) VALUES (?)");
            self.writer.execute(&sql, [block.template()]).unwrap();
            self.writer.last_insert_rowid()
        });
        let kind = match (row.outcome, row.status) {
            (0, Some(status)) if status >= 400 => status,
            (0, _) => 0,
            (1, _) => 8,
            (2, _) => 4,
            (3, _) => 1,
            _ => 2,
        };
        let answered = row.status.map(|_| row.latency_ns);
        let sql = format!(
            "INSERT INTO exchange_{n} VALUES (?, ?, 0, ?, 1000, ?, ?, ?, ?, ?, 1, ?, 0, NULL, NULL, ?, 'a=b', ?, NULL, 1, 1, \
             '100,103', ?, ?, 5, ?, ?, NULL, NULL, 80, 0, 120, 512, 11, 12, 9{})",
            ", NULL".repeat(LATER_COLUMNS)
        );
        self.writer
            .execute(
                &sql,
                params![
                    id,
                    row.connection,
                    row.start_ns,
                    answered.map(|ns| ns / 2),
                    answered,
                    row.latency_ns,
                    row.client,
                    row.server,
                    row.method,
                    row.path,
                    row.status,
                    row.outcome,
                    (kind != 0 && kind != 8).then_some(kind),
                    template,
                    block.holes(),
                ],
            )
            .unwrap();
        self.roll_up(row, kind, Some(id), row.latency_ns);
    }

    /// Counts into the ten seconds of the row; without `id` a failed connection.
    pub(crate) fn roll_up(&self, row: &Row<'_>, kind: i64, id: Option<i64>, latency_ns: i64) {
        let slot = row.start_ns - row.start_ns.rem_euclid(10 * SECOND);
        let bucket = headwater_schema::latency::bucket_of(latency_ns.unsigned_abs());
        let buckets = [
            (bucket & 0x7f | 0x80).to_le_bytes()[0],
            (bucket >> 7).to_le_bytes()[0],
            1,
        ];
        let (method, route) = if id.is_some() {
            (row.method, 1)
        } else {
            ("", 0)
        };
        // One bucket is enough for a fixture: rows that meet in a slot are given the same latency.
        let sql = format!(
            "INSERT INTO rollup_{} VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, ?8, ?8, ?9) ON CONFLICT DO UPDATE SET \
             count = count + 1, first_ns = MIN(first_ns, ?7), last_ns = MAX(last_ns, ?7), last_exchange_id = ?8",
            self.segment
        );
        self.writer
            .execute(
                &sql,
                params![
                    slot,
                    row.server,
                    row.client,
                    route,
                    method,
                    kind,
                    row.start_ns,
                    id,
                    buckets
                ],
            )
            .unwrap();
    }

    pub(crate) fn coverage(
        &self,
        kind: &str,
        from_ns: i64,
        until_ns: i64,
        count: i64,
        detail: Option<&str>,
    ) {
        let sql = "INSERT INTO coverage (run_id, kind, from_ns, until_ns, count, detail) VALUES (1, ?, ?, ?, ?, ?)";
        self.writer
            .execute(sql, params![kind, from_ns, until_ns, count, detail])
            .unwrap();
    }

    /// As the recorder writes what it cannot see: a row without length.
    pub(crate) fn coverage_of(&self, run: i64, kind: &str, at_ns: i64, detail: Option<&str>) {
        let sql = "INSERT INTO coverage (run_id, kind, from_ns, until_ns, count, detail) VALUES (?, ?, ?, ?, 1, ?)";
        self.writer
            .execute(sql, params![run, kind, at_ns, at_ns, detail])
            .unwrap();
    }

    /// Closes the writer as a clean stop does: the log is folded into the file and removed.
    pub(crate) fn stop(self) -> (tempfile::TempDir, PathBuf) {
        self.writer
            .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
            .unwrap();
        self.writer.close().unwrap();
        assert!(!Path::new(&format!("{}-wal", self.path.display())).exists());
        (self.folder, self.path)
    }
}
