//! The recorder and the kernel: what a SIGKILL leaves behind, what an overload loses, and what a filter leaves out.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{
    DEADLINE, Front, Nginx, Program, Store, column, said, until, until_within,
};
use serde_json::Value;

fn nginx() -> Nginx {
    Nginx::start("location / { return 200 'fine'; }")
}

/// curl with keep-alive for `count` requests, printing each status.
fn load(nginx: &Nginx, word: &str, count: u32) -> Program {
    let url = format!("{}/{word}/[1-{count}]", nginx.url());
    Program::start(Command::new("curl").args([
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}\n",
        &url,
    ]))
}

/// All must be answered.
fn answered(load: Program, count: usize) {
    let (status, told) = load.wait();
    assert!(status.success(), "{status}");
    assert_eq!(told.lines().filter(|line| *line == "200").count(), count);
}

/// What BPF holds: programs, links and what is attached to cgroups.
fn in_the_kernel() -> (usize, usize, String) {
    let ask =
        |arguments: &[&str]| said(Command::new("bpftool").env("PATH", path()).args(arguments));
    let count = |kind: &str| {
        let list: Value = serde_json::from_str(&ask(&["-j", kind, "show"])).expect("a list");
        list.as_array().map_or(0, Vec::len)
    };
    (count("prog"), count("link"), ask(&["cgroup", "tree"]))
}

/// What is there once the kernel has freed what an earlier recorder attached, which it does a while after that has ended.
fn without_earlier_probes() -> (usize, usize, String) {
    until("kernel without earlier probes", || {
        let list = said(
            Command::new("bpftool")
                .env("PATH", path())
                .args(["-j", "prog", "show"]),
        );
        let list: Value = serde_json::from_str(&list).expect("a list");
        let programs = list.as_array().map_or(&[][..], Vec::as_slice);
        // Of each kind: they are not freed all at once.
        let probes = [
            "egress",
            "ingress",
            "inet_sock_set",
            "sched_process",
            "tls_",
            "go_",
            "rustls_",
        ];
        let earlier: Vec<String> = programs
            .iter()
            .filter_map(|program| program["name"].as_str())
            .filter(|name| probes.iter().any(|probe| name.contains(probe)))
            .map(str::to_owned)
            .collect();
        if earlier.is_empty() {
            Ok(in_the_kernel())
        } else {
            Err(earlier)
        }
    })
}

fn await_as_before(before: &(usize, usize, String)) {
    until("kernel without probes", || {
        let now = in_the_kernel();
        if now == *before { Ok(()) } else { Err(now) }
    });
}

fn path() -> String {
    format!(
        "{}:/usr/sbin:/sbin",
        std::env::var("PATH").unwrap_or_default()
    )
}

/// Whether this kernel has links of many places (Linux 6.6), with each of which it tells a program a number.
fn has_links_of_many_places() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).expect("a number");
    (next(), next()) >= (6, 6)
}

/// Refused by a kernel that could run it, it would be two without a word.
#[test]
fn a_call_of_openssl_has_one_probe_where_it_can() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let _recorder = store.record(&[]);
    let setting = "/proc/sys/kernel/bpf_stats_enabled";
    let before = std::fs::read_to_string(setting).expect("counts of runs");
    std::fs::write(setting, "1").expect("counts of runs");
    let asked = Program::start(Command::new("curl").args([
        "-sk",
        "-o",
        "/dev/null",
        &format!("https://127.0.0.1:{}/small/counted", nginx.port),
    ]));
    let (status, told) = asked.wait();
    std::fs::write(setting, before).expect("counts of runs as they were");
    assert!(status.success(), "{told}");
    store.exchange("/small/counted");
    let runs = |name: &str| {
        let list = Command::new("bpftool")
            .env("PATH", path())
            .args(["-j", "prog", "show", "name", name])
            .output()
            .expect("bpftool");
        let list: Value = serde_json::from_slice(&list.stdout).expect("a program");
        let list = list.as_array().cloned().unwrap_or_else(|| vec![list]);
        let counts = list.iter().filter_map(|one| one["run_cnt"].as_u64());
        counts.sum::<u64>()
    };
    for (what, one, two) in [
        (
            "reads",
            "tls_copied",
            ["tls_read_stack", "tls_read_out", "tls_read"],
        ),
        (
            "writes",
            "tls_in_records",
            ["tls_write_stack", "tls_write_out", "tls_write"],
        ),
    ] {
        let (one, two) = (runs(one), two.map(runs).iter().sum::<u64>());
        assert_eq!(
            (one > 0, two > 0),
            (has_links_of_many_places(), !has_links_of_many_places()),
            "{what}: {one} where bytes are encrypted or copied, {two} at beginnings"
        );
    }
}

