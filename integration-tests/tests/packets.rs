//! `packets`: the headers of single packets, as rows and as a capture file that other tools read.

#![allow(clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Command};

use headwater_integration_tests::{
    Namespace, Nginx, Program, Scratch, headwater, joined, python, run, said, until,
};
use serde_json::Value;

fn packets(arguments: &[&str]) -> Program {
    let mut command = Command::new(headwater());
    command.args(["packets", "--json", "--for", "60s"]);
    command.env_remove("HEADWATER_DB").args(arguments);
    let looking = Program::start(command.env_remove("SUDO_UID").env_remove("SUDO_GID"));
    looking.await_line("probes attached");
    looking
}

fn rows(said: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{'));
    lines
        .map(|line| serde_json::from_str(line).expect("a row"))
        .collect()
}

fn has_flag(row: &Value, flag: &str) -> bool {
    let flags = row["tcp"]["flags"].as_array();
    flags.is_some_and(|flags| flags.iter().any(|one| one == flag))
}

/// Fields of every packet of a capture file, as tshark reads them.
fn tshark(file: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(["-T", "fields"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let text = said(&mut command);
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn a_connection_packet_by_packet_and_in_a_file_that_tshark_reads() {
    let (scratch, nginx) = (Scratch::new(), Nginx::start(""));
    let file = scratch.file("out.pcapng");
    let port = nginx.port.to_string();
    let filter = format!("tcp and port {port} and not (udp or port 1)");
    let looking = packets(&["--filter", &filter, "--pcapng", &file.to_string_lossy()]);
    let canary = "canary-in-a-header";
    said(
        Command::new("curl")
            .args([
                "-s",
                "-o",
                "/dev/null",
                "-H",
                &format!("x-secret: {canary}"),
            ])
            .arg(format!("{}/packets", nginx.url())),
    );
    until("both sides' FIN", || {
        let said = looking.said();
        let ends = rows(&said)
            .iter()
            .filter(|row| has_flag(row, "fin"))
            .count();
        if ends == 2 { Ok(()) } else { Err(said) }
    });
    let (status, told) = looking.end("INT");
    assert!(status.success(), "{told}");
    let rows = rows(&told);
    assert!(
        told.contains(&format!("headwater: {} packets told\n", rows.len())),
        "{told}"
    );
    let (first, second) = (&rows[0], &rows[1]);
    assert!(
        has_flag(first, "syn") && !has_flag(first, "ack"),
        "{first:#}"
    );
    assert!(
        has_flag(second, "syn") && has_flag(second, "ack"),
        "{second:#}"
    );
    assert_eq!(first["destination"], format!("127.0.0.1:{port}"));
    assert_eq!(first["process"]["name"], "curl", "connect() is curl's own");
    assert_eq!(first["interface"], "lo");
    let answered = rows
        .iter()
        .find(|row| row["source"] == first["destination"] && row["payload_bytes"] != 0)
        .expect("an answer");
    assert_eq!(answered["process"]["name"], "nginx", "{answered:#}");

    let read = tshark(
        &file,
        &[
            "frame.comment",
            "frame.cap_len",
            "tcp.hdr_len",
            "tcp.seq_raw",
            "tcp.options.mss_val",
            "tcp.len",
            "frame.interface_name",
        ],
    );
    assert_eq!(read.len(), rows.len());
    for (row, packet) in rows.iter().zip(&read) {
        let [comment, captured, header, seq, mss, length, interface] = &packet[..] else {
            panic!("{packet:?}");
        };
        assert_eq!(row["tcp"]["seq"].to_string(), *seq);
        assert_eq!(row["payload_bytes"].to_string(), *length);
        assert_eq!(interface, "lo");
        // An IPv4 header without options, and TCP's: nothing behind them.
        let header: usize = header.parse().expect("a length");
        assert_eq!(captured.parse(), Ok(20 + header), "{packet:?}");
        let offered = row["tcp"]["options"]
            .to_string()
            .contains(&format!("\"mss {mss}\""));
        assert_eq!(offered, !mss.is_empty(), "{row:#}");
        let process = row["process"]["name"].as_str();
        assert!(
            comment.starts_with(process.unwrap_or("process not known")),
            "{comment}"
        );
    }
    let bytes = std::fs::read(&file).expect("the file");
    for text in ["GET /packets", canary] {
        let found = bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes());
        assert!(!found && !told.contains(text), "{text} was copied");
    }
}

/// Sends three datagrams of so many bytes, of which the last is cut into fragments on its way.
const SEND: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xb8)
for n in (10, 11, 4000): s.sendto(b'x' * n, (sys.argv[1], int(sys.argv[2])))";
/// Receives three datagrams.
const RECEIVE: &str = "import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
print(s.getsockname()[1], flush=True)
for n in range(3): s.recvfrom(5000)";

#[test]
fn both_ends_of_a_link_between_namespaces() {
    let (one, two) = (Namespace::new("pka"), Namespace::new("pkb"));
    joined(&one, &two);
    let python = python().to_string_lossy().into_owned();
    let server = Program::start(&mut two.command(&python, &["-c", RECEIVE, "10.77.0.2"]));
    let port = until("a port", || server.said().trim().parse::<u16>());
    let looking = packets(&["--filter", "udp net 10.77.0.0/24", "--count", "6"]);
    said(&mut one.command(&python, &["-c", SEND, "10.77.0.2", &port.to_string()]));
    let (status, told) = looking.wait();
    assert!(
        status.success(),
        "it ends by itself when enough was seen: {told}"
    );
    let rows = rows(&told);
    assert_eq!(rows.len(), 6, "{told}");
    for (direction, namespace, is_known) in [("transmit", &one, true), ("receive", &two, false)] {
        let mine: Vec<_> = rows
            .iter()
            .filter(|row| row["direction"] == direction)
            .collect();
        let sizes: Vec<_> = mine
            .iter()
            .map(|row| row["payload_bytes"].as_u64())
            .collect();
        assert_eq!(sizes, [Some(10), Some(11), Some(4000)], "{told}");
        for row in mine {
            assert!(row["fragment"].is_null(), "{row:#}");
            assert_eq!(row["netns"], namespace.number());
            assert_eq!(
                (&row["protocol"], &row["dscp"]),
                (&"udp".into(), &46.into()),
                "{row:#}"
            );
            assert_eq!(row["process"].is_object(), is_known, "{row:#}");
        }
    }
}

#[test]
fn wrong_words_missing_privileges_and_a_file_that_is_there() {
    let words = [
        "packets",
        "--filter",
        "tcp prot 80",
        "--for",
        "2x",
        "--count",
        "0",
    ];
    let output = run(Command::new(headwater()).args(words));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{told}");
    for part in ["\"prot\" is no condition", "--for \"2x\"", "--count"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let mut other = Command::new("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let output = run(other.arg(headwater()).arg("packets"));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(77), "{told}");
    assert!(told.contains("sudo") && told.contains("CAP_BPF"), "{told}");
    let scratch = Scratch::new();
    let file = scratch.write("there.pcapng", "something else");
    let output = run(Command::new(headwater())
        .args(["packets", "--pcapng"])
        .arg(&file));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("cannot be made"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_to_string(&file).expect("the file"),
        "something else"
    );
}
