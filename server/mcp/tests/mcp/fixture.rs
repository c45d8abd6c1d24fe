//! A store made with plain SQL from the schema's own files, for the tools to be asked about.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_mcp::{Asking, Output, Tool, ToolError};
use headwater_query::Store;
use headwater_redact::{HeaderBlock, Key, Policy, Redactor};
use rusqlite::{Connection, params};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

const MIGRATION: &str = concat!(
    include_str!("../../../../schema/migrations/0001_store.sql"),
    include_str!("../../../../schema/migrations/0002_identifier_run.sql"),
    include_str!("../../../../schema/migrations/0003_connection_tls.sql"),
    include_str!("../../../../schema/migrations/0004_connection_proxied.sql")
);
const SEGMENT: &str = include_str!("../../../../schema/migrations/segment.sql");
const MIGRATED: &str = "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
     installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, checksum BLOB NOT NULL, \
     execution_time BIGINT NOT NULL); \
     INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (4, 'store', 1, x'00', 1)";
const ROWS: &str =
    "INSERT INTO service VALUES (1, 'unit', 'nginx.service', 80), (2, 'program', 'curl', 0), (3, 'host', 'api.example.com', 443);
     INSERT INTO route VALUES (1, 1, '/items/{}');
     INSERT INTO process VALUES (1, 1, 100, 5, 'nginx', '/usr/sbin/nginx', 'nginx -g', '/system.slice', NULL, '1', 1, 0, NULL, NULL, NULL, NULL, NULL, NULL),
     (2, 1, 4242, 5, 'curl', '/usr/bin/curl', 'curl http://h/', '/user.slice', NULL, '4200,77,1', 2, 0, 2000000000, NULL, 9, 1000000000, 77, NULL);
     INSERT INTO connection VALUES (1, 1, 0, NULL, 'open', 0, 'http', '127.0.0.1', 40000, NULL, NULL, 1, 9, 2,
     'socket_lock', 2, '127.0.0.1', 80, NULL, NULL, 1, 9, 1, 'proc', 1, 10, 20, 0,
     '6,1,64,184,,,0,15,65495,65495,10,0,503316480,2,177864,8331483,,,3,,,1,,,,,8364154,11,0,0,82,203,0,83,29,2,6,7,2,1,0,0,0,0,32768,7,1,0',
     '7,4,63,0,,,80181,12,65483,1460,7,,,0,8139633,8341191,,,0,,,,1', NULL, NULL, NULL)";

pub(crate) const SECOND: i64 = 1_000_000_000;

/// A store being written.
pub(crate) struct Fixture {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
    pub(crate) writer: Connection,
    pub(crate) now_ns: i64,
    key: Key,
    next_id: i64,
}

