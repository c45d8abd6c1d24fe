//! Ingest through the store against a plain prepared-statement loop on the same schema, by hand: `cargo bench -p headwater-store`.
//!
//! Five rounds of both, interleaved, and of the plain loop a second time: the ratio of the two plain ones is the noise floor.
//! The load is that of one keep-alive connection; making the events is not timed. Both end with their log moved into the file.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement run by hand"
)]

use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use headwater_model::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, Event, Evidence, Exchange, ExchangeKey,
    Gaps, Message, Outcome, Request, Response, Service, ServiceKind,
};
use headwater_pack::EXCHANGES;
use headwater_redact::{HeaderBlock, Key, Policy, Redactor};
use headwater_store::{Options, StopReason, Writer};

const ROWS: u64 = 400_000;
const BATCH: usize = 4_000;
const ROUNDS: usize = 5;
/// Up to `thread_evidence`.
const HTTP1_COLUMNS: usize = 36;
const START: u64 = 1_700_000_000_000_000_000;

/// Seconds of wall clock, seconds of CPU, bytes for each row.
type Figures = (f64, f64, f64);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let events = events(folder.path());
    for page_bytes in [4096, 8192] {
        let (mut store, mut plain, mut control) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let path = |name: &str| folder.path().join(format!("{name}{page_bytes}_{round}.db"));
            plain.push(through_loop(&path("plain"), &events, page_bytes));
            store.push(through_store(&path("store"), &events, page_bytes));
            control.push(through_loop(&path("control"), &events, page_bytes));
        }
        let (store, plain, control) = (medians(&store), medians(&plain), medians(&control));
        let rows = ROWS as f64;
        println!(
            "pages of {page_bytes} bytes, {ROWS} rows in batches of {BATCH}, medians of {ROUNDS}:"
        );
        for (name, figures) in [("store", store), ("plain", plain), ("control", control)] {
            println!(
                "  {name:8} {:9.0} rows/s  {:5.2} µs CPU/row  {:5.1} bytes/row",
                rows / figures.0,
                figures.1 * 1e6 / rows,
                figures.2
            );
        }
        println!(
            "  store / plain {:.3} by time, {:.3} by CPU; control / plain {:.3} by time, {:.3} by CPU",
            plain.0 / store.0,
            plain.1 / store.1,
            plain.0 / control.0,
            plain.1 / control.1
        );
    }
}

fn through_store(path: &Path, events: &[Event], page_bytes: u32) -> Figures {
    let mut options = Options::new(path, [1; 8]);
    options.page_bytes = page_bytes;
    options.segment_rows = u64::MAX;
    let mut writer = Writer::open(options, START).unwrap();
    let begun = (Instant::now(), cpu());
    let mut stored = 0;
    for (batch, now_ns) in events.chunks(BATCH).zip(START..) {
        writer.apply_all(batch).unwrap();
        stored += writer.commit(now_ns).unwrap().exchanges;
    }
    writer.close(START + 1, StopReason::Signal).unwrap();
    assert_eq!(stored, ROWS);
    figures(begun, path)
}

/// The same columns with the same kinds of values, all of them at hand; those that HTTP/1 leaves empty are not named.
fn through_loop(path: &Path, events: &[Event], page_bytes: u32) -> Figures {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page_bytes}; PRAGMA journal_mode = wal; PRAGMA synchronous = 1; \
             PRAGMA cache_size = -8192; PRAGMA wal_autocheckpoint = {};",
            (8 << 20) / page_bytes
        ))
        .unwrap();
    let tables = include_str!("../../../schema/migrations/segment.sql").replace("{N}", "1");
    connection.execute_batch(&tables).unwrap();
    let columns = &EXCHANGES.columns[..HTTP1_COLUMNS];
    let marks = vec!["?"; HTTP1_COLUMNS].join(",");
    let sql = format!(
        "INSERT INTO exchange_1 ({}) VALUES ({marks})",
        columns.join(",")
    );
    let begun = (Instant::now(), cpu());
    let mut id = 0_i64;
    for batch in events.chunks(BATCH) {
        connection.execute_batch("BEGIN").unwrap();
        let mut insert = connection.prepare_cached(&sql).unwrap();
        for event in batch {
            let Event::Exchange(exchange) = event else {
                continue;
            };
            id += 1;
            plain_row(&mut insert, id, exchange);
        }
        drop(insert);
        connection.execute_batch("COMMIT").unwrap();
    }
    connection.close().unwrap();
    figures(begun, path)
}

