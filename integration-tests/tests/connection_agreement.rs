//! Replayed captures have the handshake options, retransmissions and resets that tshark finds in them; where they
//! have not, a list says why.
//!
//! Needs HEADWATER_CORPORA, as all tests named `corpus_…`.

#![allow(clippy::expect_used, reason = "tests")]

use std::{collections::BTreeSet, path::Path, process::Command};

use headwater_integration_tests::{Store, captures, run, said};
use serde_json::Value;

/// What a file comes to.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// MSS, window scale, SACK-permitted and timestamps of each SYN and SYN-ACK, sent again or not, sorted.
    options: Vec<[String; 4]>,
    /// Segments sent again, with SYN and FIN among them.
    retransmissions: u64,
    resets: u64,
}

/// What is asked of each packet.
const FIELDS: [&str; 12] = [
    "tcp.flags.syn",
    "tcp.stream",
    "ip.src",
    "tcp.srcport",
    "tcp.options.mss_val",
    "tcp.options.wscale.shift",
    "tcp.options.sack_perm",
    "tcp.options.timestamp.tsval",
    "tcp.flags.reset",
    "tcp.analysis.retransmission",
    "tcp.analysis.fast_retransmission",
    "tcp.analysis.spurious_retransmission",
];

fn by_tshark(file: &Path) -> Found {
    let mut command = Command::new("tshark");
    let shown = ["-T", "fields", "-E", "separator=|", "-Y", "tcp", "-r"];
    command.args(shown).arg(file);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = run(&mut command);
    let mut seen = BTreeSet::new();
    let mut found = Found {
        options: Vec::new(),
        retransmissions: 0,
        resets: 0,
    };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let packet: Vec<_> = line.split('|').collect();
        let [
            syn,
            stream,
            source,
            port,
            mss,
            scale,
            sack,
            timestamps,
            reset,
            again @ ..,
        ] = &packet[..]
        else {
            panic!("a line of other fields: {line}");
        };
        let yes = |text: &str| if text.is_empty() { "no" } else { "yes" }.to_owned();
        let or_absent = |text: &str| if text.is_empty() { "absent" } else { text }.to_owned();
        if *syn == "1" && seen.insert([stream, source, port].map(|text| (*text).to_owned())) {
            let options = [or_absent(mss), or_absent(scale), yes(sack), yes(timestamps)];
            found.options.push(options);
        }
        found.resets += u64::from(*reset == "1");
        found.retransmissions += u64::from(again.iter().any(|again| !again.is_empty()));
    }
    found.options.sort();
    found
}

/// All connections of a store: their ids count up.
fn connections(store: &Store) -> Vec<Value> {
    // The tag of this store stands in the words of a refusal.
    let refused = run(&mut store.command(&["get-connection", "none"]));
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    let sample = words.split_whitespace().find(|word| word.starts_with("c_"));
    let tag: String = sample.expect("a sample").chars().skip(2).take(4).collect();
    let digits = "0123456789abcdefghjkmnpqrstvwxyz".chars();
    let ids = digits.skip(1).map(|digit| format!("c_{tag}{digit}"));
    ids.map_while(|id| {
        let mut command = store.command(&["get-connection", &id, "--json"]);
        let told = run(&mut command);
        told.status
            .success()
            .then(|| serde_json::from_slice(&told.stdout).expect("JSON"))
    })
    .collect()
}

fn by_headwater(store: &Store) -> Found {
    let mut found = Found {
        options: Vec::new(),
        retransmissions: 0,
        resets: 0,
    };
    for connection in connections(store) {
        let rows = connection["elements"]["rows"].as_array().expect("elements");
        for end in [1, 2] {
            let told = |name: &str| {
                let row = rows.iter().find(|row| row[0] == name);
                row.and_then(|row| row[end].as_str())
                    .filter(|text| *text != "unknown")
                    .map(str::to_owned)
            };
            let count =
                |name: &str| told(name).map_or(0, |text| text.parse::<u64>().expect("a count"));
            found.retransmissions += count("retransmits") + count("syn_retries");
            found.resets += count("resets");
            if let (Some(mss), Some(scale), Some(sack), Some(timestamps)) = (
                told("mss"),
                told("window_scale"),
                told("sack_permitted"),
                told("timestamps"),
            ) {
                found.options.push([mss, scale, sack, timestamps]);
            }
        }
    }
    found.options.sort();
    found
}

/// Files in which something differs: the file, its packets, and why.
const OTHERS: &[(&str, &str, &str)] = &[
    (
        "one-sided-2745.pcap",
        "1, 4",
        "a SYN-ACK alone, with no payload behind it, begins no connection here",
    ),
    ("option-27.pcap", "1", "a SYN-ACK alone, too"),
    ("single-rst.pcap", "1", "a RST of no connection"),
    (
        "tls13_psk_succesfull.pcap",
        "19",
        "a FIN within a round trip behind an acknowledgement that shows it: out of order here, sent again to tshark",
    ),
    (
        "truncated-header.pcap",
        "1, 2",
        "headers of TCP are cut off within their options, of which tshark shows those that are there",
    ),
];

#[test]
fn corpus_handshakes_retransmissions_and_resets_agree_with_tshark() {
    let files = captures();
    let mut agreed = 0;
    let mut wrong = Vec::new();
    for (name, file) in &files {
        let store = Store::new();
        said(store.command(&["replay"]).arg(file));
        let (ours, theirs) = (by_headwater(&store), by_tshark(file));
        let is_same = ours == theirs;
        match OTHERS.iter().find(|(other, ..)| other == name) {
            None if !is_same => wrong.push(format!("{name}: {ours:?}, tshark {theirs:?}")),
            Some((.., why)) if is_same => wrong.push(format!("{name} agrees now, though {why}")),
            _ => {}
        }
        agreed += usize::from(is_same);
    }
    println!(
        "agreement with tshark on TCP: {agreed} of {} files",
        files.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(agreed * 100 >= files.len() * 95, "{agreed}");
}
