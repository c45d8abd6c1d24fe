//! Transactions: what belongs together, and by which evidence, against what the services themselves were asked.
//!
//! A word in the path of each request tells which it belongs to, and is read by this test alone: it holds no digit, so that
//! it identifies nothing, and is turned round on the way to the last service.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "tests")]

use std::{collections::BTreeMap, process::Command};

use headwater_integration_tests::{
    Nginx, Program, Store, column, free_port, node_server, python, run,
};
use serde_json::{Map, Value};

/// A service that answers `/front/WORD` with what `/step/WORD-TURNED-ROUND` of the next one says, and `/step/…` by itself
/// after some milliseconds; handing on these headers, and giving each trace a span of its own.
const SERVICE: &str = r#"
import asyncio, http.client, os, random, socketserver, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
following, handed_on = int(sys.argv[1]), [name for name in sys.argv[2].split(",") if name]
def headers(given):
    kept = {name: given[name] for name in handed_on if given.get(name)}
    if "traceparent" in kept:
        version, trace, _, flags = kept["traceparent"].split("-")
        kept["traceparent"] = f"{version}-{trace}-{os.urandom(8).hex()}-{flags}"
    return kept
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        kind, word = self.path.split("/")[1:]
        status = 200
        if kind == "front":
            connection = http.client.HTTPConnection("127.0.0.1", following)
            connection.request("GET", f"/step/{word[::-1]}", headers=headers(self.headers))
            answer = connection.getresponse()
            status = answer.status
            answer.read()
            connection.close()
        else:
            time.sleep(0.001 + random.random() * 0.01)
            if word.endswith("liaf"): status = 503
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True
server = Server(("127.0.0.1", 0), Handler)
print("serving on port", server.server_address[1], flush=True)
server.serve_forever()
"#;

/// Asks the front for so many words, each with the headers that its kind has, so many at a time.
const CLIENTS: &str = r#"
import http.client, itertools, os, sys, threading
port, at_once, count, kind = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
numbers = itertools.count()
def word(number):
    letters = "bcdfghjkmn"
    return kind + "".join(letters[int(digit)] for digit in f"{number:06d}")
def ask():
    connection = http.client.HTTPConnection("127.0.0.1", port)
    while (number := next(numbers)) < count:
        headers = {}
        if kind == "trace": headers["traceparent"] = f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-01"
        # Too short to be nobody else's.
        if kind == "ticket": headers["x-ticket"] = f"t{number:03d}"
        if kind == "cookie": headers["cookie"] = f"visit={os.urandom(12).hex()}"
        connection.request("GET", f"/front/{word(number)}", headers=headers)
        connection.getresponse().read()
