//! What ICMP says of datagrams: a query of DNS to a port where nobody listens, and other UDP, in the recorder's own network
//! namespace and in others, of both versions of IP, live and from a capture file.

#![allow(clippy::expect_used, reason = "tests")]

use std::fmt::Write as _;
use std::process::Command;

use headwater_integration_tests::{
    Namespace, Program, Store, column, joined, python, run, said, sh, until,
};
use serde_json::{Map, Value};

/// Sends to an address and waits for what comes, as a client does that has no answer; says how that ended.
const CLIENT: &str = "import socket, sys
address, port, payload, count = sys.argv[1], int(sys.argv[2]), bytes.fromhex(sys.argv[3]), int(sys.argv[4])
family = socket.AF_INET6 if ':' in address else socket.AF_INET
client = socket.socket(family, socket.SOCK_DGRAM)
client.settimeout(5)
client.connect((address, port))
for _ in range(count):
    client.send(payload)
    try:
        client.recv(512)
        print('answered')
    except ConnectionRefusedError:
        print('ECONNREFUSED')
    except OSError as error:
        print(error)";

/// Runs the client on a payload, here or in a namespace, and gives the lines that it prints.
fn send(
    within: Option<&Namespace>,
    address: &str,
    port: &str,
    payload: &str,
    count: &str,
) -> Vec<String> {
    let python = python();
    let arguments = ["-c", CLIENT, address, port, payload, count];
    let mut here = Command::new(&python);
    here.args(arguments);
    let mut command = within.map_or(here, |namespace| {
        namespace.command(&python.to_string_lossy(), &arguments)
    });
    said(&mut command).lines().map(str::to_owned).collect()
}

/// A query for A of a name under `internal`, with an id of its own.
fn query(id: u16, label: &str) -> String {
    let mut hex = format!("{id:04x}01000001000000000000");
    for part in [label, "internal", ""] {
        let length = u8::try_from(part.len()).expect("a short label");
        for byte in std::iter::once(length).chain(part.bytes()) {
            write!(hex, "{byte:02x}").expect("a string");
        }
    }
    hex + "00010001"
}

/// The rows of a name, oldest first, when there are as many.
fn rows(store: &Store, name: &str, count: usize) -> Vec<Map<String, Value>> {
    let name = format!("={name}");
    let arguments = ["search-exchanges", "--protocol", "dns", "--path", &name];
    let mut rows = store.await_rows(&arguments, count);
    assert_eq!(rows.len(), count, "{rows:#?}");
    rows.reverse();
    rows
}

/// It failed for the reason that was told, soon.
fn assert_told(row: &Map<String, Value>, words: &str) {
    assert_eq!(column(row, "outcome"), "unreachable", "{row:#?}");
    assert_eq!(column(row, "icmp"), words, "{row:#?}");
    assert_eq!(column(row, "status"), "null", "{row:#?}");
    let latency = row["latency_ms"].as_f64();
    assert!(latency > Some(0.0) && latency < Some(1_000.0), "{row:#?}");
}

#[test]
fn a_resolver_where_nobody_listens() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (address, shown, name, words) in [
        (
            "127.0.0.77",
            "127.0.0.77:53",
            "four",
            "ICMP from 127.0.0.77: destination unreachable, port unreachable (type 3, code 3)",
        ),
        (
            "::1",
            "[::1]:53",
            "six",
            "ICMPv6 from ::1: destination unreachable, port unreachable (type 1, code 4)",
        ),
    ] {
        // The same query three times over: each of them came back.
        let said = send(None, address, "53", &query(0x1234, name), "3");
        assert_eq!(said, ["ECONNREFUSED"; 3]);
        let rows = rows(&store, &format!("{name}.internal"), 3);
        for row in &rows {
            assert_told(row, words);
            assert!(column(row, "client").starts_with("python"), "{row:#?}");
        }
        let id = column(&rows[0], "id");
        let exchange = store.ask(&["get-exchange", &id]);
        assert_eq!(exchange["dns"]["icmp"], words, "{exchange:#}");
        assert_eq!(exchange["server"]["address"], shown, "{exchange:#}");
    }
    let errors = store.rows(&["find-errors"]);
    let found = errors
        .iter()
        .find(|row| column(row, "kind") == "dns_unreachable");
    let found = found.unwrap_or_else(|| panic!("{errors:#?}"));
    assert!(found["count"].as_u64() >= Some(3), "{errors:#?}");
}

#[test]
fn dig_is_told_what_the_recorder_tells() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let arguments = ["+tries=1", "+time=1", "@127.0.0.78", "dig.internal", "A"];
    let output = run(Command::new("dig").args(arguments));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("connection refused"), "{said}");
    // dig asks once more when it is refused.
    let rows = until("a row", || {
        let rows = store.rows(&[
            "search-exchanges",
            "--protocol",
            "dns",
            "--path",
            "=dig.internal",
        ]);
        if rows.is_empty() { Err(rows) } else { Ok(rows) }
    });
    for row in &rows {
        let words =
            "ICMP from 127.0.0.78: destination unreachable, port unreachable (type 3, code 3)";
        assert_told(row, words);
        assert_eq!(column(row, "client"), "dig");
    }
}

#[test]
fn other_udp_counts_what_it_met() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let payload = "00".repeat(40);
    for (address, server, from) in [
        ("127.0.0.79", "127.0.0.79:9", "ICMP from 127.0.0.79"),
        ("::1", "[::1]:9", "ICMPv6 from ::1"),
    ] {
        let said = send(None, address, "9", &payload, "4");
        assert_eq!(said, ["ECONNREFUSED"; 4]);
        let flow = store.await_udp_flow(server, |row| !row["icmp"].is_null());
        let told = column(&flow, "icmp");
        assert!(
            told.starts_with(from)
                && told.contains("port unreachable")
                && told.ends_with("4 times, about datagrams of the client's"),
            "{flow:#?}"
        );
        assert_eq!(column(&flow, "client_packets"), "4");
    }
    let coverage = store.ask(&["status"])["coverage"].to_string();
    assert!(!coverage.contains("icmp_not_tied"), "{coverage}");
}