/// They stay while anybody runs it, and for twenty seconds after: whoever starts it then is seen from the beginning.
#[test]
fn probes_leave_a_file_that_nobody_runs_any_more() {
    let store = Store::new();
    let (nginx, http2_port) = Nginx::start_behind_proxy();
    let _recorder = store.record(&[]);
    let links = || in_the_kernel().1;
    // Files that are alike, so that as many links are in each.
    let start = || {
        let before = links();
        let front = Front::start(Front::STRIPPED, nginx.port, http2_port);
        let with_it = until("file with probes", || {
            let now = links();
            store.settle();
            if now > before && now == links() {
                Ok(now)
            } else {
                Err((before, now))
            }
        });
        (front, with_it)
    };
    let (_first, with_one) = start();
    let (second, with_two) = start();
    assert!(with_two > with_one, "{with_one} links, then {with_two}");
    drop(second);
    until_within(3 * DEADLINE, "file without probes", || {
        let now = links();
        if now == with_one { Ok(()) } else { Err(now) }
    });
    // That of another is as it was, and one that comes anew is read again.
    let (_third, with_two_again) = start();
    assert_eq!(with_two_again, with_two);
}

#[test]
fn a_killed_recorder_leaves_traffic_and_kernel_as_they_were() {
    let (store, nginx) = (Store::new(), nginx());
    let before = without_earlier_probes();
    let recorder = store.record(&[]);
    assert_ne!(in_the_kernel().0, before.0, "programs are attached");
    let first = load(&nginx, "first", 5000);
    store.await_rows(&["search-exchanges", "--path", "/first/"], 20);
    recorder.end("KILL");
    await_as_before(&before);
    answered(first, 5000);
    let kept = store
        .rows(&[
            "search-exchanges",
            "--path",
            "/first/",
            "--outcome",
            "complete",
        ])
        .len();
    assert!(kept >= 20, "{kept} rows after the kill");

    let second = load(&nginx, "second", 3000);
    let recorder = store.record(&[]);
    answered(second, 3000);
    said(Command::new("curl").args(["-s", &format!("{}/third", nginx.url())]));
    assert_eq!(store.exchange("/third")["outcome"], "complete");
    assert!(
        store.rows(&["search-exchanges", "--path", "/first/"]).len() >= kept,
        "earlier rows are still there"
    );
    let coverage = store.ask(&["search-exchanges", "--path", "=/never"])["coverage"].clone();
    assert!(
        coverage.to_string().contains("recorder_killed"),
        "{coverage:#}"
    );
    recorder.end("INT");
    await_as_before(&before);
}

/// Numbers of the stop line: fired, delivered, lost.
fn totals(told: &str) -> [u64; 3] {
    let line = told
        .lines()
        .find(|line| line.contains("stopped: "))
        .unwrap_or_else(|| panic!("no stop line: {told}"));
    let numbers: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    numbers
        .try_into()
        .unwrap_or_else(|_| panic!("three numbers: {line}"))
}

