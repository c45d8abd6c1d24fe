//! The MCP server under load, by hand: `cargo bench -p headwater-integration-tests --bench mcp`.
//!
//! A store of ten million exchanges into which 50,000 a second go on coming, and real tools asked over every transport by 1, 8
//! and 64 clients, each of which asks as soon as it was answered: calls a second, their times, and what the servers hold in memory. Beside them
//! stands the same question asked of the store without a server. A server and a writer on a machine of two cores leave the clients
//! little: with 8 and 64 of them, times are those of a full machine.
//!
//! The program is the release build, or `HEADWATER_TEST_BINARY`. `--size 1000000` for another number of exchanges, `--keep FOLDER`
//! to make the store there or to ask the one that is there already, `--seconds 5` for how long each is asked.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement run by hand"
)]

mod clients;
mod memory;
mod questions;
mod writer;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Barrier,
    time::{Duration, Instant},
};

use clients::{Client, Transport};
use headwater_integration_tests::{Program, Scratch, address_of, headwater};
use headwater_query::Store;
use memory::Memory;
use questions::{Question, TOOLS, assert_answered};
use serde_json::Value;
use writer::Writer;

const CLIENTS: [usize; 3] = [1, 8, 64];
/// Begins to write so long before it is asked.
const LEAD: Duration = Duration::from_millis(300);

/// What is measured, and with what.
struct Bench {
    db: PathBuf,
    size: u64,
    time: Duration,
    writer: Writer,
    rates: Vec<u64>,
    /// Ids of exchanges.
    ids: Vec<String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).map(String::as_str)
    };
    let size = after("--size").map_or(10_000_000, |size| size.parse().unwrap());
    let seconds = after("--seconds").map_or(2.0, |seconds| seconds.parse().unwrap());
    let temporary = Scratch::new();
    let folder = after("--keep").map_or_else(|| temporary.path(), Path::new);
    std::fs::create_dir_all(folder).unwrap();
    let db = folder.join(format!("{size}.db"));
    let (writer, made) = Writer::start(&db, size);
    let mut bench = Bench {
        ids: ids(&db, size),
        db,
        size,
        time: Duration::from_secs_f64(seconds),
        writer,
        rates: Vec::new(),
    };
    let alone = bench.without_a_server();
    let mut table: Vec<(String, Vec<Spread>)> = Vec::new();
    let mut memories = Vec::new();
    for transport in Transport::ALL {
        for clients in CLIENTS {
            let (spreads, memory) = bench.with(transport, clients);
            table.push((format!("{}, {clients}", transport.name()), spreads));
            memories.push((transport, clients, memory));
        }
    }
    bench.rates.sort_unstable();
    let (least, middle) = (bench.rates[0], bench.rates[bench.rates.len() / 2]);
    println!(
        "{made} exchanges at first, {} at last; {middle} a second came in while it was asked, {least} at least",
        bench.writer.end()
    );
    for (at, tool) in TOOLS.iter().enumerate() {
        println!("\n{tool:24}  calls/s    median ms       p99 ms  median / no server");
        alone[at].print("no server, 1", &alone[at]);
        for (who, spreads) in &table {
            spreads[at].print(who, &alone[at]);
        }
    }
    println!("\nmemory, MB                  before   connected    asked  for each client, KB");
    for (transport, clients, memory) in memories {
        memory.print(&format!("{}, {clients}", transport.name()), clients);
    }
}

impl Bench {
    fn questions(&self, tool: &'static str) -> Vec<Question> {
        questions::to(tool, self.size, &self.ids)
    }

    /// Asks while exchanges come in, for as long as `ask` is given.
    fn while_written<T>(&mut self, ask: impl FnOnce(Duration) -> T) -> T {
        self.writer.write_for(self.time + LEAD * 2);
        std::thread::sleep(LEAD);
        let asked = ask(self.time);
        self.rates.push(self.writer.rate());
        asked
    }

