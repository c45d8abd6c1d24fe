//! The captures of Zeek's tests for DNS, odd ones most of them, and agreement with tshark.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use headwater_protocols::dns::{
    Counts, Exchange, Limits, Outcome, Pairing, Reading, Transport, Way, looks_like_message, read,
};

use crate::frames::datagrams;

fn captures() -> Vec<PathBuf> {
    let folder = std::env::var_os("HEADWATER_CORPORA")
        .map(PathBuf::from)
        .expect(
            "HEADWATER_CORPORA names the folder of corpora; --skip corpus_ leaves these tests out",
        );
    let folder = std::fs::read_dir(folder.join("pcap/zeek-dns")).expect("pcap/zeek-dns");
    let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "an empty corpus");
    files
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_string_lossy().into_owned()
}

type Flow = [(std::net::IpAddr, u16); 2];

/// What passed, and what came of it.
fn paired(file: &Path) -> (Counts, Vec<Exchange<Flow>>) {
    let mut pairing = Pairing::new(Limits::default());
    let mut exchanges = Vec::new();
    let mut ended = |exchange| exchanges.push(exchange);
    for (at_ns, datagram) in (0..).zip(datagrams(file)) {
        let way = if datagram.to_server {
            Way::ToServer
        } else {
            Way::ToClient
        };
        let (bytes, wire_length) = (&datagram.payload, datagram.wire_length);
        pairing.message(
            datagram.flow,
            way,
            at_ns,
            Transport::Udp,
            bytes,
            wire_length,
            &mut ended,
        );
    }
    pairing.finish(0, &mut ended);
    (pairing.counts(), exchanges)
}

/// Each message of a file, sorted: opcode, whether it is a response, id, the code in the header, and the first question.
type Messages = Vec<String>;

fn ours(file: &Path) -> Messages {
    let mut messages: Vec<_> = datagrams(file)
        .iter()
        .filter_map(
            |datagram| match read(&datagram.payload, datagram.wire_length) {
                Reading::Message(message) => Some(message),
                Reading::Cut | Reading::Malformed(_) => None,
            },
        )
        .map(|message| {
            let (opcode, response) = (message.opcode.0, u8::from(message.response));
            let id = message.id;
            // tshark shows none for a query.
            let code = if message.response {
                (message.rcode.0 & 0xf).to_string()
            } else {
                String::new()
            };
            let question = message.question.unwrap();
            format!(
                "{opcode} {response} {id} {code} {} {}",
                question.name, question.kind.0
            )
        })
        .collect();
    messages.sort();
    messages
}

/// What tshark finds over UDP.
fn theirs(file: &Path) -> Messages {
    let fields = "flags.opcode/flags.response/id/flags.rcode/qry.name/qry.type";
    let mut command = Command::new("tshark");
    command
        .args(["-Y", "dns && udp", "-T", "fields", "-r"])
        .arg(file);
    for field in fields.split('/') {
        command.args(["-e", &format!("dns.{field}")]);
    }
    let output = command.output().expect("tshark: ./test installs it");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut messages: Vec<_> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(told)
        .collect();
    messages.sort();
    messages
}

/// A line of tshark's: a tab between fields, a comma between values, numbers of some fields in base 16.
fn told(line: &str) -> String {
    let fields = line
        .split('\t')
        .map(|field| field.split(',').next().unwrap());
    let fields = fields.map(|field| match field.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).unwrap().to_string(),
        None => field.to_string(),
    });
    fields.collect::<Vec<_>>().join(" ")
}

/// Files where tshark finds more, and why.
const EXCEPTIONS: &[(&str, usize, &str)] = &[(
    "dns-invalid-names.pcap",
    3,
    "its three queries ask for names that do not end; here they are malformed, and counted as such",
)];

#[test]
fn corpus_messages_agree_with_tshark() {
    let mut agreed = 0;
    for file in captures() {
        let name = name(&file);
        let (ours, theirs) = (ours(&file), theirs(&file));
        match EXCEPTIONS.iter().find(|(other, ..)| *other == name) {
            None => {
                assert_eq!(ours, theirs, "{name}");
                agreed += ours.len();
            }
            Some((_, malformed, _)) => {
                assert_eq!((ours.len(), theirs.len()), (0, *malformed), "{name}");
                let counted = paired(&file).0.malformed;
                assert_eq!(counted, u64::try_from(*malformed).unwrap());
            }
        }
    }
    println!("{agreed} messages agree with tshark");
    assert!(agreed >= 60, "{agreed}");
}

#[test]
fn corpus_every_message_is_counted_once() {
    for file in captures() {
        let (counts, exchanges) = paired(&file);
        let passed = counts.queries + counts.responses + counts.others + counts.malformed;
        assert_eq!(
            passed,
            u64::try_from(datagrams(&file).len()).unwrap(),
            "{}",
            name(&file)
        );
        let ended = |outcome| {
            let of_it = exchanges
                .iter()
                .filter(|exchange| exchange.outcome == outcome);
            u64::try_from(of_it.count()).unwrap()
        };
        let answered = ended(Outcome::Answered);
        assert_eq!(
            counts.queries,
            answered + ended(Outcome::Unfinished) + counts.retries
        );
        assert_eq!(
            counts.responses,
            answered + ended(Outcome::AnswerOnly) + counts.duplicates
        );
    }
}

/// Files with messages to port 53 that would not be taken for DNS on another port, how many, and why that is right.
const NOT_RECOGNISED: &[(&str, usize, &str)] = &[
    ("conn-count-too-large.pcap", 1, "ten questions"),
    ("dns-binds.pcap", 2, "a type for private use"),
    ("dns-invalid-names.pcap", 3, "names that do not end"),
    ("dns_notify2.pcap", 2, "NOTIFY"),
    ("dynamic-update.pcap", 4, "UPDATE"),
];

#[test]
fn corpus_datagrams_of_port_53_are_recognised() {
    for file in captures() {
        let all = datagrams(&file);
        let missed = all
            .iter()
            .filter(|datagram| !looks_like_message(&datagram.payload));
        let name = name(&file);
        let expected = NOT_RECOGNISED.iter().find(|(other, ..)| *other == name);
        assert_eq!(
            missed.count(),
            expected.map_or(0, |(_, count, _)| *count),
            "{name}"
        );
    }
}
