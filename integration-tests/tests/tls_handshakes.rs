//! Handshakes of TLS as tshark reads them, in the captures that the parser is tested with; and live, some that fail.

#![allow(clippy::expect_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use headwater_integration_tests::{Scratch, Store, certificate, column, python, said};
use serde_json::Value;

/// Where those of `server/protocols/tests/tls/make_captures.py` are.
fn captures() -> Vec<PathBuf> {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/protocols/tests/tls/captures");
    let entries = std::fs::read_dir(folder).expect("captures");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a capture").path())
        .collect();
    files.sort();
    files
}

/// What tshark knows of a connection, by the client's port: fields of the first packet that has them.
fn tshark(file: &Path) -> BTreeMap<String, BTreeMap<&'static str, String>> {
    const FIELDS: [&str; 9] = [
        "tls.handshake.extensions_server_name",
        "tls.handshake.extensions_alpn_str",
        "tls.handshake.extensions.supported_version",
        "tls.handshake.ciphersuite",
        "tls.handshake.version",
        "tls.alert_message.desc",
        "tls.handshake.type",
        "tcp.srcport",
        "tcp.dstport",
    ];
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file);
    command.args([
        "-d",
        "tcp.port==14400-14499,tls",
        "-Y",
        "tls",
        "-T",
        "fields",
    ]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let mut found: BTreeMap<_, BTreeMap<_, String>> = BTreeMap::new();
    for line in said(&mut command).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let [
            name,
            alpn,
            versions,
            suites,
            version,
            alert,
            types,
            from,
            to,
        ] = fields[..]
        else {
            panic!("{line}");
        };
        let is_server = (14_400..14_500).contains(&from.parse::<u16>().expect("a port"));
        let client = if is_server { to } else { from };
        let told = found.entry(client.to_owned()).or_default();
        let mut tell = |what, value: &str| {
            if !value.is_empty() {
                told.entry(what).or_insert_with(|| value.to_owned());
            }
        };
        let first = types.split(',').next().unwrap_or_default();
        if first == "1" {
            tell("name", name);
            tell("offered_alpn", alpn);
            tell(
                "offered_versions",
                if versions.is_empty() {
                    version
                } else {
                    versions
                },
            );
        } else if first == "2" && suites != "0" {
            tell("alpn", alpn);
            // A HelloRetryRequest has the same as the ServerHello behind it.
            tell(
                "version",
                if versions.is_empty() {
                    version
                } else {
                    versions
                },
            );
            tell("suite", suites);
        }
        tell("alert", alert);
    }
    found
}

/// Numbers that tshark prints one way or another.
fn numbers(text: &str) -> Vec<u64> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    text.split(',')
        .map(|text| number(text).expect("a number"))
        .collect()
}

/// What was captured of the ClientHello, and the elements of both ends.
fn connection(store: &Store, id: &str) -> (String, BTreeMap<String, [String; 2]>) {
    let told = store.ask(&["get-connection", id]);
    let rows = |name: &str| told[name]["rows"].as_array().cloned().expect("rows");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let hello = rows("story")
        .into_iter()
        .find(|row| text(&row[2]).contains("ClientHello:"));
    let elements = rows("elements");
    let elements = elements
        .iter()
        .map(|row| (text(&row[0]), [text(&row[1]), text(&row[2])]));
    (
        hello.map(|row| text(&row[4])).unwrap_or_default(),
        elements.collect(),
    )
}

#[test]
fn captures_say_what_tshark_says() {
    let files = captures();
    assert!(files.len() >= 25);
    let store = Store::new();
    said(store.command(&["replay"]).args(&files));
    let sql = "SELECT id, client_port FROM connections WHERE protocol = 'tls' ORDER BY id";
    let rows = store.rows_since("2026-01-01T00:00:00Z", &["query-sql", sql]);
    let ids: BTreeMap<_, _> = rows
        .iter()
        .map(|row| (column(row, "client_port"), column(row, "id")))
        .collect();
    let (mut compared, mut alerts) = (0, 0);
    for file in &files {
        for (port, theirs) in tshark(file) {
            let at = format!("{} {port}: {theirs:?}", file.display());
            let id = ids.get(&port).unwrap_or_else(|| panic!("{at}"));
            let (name, elements) = connection(&store, id);
            let ours = |name: &str, end: usize| elements.get(name).map_or("", |row| &row[end]);
            let same = |what, ours: &str, name: fn(u64) -> String| {
                if let Some(theirs) = theirs.get(what) {
                    let theirs: Vec<_> = numbers(theirs).into_iter().map(name).collect();
                    assert_eq!(ours, theirs.join(", "), "{what} of {at}");
                }
            };
            same("offered_versions", ours("tls_version", 0), version);
            same("version", ours("tls_version", 1), version);
            for (what, end) in [("offered_alpn", 0), ("alpn", 1)] {
                if let Some(theirs) = theirs.get(what).filter(|theirs| !theirs.contains("spdy")) {
                    assert_eq!(ours("tls_alpn", end), theirs.replace(',', ", "), "{at}");
                }
            }
            if let Some(theirs) = theirs.get("suite") {
                assert_eq!(suite(numbers(theirs)[0]), ours("tls_cipher", 1), "{at}");
            }
            assert_eq!(name, theirs.get("name").map_or("", String::as_str), "{at}");
            if let Some(theirs) = theirs.get("alert") {
                let both = format!("{} {}", ours("tls_alerts", 0), ours("tls_alerts", 1));
                assert!(both.contains(&format!("({theirs})")), "{both} of {at}");
                alerts += 1;
            }
            compared += 1;
        }
    }
    assert!(compared >= 28 && alerts >= 11, "{compared} {alerts}");
}