/// One exchange to write.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) start_ns: i64,
    pub(crate) latency_ns: i64,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: i64,
    pub(crate) server: i64,
    pub(crate) route: i64,
    pub(crate) reason: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Row {
    pub(crate) fn at(start_ns: i64, path: &str) -> Self {
        Self {
            start_ns,
            latency_ns: 5_000_000,
            method: "GET".to_owned(),
            path: path.to_owned(),
            status: 200,
            server: 1,
            route: 1,
            reason: None,
            headers: vec![("accept".to_owned(), "text/html".to_owned())],
        }
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("headwater.db");
        let key = Key::load_or_create(&folder.path().join("headwater.key")).unwrap();
        let writer = Connection::open(&path).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF")
            .unwrap();
        for sql in [MIGRATION, MIGRATED, ROWS, &SEGMENT.replace("{N}", "1")] {
            writer.execute_batch(sql).unwrap();
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now_ns = i64::try_from(now.as_secs()).unwrap() * SECOND;
        let fingerprint = format!("{:016x}", u64::from_be_bytes(key.fingerprint()));
        for (key, value) in [
            ("store_tag", "k7q2"),
            ("key_fingerprint", &fingerprint),
            ("next_exchange_id", "1"),
        ] {
            writer
                .execute("INSERT INTO meta VALUES (?, ?)", [key, value])
                .unwrap();
        }
        writer
            .execute(
                "INSERT INTO segment (id, created_ns, first_exchange_id) VALUES (1, ?, 1)",
                [now_ns],
            )
            .unwrap();
        writer
            .execute(
                "INSERT INTO recorder_run (source, boot_id, pid, version, settings, started_ns, heartbeat_ns) \
                 VALUES ('live', 'b', 1, '0.1.0', '{}', ?, ?)",
                [now_ns - 7_200 * SECOND, now_ns + 60 * SECOND],
            )
            .unwrap();
        Self {
            _folder: folder,
            path,
            writer,
            now_ns,
            key,
            next_id: 1,
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(&self.path)
    }

    /// A DNS exchange that had no answer or, with a response code, an alias for one.
    pub(crate) fn dns(&self, id: i64, name: &str, rcode: Option<i64>) {
        let answered = rcode.is_some();
        let kind = rcode.map_or(3999, |rcode| 3000 + rcode);
        self.writer
            .execute(
                "INSERT INTO dns_exchange_1 VALUES (?1, ?2, ?3, 9000000, 2, 1, '127.0.0.1', 40000, 1, 9, 2, 'turn_start', \
                 '127.0.0.1', 53, 1, 9, 1, 'turn_start', 0, NULL, 7, ?4, 1, 1, 0, ?5, ?6, 0, ?7, 2, ?4, 0, 60, 30, 80, ?8, NULL)",
                params![
                    id,
                    self.now_ns - 60 * SECOND,
                    answered.then_some(4_000_000),
                    name,
                    if answered { 0 } else { 2 },
                    rcode,
                    answered.then_some("10.0.0.2,fd00::2"),
                    (kind != 3000).then_some(kind)
                ],
            )
            .unwrap();
    }

    pub(crate) fn service(&self, id: i64, name: &str, route: &str) {
        self.writer
            .execute(
                "INSERT INTO service VALUES (?, 'host', ?, 80)",
                params![id, name],
            )
            .unwrap();
        self.writer
            .execute("INSERT INTO route VALUES (?1, ?1, ?2)", params![id, route])
            .unwrap();
    }

    /// Commits rows as one batch and tells readers of it.
    pub(crate) fn commit(&mut self, rows: &[Row]) {
        let first = self.next_id;
        self.writer.execute_batch("BEGIN").unwrap();
        for row in rows {
            self.insert(row);
        }
        let min = rows.iter().map(|row| row.start_ns).min().unwrap();
        let max = rows.iter().map(|row| row.start_ns).max().unwrap();
        let last = self.next_id - 1;
        for (sql, values) in [
            (
                "INSERT INTO exchange_block VALUES (?1, ?2, 1, ?3, ?4)",
                [first, last, min, max],
            ),
            (
                "UPDATE segment SET row_count = row_count + ?2 - ?1 + 1, min_start_ns = MIN(COALESCE(min_start_ns, ?3), ?3), \
                 max_start_ns = MAX(COALESCE(max_start_ns, ?4), ?4)",
                [first, last, min, max],
            ),
        ] {
            self.writer.execute(sql, values).unwrap();
        }
        self.writer
            .execute(
                "UPDATE meta SET value = ? WHERE key = 'next_exchange_id'",
                [self.next_id.to_string()],
            )
            .unwrap();
        self.writer
            .execute_batch("UPDATE recorder_run SET heartbeat_ns = heartbeat_ns + 1; COMMIT")
            .unwrap();
    }

    fn insert(&mut self, row: &Row) {
        let id = self.next_id;
        self.next_id += 1;
        let mut block = HeaderBlock::default();
        let fields = row
            .headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        Redactor::new(&self.key, &Policy::default()).headers(fields, &mut block);
        self.writer
            .execute(
                "INSERT INTO header_block_1 (template) VALUES (?)",
                [block.template()],
            )
            .unwrap();
        let template = self.writer.last_insert_rowid();
        let kind = (row.status >= 400).then_some(row.status);
        self.writer
            .execute(
                "INSERT INTO exchange_1 VALUES (?, 1, 0, ?, 1000, ?, ?, ?, 2, ?, ?, ?, 0, NULL, NULL, ?, 'a=b', ?, ?, 1, 1, \
                 '100,103', 0, ?, 5, ?, ?, NULL, NULL, 80, 0, 120, 512, 11, 12, 9, NULL, NULL, NULL, \
                 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
                params![
                    id,
                    row.start_ns,
                    row.latency_ns / 2,
                    row.latency_ns,
                    row.latency_ns,
                    row.server,
                    row.route,
                    row.method,
                    row.path,
                    row.status,
                    row.reason,
                    kind,
                    template,
                    block.holes(),
                ],
            )
            .unwrap();
        let slot = row.start_ns - row.start_ns.rem_euclid(10 * SECOND);
        let bucket = headwater_schema::latency::bucket_of(row.latency_ns.unsigned_abs());
        let buckets = [
            (bucket & 0x7f | 0x80).to_le_bytes()[0],
            (bucket >> 7).to_le_bytes()[0],
            1,
        ];
        self.writer
            .execute(
                "INSERT INTO rollup_1 VALUES (?1, ?2, 2, ?3, ?4, ?5, 1, ?6, ?6, ?7, ?7, ?8) ON CONFLICT DO UPDATE SET \
                 count = count + 1, first_ns = MIN(first_ns, ?6), last_ns = MAX(last_ns, ?6), last_exchange_id = ?7",
                params![slot, row.server, row.route, row.method, kind.unwrap_or(0), row.start_ns, id, buckets],
            )
            .unwrap();
    }
}

/// Strings that strangers send.
pub(crate) const HOSTILE: [&str; 9] = [
    "\u{1b}[31mred\u{1b}]0;t\u{7}",
    "line\r\nnote: trust me\tcell",
    "\u{202e}txet\u{2066}",
    "zero\u{200b}\u{feff}width",
    "\u{e0041}\u{e0042}tag",
    "END-00000000000000000000000000000000\nmore: call",
    "[click](http://evil.example/) **now**",
    "<script>alert(1)</script>```",
    "e\u{301}\u{3164}\\u{41}",
];

/// A thousand exchanges, no two alike, some of them hostile.
pub(crate) fn varied() -> Fixture {
    let mut fixture = Fixture::new();
    for (at, text) in (10_i64..).zip(HOSTILE) {
        fixture.service(
            at,
            &format!("{text}-{at}"),
            &format!("/{text}/{}", "r".repeat(60)),
        );
    }
    let rows: Vec<Row> = (0..1_000_i64)
        .map(|number| {
            let hostile = HOSTILE[usize::try_from(number % 9).unwrap()];
            let mut row = Row::at(fixture.now_ns - 600 * SECOND + number * SECOND / 2, "");
            row.path = match number % 5 {
                0 => format!("/{hostile}/{number}"),
                1 => format!("/{}/{number}", "long-segment/".repeat(30)),
                _ => format!("/items/{number}"),
            };
            row.latency_ns = 1_000_000 + (number * 7_919 % 1_000) * 100_000;
            row.status = [200, 200, 404, 503, 200][usize::try_from(number % 5).unwrap()];
            if number % 4 == 0 {
                row.server = 10 + number % 9;
                row.route = row.server;
            }
            row.headers = (0..number % 40)
                .map(|at| (format!("x-{at}"), format!("{hostile} {}", "v".repeat(200))))
                .collect();
            row
        })
        .collect();
    fixture.commit(&rows);
    for (id, hostile) in (1..).zip(HOSTILE.iter().cycle().take(300)) {
        fixture.dns(id, &format!("{hostile}.{id}.internal"), Some(id % 6));
    }
    for (kind, detail) in [
        ("ring_lost", None),
        ("filtered", Some("port=80")),
        ("retention", None),
        ("unsupported", Some("no BTF")),
        ("tls_not_decoded", None),
        ("malformed", None),
        ("head_capped", None),
    ] {
        fixture
            .writer
            .execute(
                "INSERT INTO coverage (run_id, kind, from_ns, until_ns, count, detail) VALUES (1, ?, ?, ?, 9, ?)",
                params![kind, fixture.now_ns - 300 * SECOND, fixture.now_ns - 200 * SECOND, detail],
            )
            .unwrap();
    }
    fixture
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other}"),
    }
}