#[test]
fn under_overload_every_record_is_delivered_or_counted_lost() {
    let (store, nginx) = (Store::new(), nginx());
    let recorder = store.record(&["--ring-size", "1MiB", "--slow-reader-ms", "300"]);
    let loads = ["a", "b", "c"].map(|word| load(&nginx, word, 6000));
    for load in loads {
        answered(load, 6000);
    }
    let mentions = until("mention of the loss", || {
        let coverage = store.ask(&["search-exchanges", "--path", "=/never"])["coverage"].clone();
        if coverage.to_string().contains("ring_lost") {
            Ok(coverage)
        } else {
            Err(coverage)
        }
    });
    let (status, told) = recorder.end("INT");
    assert!(status.success(), "{told}");
    let [fired, delivered, lost] = totals(&told);
    assert_eq!(fired, delivered + lost, "{told}");
    assert!(lost > 0 && delivered > 0, "{told} {mentions:#}");
    let coverage = store.ask(&["search-exchanges", "--path", "=/never"])["coverage"].clone();
    let stored: u64 = coverage["not_seen"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|item| item["kind"] == "ring_lost")
        .filter_map(|item| item["count"].as_u64())
        .sum();
    assert_eq!(stored, lost, "{coverage:#} {told}");
}

/// Traffic goes on while the recorder stops: what was begun before it detached is read, and what came after is not begun.
#[test]
fn stopped_in_the_midst_of_traffic_its_sums_are_exact() {
    let (store, nginx) = (Store::new(), nginx());
    let words: Vec<String> = (0..3).map(|number| format!("stopped/{number}")).collect();
    for _ in 0..3 {
        let recorder = store.record(&[]);
        let loads: Vec<_> = words
            .iter()
            .map(|word| load(&nginx, word, 1_000_000))
            .collect();
        until("traffic in the store", || {
            let answer = store.ask(&["search-exchanges", "--since", "-1s"]);
            match answer["rows"].as_array() {
                Some(rows) if rows.len() > 10 => Ok(()),
                _ => Err(answer),
            }
        });
        let (status, told) = recorder.end("INT");
        assert!(status.success(), "{told}");
        let [fired, delivered, lost] = totals(&told);
        assert_eq!(fired, delivered + lost, "{told}");
        for load in loads {
            assert!(!load.end("TERM").0.success(), "the load went on meanwhile");
        }
    }
}

#[test]
fn what_a_filter_leaves_out_is_told_in_the_empty_answer() {
    let (store, nginx) = (Store::new(), nginx());
    let recorder = store.record(&["--except-port", &nginx.port.to_string()]);
    answered(load(&nginx, "hidden", 5), 5);
    let answer = until("word of the filter", || {
        let answer = store.ask(&["search-exchanges", "--path", "/hidden/"]);
        if answer["coverage"].to_string().contains("\"filtered\"") {
            Ok(answer)
        } else {
            Err(answer)
        }
    });
    assert_eq!(answer["rows"], Value::Array(Vec::new()), "{answer:#}");
    recorder.end("INT");
}

#[test]
fn its_own_answers_are_left_out_and_counted() {
    let (store, nginx) = (Store::new(), nginx());
    let _recorder = store.record(&[]);
    let server = Program::start(&mut store.command(&["serve", "--listen", "127.0.0.1:0"]));
    let line = server.await_line("serving MCP at ");
    let address = line
        .split("serving MCP at ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next())
        .expect("an address");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let headers = [
        "-H",
        "Content-Type: application/json",
        "-H",
        "Accept: application/json, text/event-stream",
    ];
    said(
        Command::new("curl")
            .args(["-s", "-d", ping])
            .args(headers)
            .arg(address),
    );
    answered(load(&nginx, "control", 1), 1);
    store.await_rows(&["search-exchanges", "--path", "/control/"], 1);
    until("count of what was left out", || {
        let answer = store.ask(&["search-exchanges"]);
        if answer["coverage"].to_string().contains("\"own_traffic\"") {
            Ok(())
        } else {
            Err(answer)
        }
    });
    let rows = store.rows(&["search-exchanges", "--path", "/mcp"]);
    assert!(
        rows.is_empty(),
        "{:?}",
        rows.iter()
            .map(|row| column(row, "server"))
            .collect::<Vec<_>>()
    );
}