/// A message of ICMP that nothing has caused, about a query on its way: from another address, with the right ports where
/// `port` is, and with an id.
const FORGER: &str = "import socket, struct, sys
asker, resolver, port, ident = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
def total(data):
    s = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff
udp = struct.pack('!HHHHHH', port, 53, 20, 0, ident, 0x100)
ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(asker), socket.inet_aton(resolver))
body = ip + udp
icmp = struct.pack('!BBHI', 3, 3, total(struct.pack('!BBHI', 3, 3, 0, 0) + body), 0) + body
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
raw.sendto(icmp, (asker, 0))";

/// A resolver that reads a query, says what a forger would like to know, and answers at a signal.
const SLOW_RESOLVER: &str = "import signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.77.0.2', 53))
print('bound', flush=True)
m, a = s.recvfrom(512)
print('asked', a[1], int.from_bytes(m[:2], 'big'), flush=True)
signal.sigwait({signal.SIGUSR1})
s.sendto(m[:2] + b'\\x81\\x80' + m[4:], a)";

/// One that is not told of errors, since it has not connected: the kernel looks at the ports alone, and believes forgers.
const PATIENT_CLIENT: &str = "import socket, sys
c = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
c.sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 53))
c.recv(512)
print('answered')";

#[test]
fn a_forged_message_ends_nothing() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [asker, resolver] = ["icmp-a", "icmp-b"].map(Namespace::new);
    joined(&asker, &resolver);
    let python = python().to_string_lossy().into_owned();
    // Somebody is met in the namespace, so that it is listened in.
    until("a raw socket in the asker's namespace", || {
        send(Some(&asker), "127.0.0.1", "9", "00", "1");
        let files = ["/proc/net/raw", "/proc/net/raw6"];
        let sockets = said(&mut asker.command("cat", &files));
        // Two lines are headings.
        if sockets.lines().count() >= 4 {
            Ok(())
        } else {
            Err(sockets)
        }
    });
    let server = Program::start(&mut resolver.command(&python, &["-u", "-c", SLOW_RESOLVER]));
    server.await_line("bound");
    let query = query(0x4321, "forged");
    let client =
        Program::start(&mut asker.command(&python, &["-c", PATIENT_CLIENT, "10.77.0.2", &query]));
    let line = server.await_line("asked");
    let words: Vec<&str> = line.split_whitespace().collect();
    let (port, id) = (words[1], words[2]);
    assert_eq!(id, "17185");
    for (port, id) in [(port, "17186"), ("9", id)] {
        said(&mut asker.command(&python, &["-c", FORGER, "10.77.0.1", "10.77.0.2", port, id]));
    }
    until("the forged messages are counted", || {
        let coverage = store.ask(&["status"])["coverage"].to_string();
        let reasons = [
            "a message of DNS that waits for no answer",
            "that they quote is not known",
        ];
        if reasons.iter().all(|reason| coverage.contains(reason)) {
            Ok(())
        } else {
            Err(coverage)
        }
    });
    server.signal("USR1");
    client.await_line("answered");
    let row = &rows(&store, "forged.internal", 1)[0];
    assert_eq!(column(row, "outcome"), "answered", "{row:#?}");
    assert_eq!(column(row, "icmp"), "null", "{row:#?}");
}

#[test]
fn a_router_is_named_live_and_in_a_capture_file() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [client, router] = ["icmp-u", "icmp-v"].map(Namespace::new);
    joined(&client, &router);
    let device = format!("hwa{}", std::process::id() % 100_000);
    sh(&format!(
        "ip -n {c} route add default via 10.77.0.2
         ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1; ip -n {r} route add prohibit 10.93.0.0/24",
        c = client.name(),
        r = router.name(),
    ));
    until("a raw socket in the client's namespace", || {
        send(Some(&client), "127.0.0.1", "9", "00", "1");
        let files = ["/proc/net/raw", "/proc/net/raw6"];
        let sockets = said(&mut client.command("cat", &files));
        if sockets.lines().count() >= 4 {
            Ok(())
        } else {
            Err(sockets)
        }
    });
    let file = store.scratch().file("queries.pcap");
    let name = file.to_string_lossy().into_owned();
    let arguments = [
        "-U",
        "--immediate-mode",
        "-Z",
        "root",
        "-i",
        &device,
        "-w",
        &name,
    ];
    let capture = Program::start(&mut client.command("tcpdump", &arguments));
    capture.await_line("listening on");
    send(Some(&client), "10.93.0.1", "53", &query(7, "routed"), "1");
    send(Some(&client), "10.93.0.1", "4000", &"00".repeat(40), "1");
    until("both messages in the file", || {
        let output = run(Command::new("tshark").args(["-Y", "icmp", "-r", &name]));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        if told.lines().count() >= 2 {
            Ok(())
        } else {
            Err(told)
        }
    });
    capture.end("INT");
    let replayed = Store::new();
    said(&mut replayed.command(&["replay", &name]));
    let words = "ICMP from 10.77.0.2: destination unreachable, communication administratively prohibited (type 3, code 13)";
    for store in [&store, &replayed] {
        assert_told(&rows(store, "routed.internal", 1)[0], words);
        let told = column(
            &store.await_udp_flow("10.93.0.1:4000", |row| !row["icmp"].is_null()),
            "icmp",
        );
        assert_eq!(told, format!("{words}, about a datagram of the client's"));
    }
}