threads = [threading.Thread(target=ask) for _ in range(at_once)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("done", flush=True)
"#;

fn service(following: u16, handed_on: &str) -> (Program, u16) {
    let program = Program::start(Command::new(python()).args([
        "-u",
        "-c",
        SERVICE,
        &following.to_string(),
        handed_on,
    ]));
    let line = program.await_line("serving on port");
    let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
    (program, port.expect("a port"))
}

fn ask(port: u16, at_once: u32, count: u32, kind: &str) {
    let numbers = [u32::from(port), at_once, count].map(|number| number.to_string());
    let done = run(Command::new(python())
        .args(["-u", "-c", CLIENTS])
        .args(numbers)
        .arg(kind));
    assert!(done.status.success(), "{done:?}");
}

/// nginx before a service before a service.
struct Chain {
    nginx: Nginx,
    _services: [Program; 2],
}

impl Chain {
    fn new() -> Self {
        let (last, last_port) = service(0, "");
        let (middle, middle_port) = service(last_port, "traceparent,x-request-id,cookie");
        // An id of nginx's own for those requests alone that are to have one.
        let nginx = Nginx::start(&format!(
            "location /front/id {{ proxy_pass http://127.0.0.1:{middle_port}; proxy_set_header X-Request-Id $request_id; \
             add_header X-Request-Id $request_id; }} \
             location / {{ proxy_pass http://127.0.0.1:{middle_port}; }}"
        ));
        Self {
            nginx,
            _services: [last, middle],
        }
    }
}

/// The word that a path belongs to.
fn word(path: &str) -> String {
    match path.strip_prefix("/step/") {
        Some(turned) => turned.chars().rev().collect(),
        None => path.trim_start_matches("/front/").to_owned(),
    }
}

fn trace(store: &Store, id: &str) -> Vec<Map<String, Value>> {
    let answer = store.ask(&[
        "trace-transaction",
        id,
        "--limit",
        "200",
        "--max-tokens",
        "8000",
        "--detail",
        "detailed",
    ]);
    let rows = answer["rows"].as_array().expect("rows");
    let columns = answer["columns"].as_array().expect("columns");
    rows.iter()
        .map(|row| {
            let names = columns.iter().filter_map(Value::as_str).map(str::to_owned);
            names
                .zip(row.as_array().expect("a row").iter().cloned())
                .collect()
        })
        .collect()
}

/// What came of tracing each word from its exchange with nginx.
#[derive(Debug, Default)]
struct Tally {
    words: usize,
    /// Links that say that they can be relied on, and cannot.
    wrong: usize,
    /// Words of which all exchanges from there on were found by links that can be relied on,
    whole: usize,
    /// or by any.
    found: usize,
    evidence: BTreeMap<String, usize>,
}

/// The word that the clients ask for with this number.
fn numbered(kind: &str, number: u32) -> String {
    let letters = b"bcdfghjkmn";
    let digits = format!("{number:06}");
    let digits = digits
        .bytes()
        .map(|digit| letters[usize::from(digit - b'0')]);
    format!("{kind}{}", digits.map(char::from).collect::<String>())
}

/// More requests than can be traced one by one: those of some hundred words, spread over all.
fn truth_of_many(store: &Store, chain: &Chain, count: u32, at_once: u32) {
    for kind in ["trace", "id", "cookie", "none"] {
        ask(chain.nginx.port, at_once, count, kind);
        for (service, hops_each) in [("nginx", 3), ("python", 2)] {
            let mut found = Tally::default();
            for number in (0..count).step_by(usize::try_from(count / 400).expect("a step").max(1)) {
                let path = format!("=/front/{}", numbered(kind, number));
                let asked = ["search-exchanges", "--service", service, "--path", &path];
                judge(store, &mut found, store.await_rows(&asked, 1), hops_each);
            }
            println!("{count} at {at_once}, {kind}, from {service}: {found:?}");
            assert_eq!(found.wrong, 0, "{kind}: {found:?}");
        }
    }
}

/// From the exchanges with a service on: so many of each word.
fn tally(store: &Store, service: &str, kind: &str, (count, hops_each): (usize, usize)) -> Tally {
    let mut tally = Tally::default();
    let rows = store.await_rows(
        &[
            "search-exchanges",
            "--service",
            service,
            "--path",
            &format!("/front/{kind}"),
        ],
        count,
    );
    judge(store, &mut tally, rows, hops_each);
    tally
}

fn judge(store: &Store, tally: &mut Tally, rows: Vec<Map<String, Value>>, hops_each: usize) {
    for row in rows {
        let own = word(&column(&row, "path"));
        let id = column(&row, "id");
        let hops = trace(store, &id);
        tally.words += 1;
        let (mut right, mut found) = (0, 0);
        for hop in &hops {
            let is_own = word(&column(hop, "path")) == own;
            let confidence = column(hop, "confidence");
            found += usize::from(is_own);
            if column(hop, "id") == id {
                right += 1;
                continue;
            }
            if hop["depth"] == 0 {
                continue;
            }
            *tally
                .evidence
                .entry(format!("{} {confidence}", column(hop, "evidence")))
                .or_default() += 1;
            if confidence == "strong" || confidence == "certain" {
                right += usize::from(is_own);
                tally.wrong += usize::from(!is_own);
                assert!(is_own, "{own}: {hops:#?}");
            }
        }
        tally.whole += usize::from(right >= hops_each);
        tally.found += usize::from(found >= hops_each);
    }
}

#[test]
fn one_at_a_time_every_evidence_makes_the_chain() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let chain = Chain::new();
    for kind in ["trace", "id", "cookie", "none"] {
        ask(chain.nginx.port, 1, 5, kind);
        let found = tally(&store, "nginx", kind, (5, 3));
        println!("{kind}: {found:?}");
        assert_eq!(
            (found.words, found.whole, found.wrong),
            (5, 5, 0),
            "{kind}: {found:?}"
        );
    }
}

