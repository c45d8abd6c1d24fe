//! Connections as `get-connection` tells them: header elements, round trips, losses, resets and attempts that came to nothing.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    process::Command,
};

use headwater_integration_tests::{
    Namespace, Program, Store, column, free_port, joined, lossy, python, run, said, serve_once, sh,
    tshark_on_loopback, until,
};
use serde_json::Value;

/// The connection, once it has ended.
fn ended(store: &Store, id: &str) -> Value {
    until(&format!("end of {id}"), || {
        let connection = store.ask(&["get-connection", id, "--detail", "detailed"]);
        if connection["close_reason"] == "open" {
            Err(connection)
        } else {
            Ok(connection)
        }
    })
}

/// The connection of the newest exchange with a path.
fn of_exchange(store: &Store, path: &str) -> Value {
    let exchange = store.exchange(path);
    let id = exchange["connection"]["id"].as_str().expect("an id");
    ended(store, id)
}

/// The connection that a group of failures gives as its example.
fn of_failure(store: &Store, kind: &str) -> Value {
    let id = until(kind, || {
        let rows = store.rows(&["find-errors"]);
        let found = rows.iter().find(|row| column(row, "kind") == kind);
        let example = found.and_then(|row| row["examples"][0].as_str());
        example.map(str::to_owned).ok_or(rows)
    });
    assert!(id.starts_with("c_"), "{id}");
    ended(store, &id)
}

/// What client and server sent of an element; empty when nothing is told of it.
fn element<'c>(connection: &'c Value, name: &str) -> [&'c str; 2] {
    let rows = connection["elements"]["rows"].as_array().expect("elements");
    let found = rows.iter().find(|row| row[0] == name);
    [1, 2].map(|at| found.and_then(|row| row[at].as_str()).unwrap_or_default())
}

fn number(connection: &Value, name: &str, end: usize) -> f64 {
    let text = element(connection, name)[end];
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is {text:?}: {connection:#}"))
}

/// The lines of the story, each as `by: what`.
fn story(connection: &Value) -> Vec<String> {
    let rows = connection["story"]["rows"].as_array().expect("a story");
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| format!("{}: {}", words(&row[1]), words(&row[2])))
        .collect()
}

/// The beginnings stand in the story in this order.
fn assert_story(connection: &Value, beginnings: &[&str]) {
    let lines = story(connection);
    let mut rest = lines.iter();
    for beginning in beginnings {
        assert!(
            rest.any(|line| line.starts_with(beginning)),
            "{beginning:?} in {lines:#?}"
        );
    }
}

#[test]
fn a_lossy_link_shows_in_round_trips_and_retransmits() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [one, two] = ["lossy-a", "lossy-b"].map(Namespace::new);
    let _link = lossy(&one, &two, 20, 25);
    std::fs::write(store.scratch().file("large"), vec![b'x'; 300_000]).expect("a file");
    let folder = store.scratch().path().display().to_string();
    let python = python();
    let server = Program::start(&mut two.command(
        &python.to_string_lossy(),
        &[
            "-u",
            "-m",
            "http.server",
            "8080",
            "--bind",
            "10.78.0.2",
            "--directory",
            &folder,
        ],
    ));
    server.await_line("Serving HTTP on");
    said(&mut one.command(
        "curl",
        &[
            "-sS",
            "-o",
            "/dev/null",
            "--max-time",
            "15",
            "http://10.78.0.2:8080/large",
        ],
    ));
    let connection = of_exchange(&store, "/large");
    assert_eq!(connection["close_reason"], "fin", "{connection:#}");
    let handshake = connection["handshake_ms"].as_f64().expect("a round trip");
    assert!((40.0..400.0).contains(&handshake), "{connection:#}");
    for end in [0, 1] {
        let least = number(&connection, "least_round_trip_ms", end);
        assert!((40.0..400.0).contains(&least), "{connection:#}");
    }
    assert!(number(&connection, "smoothed_round_trip_ms", 1) >= 40.0);
    assert!(
        number(&connection, "retransmits", 1) >= 1.0,
        "{connection:#}"
    );
    assert!(number(&connection, "bytes_retransmitted", 1) >= 1000.0);
    assert!(
        number(&connection, "out_of_order", 1) >= 1.0,
        "{connection:#}"
    );
    assert!(number(&connection, "bytes", 1) > 300_000.0);
    assert_story(
        &connection,
        &[
            "client: SYN (MSS 1460",
            "server: SYN-ACK",
            "client: first payload",
            "client: exchange: 200",
            "server: first payload",
            "server: ",
            ": fin",
        ],
    );
    let lines = story(&connection);
    for part in ["packets sent again", "packets arrived out of order"] {
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("server: ") && line.contains(part)),
            "{lines:#?}"
        );
    }
}

