//! Who fills the store and writes while it is asked: `look_ups` of the query crate, which has the load.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

pub(crate) struct Writer {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Writer {
    /// Gives the writer once the store has so many exchanges, and how many it has.
    pub(crate) fn start(store: &Path, size: u64) -> (Self, u64) {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut child = Command::new(cargo)
            .args([
                "bench",
                "-q",
                "-p",
                "headwater-query",
                "--bench",
                "look_ups",
            ])
            .args(["--", "--write"])
            .arg(store)
            .arg(size.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut writer = Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        };
        let made = writer.answer();
        (writer, made)
    }

    /// Has it write for so long, from now on.
    pub(crate) fn write_for(&mut self, time: Duration) {
        writeln!(self.orders, "{}", time.as_secs_f64()).unwrap();
    }

    /// How many a second came in.
    pub(crate) fn rate(&mut self) -> u64 {
        self.answer()
    }

    /// Ends as a recorder does; gives how many there are.
    pub(crate) fn end(mut self) -> u64 {
        drop(self.orders);
        let made = self.answers.next().unwrap().unwrap().parse().unwrap();
        assert!(self.child.wait().unwrap().success());
        made
    }

    fn answer(&mut self) -> u64 {
        self.answers.next().unwrap().unwrap().parse().unwrap()
    }
}