fn version(number: u64) -> String {
    let names = ["TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"];
    let place = usize::try_from(number - 0x0301).expect("a version");
    names[place].to_owned()
}

/// Those that the captures have, from IANA's registry.
fn suite(number: u64) -> &'static str {
    match number {
        0x1301 => "TLS_AES_128_GCM_SHA256",
        0x1302 => "TLS_AES_256_GCM_SHA384",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        number => panic!("{number:#06x}"),
    }
}

/// Clients of TLS: one that is too old for its server, one that is not answered, and three that do not take the certificate: from
/// nobody they know, expired, for another name. Says the ports.
const FAILING: &str = "import socket, ssl, sys, threading
certificate, key, expired = sys.argv[1:]

def serve(act):
    listener = socket.create_server(('127.0.0.1', 0))
    def run():
        connection, _ = listener.accept()
        act(connection)
        connection.close()
    thread = threading.Thread(target=run)
    thread.start()
    return listener.getsockname()[1], thread

def only_new(connection):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try: context.wrap_socket(connection, server_side=True)
    except ssl.SSLError: pass

def shows(file):
    def act(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, key)
        try: context.wrap_socket(connection, server_side=True)
        except ssl.SSLError: pass
    return act

def ask(port, trusted, name):
    context = ssl.create_default_context(cafile=trusted)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    try: context.wrap_socket(socket.create_connection(('127.0.0.1', port)), server_hostname=name)
    except OSError: pass

ports = []
for act, trusted, name in [
    (only_new, certificate, 'live.example.test'),
    (lambda connection: connection.recv(65536), certificate, 'live.example.test'),
    (shows(certificate), expired, 'localhost'),
    (shows(expired), expired, 'localhost'),
    (shows(certificate), certificate, 'other.example.test'),
]:
    port, thread = serve(act)
    ask(port, trusted, name)
    thread.join()
    ports.append(port)
print(*ports)";

#[test]
fn a_handshake_that_fails_is_told() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let (certificate, key) = certificate(&scratch);
    let (asked, expired) = (scratch.file("asked.pem"), scratch.file("expired.pem"));
    said(
        Command::new("openssl")
            .args(["req", "-new", "-subj", "/CN=localhost", "-key"])
            .arg(&key)
            .arg("-out")
            .arg(&asked),
    );
    said(
        Command::new("openssl")
            .args(["x509", "-req", "-days", "-1", "-in"])
            .arg(&asked)
            .arg("-signkey")
            .arg(&key)
            .arg("-out")
            .arg(&expired),
    );
    let recorder = store.record(&[]);
    let mut fail = Command::new(python());
    let ports = said(
        fail.args(["-c", FAILING])
            .args([&certificate, &key, &expired]),
    );
    let ports: Vec<&str> = ports.split_whitespace().collect();
    let [old, silent, unknown, late, other] = ports[..] else {
        panic!("{ports:?}");
    };
    for (port, kind, words) in [
        (
            old,
            "tls_handshake protocol_version",
            "the server sent the alert protocol_version",
        ),
        (
            silent,
            "tls_handshake not_answered",
            "the connection ended before the server answered",
        ),
        (
            unknown,
            "tls_handshake unknown_ca",
            "it does not trust who issued the server's certificate",
        ),
        (
            late,
            "tls_handshake certificate_expired",
            "the server's certificate is expired or not yet valid",
        ),
        (
            other,
            "tls_handshake bad_certificate",
            "as when that is for another name",
        ),
    ] {
        let place = format!(":{port}");
        let row = store.await_row(&["find-errors", "--service", &place]);
        assert_eq!(
            (
                column(&row, "kind").as_str(),
                column(&row, "count").as_str()
            ),
            (kind, "1")
        );
        let id = row["examples"][0].as_str().expect("an example");
        let told = store.ask(&["get-connection", id]);
        let explained = told["close_explained"].as_str().expect("words");
        assert!(explained.contains(words), "{explained}");
    }
    drop(recorder);
}