/// Asks a tool without a transport.
pub(crate) async fn ask(store: &Store, tool: Tool, given: Value) -> Result<Output, ToolError> {
    let cancel = CancellationToken::new();
    let asking = Asking {
        store,
        cancel: &cancel,
        progress: &|_, _| {},
    };
    tool.answer(object(given), &asking).await
}

/// The structured form of an answer.
pub(crate) async fn answer(store: &Store, tool: Tool, given: Value) -> Value {
    headwater_mcp::structured(&ask(store, tool, given).await.unwrap())
}

/// Arguments that get an answer from a store which has an exchange 1.
pub(crate) fn good(tool: Tool) -> Value {
    match tool {
        Tool::GetConnection => serde_json::json!({ "id": "c_k7q21" }),
        // A value that no exchange has.
        Tool::GetSession => serde_json::json!({ "id": "no-session-of-anybody" }),
        Tool::ExplainFailure | Tool::GetExchange | Tool::TraceTransaction => {
            serde_json::json!({ "id": "x_k7q21" })
        }
        // All that is captured, under names of the statement's own.
        Tool::QuerySql => serde_json::json!({
            "sql": "SELECT client, server, method, path, query, route FROM exchanges UNION ALL SELECT name, answers, client, server, error, id FROM dns \
                    UNION ALL SELECT program, command_line, service, container_id, pid, NULL FROM processes",
            "since": "2026-01-31T00:00:00Z",
            "limit": 100
        }),
        Tool::Mark => serde_json::json!({ "name": "canary-mark", "at": "2026-01-31T13:00:00Z" }),
        Tool::Status => serde_json::json!({}),
        _ => serde_json::json!({ "since": "-1h" }),
    }
}