    fn without_a_server(&mut self) -> Vec<Spread> {
        let store = Store::new(&self.db);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut spreads = Vec::new();
        for tool in TOOLS {
            let questions = self.questions(tool);
            let times = self.while_written(|time| {
                let asking = async {
                    let (began, mut times) = (Instant::now(), Vec::new());
                    for question in questions.iter().cycle() {
                        if began.elapsed() >= time {
                            break;
                        }
                        let asked = Instant::now();
                        questions::ask(&store, question).await;
                        times.push(asked.elapsed());
                    }
                    times
                };
                runtime.block_on(asking)
            });
            spreads.push(Spread::of(times, self.time));
        }
        spreads
    }

    /// So many clients over a transport, of a server of their own.
    fn with(&mut self, transport: Transport, clients: usize) -> (Vec<Spread>, Memory) {
        let server = (transport != Transport::Stdio).then(|| serve(&self.db));
        let address = server
            .as_ref()
            .map(|(_, address)| address.clone())
            .unwrap_or_default();
        let pid = server.as_ref().map(|(server, _)| server.pid());
        let mut memory = Memory::default();
        memory.before = memory::of(pid);
        let mut all: Vec<Client> = (0..clients)
            .map(|_| Client::connect(transport, &self.db, &address))
            .collect();
        let pids: Vec<u32> = pid
            .into_iter()
            .chain(all.iter().filter_map(Client::pid))
            .collect();
        memory.connected = memory::of(pids.iter().copied());
        let mut spreads = Vec::new();
        for tool in TOOLS {
            let questions = self.questions(tool);
            for client in &mut all {
                assert_answered(&questions[0], client.call(&questions[0]));
            }
            let times = self.while_written(|time| ask_all(&mut all, &questions, time));
            spreads.push(Spread::of(times, self.time));
        }
        memory.asked = memory::of(pids.iter().copied());
        drop(all);
        if let Some((server, _)) = server {
            assert!(server.end("INT").0.success());
        }
        (spreads, memory)
    }
}

/// A server with all transports, and its address without a path.
fn serve(db: &Path) -> (Program, String) {
    let server = Program::start(Command::new(headwater()).arg("--db").arg(db).args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--legacy-sse",
    ]));
    let url = address_of(&server);
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp");
    (server, address.to_owned())
}

/// Each client asks and asks, all at once.
fn ask_all(clients: &mut [Client], questions: &[Question], time: Duration) -> Vec<Duration> {
    let together = Barrier::new(clients.len());
    std::thread::scope(|scope| {
        let askers: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(number, client)| {
                let together = &together;
                scope.spawn(move || {
                    together.wait();
                    let (began, mut times) = (Instant::now(), Vec::new());
                    for question in questions.iter().cycle().skip(number * 6) {
                        if began.elapsed() >= time {
                            break;
                        }
                        let asked = Instant::now();
                        client.call(question);
                        times.push(asked.elapsed());
                    }
                    times
                })
            })
            .collect();
        askers
            .into_iter()
            .flat_map(|asker| asker.join().unwrap())
            .collect()
    })
}

/// Ids of failed exchanges from all over the store.
fn ids(db: &Path, size: u64) -> Vec<String> {
    let mut client = Client::connect(Transport::Stdio, db, "");
    let questions = questions::to("search_exchanges", size, &[]);
    let mut ids = Vec::new();
    for question in questions.iter().take(40) {
        let answer: Value = serde_json::from_slice(client.call(question)).unwrap();
        let rows = answer["result"]["structuredContent"]["rows"].as_array();
        let rows = rows.unwrap_or_else(|| panic!("{answer}"));
        ids.extend(
            rows.iter()
                .filter_map(|row| row[0].as_str())
                .map(str::to_owned),
        );
    }
    ids
}

/// Milliseconds, and calls a second.
struct Spread {
    rate: f64,
    median: f64,
    p99: f64,
}

impl Spread {
    fn of(mut all: Vec<Duration>, time: Duration) -> Self {
        all.sort_unstable();
        let milliseconds = |at: usize| all[at.min(all.len() - 1)].as_secs_f64() * 1e3;
        Self {
            rate: all.len() as f64 / time.as_secs_f64(),
            median: milliseconds(all.len() / 2),
            p99: milliseconds(all.len() * 99 / 100),
        }
    }

    fn print(&self, who: &str, alone: &Self) {
        println!(
            "  {who:20} {:10.0} {:12.2} {:12.2} {:10.1}",
            self.rate,
            self.median,
            self.p99,
            self.median / alone.median
        );
    }
}
