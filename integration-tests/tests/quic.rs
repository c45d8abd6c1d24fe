//! QUIC between a real client and a real server, which ask for a page over HTTP/3 (aioquic): version, name and counts as both
//! of them and tshark know these, live and from a capture file.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Program, Store, column, free_port, python, run, said, until};
use serde_json::{Map, Value};

/// What both begin with: datagrams and bytes that pass a transport.
const COUNTING: &str = "counts = {'received': [0, 0], 'sent': [0, 0]}

def add(which, data):
    counts[which][0] += 1
    counts[which][1] += len(data)

class Counting:
    def __init__(self, transport): self.transport = transport
    def __getattr__(self, name): return getattr(self.transport, name)
    def sendto(self, data, address=None):
        add('sent', data)
        self.transport.sendto(data, address)
";

/// A server of HTTP/3 that answers with 50,000 bytes; behind an address in its arguments, whether it sends clients a Retry.
/// It says its port, and when a client has left, the datagrams and bytes of payload that it received and sent.
const SERVER: &str = "import asyncio, datetime, json, sys
from aioquic.asyncio import serve
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

key = ec.generate_private_key(ec.SECP256R1())
name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, 'quic.internal')])
now = datetime.datetime.now(datetime.timezone.utc)
day = datetime.timedelta(days=1)
certificate = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
certificate = certificate.sign(key, hashes.SHA256())

made, received = QuicServer.connection_made, QuicServer.datagram_received
def count_made(self, transport): made(self, Counting(transport))
def count_received(self, data, address):
    add('received', data)
    received(self, data, address)
QuicServer.connection_made, QuicServer.datagram_received = count_made, count_received

class Server(QuicConnectionProtocol):
    http = None
    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated): self.http = H3Connection(self._quic)
        if isinstance(event, ConnectionTerminated): print('left', json.dumps(counts), flush=True)
        for told in self.http.handle_event(event) if self.http else []:
            if isinstance(told, HeadersReceived):
                self.http.send_headers(told.stream_id, [(b':status', b'200')])
                self.http.send_data(told.stream_id, b'x' * 50000, end_stream=True)
                self.transmit()

async def main():
    configuration = QuicConfiguration(is_client=False, alpn_protocols=['h3'], certificate=certificate, private_key=key)
    server = await serve(sys.argv[1], 0, configuration=configuration, create_protocol=Server, retry=sys.argv[2] == 'retry')
    print('port', server._transport.get_extra_info('sockname')[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())";

/// Its client: address, port, name of the server, version, and whether its first message is so long that it takes several
/// datagrams. Says what it received and sent.
const CLIENT: &str = "import asyncio, json, ssl, sys
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3Connection
from aioquic.h3.events import DataReceived
from aioquic.quic.configuration import QuicConfiguration

address, port, name, version, length = sys.argv[1:]
counts['body'] = 0

class Client(QuicConnectionProtocol):
    http = None
    def connection_made(self, transport): super().connection_made(Counting(transport))
    def datagram_received(self, data, address):
        add('received', data)
        super().datagram_received(data, address)
    def quic_event_received(self, event):
        for told in self.http.handle_event(event) if self.http else []:
            if isinstance(told, DataReceived):
                counts['body'] += len(told.data)
                if told.stream_ended: self.done.set()
    async def ask(self):
        self.http, self.done = H3Connection(self._quic), asyncio.Event()
        stream = self._quic.get_next_available_stream_id()
        fields = [(b':method', b'GET'), (b':scheme', b'https'), (b':authority', name.encode()), (b':path', b'/')]
        self.http.send_headers(stream, fields, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self.done.wait(), 20)

async def main():
    configuration = QuicConfiguration(is_client=True, alpn_protocols=['h3'], server_name=name, verify_mode=ssl.CERT_NONE,
        original_version=int(version), supported_versions=[int(version)], quantum_readiness_test=length == 'long')
    try:
        async with asyncio.timeout(5):
            async with connect(address, int(port), configuration=configuration, create_protocol=Client) as client:
                await client.ask()
    except TimeoutError:
        print('nobody answered')
    print(json.dumps(counts))
asyncio.run(main())";

/// RFC 9000 and RFC 9369.
const VERSION_1: &str = "1";
const VERSION_2: &str = "1798521807";

struct Server {
    program: Program,
    address: &'static str,
    port: String,
}

impl Server {
    fn start(address: &'static str, retry: &str) -> Self {
        let program = Program::start(Command::new(python()).args([
            "-c",
            &format!("{COUNTING}{SERVER}"),
            address,
            retry,
        ]));
        let line = program.await_line("port");
        let port = line.split(' ').nth(1).expect("a port").to_owned();
        Self {
            program,
            address,
            port,
        }
    }

    /// Address and port, as they are shown.
    fn shown(&self) -> String {
        if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }

    /// What it has received and sent, once its client has left.
    fn counts(&self) -> Value {
        let line = self.program.await_line("left");
        let (_, counts) = line.split_once(' ').expect("counts");
        serde_json::from_str(counts).expect("JSON")
    }
}

/// Asks the server at an address, and gives what the client received and sent.
fn ask(address: &str, port: &str, [name, version, length]: [&str; 3]) -> Value {
    let script = format!("{COUNTING}{CLIENT}");
    let arguments = ["-c", &script, address, port, name, version, length];
    let told = said(Command::new(python()).args(arguments));
    let line = told.lines().last().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {told}"))
}

/// The columns of counts, of what a client received and sent.
fn has_counts(row: &Map<String, Value>, client: &Value) -> bool {
    let (sent, received) = (&client["sent"], &client["received"]);
    [
        "client_packets",
        "client_bytes",
        "server_packets",
        "server_bytes",
    ]
    .map(|name| &row[name])
        == [&sent[0], &sent[1], &received[0], &received[1]]
}

#[test]
fn versions_names_and_counts_are_those_of_client_and_server() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    for (address, retry, name, version, length) in [
        ("127.0.0.1", "", "one.internal", VERSION_1, "short"),
        ("::1", "", "Two.Internal", VERSION_2, "short"),
        ("127.0.0.1", "", "long.internal", VERSION_1, "long"),
        ("127.0.0.1", "retry", "retry.internal", VERSION_1, "short"),
    ] {
        let server = Server::start(address, retry);
        let client = ask(address, &server.port, [name, version, length]);
        assert_eq!(client["body"], 50_000, "{client}");
        let counted = server.counts();
        // Nothing is lost on the loopback device, and what the client sends when it has closed is received.
        assert_eq!(counted["received"], client["sent"], "{counted} {client}");
        let flow = store.await_udp_flow(&server.shown(), |row| has_counts(row, &client));
        let version: u32 = version.parse().expect("a number");
        assert_eq!(
            column(&flow, "quic_version"),
            format!("{version:#x}"),
            "{flow:#?}"
        );
        assert_eq!(column(&flow, "path"), name.to_lowercase(), "{flow:#?}");
        for end in ["client", "server"] {
            assert!(column(&flow, end).starts_with("python"), "{flow:#?}");
        }
        assert_ne!(column(&flow, "client_pid"), "null", "{flow:#?}");
    }
    let coverage = store.ask(&["status"])["coverage"].to_string();
    assert!(
        coverage.contains("4 UDP flows were QUIC (HTTP/3)"),
        "{coverage}"
    );
}

