//! DNS on real traffic: dnsmasq as the resolver in a network namespace, asked by dig, by curl and through the C library.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Program, Store, column, python, run, said, until};
use serde_json::{Map, Value};

type Row = Map<String, Value>;

fn sh(script: &str) -> String {
    let path = format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    );
    said(Command::new("sh").env("PATH", path).args(["-ec", script]))
}

/// A network namespace whose programs ask 127.0.0.1; removed on drop with all that is in it.
struct Namespace(String);

impl Namespace {
    fn new(word: &str) -> Self {
        let name = format!("hwd{}-{word}", std::process::id());
        sh(&format!(
            "ip netns add {name}; ip -n {name} link set lo up
             mkdir -p /etc/netns/{name}; echo nameserver 127.0.0.1 > /etc/netns/{name}/resolv.conf"
        ));
        Self(name)
    }
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.0, program])
            .args(arguments);
        command
    }
    /// dnsmasq, once it answers.
    fn resolver(&self, address: &str, options: &[&str]) -> Program {
        let listen = format!("--listen-address={address}");
        let mut arguments = vec![
            "--no-daemon",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--user=root",
            "--local=/internal/",
            &listen,
        ];
        arguments.extend(options);
        let path = format!(
            "{}:/usr/sbin:/sbin",
            std::env::var("PATH").unwrap_or_default()
        );
        let resolver = Program::start(self.command("dnsmasq", &arguments).env("PATH", path));
        resolver.await_line("started");
        resolver
    }
    fn dig(&self, arguments: &[&str]) -> String {
        let output = run(&mut self.command("dig", arguments));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = run(Command::new("ip").args(["netns", "del", &self.0]));
        let _ = std::fs::remove_dir_all(format!("/etc/netns/{}", self.0));
    }
}

const HOSTS: &[&str] = &[
    "--host-record=api.internal,127.0.0.1",
    "--host-record=both.internal,127.0.0.5,fd00::5",
    "--cname=www.internal,both.internal",
    "--txt-record=big.internal,0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789,0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789,0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789,0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789,0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
];

/// The rows of a name, with all columns, oldest first.
fn rows(store: &Store, name: &str, count: usize) -> Vec<Row> {
    let name = format!("={name}");
    let arguments = [
        "search-exchanges",
        "--protocol",
        "dns",
        "--path",
        &name,
        "--detail",
        "detailed",
    ];
    let mut rows = store.await_rows(&arguments, count);
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows.reverse();
    rows
}

fn has(row: &Row, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(column(row, name), *value, "{name} of {row:#?}");
    }
}

#[test]
fn answers_failures_and_their_owners() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let namespace = Namespace::new("answers");
    let resolver = namespace.resolver("127.0.0.1", HOSTS);
    let dig = |name: &str, kind: &str| namespace.dig(&["+tries=1", "@127.0.0.1", name, kind]);
    dig("api.internal", "A");
    dig("www.internal", "AAAA");
    dig("Nope.Internal", "A");
    dig("www.example.com", "A");

    let api = &rows(&store, "api.internal", 1)[0];
    has(
        api,
        &[
            ("client", "dig"),
            ("server", "dnsmasq:53"),
            ("method", "A"),
            ("status", "NOERROR"),
            ("outcome", "answered"),
            ("addresses", "127.0.0.1"),
            ("transport", "udp"),
            ("retries", "0"),
            ("server_address", "127.0.0.1:53"),
        ],
    );
    assert!(
        api["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{api:#?}"
    );
    let alias = &rows(&store, "www.internal", 1)[0];
    has(
        alias,
        &[("addresses", "fd00::5"), ("aliases", "both.internal")],
    );
    // Names are kept without case.
    has(
        &rows(&store, "nope.internal", 1)[0],
        &[("status", "NXDOMAIN")],
    );
    has(
        &rows(&store, "www.example.com", 1)[0],
        &[("status", "REFUSED")],
    );

    let failed = store.rows(&[
        "search-exchanges",
        "--protocol",
        "dns",
        "--outcome",
        "failed",
    ]);
    assert_eq!(failed.len(), 2, "{failed:#?}");
    let errors = store.rows(&["find-errors", "--service", "dnsmasq"]);
    let kinds: Vec<String> = errors.iter().map(|row| column(row, "kind")).collect();
    for kind in ["dns_nxdomain", "dns_refused"] {
        assert!(kinds.contains(&kind.to_owned()), "{errors:#?}");
    }
    let example = errors[0]["examples"][0].as_str().expect("an example");
    let found = store.ask(&["get-exchange", example]);
    assert_eq!(found["dns"]["class"], "IN", "{found:#}");
    let recorded = &store.ask(&["status"])["recorded"];
    assert!(
        recorded["dns_exchanges"].as_u64() >= Some(4),
        "{recorded:#}"
    );
    drop(resolver);
}

