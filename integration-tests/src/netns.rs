//! Network namespaces, and pairs of interfaces between them.

use std::process::Command;

use crate::{Program, python, run, said};

/// Runs a shell script that must succeed, with the administrator's programs, and gives what it prints.
pub fn sh(script: &str) -> String {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    said(Command::new("sh").env("PATH", path).args(["-ec", script]))
}

/// A network namespace, removed on drop with all that is in it.
#[derive(Debug)]
pub struct Namespace(String);

impl Namespace {
    /// Makes it, with its loopback device up.
    pub fn new(word: &str) -> Self {
        let name = format!("hwt{}-{word}", std::process::id());
        sh(&format!("ip netns add {name}; ip -n {name} link set lo up"));
        Self(name)
    }
    /// Its name, for `ip`.
    pub fn name(&self) -> &str {
        &self.0
    }
    /// A program in it.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.0, program])
            .args(arguments);
        command
    }
    /// Python's server in this namespace.
    pub fn serve(&self, address: &str, port: &str) -> Program {
        let python = python();
        let server = Program::start(&mut self.command(
            &python.to_string_lossy(),
            &["-u", "-m", "http.server", port, "--bind", address],
        ));
        server.await_line("Serving HTTP on");
        server
    }
    /// Asks with curl; the answer is 404.
    pub fn ask(&self, url: &str) {
        let output = run(&mut self.command(
            "curl",
            &[
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--max-time",
                "5",
                url,
            ],
        ));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "404", "{url}");
    }
    /// The number of the namespace, as `/proc` and the recorder tell it.
    pub fn number(&self) -> u64 {
        sh(&format!("stat -L -c %i /run/netns/{}", self.0))
            .trim()
            .parse()
            .expect("an inode")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(Command::new("ip").args(["netns", "del", &self.0]));
    }
}

/// Joins two namespaces by a pair of interfaces: 10.77.0.1 on the first one's, whose name begins with `hwa`, and 10.77.0.2 on
/// the second one's, whose name begins with `hwb`.
pub fn joined(one: &Namespace, two: &Namespace) {
    let (one, two, name) = (&one.0, &two.0, std::process::id() % 100_000);
    sh(&format!(
        "ip link add hwa{name} netns {one} type veth peer name hwb{name} netns {two}
         ip -n {one} addr add 10.77.0.1/24 dev hwa{name}; ip -n {one} link set hwa{name} up
         ip -n {two} addr add 10.77.0.2/24 dev hwb{name}; ip -n {two} link set hwb{name} up"
    ));
}
