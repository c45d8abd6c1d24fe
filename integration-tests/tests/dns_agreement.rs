//! Replayed captures have as many DNS queries as tshark finds in them; where they have not, a list says why.
//!
//! Needs HEADWATER_CORPORA, as all tests named `corpus_…`.

#![allow(clippy::expect_used, reason = "tests")]

use std::{path::Path, process::Command};

use headwater_integration_tests::{Store, captures, column, run};

/// Queries that tshark finds: standard ones, in each message of each frame.
fn queries(file: &Path) -> usize {
    let fields = ["dns.flags.response", "dns.flags.opcode"];
    let mut command = Command::new("tshark");
    command.args(["-Y", "dns", "-T", "fields", "-r"]).arg(file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = run(&mut command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .flat_map(|(responses, opcodes)| responses.split(',').zip(opcodes.split(',')))
        .filter(|(response, opcode)| {
            matches!(*response, "0" | "False") && matches!(*opcode, "0" | "0x0000")
        })
        .count()
}

/// Files in which the numbers of queries differ: the file, its packets, and why.
const OTHER_QUERIES: &[(&str, &str, &str)] = &[(
    "dns-invalid-names.pcap",
    "1, 2, 3",
    "their question's name never ends or points at itself; tshark shows the header as a query, here a message has a question",
)];

#[test]
fn corpus_dns_queries_agree_with_tshark() {
    let files = captures();
    let (mut agreed, all) = (0, files.len());
    for (name, file) in files {
        let store = Store::new();
        let told = run(store.command(&["replay"]).arg(&file));
        let told = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!told.contains("panicked"), "{name}: {told}");
        let asked = queries(&file);
        let found: u64 = if store.path().exists() {
            store
                .rows_since(
                    "1970-01-02T00:00:00Z",
                    &[
                        "search-exchanges",
                        "--protocol",
                        "dns",
                        "--detail",
                        "detailed",
                    ],
                )
                .iter()
                .filter(|row| {
                    !matches!(&*column(row, "outcome"), "query_not_seen" | "answered_late")
                })
                .map(|row| 1 + row["retries"].as_u64().unwrap_or(0))
                .sum()
        } else {
            0
        };
        let is_same = found == asked as u64;
        let exception = OTHER_QUERIES.iter().find(|(other, ..)| *other == name);
        match exception {
            None => assert!(is_same, "{name}: {found} queries, tshark {asked}"),
            Some((.., why)) => assert!(!is_same, "{name} agrees now, though {why}"),
        }
        agreed += usize::from(is_same);
    }
    println!("agreement with tshark on DNS queries: {agreed} of {all} files");
    assert!(agreed * 100 >= all * 99, "{agreed} of {all}");
}
