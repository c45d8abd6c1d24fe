//! Questions to a store of one million exchanges and of ten, by hand: `cargo bench -p headwater-query`.
//!
//! The load is one of chains, 50,000 exchanges a second, which go on coming while it is asked. Asked again and again, of chains
//! all over the store: a trace by its id, against a `SELECT` of the same rows by their indexed ids; and the lists, which read
//! roll-ups. Both stores are written and asked in turn, so that what the machine does meanwhile meets both. `--sizes 100000` for
//! other numbers of exchanges, `--keep FOLDER` to make the stores there and to ask those that are there already.
//! `--write FILE SIZE` asks nothing: it makes one store, or takes the one that is there, and then writes as long as it is told
//! to, for others that ask meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a measurement run by hand"
)]

mod ask;
mod events;
mod ingest;
mod load;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ask::Asker;
use headwater_model::Event;
use ingest::Ingest;
use load::{BATCH, Load};

/// Of each store, in so many turns.
const QUESTIONS: u64 = 4_000;
const TURNS: u64 = 4;
/// What comes in at most while it is asked, in one turn: seven seconds of it.
const MOST_BATCHES: usize = 60;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1..))
    };
    if let Some([path, size]) = after("--fill") {
        return ingest::write(Path::new(path), size.parse().unwrap());
    }
    if let Some([path, size, ..]) = after("--write") {
        return write_when_told(Path::new(path), size.parse().unwrap());
    }
    let sizes: Vec<u64> = match after("--sizes") {
        Some(given) => given.iter().map_while(|word| word.parse().ok()).collect(),
        None => vec![1_000_000, 10_000_000],
    };
    let temporary = tempfile::tempdir().unwrap();
    let kept = after("--keep").and_then(<[String]>::first);
    let folder = kept.map_or_else(|| temporary.path(), Path::new);
    std::fs::create_dir_all(folder).unwrap();
    let stores: Vec<(PathBuf, u64)> = sizes
        .iter()
        .map(|size| (folder.join(format!("{size}.db")), *size))
        .collect();
    let is_there = stores.iter().all(|(path, _)| path.exists());
    let ingest = if is_there {
        Vec::new()
    } else {
        ingest::fill(&stores)
    };
    let mut asked: Vec<(Load, Asker, f64)> = stores
        .iter()
        .map(|(path, size)| {
            let written = made(path).next_multiple_of(BATCH);
            (Load::open(path, written), Asker::new(path, *size), 0.0)
        })
        .collect();
    for _ in 0..TURNS {
        for (load, asker, rate) in &mut asked {
            *rate += turn(load, asker) / TURNS as f64;
        }
    }
    let figures: Vec<Figures> = asked
        .into_iter()
        .zip(&sizes)
        .enumerate()
        .map(|(at, ((_, asker, rate), size))| {
            let bytes = std::fs::metadata(&stores[at].0).unwrap().len();
            Figures::of(*size, ingest.get(at).copied(), bytes, rate, asker.times)
        })
        .collect();
    for figures in &figures {
        figures.print();
    }
    for pair in figures.windows(2) {
        pair[1].print_growth(&pair[0]);
    }
}

/// Exchanges that a store was given.
fn made(path: &Path) -> u64 {
    let store = rusqlite::Connection::open(path).unwrap();
    let last: i64 = store
        .query_row("SELECT MAX(last_id) FROM exchange_block", [], |row| {
            row.get(0)
        })
        .unwrap();
    last.unsigned_abs()
}

/// Says how many exchanges the store has; and, for each line with a number of seconds, writes for so long and says how many
/// a second came in.
fn write_when_told(path: &Path, size: u64) {
    let written = if path.exists() { made(path) } else { 0 };
    let mut load = Load::open(path, written.next_multiple_of(BATCH));
    while load.made < size {
        let events = load.make();
        load.write(&events);
    }
    println!("{}", load.made);
    for line in std::io::stdin().lines() {
        let seconds = line.unwrap().parse().unwrap();
        println!("{:.0}", load.make_for(Duration::from_secs_f64(seconds)));
    }
    println!("{}", load.made);
    load.close();
}

/// Asks while exchanges come in; gives how many came a second.
fn turn(load: &mut Load, asker: &mut Asker) -> f64 {
    let made: Vec<Vec<Event>> = (0..MOST_BATCHES).map(|_| load.make()).collect();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let meanwhile = scope.spawn(|| load.go_on(&made, &stop));
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(asker.ask(QUESTIONS / TURNS));
        });
        stop.store(true, Ordering::Relaxed);
        let (came, seconds) = meanwhile.join().unwrap();
        came as f64 / seconds
    })
}

struct Figures {
    size: u64,
    ingest: Option<Ingest>,
    /// Of the file, for each exchange.
    bytes: f64,
    /// A second, while it was asked.
    rate: f64,
    spreads: [(&'static str, Spread); 5],
}

impl Figures {
    fn of(size: u64, ingest: Option<Ingest>, bytes: u64, rate: f64, times: ask::Times) -> Self {
        Self {
            size,
            ingest,
            bytes: bytes as f64 / size as f64,
            rate,
            spreads: [
                ("select by id", Spread::of(times.select)),
                ("trace by id", Spread::of(times.trace)),
                ("find_errors", Spread::of(times.errors)),
                ("list_services", Spread::of(times.services)),
                ("compare", Spread::of(times.compare)),
            ],
        }
    }

    fn print(&self) {
        println!(
            "{} exchanges, and {:.0} a second coming in, {:.0} bytes each",
            self.size, self.rate, self.bytes
        );
        if let Some(ingest) = &self.ingest {
            println!(
                "  ingest {:.2} µs each, {:.2} of them on the CPU (making one {:.2}), at {:.1} million on the average",
                ingest.wall,
                ingest.cpu,
                ingest.made,
                ingest.size / 1e6
            );
        }
        for (name, spread) in &self.spreads {
            println!(
                "  {name:14} median {:8.3} ms, p99 {:8.3} ms",
                spread.median, spread.p99
            );
        }
        let [(_, select), (_, trace), ..] = &self.spreads;
        println!(
            "  trace / select {:.1} by median, {:.1} by p99",
            trace.median / select.median,
            trace.p99 / select.p99
        );
    }

    fn print_growth(&self, before: &Self) {
        let exponent = |more: f64, now: f64, then: f64| (now / then).ln() / more.ln();
        let mut told: Vec<String> = Vec::new();
        if let Some((now, then)) = self.ingest.zip(before.ingest) {
            let growth = |one: f64, two: f64| exponent(now.size / then.size, one, two);
            told.push(format!(
                "ingest {:.3} (on the CPU {:.3}, beside making {:.3})",
                growth(now.wall, then.wall),
                growth(now.cpu, then.cpu),
                growth(now.cpu / now.made, then.cpu / then.made)
            ));
        }
        let more = self.size as f64 / before.size as f64;
        for ((name, now), (_, then)) in self.spreads.iter().zip(&before.spreads).skip(1) {
            told.push(format!(
                "{name} {:.3}",
                exponent(more, now.median, then.median)
            ));
        }
        println!(
            "from {} to {}, exponents of growth: {}",
            before.size,
            self.size,
            told.join(", ")
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
