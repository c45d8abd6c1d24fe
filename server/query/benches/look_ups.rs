//! Questions to a store of one million exchanges and of ten, by hand: `cargo bench -p headwater-query`.
//!
//! The load is one of chains: a client, a gateway, a service and a base behind it, three exchanges each, 50,000 exchanges a
//! second, with trace context, which go on coming while it is asked. Asked again and again, of chains all over the store: a trace by its id, against a `SELECT` of
//! the same rows by their indexed ids; and the lists, which read roll-ups. `--sizes 100000` for another number of exchanges,
//! `--keep FOLDER` to make the stores there and to ask those that are there already.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement run by hand"
)]

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headwater_model::{
    CloseReason, Connection, ConnectionEnd, ConnectionKey, Event, Evidence, Exchange, ExchangeKey,
    Gaps, Message, Outcome, Process, ProcessKey, Request, Response, Service, ServiceKind,
};
use headwater_query::{
    CompareQuery, ErrorsQuery, ServicesQuery, Store, TimeArgument, TransactionQuery,
    WindowArgument, rfc3339,
};
use headwater_redact::{HeaderBlock, Key, Policy, Redactor};
use headwater_store::{LogMover, Options, StopReason, Writer};
use tokio_util::sync::CancellationToken;

const HOPS: u64 = 3;
/// How often each list is asked for.
const LISTS: usize = 20;
const NAMES: [&str; 4] = ["client", "gateway", "service", "base"];
/// Connections of each hop.
const LANES: u64 = 16;
const BATCH: u64 = 6_000;
/// Between two exchanges.
const STEP_NS: u64 = 20_000;
const START: u64 = 1_700_000_000_000_000_000;
/// Exchanges of two segments.
const LAST: u64 = 500_000;
const QUESTIONS: u64 = 4_000;
/// What comes in while it is asked: fourteen seconds of it.
const MOST_BATCHES: usize = 120;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let given: Vec<u64> = std::env::args()
        .skip_while(|word| word != "--sizes")
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let sizes = if given.is_empty() {
        vec![1_000_000, 10_000_000]
    } else {
        given
    };
    let kept = std::env::args().skip_while(|word| word != "--keep").nth(1);
    let mut before: Option<Figures> = None;
    for size in sizes {
        let folder = tempfile::tempdir().unwrap();
        let path = kept.as_ref().map_or_else(
            || folder.path().join("headwater.db"),
            |kept| Path::new(kept).join(format!("{size}.db")),
        );
        let ingest = if path.exists() {
            Ingest {
                wall: f64::NAN,
                cpu: f64::NAN,
                made: f64::NAN,
            }
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            fill(&path, size)
        };
        let mut load = Load::open(&path, size.next_multiple_of(BATCH));
        let made: Vec<Vec<Event>> = (0..MOST_BATCHES).map(|_| load.make()).collect();
        let stop = AtomicBool::new(false);
        let figures = std::thread::scope(|scope| {
            let ingest_meanwhile = scope.spawn(|| load.go_on(&made, &stop));
            let figures = tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(ask(&path, size, ingest))
            });
            stop.store(true, Ordering::Relaxed);
            let (came, seconds) = ingest_meanwhile.join().unwrap();
            println!(
                "{size} exchanges, and {:.0} a second coming in",
                came as f64 / seconds
            );
            figures
        });
        figures.print();
        if let Some((of, before)) = before.as_ref().map(|before| (before.size, before)) {
            let growth = |now: f64, then: f64| (now / then).ln() / (size as f64 / of as f64).ln();
            println!(
                "  exponents of growth: ingest {:.3} (on the CPU {:.3}, beside making {:.3}), trace {:.3}, find_errors {:.3}, list_services {:.3}",
                growth(figures.ingest.wall, before.ingest.wall),
                growth(figures.ingest.cpu, before.ingest.cpu),
                growth(
                    figures.ingest.cpu / figures.ingest.made,
                    before.ingest.cpu / before.ingest.made
                ),
                growth(figures.trace.median, before.trace.median),
                growth(figures.errors.median, before.errors.median),
                growth(figures.services.median, before.services.median)
            );
        }
        before = Some(figures);
    }
}

