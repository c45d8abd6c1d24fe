//! Replayed captures agree with tshark: message by message, by stream, direction, and method with path, or status.
//!
//! Where they do not, `agreement/exceptions.txt` says why, line by line; a line for what no longer happens is a mistake, too.
//! Needs HEADWATER_CORPORA, as all tests named `corpus_…`.

#![allow(clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Command};

use headwater_integration_tests::{Store, captures, column, run};
use serde_json::Value;

/// A request or a final response.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Message {
    from: String,
    to: String,
    kind: &'static str,
    /// Method and target without its query; or the status.
    what: String,
    place: Place,
}

/// Where it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// Number of the frame.
    Frame(u64),
    /// Time of the first byte, to the millisecond.
    At(String),
}

impl Message {
    /// Whether both name the same message. What was redacted here stands for whatever is there.
    fn is(&self, other: &Self) -> bool {
        let ends = |message: &Self| (message.from.clone(), message.to.clone(), message.kind);
        let words = |message: &Self| -> Vec<String> {
            let what = message.what.split('/').map(str::to_owned);
            what.collect()
        };
        let (here, there) = (words(self), words(other));
        ends(self) == ends(other)
            && here.len() == there.len()
            && here
                .iter()
                .zip(&there)
                .all(|(here, there)| here.contains("{h:") || here == there)
    }
}

/// A target without its query. Schemes have no case (RFC 3986 section 3.1).
fn without_query(target: &str) -> String {
    let target = target.split('?').next().unwrap_or_default();
    match target.split_once("://") {
        Some((scheme, rest)) => format!("{}://{rest}", scheme.to_ascii_lowercase()),
        None => target.to_owned(),
    }
}

/// What Headwater finds, and how many answered requests it tells as malformed, without a method.
fn ours(file: &Path) -> (Vec<Message>, usize) {
    let store = Store::new();
    run(&mut store.command(&["replay", &file.to_string_lossy()]));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (mut messages, mut malformed) = (Vec::new(), 0);
    for row in store.rows_since("1970-01-01T00:00:00Z", &["search-exchanges"]) {
        let exchange = store.ask(&["get-exchange", &column(&row, "id"), "--detail", "detailed"]);
        let (client, server) = (
            text(&exchange["client"]["address"]),
            text(&exchange["server"]["address"]),
        );
        if let Some(method) = exchange["method"].as_str() {
            messages.push(Message {
                from: client.clone(),
                to: server.clone(),
                kind: "request",
                what: format!("{method} {}", without_query(&text(&exchange["target"]))),
                place: Place::At(text(&exchange["request"]["first_byte"])),
            });
        }
        malformed +=
            usize::from(exchange["method"].is_null() && exchange["outcome"] == "malformed");
        if let Some(status) = exchange["status_code"].as_u64() {
            messages.push(Message {
                from: server,
                to: client,
                kind: "response",
                what: status.to_string(),
                place: Place::At(text(&exchange["response"]["first_byte"])),
            });
        }
    }
    (messages, malformed)
}

/// Values of one field in one frame stand behind each other with this between them.
const BETWEEN: char = '\u{1}';
/// Ports where tshark does not look for HTTP by itself.
const PORTS: [u16; 4] = [22, 1080, 4711, 8000];

/// A line of tshark for each frame that the filter takes: number, time, source, destination, and these fields.
fn frames(file: &Path, filter: &str, options: &[&str], fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file).args(options);
    for port in PORTS {
        command.args(["-d", &format!("tcp.port=={port},http")]);
    }
    command.args(["-Y", filter, "-T", "fields", "-E"]);
    command.arg(format!("aggregator={BETWEEN}"));
    for field in [
        "frame.number",
        "frame.time_epoch",
        "ip.src",
        "ipv6.src",
        "tcp.srcport",
        "ip.dst",
        "ipv6.dst",
        "tcp.dstport",
    ]
    .iter()
    .chain(fields)
    {
        command.args(["-e", field]);
    }
    let output = run(&mut command);
    assert!(output.status.success(), "{output:?}");
    let address = |four: &str, six: &str, port: &str| {
        if six.is_empty() {
            format!("{four}:{port}")
        } else {
            format!("[{six}]:{port}")
        }
    };
    let line = |line: &str| {
        let cells: Vec<_> = line.split('\t').collect();
        let [
            number,
            time,
            four,
            six,
            port,
            to_four,
            to_six,
            to_port,
            rest @ ..,
        ] = &cells[..]
        else {
            panic!("a line of tshark with other fields: {line:?}");
        };
        let mut cells = vec![
            (*number).to_owned(),
            (*time).to_owned(),
            address(four, six, port),
            address(to_four, to_six, to_port),
        ];
        cells.extend(rest.iter().map(|cell| (*cell).to_owned()));
        cells
    };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(line)
        .collect()
}