#[test]
fn a_connection_is_told_by_the_name_it_was_resolved_from() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let namespace = Namespace::new("resolved");
    let _resolver = namespace.resolver("127.0.0.1", HOSTS);
    let python = python();
    let server = Program::start(&mut namespace.command(
        &python.to_string_lossy(),
        &["-u", "-m", "http.server", "8080", "--bind", "127.0.0.1"],
    ));
    server.await_line("Serving HTTP on");
    said(&mut namespace.command(
        "curl",
        &["-s", "-o", "/dev/null", "http://api.internal:8080/named"],
    ));
    let exchange = store.exchange("/named");
    let resolution = &exchange["resolution"];
    assert_eq!(resolution["name"], "api.internal", "{exchange:#}");
    assert_eq!(resolution["asked_by"], "process", "{exchange:#}");
    assert!(
        resolution["before_ms"]
            .as_f64()
            .is_some_and(|ms| ms < 5_000.0),
        "{exchange:#}"
    );
    let id = resolution["dns_exchange"].as_str().expect("an id");
    let asked = store.ask(&["get-exchange", id]);
    assert!(asked.to_string().contains("api.internal"), "{asked:#}");

    // This one goes by the address alone, which the other was told.
    let script = "import socket\ns = socket.create_connection(('127.0.0.1', 8080))\ns.sendall(b'GET /plain HTTP/1.0\\r\\n\\r\\n')\ns.recv(9)";
    said(&mut namespace.command(&python.to_string_lossy(), &["-c", script]));
    let exchange = store.exchange("/plain");
    assert_eq!(
        exchange["resolution"]["asked_by"], "namespace",
        "{exchange:#}"
    );
    // The C library asks for both kinds of address from one socket.
    let script = "import socket; print(socket.getaddrinfo('both.internal', 80))";
    said(&mut namespace.command(&python.to_string_lossy(), &["-c", script]));
    let both = rows(&store, "both.internal", 2);
    let mut found = [column(&both[0], "addresses"), column(&both[1], "addresses")];
    found.sort();
    assert_eq!(found, ["127.0.0.5", "fd00::5"]);
    assert_eq!(
        both[0]["client_address"], both[1]["client_address"],
        "{both:#?}"
    );
}

#[test]
fn what_does_not_fit_goes_over_tcp() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let namespace = Namespace::new("tcp");
    // Another port than DNS's: messages tell themselves.
    let _resolver = namespace.resolver("127.0.0.1", &[HOSTS, &["--port=5454"]].concat());
    let said = namespace.dig(&[
        "+bufsize=512",
        "@127.0.0.1",
        "-p",
        "5454",
        "big.internal",
        "TXT",
    ]);
    assert!(said.contains("(TCP)"), "{said}");
    let both = rows(&store, "big.internal", 2);
    has(
        &both[0],
        &[
            ("transport", "udp"),
            ("truncated", "true"),
            ("server", "dnsmasq:5454"),
        ],
    );
    has(
        &both[1],
        &[
            ("transport", "tcp"),
            ("truncated", "false"),
            ("server", "dnsmasq:5454"),
        ],
    );
    assert!(
        column(&both[1], "connection").starts_with("c_"),
        "{both:#?}"
    );
}

#[test]
fn servers_that_fail_and_servers_that_are_silent() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let namespace = Namespace::new("silent");
    // Bound and never read: questions arrive, and nobody answers.
    let python = python();
    let hole = "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('127.0.0.9', 53))\nprint('bound', flush=True)\ntime.sleep(60)";
    let hole =
        Program::start(&mut namespace.command(&python.to_string_lossy(), &["-u", "-c", hole]));
    hole.await_line("bound");
    // Answers SERVFAIL to everything.
    let fails = "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('127.0.0.8', 53))\nprint('bound', flush=True)\nwhile True:\n    m, a = s.recvfrom(512)\n    s.sendto(m[:2] + b'\\x81\\x82' + m[4:6] + b'\\0' * 6 + m[12:12 + m[12:].index(0) + 5], a)";
    let fails =
        Program::start(&mut namespace.command(&python.to_string_lossy(), &["-u", "-c", fails]));
    fails.await_line("bound");
    namespace.dig(&[
        "+tries=3",
        "+time=1",
        "+noedns",
        "@127.0.0.9",
        "lost.internal",
        "A",
    ]);
    namespace.dig(&["+tries=1", "+noedns", "@127.0.0.8", "broken.internal", "A"]);

    has(
        &rows(&store, "broken.internal", 1)[0],
        &[("status", "SERVFAIL"), ("outcome", "answered")],
    );
    let lost = until("questions without an answer", || {
        let rows = store.rows(&[
            "search-exchanges",
            "--protocol",
            "dns",
            "--path",
            "=lost.internal",
            "--detail",
            "detailed",
        ]);
        let tries: u64 = rows
            .iter()
            .map(|row| 1 + row["retries"].as_u64().unwrap_or(0))
            .sum();
        if tries == 3 { Ok(rows) } else { Err(rows) }
    });
    for row in &lost {
        has(
            row,
            &[
                ("outcome", "no_answer"),
                ("status", "null"),
                ("client", "dig"),
            ],
        );
    }
    // dig asks again from the same socket with the same id, which makes one question with its retries.
    let errors = store.rows(&["find-errors"]);
    let kinds: Vec<String> = errors.iter().map(|row| column(row, "kind")).collect();
    for kind in ["dns_servfail", "dns_no_answer"] {
        assert!(kinds.contains(&kind.to_owned()), "{errors:#?}");
    }
}

#[test]
fn a_question_between_two_namespaces_is_told_once() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [asker, resolver_in] = ["asker", "asked"].map(Namespace::new);
    let (one, two, number) = (&asker.0, &resolver_in.0, std::process::id() % 100_000);
    sh(&format!(
        "ip link add hwe{number} netns {one} type veth peer name hwf{number} netns {two}
         ip -n {one} addr add 10.79.0.1/24 dev hwe{number}; ip -n {one} link set hwe{number} up
         ip -n {two} addr add 10.79.0.2/24 dev hwf{number}; ip -n {two} link set hwf{number} up"
    ));
    let _resolver = resolver_in.resolver("10.79.0.2", HOSTS);
    for _ in 0..5 {
        asker.dig(&["@10.79.0.2", "api.internal"]);
    }
    for row in rows(&store, "api.internal", 5) {
        has(
            &row,
            &[
                ("client", "dig"),
                ("server", "dnsmasq:53"),
                ("retries", "0"),
                ("outcome", "answered"),
            ],
        );
    }
}