struct Figures {
    size: u64,
    ingest: Ingest,
    bytes: f64,
    select: Spread,
    trace: Spread,
    errors: Spread,
    services: Spread,
    compare: Spread,
}

impl Figures {
    fn print(&self) {
        println!(
            "  ingest {:.2} µs each, {:.2} of them on the CPU (making one {:.2}), {:.0} bytes each",
            self.ingest.wall, self.ingest.cpu, self.ingest.made, self.bytes
        );
        for (name, spread) in [
            ("select by id", &self.select),
            ("trace by id", &self.trace),
            ("find_errors", &self.errors),
            ("list_services", &self.services),
            ("compare", &self.compare),
        ] {
            println!(
                "  {name:14} median {:8.3} ms, p99 {:8.3} ms",
                spread.median, spread.p99
            );
        }
        println!(
            "  trace / select {:.1} by median, {:.1} by p99",
            self.trace.median / self.select.median,
            self.trace.p99 / self.select.p99
        );
    }
}

/// Milliseconds.
struct Spread {
    median: f64,
    p99: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Self {
        all.sort_by(f64::total_cmp);
        Self {
            median: all[all.len() / 2],
            p99: all[all.len() * 99 / 100],
        }
    }
}

async fn ask(path: &Path, size: u64, ingest: Ingest) -> Figures {
    let store = Store::new(path);
    let cancel = CancellationToken::new();
    let window = WindowArgument {
        since: Some(TimeArgument(rfc3339(START))),
        until: None,
    };
    let chains = size / HOPS;
    let chosen = |number: u64| (number * 7_919 + 13) % chains;
    let plain = rusqlite::Connection::open(path).unwrap();
    headwater_pack::register(&plain).unwrap();
    let segments: Vec<(i64, i64)> = plain
        .prepare("SELECT id, first_exchange_id FROM segment ORDER BY id DESC")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mut select = Vec::new();
    let mut trace = Vec::new();
    for number in 0..QUESTIONS {
        let chain = chosen(number);
        let first = i64::try_from(chain * HOPS).unwrap() + 1;
        let began = Instant::now();
        let segment = segments
            .iter()
            .find(|(_, begins)| *begins <= first)
            .unwrap()
            .0;
        let sql =
            format!("SELECT * FROM exchange_rows({segment}) WHERE id IN (?1, ?1 + 1, ?1 + 2)");
        let mut statement = plain.prepare_cached(&sql).unwrap();
        let found = statement
            .query_map([first], |row| row.get::<_, i64>(0))
            .unwrap()
            .count();
        select.push(milliseconds(began));
        assert!(found > 0);
        let query = TransactionQuery {
            id: format!("{:032x}", trace_of(chain)),
            limit: 20,
        };
        let began = Instant::now();
        let answer = store.transaction(&query, &cancel).await.unwrap();
        trace.push(milliseconds(began));
        assert_eq!(answer.value.len(), 3, "{:?}", answer.coverage);
    }
    let (mut errors, mut services, mut compare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..LISTS {
        let query = ErrorsQuery {
            window: window.clone(),
            limit: 20,
            ..ErrorsQuery::default()
        };
        let began = Instant::now();
        store.errors(&query, &cancel).await.unwrap();
        errors.push(milliseconds(began));
        let query = ServicesQuery {
            window: window.clone(),
            limit: 20,
            ..ServicesQuery::default()
        };
        let began = Instant::now();
        store.services(&query, &cancel).await.unwrap();
        services.push(milliseconds(began));
        let half = START + size * STEP_NS / 2;
        let query = CompareQuery {
            window: WindowArgument {
                since: Some(TimeArgument(rfc3339(half))),
                until: Some(TimeArgument(rfc3339(START + size * STEP_NS))),
            },
            limit: 20,
            ..CompareQuery::default()
        };
        let began = Instant::now();
        store.compare(&query, &cancel).await.unwrap();
        compare.push(milliseconds(began));
    }
    let bytes = std::fs::metadata(path).unwrap().len();
    Figures {
        size,
        ingest,
        bytes: bytes as f64 / size as f64,
        select: Spread::of(select),
        trace: Spread::of(trace),
        errors: Spread::of(errors),
        services: Spread::of(services),
        compare: Spread::of(compare),
    }
}

fn milliseconds(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// No two alike, and none like a number that is counted up.
fn trace_of(chain: u64) -> u128 {
    let mixed = (chain + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mixed) << 64 | u128::from(mixed.rotate_left(31) ^ 0xabcd_1234_5678_9abc)
}

/// The writer, and what it writes.
struct Load {
    writer: Writer,
    log: LogMover,
    redactor: Redactor,
    /// Exchanges that were made.
    made: u64,
}

impl Load {
    /// Begins, or goes on behind so many.
    fn open(path: &Path, made: u64) -> Self {
        let key = Key::load_or_create(&path.with_extension("key")).unwrap();
        let mut redactor = Redactor::new(&key, &Policy::default());
        let mut options = Options::new(path, key.fingerprint());
        options.max_bytes = u64::MAX;
        let mut writer = Writer::open(options, START + made * STEP_NS).unwrap();
        for number in 0..4_u32 {
            writer.apply(&process(&mut redactor, number)).unwrap();
        }
        for number in 0..HOPS * LANES {
            writer.apply(&connection(&mut redactor, number)).unwrap();
        }
        Self {
            writer,
            log: LogMover::open(path).unwrap(),
            redactor,
            made,
        }
    }

    /// The next ones.
    fn make(&mut self) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for chain in self.made / HOPS..(self.made + BATCH) / HOPS {
            // The innermost ends first.
            for hop in (0..HOPS).rev() {
                events.push(exchange(&mut self.redactor, chain, hop));
            }
        }
        self.made += BATCH;
        events
    }

    fn write(&mut self, events: &[Event]) {
        let now_ns = START + self.made * STEP_NS;
        self.writer.apply_all(events).unwrap();
        self.writer.commit(now_ns).unwrap();
        self.writer.retain(now_ns).unwrap();
    }

    /// Writes what was made, fifty thousand a second, until told to stop. Gives how many came in, for how long.
    fn go_on(&mut self, made: &[Vec<Event>], stop: &AtomicBool) -> (u64, f64) {
        let (mut count, began) = (0, Instant::now());
        for events in made {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            count += BATCH;
            std::thread::sleep(
                Duration::from_nanos(count * STEP_NS).saturating_sub(began.elapsed()),
            );
            self.write(events);
            self.log.move_if_long().unwrap();
        }
        (count, began.elapsed().as_secs_f64())
    }
}

/// For each exchange, microseconds.
#[derive(Clone, Copy)]
struct Ingest {
    wall: f64,
    /// Without waiting for the disk, which is shared.
    cpu: f64,
    /// Of making and redacting the exchange before: the same work at any size, so that its growth is that of the machine's slowness.
    made: f64,
}

/// What each exchange of the last two segments cost, where growth would show, with all that is done when one ends; making them is
/// not counted.
fn fill(path: &Path, size: u64) -> Ingest {
    let mut load = Load::open(path, 0);
    let (mut wall, mut cpu, mut made, mut counted) = (0.0, 0.0, 0.0, 0);
    while load.made < size {
        let making = on_the_cpu();
        let events = load.make();
        let (began, before) = (Instant::now(), on_the_cpu());
        load.write(&events);
        if load.made + LAST >= size {
            wall += began.elapsed().as_secs_f64();
            cpu += on_the_cpu() - before;
            made += before - making;
            counted += BATCH;
        }
    }
    let now_ns = START + load.made * STEP_NS;
    load.writer.close(now_ns, StopReason::Signal).unwrap();
    let each = |seconds: f64| seconds * 1e6 / counted as f64;
    Ingest {
        wall: each(wall),
        cpu: each(cpu),
        made: each(made),
    }
}

/// Seconds that this thread had a CPU.
fn on_the_cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

fn service(redactor: &mut Redactor, number: usize, port: Option<u16>) -> Service {
    Service {
        kind: ServiceKind::Program,
        name: redactor.phrase(NAMES[number].as_bytes()),
        port,
    }
}

fn key_of(number: u32) -> ProcessKey {
    ProcessKey {
        pid: 100 + number,
        start_boot_ns: 10_000_000,
    }
}

fn process(redactor: &mut Redactor, number: u32) -> Event {
    let name = usize::try_from(number).unwrap();
    Event::Process(Box::new(Process {
        key: key_of(number),
        executable_name: redactor.phrase(NAMES[name].as_bytes()),
        executable_path: None,
        command_line: None,
        cgroup: None,
        container_id: None,
        start_ns: START - 1_000_000_000,
        forked_from: None,
        executed_ns: None,
        ancestors: Vec::new(),
        service: service(redactor, name, None),
    }))
}

fn connection(redactor: &mut Redactor, number: u64) -> Event {
    let address: IpAddr = [127, 0, 0, 1].into();
    let hop = usize::try_from(number % HOPS).unwrap();
    let mut end =
        |who: usize, port: u16, peer_port: u16, service_port: Option<u16>| ConnectionEnd {
            address,
            port,
            peer_address: address,
            peer_port,
            local: true,
            netns: 1,
            cookie: number * 2 + u64::from(service_port.is_some()) + 1,
            process: Some(key_of(u32::try_from(who).unwrap())),
            process_evidence: Evidence::SocketLock,
            service: service(redactor, who, service_port),
        };
    let client_port = 40_000 + u16::try_from(number).unwrap();
    let server_port = 8_000 + u16::try_from(hop).unwrap();
    Event::Connection(Box::new(Connection {
        key: ConnectionKey(number),
        client: end(hop, client_port, server_port, None),
        server: end(hop + 1, server_port, client_port, Some(server_port)),
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
    }))
}

fn exchange(redactor: &mut Redactor, chain: u64, hop: u64) -> Event {
    let start_ns = START + chain * HOPS * STEP_NS + hop * 100_000;
    let end_ns = start_ns + 1_000_000 - hop * 250_000;
    let lane = chain % LANES;
    let trace = trace_of(chain);
    let traceparent = format!("00-{trace:032x}-{:016x}-01", chain * 8 + hop + 1);
    let mut message = |fields: &[(&str, &str)], from_ns: u64, last_ns: u64| {
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
            last_byte_ns: Some(last_ns),
            thread_id: None,
            thread_evidence: Evidence::None,
            trailers: None,
        }
    };
    let request = message(
        &[
            ("Host", "shop.example"),
            ("User-Agent", "bench/1"),
            ("traceparent", &traceparent),
        ],
        start_ns,
        start_ns + 2_000,
    );
    let response = message(
        &[("Server", "bench"), ("Content-Length", "615")],
        end_ns - 3_000,
        end_ns,
    );
    let status = if hop == HOPS - 1 && chain.is_multiple_of(1_000) {
        503
    } else {
        200
    };
    Event::Exchange(Box::new(Exchange {
        key: ExchangeKey(chain * HOPS + hop),
        connection: ConnectionKey(lane * HOPS + hop),
        end_ns,
        request: Some(Request {
            message: request,
            method: redactor.phrase(b"GET"),
            target: redactor.target(b"GET", b"/orders"),
            host: None,
        }),
        response: Some(Response {
            message: response,
            status_code: Some(status),
            reason: redactor.phrase(b"OK"),
        }),
        interim: Vec::new(),
        outcome: Outcome::Complete,
        gaps: Gaps::default(),
        ordinal: u32::try_from(chain / LANES).unwrap(),
        http2: None,
        grpc: None,
        websocket: None,
        event_stream: None,
    }))
}