#[test]
fn a_closed_port_refuses() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}/");
    assert!(
        !run(Command::new("curl").args(["-s", &url]))
            .status
            .success()
    );
    let connection = of_failure(&store, "refused");
    assert_eq!(connection["close_reason"], "refused");
    let words = connection["close_explained"].as_str().unwrap_or_default();
    assert!(words.contains("one SYN was answered by RST"), "{words}");
    assert_eq!(element(&connection, "state_at_close")[0], "SYN-SENT");
    assert_eq!(element(&connection, "error")[0], "ECONNREFUSED");
    assert_eq!(element(&connection, "resets"), ["0", "1"]);
    assert_eq!(connection["server"]["address"], format!("127.0.0.1:{port}"));
    assert!(
        connection["client"]["executable"]
            .as_str()
            .is_some_and(|path| path.ends_with("/curl")),
        "{connection:#}"
    );
    assert_story(
        &connection,
        &[
            "client: SYN (MSS",
            "server: RST",
            ": refused",
            "client: its socket closed, out of SYN-SENT with ECONNREFUSED",
        ],
    );
}

/// Connects with a limit on retries of the SYN (TCP_SYNCNT), and says what came of it.
const CONNECT: &str = "import socket, sys
s = socket.socket(); s.setsockopt(socket.IPPROTO_TCP, 7, int(sys.argv[2]))
print(s.connect_ex((sys.argv[1], 80)))";

/// The kernel's own count of a namespace (TCPSynRetrans of `/proc/net/netstat`, names in one line and values in the next).
fn syns_sent_again(namespace: &Namespace) -> u64 {
    let text = said(&mut namespace.command("cat", &["/proc/net/netstat"]));
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let [names, values] = [lines.next(), lines.next()].map(Option::unwrap_or_default);
    let mut both = names.split(' ').zip(values.split(' '));
    let found = both.find(|(name, _)| *name == "TCPSynRetrans");
    found
        .and_then(|(_, value)| value.parse().ok())
        .expect("a count")
}

#[test]
fn a_black_hole_takes_syns_and_says_nothing() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [one, two] = ["hole-a", "hole-b"].map(Namespace::new);
    joined(&one, &two);
    // Somebody on the link who takes all and answers nothing.
    let device = sh(&format!(
        "ip -n {} -o link | sed -n 's/.*\\(hwa[0-9]*\\).*/\\1/p'",
        one.name()
    ));
    sh(&format!(
        "ip -n {} neigh add 10.77.0.9 lladdr 02:00:00:00:00:09 dev {}",
        one.name(),
        device.trim()
    ));
    let python = python();
    let python = python.to_string_lossy();
    let tried = said(&mut one.command(&python, &["-c", CONNECT, "10.77.0.9", "2"]));
    assert_eq!(tried.trim(), "110", "ETIMEDOUT");
    let connection = of_failure(&store, "timed_out");
    // From Linux 6.5 on the first retries come at even distances and are not counted against the limit.
    let again = syns_sent_again(&one);
    assert!(again >= 2, "{again}");
    let words = connection["close_explained"].as_str().unwrap_or_default();
    let expected = format!("no answer came to {} SYNs in ", again + 1);
    assert!(words.starts_with(&expected), "{expected}: {words}");
    assert_eq!(element(&connection, "syn_retries")[0], again.to_string());
    assert_eq!(element(&connection, "error")[0], "ETIMEDOUT");
    assert_eq!(connection["client"]["netns"], one.number());
    assert_story(
        &connection,
        &[
            "client: SYN (MSS 1460",
            &format!("client: SYN sent again {again} times"),
            ": timed_out",
        ],
    );

    let left = run(&mut one.command(
        "curl",
        &["-s", "--connect-timeout", "0.5", "http://10.77.0.9/"],
    ));
    assert_eq!(left.status.code(), Some(28), "curl gave up");
    let connection = of_failure(&store, "gave_up");
    let words = connection["close_explained"].as_str().unwrap_or_default();
    assert!(
        words.contains("one SYN unanswered: a time-out of its own"),
        "{words}"
    );

    // Nobody has this address.
    let tried = said(&mut one.command(&python, &["-c", CONNECT, "10.77.0.8", "6"]));
    assert_eq!(tried.trim(), "113", "EHOSTUNREACH");
    let connection = of_failure(&store, "unreachable");
    let words = connection["close_explained"].as_str().unwrap_or_default();
    assert!(words.contains("with EHOSTUNREACH"), "{words}");
    assert!(words.contains(" NEIGH_FAILED of the client"), "{words}");
}

