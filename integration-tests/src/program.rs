//! Other programs: started, listened to, ended by their process id.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
};

use crate::wait::until;

/// A running program, killed on drop, with all that it said so far.
#[derive(Debug)]
pub struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Program {
    /// Starts it, its standard output and error being collected.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}; ./test installs what is needed"));
        let said = Arc::new(Mutex::new(String::new()));
        let readers = [
            child.stdout.take().map(|pipe| collect(pipe, &said)),
            child.stderr.take().map(|pipe| collect(pipe, &said)),
        ];
        Self {
            child,
            said,
            readers: readers.into_iter().flatten().collect(),
        }
    }
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
    /// What it said so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("what was said").clone()
    }
    /// Waits for a line with `part`.
    pub fn await_line(&self, part: &str) -> String {
        until(part, || {
            let said = self.said();
            said.lines()
                .find(|line| line.contains(part))
                .map(str::to_owned)
                .ok_or(said)
        })
    }
    /// Sends a signal, by name.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }
    /// Waits for its end, and gives all that it said.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let status = until("end of the program", || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            other => Err((other, self.said())),
        });
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        (status, self.said())
    }
    /// Sends a signal and waits for the end.
    pub fn end(self, name: &str) -> (ExitStatus, String) {
        self.signal(name);
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{name} {pid}"))
        .status()
        .expect("sh");
    assert!(status.success(), "kill -{name} {pid}");
}

fn collect(
    pipe: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
) -> std::thread::JoinHandle<()> {
    let said = Arc::clone(said);
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while matches!(pipe.read_until(b'\n', &mut line), Ok(1..)) {
            said.lock()
                .expect("what was said")
                .push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}; ./test installs what is needed"))
}

/// Runs a program that must succeed, and gives its standard output.
pub fn said(command: &mut Command) -> String {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