/// How many requests of each kind, and how many at a time. By hand: `HEADWATER_TRUTH=25000,64` asks for more than are traced
/// one by one, of which some hundreds spread over all are.
fn load() -> (u32, u32) {
    let given = std::env::var("HEADWATER_TRUTH").unwrap_or_default();
    let numbers = given.split_once(',').and_then(|(count, at_once)| {
        Some((count.trim().parse().ok()?, at_once.trim().parse().ok()?))
    });
    numbers.unwrap_or((200, 16))
}

#[test]
fn many_at_once_no_link_that_can_be_relied_on_is_wrong() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let chain = Chain::new();
    let (count, at_once) = load();
    if count > 200 {
        truth_of_many(&store, &chain, count, at_once);
        return;
    }
    for kind in ["trace", "id", "cookie", "none"] {
        ask(chain.nginx.port, at_once, count, kind);
        let found = tally(&store, "nginx", kind, (200, 3));
        println!("{kind}: {found:?}");
        assert_eq!(found.wrong, 0, "{kind}: {found:?}");
        let reached = if kind == "none" {
            found.found
        } else {
            found.whole
        };
        assert!(reached * 100 >= found.words * 99, "{kind}: {found:?}");
    }
    // nginx does many things in one thread, which tells nothing then; the service behind it does each in a thread of its own.
    let found = tally(&store, "python", "none", (200, 2));
    println!("by thread: {found:?}");
    assert_eq!(found.wrong, 0, "{found:?}");
    assert!(found.whole * 100 >= found.words * 95, "{found:?}");
}

/// One thread that does everything at once must never be taken for evidence.
#[test]
fn an_event_loop_is_linked_by_what_requests_carry_alone() {
    let store = Store::new();
    let _recorder = store.record(&["--correlation-header", "X-Ticket"]);
    let (_last, port) = service(0, "");
    let (_middle, port) = node_server(&format!(
        r#"(request, response) => {{
            const headers = {{}};
            for (const name of ["traceparent", "cookie", "x-ticket"]) if (request.headers[name]) headers[name] = request.headers[name];
            const word = [...request.url.split("/")[2]].reverse().join("");
            require("http").get({{ port: {port}, path: "/step/" + word, headers, agent: false }}, answer => {{
                answer.resume();
                answer.on("end", () => response.end("ok"));
            }});
        }}"#
    ));
    for kind in ["trace", "cookie", "ticket", "none"] {
        ask(port, 16, 200, kind);
        let found = tally(&store, "node", kind, (200, 2));
        println!("{kind}: {found:?}");
        assert_eq!(found.wrong, 0, "{kind}: {found:?}");
        assert!(
            kind == "none" || found.whole * 100 >= found.words * 99,
            "{kind}: {found:?}"
        );
    }
}

#[test]
fn the_hop_that_failed_first_is_named() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let chain = Chain::new();
    // Others, which end well, around it.
    ask(chain.nginx.port, 4, 20, "trace");
    ask(chain.nginx.port, 1, 1, "fail");
    ask(chain.nginx.port, 4, 20, "id");
    let failed = ["search-exchanges", "--service", "nginx", "--status", "5xx"];
    let id = column(&store.await_row(&failed), "id");
    let told = store.ask(&["explain-failure", &id]);
    let chain_rows = told["chain"]["rows"].as_array().expect("a chain");
    assert_eq!(chain_rows.len(), 3, "{told:#}");
    let verdict = told["verdict"].as_str().unwrap_or_default();
    assert!(verdict.contains("2 hops below"), "{told:#}");
    let suspect = store.ask(&[
        "get-exchange",
        told["suspect"]["id"].as_str().unwrap_or_default(),
    ]);
    let target = suspect["target"].as_str().unwrap_or_default();
    assert!(target.starts_with("/step/"), "{suspect:#}");
}

/// The cause is below the last hop: a service that calls what is not there.
#[test]
fn what_a_hop_could_not_reach_is_told() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let nowhere = free_port();
    let (_service, port) = service(nowhere, "");
    // The service has no answer to that, and closes.
    let url = format!("http://127.0.0.1:{port}/front/lost");
    let _ = run(Command::new("curl").args(["-s", &url]));
    let id = column(
        &store.await_row(&[
            "search-exchanges",
            "--path",
            "/front/lost",
            "--outcome",
            "failed",
        ]),
        "id",
    );
    let told = store.ask(&["explain-failure", &id]);
    let findings = told["findings"].to_string();
    assert!(findings.contains("refused"), "{told:#}");
    assert!(findings.contains(&nowhere.to_string()), "{told:#}");
}