/// Answers a head with half a body, and resets.
const RESETTING: &str = "import socket, struct
listener = socket.create_server(('127.0.0.1', 0)); print('listening on port', listener.getsockname()[1], flush=True)
s, _ = listener.accept(); s.recv(4096)
s.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 1000\\r\\n\\r\\nhalf'); s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); s.close()";

#[test]
fn a_reset_in_mid_response_names_who_and_when() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let server = Program::start(Command::new(python()).args(["-u", "-c", RESETTING]));
    let line = server.await_line("listening on port");
    let port = line.rsplit(' ').next().unwrap_or_default();
    // Sends a byte more once it has seen the half, so that the server resets after that and not before.
    let client = "import socket, sys
s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); s.sendall(b'GET /half HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')
seen = b''
while not seen.endswith(b'half'): seen += s.recv(4096)
s.sendall(b' ')
try: s.recv(1)
except ConnectionResetError: print('reset')";
    let told = said(Command::new(python()).args(["-c", client, port]));
    assert_eq!(told.trim(), "reset");
    let connection = of_exchange(&store, "/half");
    assert_eq!(connection["close_reason"], "server_reset", "{connection:#}");
    let words = connection["close_explained"].as_str().unwrap_or_default();
    for part in ["RST by the server", "the client's socket left ESTABLISHED"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(element(&connection, "resets"), ["0", "1"]);
    assert_eq!(element(&connection, "error")[0], "ECONNRESET");
    assert_story(
        &connection,
        &[
            "client: SYN",
            "server: SYN-ACK",
            "client: exchange: 200",
            "server: first payload",
            "server: RST",
            ": server_reset",
        ],
    );
}

/// A client that asks for a class of service, asks for /marked, and says what the kernel says of its connection.
const MARKING: &str = "import socket, subprocess, sys
six = ':' in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
if six: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 0xb8)
else: s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8)
s.connect((sys.argv[1], int(sys.argv[2])))
s.sendall(b'GET /marked HTTP/1.1\\r\\nHost: h\\r\\nConnection: keep-alive\\r\\n\\r\\n')
seen = b''
while not seen.endswith(b'done'): seen += s.recv(4096)
port = s.getsockname()[1]
print(subprocess.run(['ss', '-tinH', f'sport = :{port}'], capture_output=True, text=True).stdout)
print(f'options:{s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5]}')";

/// The number behind `name:` in what ss says; of several with commas one.
fn of_ss(text: &str, name: &str, at: usize) -> String {
    let start = format!("{name}:");
    let word = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix(&start));
    let word = word.unwrap_or_else(|| panic!("no {name} in {text}"));
    word.split([',', '/'])
        .nth(at)
        .unwrap_or_default()
        .to_owned()
}

/// With the administrator's programs.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}

/// What tshark is asked of each SYN and SYN-ACK.
const FIELDS: [&str; 8] = [
    "ip.ttl",
    "ipv6.hlim",
    "ip.dsfield.dscp",
    "ipv6.tclass.dscp",
    "ipv6.flow",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.window_size_value",
];

/// The fields of the first two packets.
fn watched(tshark: Program) -> Vec<Vec<String>> {
    let packets = until("both packets", || {
        let said = tshark.said();
        let lines: Vec<Vec<String>> = said
            .lines()
            .filter(|line| line.contains('|'))
            .map(|line| line.split('|').map(str::to_owned).collect())
            .collect();
        if lines.len() >= 2 {
            Ok(lines)
        } else {
            Err(said)
        }
    });
    tshark.end("INT");
    packets
}