/// What tshark finds.
fn theirs(file: &Path, options: &[&str]) -> Vec<Message> {
    let fields = [
        "http.request.method",
        "http.request.uri",
        "http.response.code",
    ];
    let mut messages = Vec::new();
    for cells in frames(file, "http", options, &fields) {
        let [number, _, from, to, methods, targets, statuses] = &cells[..] else {
            panic!("a line with other fields: {cells:?}");
        };
        let mut add = |kind: &'static str, what: String| {
            messages.push(Message {
                from: from.clone(),
                to: to.clone(),
                kind,
                what,
                place: Place::Frame(number.parse().expect("a number")),
            });
        };
        let list = |cell: &str| -> Vec<String> {
            let values = cell.split(BETWEEN).filter(|value| !value.is_empty());
            values.map(str::to_owned).collect()
        };
        for (method, target) in list(methods).iter().zip(list(targets)) {
            add("request", format!("{method} {}", without_query(&target)));
        }
        for status in list(statuses) {
            // tshark counts interim responses too; here they belong to the one that follows.
            if !status.starts_with('1') || status == "101" {
                add("response", status);
            }
        }
    }
    messages
}

/// How many requests and how many responses there are.
fn counts(messages: &[Message]) -> [usize; 2] {
    ["request", "response"].map(|kind| {
        messages
            .iter()
            .filter(|message| message.kind == kind)
            .count()
    })
}

/// Number of the frame that a message began in.
fn frame_of(file: &Path, message: &Message) -> u64 {
    let at = match &message.place {
        Place::Frame(number) => return *number,
        Place::At(at) => at,
    };
    let all = frames(file, "tcp.len > 0", &["-t", "ud"], &["_ws.col.Time"]);
    let found = all.iter().find(|cells| {
        let time = cells[4].replace(' ', "T");
        (&cells[2], &cells[3]) == (&message.from, &message.to) && time.get(..23) == at.get(..23)
    });
    let found = found.unwrap_or_else(|| panic!("{}: no frame of {message:?}", file.display()));
    found[0].parse().expect("a number")
}

/// Takes from both what both have.
fn take_common(from: &mut Vec<Message>, other: &mut Vec<Message>) {
    from.retain(|message| {
        let Some(at) = other
            .iter()
            .position(|other| message.is(other) || other.is(message))
        else {
            return true;
        };
        other.remove(at);
        false
    });
}

/// Lines `file:packet:kind:whose fault:reason`.
const EXCEPTIONS: &str = include_str!("agreement/exceptions.txt");

/// The listed exceptions, `file:packet:kind` and whose fault each is.
fn exceptions() -> Vec<(String, &'static str)> {
    let lines = EXCEPTIONS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let parts: Vec<_> = line.splitn(5, ':').collect();
            let [file, packet, kind, whose @ ("tshark" | "headwater"), reason] = parts[..] else {
                panic!("not file:packet:kind:whose:reason: {line}");
            };
            assert!(!reason.is_empty(), "no reason: {line}");
            (format!("{file}:{packet}:{kind}"), whose)
        })
        .collect()
}

#[test]
fn corpus_messages_agree_with_tshark() {
    let (mut all, mut found, mut agreeing, mut equal) = (0, Vec::new(), 0, 0);
    let files = captures();
    let file_count = files.len();
    for (name, file) in files {
        let before = found.len();
        let mut theirs_whole = theirs(&file, &[]);
        let (mut ours, malformed) = ours(&file);
        let total = ours.len();
        let [expected, counted] = [&theirs_whole, &ours].map(|messages| counts(messages));
        take_common(&mut ours, &mut theirs_whole);
        all += total + theirs_whole.len();
        // Where a body has a hole or the capture ends in it, tshark tells nothing of the message unless told not to wait for
        // bodies; then it takes some bodies for messages. And it leaves out of order what came so. So this confirms what is
        // found, and asks for nothing.
        if !ours.is_empty() {
            let options = [
                "-o",
                "http.desegment_body:FALSE",
                "-o",
                "tcp.reassemble_out_of_order:TRUE",
            ];
            take_common(&mut ours, &mut theirs(&file, &options));
        }
        for (messages, how) in [(theirs_whole, "missed"), (ours, "extra")] {
            for message in messages {
                let frame = frame_of(&file, &message);
                println!("{name}: {how} in frame {frame}: {message:?}");
                found.push(format!("{name}:{frame}:{how} {}", message.kind));
            }
        }
        agreeing += usize::from(found.len() == before);
        // Requests and responses by number: a request that is told as malformed counts as one.
        equal +=
            usize::from(found.len() == before || expected == [counted[0] + malformed, counted[1]]);
    }
    let listed = exceptions();
    let faults = listed
        .iter()
        .filter(|(_, whose)| *whose == "headwater")
        .count();
    println!(
        "agreement with tshark: {} of {all} in {agreeing} of {file_count} files, by number in {equal}; of the rest {faults} are Headwater's fault",
        all - found.len()
    );
    found.sort();
    let mut listed: Vec<_> = listed.into_iter().map(|(place, _)| place).collect();
    listed.sort();
    assert_eq!(found, listed, "what happens, and what is listed");
    assert!(equal * 100 >= file_count * 99, "{equal} of {file_count}");
    assert!(all > 200, "{all} messages");
    assert!((all - faults) * 100 >= all * 99, "{faults} faults in {all}");
    assert!(
        found.len() * 100 <= all * 2,
        "{} exceptions in {all}",
        found.len()
    );
}
