//! What an exchange costs to be stored, in a store of each size.
//!
//! Each store is filled by a process of its own, as a recorder that has run for long would, and the processes then write a batch
//! each in turn: a machine that is slow for a while is so for all of them. Making exchanges is not counted.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use crate::load::{BATCH, Load};

/// For each exchange, microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Ingest {
    /// Exchanges that were there, on the average.
    pub(crate) size: f64,
    pub(crate) wall: f64,
    /// Without waiting for the disk, which is shared.
    pub(crate) cpu: f64,
    /// Of making and redacting the exchange before: the same work at any size, so that its growth is that of the machine's
    /// slowness, and of what the heap has become.
    pub(crate) made: f64,
}

/// Exchanges of eight segments: all that is done when one ends, or so many have, is counted.
const BATCHES: u64 = 336;

/// Fills stores, and measures.
pub(crate) fn fill(stores: &[(PathBuf, u64)]) -> Vec<Ingest> {
    let mut writers: Vec<Filling> = stores
        .iter()
        .map(|(path, size)| Filling::begin(path, *size))
        .collect();
    for _ in 0..BATCHES {
        for writer in &mut writers {
            writer.write_one();
        }
    }
    writers
        .into_iter()
        .zip(stores)
        .map(|(writer, (_, size))| writer.end(*size))
        .collect()
}

struct Filling {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    sums: [f64; 3],
}

impl Filling {
    fn begin(path: &Path, size: u64) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--fill")
            .arg(path)
            .arg(size.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut filling = Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
            sums: [0.0; 3],
        };
        filling.answer();
        filling.sums = [0.0; 3];
        filling
    }

    fn write_one(&mut self) {
        writeln!(self.orders).unwrap();
        self.answer();
    }

    fn answer(&mut self) {
        let line = self.answers.next().unwrap().unwrap();
        for (sum, word) in self.sums.iter_mut().zip(line.split(' ')) {
            *sum += word.parse::<f64>().unwrap();
        }
    }

    fn end(mut self, size: u64) -> Ingest {
        drop(self.orders);
        assert!(self.child.wait().unwrap().success());
        let counted = BATCHES * BATCH;
        let [wall, cpu, made] = self.sums.map(|seconds| seconds * 1e6 / counted as f64);
        Ingest {
            size: (size + counted / 2) as f64,
            wall,
            cpu,
            made,
        }
    }
}

/// The process that fills one: says when it is full, and then what each batch cost (seconds: in all, on the CPU, and to be
/// made), one for each line that it reads.
pub(crate) fn write(path: &Path, size: u64) {
    let mut load = Load::open(path, 0);
    while load.made < size {
        let events = load.make();
        load.write(&events);
    }
    println!("0 0 0");
    for _ in std::io::stdin().lines() {
        let making = on_the_cpu();
        let events = load.make();
        let (began, before) = (Instant::now(), on_the_cpu());
        load.write(&events);
        println!(
            "{} {} {}",
            began.elapsed().as_secs_f64(),
            on_the_cpu() - before,
            before - making
        );
    }
    load.close();
}

/// Seconds that this thread had a CPU.
fn on_the_cpu() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    told.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}