/// One end's elements are those of its packet.
fn assert_packet(connection: &Value, end: usize, packet: &[String]) {
    let [
        four_ttl,
        six_ttl,
        four_dscp,
        six_dscp,
        flow,
        mss,
        scale,
        window,
    ] = packet
    else {
        panic!("{packet:?}");
    };
    let either = |four: &String, six: &String| {
        if four.is_empty() {
            six.clone()
        } else {
            four.clone()
        }
    };
    let told = |name: &str| element(connection, name)[end];
    let hop_limit = format!("{} as sent", either(four_ttl, six_ttl));
    assert_eq!(told("hop_limit"), hop_limit, "{connection:#}");
    let dscp = format!("{} ", either(four_dscp, six_dscp));
    assert!(told("dscp").starts_with(&dscp), "{packet:?} {connection:#}");
    assert_eq!(told("mss"), mss, "{connection:#}");
    assert_eq!(told("window_scale"), scale, "{connection:#}");
    assert_eq!(told("syn_window"), window, "{connection:#}");
    if let Some(label) = flow.strip_prefix("0x") {
        let label = u32::from_str_radix(label, 16).expect("a flow label");
        assert_eq!(
            told("flow_label"),
            format!("0x{label:05x}"),
            "{connection:#}"
        );
    }
}

fn assert_kernel(connection: &Value, said: &str) {
    let [client_scale, server_scale] = element(connection, "window_scale");
    assert_eq!(of_ss(said, "wscale", 0), server_scale, "{said}");
    assert_eq!(of_ss(said, "wscale", 1), client_scale, "{said}");
    let mss = of_ss(said, "mss", 0);
    assert_eq!(mss, element(connection, "mss_in_use")[0], "{said}");
    // TCPI_OPT_TIMESTAMPS, TCPI_OPT_SACK and TCPI_OPT_WSCALE of include/uapi/linux/tcp.h.
    assert_eq!(of_ss(said, "options", 0), "7", "{said}");
    let negotiated = element(connection, "negotiated");
    assert_eq!(negotiated, ["timestamps, window scaling, SACK"; 2]);
    let least: f64 = of_ss(said, "minrtt", 0).parse().expect("a number");
    let told = number(connection, "least_round_trip_ms", 0);
    assert!(told <= least + 0.001, "{told}: {said}");
}

#[test]
fn header_elements_are_those_of_the_kernel() {
    for address in ["127.0.0.1", "::1"] {
        let store = Store::new();
        let _recorder = store.record(&[]);
        let listener = std::net::TcpListener::bind((address, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut seen = [0; 4096];
            let _ = stream.read(&mut seen);
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
            stream.write_all(answer).expect("an answer");
            let _ = stream.read(&mut seen);
        });
        let tshark = tshark_on_loopback(&port.to_string(), "tcp.flags.syn==1", &FIELDS);
        let said = said(Command::new(python()).env("PATH", path()).args([
            "-c",
            MARKING,
            address,
            &port.to_string(),
        ]));
        server.join().expect("the server");
        let packets = watched(tshark);
        let connection = of_exchange(&store, "/marked");
        for (end, packet) in packets.iter().take(2).enumerate() {
            assert_packet(&connection, end, packet);
        }
        assert_eq!(element(&connection, "dscp")[0], "46 EF");
        assert_kernel(&connection, &said);
    }
}

#[test]
fn a_receiver_that_falls_behind_shows_zero_windows() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (port, server) = serve_once(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8000000\r\n\r\n");
        let _ = stream.write_all(&vec![b'x'; 8_000_000]);
    });
    // Reads nothing until the server has filled both buffers: it stops being able to send.
    let client = "import socket, subprocess, sys, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192); s.connect(('127.0.0.1', int(sys.argv[1])))
s.sendall(b'GET /slow HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')
port = s.getsockname()[1]
before = None
while True:
    told = subprocess.run(['ss', '-tinH', f'dport = :{port}'], capture_output=True, text=True).stdout
    unacked = [word for word in told.split() if word.startswith('bytes_acked')]
    if unacked and unacked == before: break
    before = unacked; time.sleep(0.2)
left = 8000000
while left > 0: left -= len(s.recv(1 << 20).split(b'\\r\\n\\r\\n')[-1])";
    said(
        Command::new(python())
            .env("PATH", path())
            .args(["-c", client, &port.to_string()]),
    );
    server.join().expect("the server");
    let connection = of_exchange(&store, "/slow");
    assert!(
        number(&connection, "zero_windows", 0) >= 1.0,
        "{connection:#}"
    );
    assert_eq!(
        element(&connection, "zero_windows")[1],
        "0",
        "{connection:#}"
    );
}