/// Version and name, as tshark reads them.
fn by_tshark(file: &str, port: &str) -> (u32, String) {
    let mut command = Command::new("tshark");
    command.args(["-r", file, "-d", &format!("udp.port=={port},quic")]);
    command.args(["-Y", "tls.handshake.extensions_server_name", "-T", "fields"]);
    command.args([
        "-e",
        "quic.version",
        "-e",
        "tls.handshake.extensions_server_name",
    ]);
    let output = run(&mut command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (version, name) = text
        .trim()
        .split_once('\t')
        .unwrap_or_else(|| panic!("{text}"));
    // Packets behind it in its datagram have versions, too.
    let version = version
        .split(',')
        .next()
        .and_then(|version| version.strip_prefix("0x"));
    let version = version.and_then(|version| u32::from_str_radix(version, 16).ok());
    (version.expect("a version"), name.to_owned())
}

#[test]
fn a_capture_file_tells_what_tshark_reads() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let server = Server::start("127.0.0.1", "");
    let file = store.scratch().file("quic.pcap");
    let path = file.to_string_lossy().into_owned();
    let filter = format!("udp port {}", server.port);
    let mut command = Command::new("tcpdump");
    command.args([
        "-U",
        "--immediate-mode",
        // Its buffer holds frames of this length, of 262,144 bytes a handful only.
        "-s",
        "2048",
        "-Z",
        "root",
        "-i",
        "lo",
        "-w",
        &path,
        &filter,
    ]);
    let capture = Program::start(&mut command);
    capture.await_line("listening on");
    let client = ask(
        "127.0.0.1",
        &server.port,
        ["file.internal", VERSION_1, "short"],
    );
    let total = client["sent"][0]
        .as_u64()
        .zip(client["received"][0].as_u64());
    let total = total
        .map(|(sent, received)| sent + received)
        .expect("counts");
    until("all datagrams in the file", || {
        let output = run(Command::new("tshark").args(["-r", &path]));
        let lines = String::from_utf8_lossy(&output.stdout).lines().count() as u64;
        if lines == total {
            Ok(())
        } else {
            Err((lines, total))
        }
    });
    capture.end("INT");
    let expected = (1, "file.internal".to_owned());
    assert_eq!(by_tshark(&path, &server.port), expected);
    let replayed = Store::new();
    said(&mut replayed.command(&["replay", &path]));
    for store in [&store, &replayed] {
        let flow = store.await_udp_flow(&server.shown(), |row| has_counts(row, &client));
        assert_eq!(column(&flow, "quic_version"), "0x1");
        assert_eq!(column(&flow, "path"), "file.internal");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_the_reason() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let port = free_port().to_string();
    let client = ask("127.0.0.1", &port, ["gone.internal", VERSION_1, "short"]);
    assert_eq!(client["received"][0], 0, "{client}");
    let server = format!("127.0.0.1:{port}");
    let flow = store.await_udp_flow(&server, |row| {
        has_counts(row, &client) && !row["icmp"].is_null()
    });
    assert_eq!(column(&flow, "path"), "gone.internal");
    let told = column(&flow, "icmp");
    let words = "ICMP from 127.0.0.1: destination unreachable, port unreachable (type 3, code 3), ";
    assert!(told.starts_with(words), "{told}");
}