fn plain_row(insert: &mut rusqlite::CachedStatement<'_>, id: i64, exchange: &Exchange) {
    let (request, response) = (
        exchange.request.as_ref().unwrap(),
        exchange.response.as_ref().unwrap(),
    );
    let start_ns = request.message.first_byte_ns;
    let after = |at_ns: u64| i64::try_from(at_ns - start_ns).unwrap();
    let holes = |message: &Message| {
        let holes = message.headers.holes();
        (!holes.is_empty()).then(|| holes.to_owned())
    };
    let none = None::<i64>;
    let error = response.status_code.filter(|status| *status >= 400);
    insert
        .execute(rusqlite::params![
            id,
            1,
            exchange.ordinal,
            i64::try_from(start_ns).unwrap(),
            after(request.message.last_byte_ns.unwrap()),
            after(response.message.first_byte_ns),
            after(response.message.last_byte_ns.unwrap()),
            after(exchange.end_ns),
            1,
            2,
            1,
            request.method.as_str(),
            0,
            none,
            none,
            request.target.path(),
            request.target.query(),
            response.status_code,
            none,
            1,
            1,
            none,
            0,
            error,
            0,
            1,
            holes(&request.message),
            2,
            holes(&response.message),
            i64::try_from(request.message.header_bytes).unwrap(),
            i64::try_from(request.message.body_bytes).unwrap(),
            i64::try_from(response.message.header_bytes).unwrap(),
            i64::try_from(response.message.body_bytes).unwrap(),
            request.message.thread_id,
            response.message.thread_id,
            5
        ])
        .unwrap();
}

fn figures(begun: (Instant, f64), path: &Path) -> Figures {
    let (seconds, cpu) = (begun.0.elapsed().as_secs_f64(), cpu() - begun.1);
    let bytes = std::fs::metadata(path).unwrap().len();
    (seconds, cpu, bytes as f64 / ROWS as f64)
}

fn medians(rounds: &[Figures]) -> Figures {
    let median = |of: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    (
        median(|one| one.0),
        median(|one| one.1),
        median(|one| one.2),
    )
}

/// CPU time of this thread (schedstat counts nanoseconds on a CPU).
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn events(folder: &Path) -> Vec<Event> {
    let key = Key::load_or_create(&folder.join("key")).unwrap();
    let mut redactor = Redactor::new(&key, &Policy::default());
    let mut events = vec![connection(&mut redactor)];
    for number in 0..ROWS {
        events.push(Event::Exchange(Box::new(exchange(&mut redactor, number))));
    }
    events
}

fn connection(redactor: &mut Redactor) -> Event {
    let address: IpAddr = [127, 0, 0, 1].into();
    let mut end = |port, peer_port, name: &[u8], service_port| ConnectionEnd {
        address,
        port,
        peer_address: address,
        peer_port,
        local: true,
        netns: 1,
        cookie: 1,
        process: None,
        process_evidence: Evidence::None,
        service: Service {
            kind: ServiceKind::Program,
            name: redactor.phrase(name),
            port: service_port,
        },
    };
    Event::Connection(Box::new(Connection {
        key: ConnectionKey(1),
        client: end(40_000, 80, b"wrk", None),
        server: end(80, 40_000, b"nginx", Some(80)),
        start_ns: START,
        end_ns: None,
        close_reason: CloseReason::Open,
        joined_midstream: false,
        protocol: Some("http"),
        client_bytes: 0,
        server_bytes: 0,
        retransmits: 0,
        client_tcp: headwater_model::TcpEnd::default(),
        server_tcp: headwater_model::TcpEnd::default(),
        http2: None,
        drops: Vec::new(),
        icmp: None,
        resolution: None,
        tls: None,
        proxied: None,
    }))
}

fn exchange(redactor: &mut Redactor, number: u64) -> Exchange {
    let start_ns = START + number * 20_000 + number % 7 * 321;
    let is_missing = number.is_multiple_of(100);
    let mut message = |fields: &[(&str, &str)], from_ns: u64| {
        let mut headers = HeaderBlock::default();
        let fields = fields
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        redactor.headers(fields, &mut headers);
        Message {
            headers,
            minor_version: 1,
            header_bytes: 210,
            body_bytes: 615,
            first_byte_ns: from_ns,
            last_byte_ns: Some(from_ns + 3_000 + number % 900),
            thread_id: Some(1_234),
            thread_evidence: Evidence::SocketLock,
            trailers: None,
        }
    };
    let sent = [
        ("Host", "127.0.0.1:8080"),
        ("User-Agent", "wrk/4.2"),
        ("Accept", "*/*"),
    ];
    let second = number / 50_000 % 60;
    let date = format!("Mon, 02 Nov 2026 10:00:{second:02} GMT");
    let answered = [
        ("Server", "nginx/1.26.3"),
        ("Date", &date),
        ("Content-Type", "text/html"),
        ("Content-Length", "615"),
        ("Connection", "keep-alive"),
        ("Accept-Ranges", "bytes"),
        ("Last-Modified", "Wed, 05 Feb 2025 11:06:32 GMT"),
        ("ETag", "\"67a34638-267\""),
    ];
    let (request, response) = (
        message(&sent, start_ns),
        message(&answered, start_ns + 40_000 + number % 5_000),
    );
    Exchange {
        key: ExchangeKey(number),
        connection: ConnectionKey(1),
        end_ns: response.last_byte_ns.unwrap(),
        request: Some(Request {
            message: request,
            method: redactor.phrase(b"GET"),
            target: redactor.target(b"GET", b"/index.html"),
            host: None,
        }),
        response: Some(Response {
            message: response,
            status_code: Some(if is_missing { 404 } else { 200 }),
            reason: redactor.phrase(b"OK"),
        }),
        interim: Vec::new(),
        outcome: Outcome::Complete,
        gaps: Gaps::default(),
        ordinal: u32::try_from(number).unwrap(),
        http2: None,
        grpc: None,
        websocket: None,
        event_stream: None,
    }
}
