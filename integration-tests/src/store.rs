//! A store of the test's own, its recorder, and questions to it.

use std::{path::PathBuf, process::Command};

use serde_json::{Map, Value};

use crate::{Program, Scratch, said, wait::until};

/// The program under test: `HEADWATER_TEST_BINARY`, else the release build.
pub fn headwater() -> PathBuf {
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/headwater");
    std::env::var_os("HEADWATER_TEST_BINARY").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

/// A copy of the program where another user may run it.
pub fn reachable(scratch: &Scratch) -> PathBuf {
    let copy = scratch.file("headwater");
    // By another process: one that another test starts meanwhile would inherit the open file, and what is open for writing
    // cannot be run.
    said(Command::new("cp").arg(headwater()).arg(&copy));
    copy
}

/// Where a server says it serves MCP.
pub fn address_of(server: &Program) -> String {
    let line = server.await_line("serving MCP at ");
    line.split("serving MCP at ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("an address")
        .to_owned()
}

/// A value of a row, as text without quotes.
pub fn column(row: &Map<String, Value>, name: &str) -> String {
    match row.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => panic!("no column {name} in {row:?}"),
    }
}

/// A store in a folder of its own.
#[derive(Debug, Default)]
pub struct Store {
    scratch: Scratch,
}

impl Store {
    /// An empty place for a store.
    pub fn new() -> Self {
        Self::default()
    }
    /// The folder that belongs to the test.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }
    /// The database's path; its folder is made by the program.
    pub fn path(&self) -> PathBuf {
        self.scratch.path().join("store/headwater.db")
    }
    /// The program with this store.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(headwater());
        command
            .env("HEADWATER_DB", self.path())
            .env_remove("SUDO_UID")
            .env_remove("SUDO_GID")
            .args(arguments);
        command
    }
    /// The program with this store, run by another user with one group and no capabilities.
    pub fn command_as(&self, uid: u32, gid: u32, arguments: &[&str]) -> Command {
        let copy = self.scratch.file("headwater");
        if !copy.exists() {
            reachable(&self.scratch);
        }
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", &uid.to_string(), "--regid", &gid.to_string()])
            .arg("--clear-groups")
            .arg(copy)
            .env("HEADWATER_DB", self.path())
            .env_remove("SUDO_UID")
            .env_remove("SUDO_GID")
            .args(arguments);
        command
    }
    /// A recorder, ready.
    pub fn record(&self, options: &[&str]) -> Program {
        let recorder = Program::start(self.command(&["record"]).args(options));
        recorder.await_line("(probes attached)");
        recorder
    }
    /// A server over HTTP, with its address.
    pub fn serve(&self, options: &[&str]) -> (Program, String) {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], options].concat();
        let server = Program::start(&mut self.command(&arguments));
        let address = address_of(&server);
        (server, address)
    }
    /// A tool's structured answer.
    pub fn ask(&self, arguments: &[&str]) -> Value {
        let text = said(self.command(arguments).arg("--json"));
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{arguments:?} gave no JSON ({error}): {text}"))
    }
    /// All rows that a statement gives of the last hour; it says in which order.
    pub fn sql(&self, statement: &str) -> Vec<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let page = format!("{statement} LIMIT 150 OFFSET {}", all.len());
            let page = self.ask(&[
                "query-sql",
                &page,
                "--limit",
                "150",
                "--max-tokens",
                "8000",
                "--since",
                "-1h",
            ]);
            let rows = page["rows"].as_array().expect("rows");
            if rows.is_empty() {
                return all;
            }
            all.extend(rows.iter().filter_map(Value::as_array).cloned());
        }
    }
    /// All pages of a list of the last hour, each row by its columns' names.
    pub fn rows(&self, arguments: &[&str]) -> Vec<Map<String, Value>> {
        self.rows_since("-1h", arguments)
    }
    /// All pages of a list since a time.
    pub fn rows_since(&self, since: &str, arguments: &[&str]) -> Vec<Map<String, Value>> {
        let mut rows = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut all = [arguments, &["--since", since, "--limit", "200"]].concat();
            if !cursor.is_empty() {
                all.extend(["--cursor", &cursor]);
            }
            let answer = self.ask(&all);
            let names: Vec<_> = answer["columns"]
                .as_array()
                .expect("columns")
                .iter()
                .filter_map(Value::as_str)
                .collect();
            for row in answer["rows"].as_array().expect("rows") {
                let row = row.as_array().expect("a row");
                rows.push(
                    names
                        .iter()
                        .map(|name| (*name).to_owned())
                        .zip(row.iter().cloned())
                        .collect(),
                );
            }
            match answer["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return rows,
            }
        }
    }
    /// The rows, once there are at least `count`.
    pub fn await_rows(&self, arguments: &[&str], count: usize) -> Vec<Map<String, Value>> {
        until(&format!("{count} rows of {arguments:?}"), || {
            let rows = self.rows(arguments);
            if rows.len() >= count {
                Ok(rows)
            } else {
                Err(rows)
            }
        })
    }
    /// One row.
    pub fn await_row(&self, arguments: &[&str]) -> Map<String, Value> {
        self.await_rows(arguments, 1).remove(0)
    }
    /// The flow of UDP to a server (`address:port`), once it is as wanted.
    pub fn await_udp_flow(
        &self,
        server: &str,
        is_wanted: impl Fn(&Map<String, Value>) -> bool,
    ) -> Map<String, Value> {
        let arguments = [
            "search-exchanges",
            "--protocol",
            "udp",
            "--detail",
            "detailed",
        ];
        until(server, || {
            let rows = self.rows(&arguments);
            let found = rows
                .iter()
                .find(|row| column(row, "server_address") == server && is_wanted(row));
            found.cloned().ok_or(rows)
        })
    }
    /// The newest exchange in full whose path is exactly `path`, once it has ended.
    pub fn exchange(&self, path: &str) -> Value {
        let arguments = ["search-exchanges", "--path", &format!("={path}")];
        let id = until(&format!("ended exchange {path}"), || {
            let rows = self.rows(&arguments);
            let ended = rows
                .first()
                .filter(|row| column(row, "outcome") != "open")
                .map(|row| column(row, "id"));
            ended.ok_or(rows)
        });
        self.ask(&["get-exchange", &id, "--detail", "detailed"])
    }
    /// Waits until all that happened before this call is stored.
    pub fn settle(&self) {
        let now = self.ask(&["status"])["now"]
            .as_str()
            .expect("now")
            .to_owned();
        until("commit", || {
            let status = self.ask(&["status"]);
            let reached = status["coverage"]["as_of"]
                .as_str()
                .is_some_and(|as_of| as_of > now.as_str());
            if reached { Ok(()) } else { Err(status) }
        });
    }
}
