//! Capture files of any kind: each is read to its end, in bounded memory.

#![allow(clippy::expect_used, reason = "tests")]

use std::{net::SocketAddr, path::Path, process::Command};

use headwater_integration_tests::{
    Container, Link, Order, Store, capture, captures, conversation, python, run,
};

/// Most that may be resident while the files of the corpora are replayed, in KiB. The program, its database and its buffers
/// need 18 MiB for the smallest; none of these files holds as much as 0.2, so that what is more is another's bug.
const MOST_KIB: u64 = 24 << 10;
/// The same while every table is full: the 64 MiB that a recorder is held to, and what is kept of 65,536 senders beside them,
/// which live is kept in the kernel.
const MOST_FULL_KIB: u64 = 128 << 10;

/// Runs what it is given, and says how much of it was resident at most, in KiB.
const MEASURE: &str = "import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(ended)";

/// Replays these files into a store of their own. Gives KiB resident at most.
fn replayed<'a>(files: impl IntoIterator<Item = &'a Path>) -> u64 {
    let store = Store::new();
    let replay = store.command(&["replay"]);
    let mut command = Command::new(python());
    command.args(["-c", MEASURE]).arg(replay.get_program());
    command.args(replay.get_args()).args(files);
    for (name, value) in replay.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = run(&mut command);
    let told = String::from_utf8_lossy(&output.stderr);
    let is_done = output.status.success() && !told.contains("panicked");
    assert!(is_done, "{}: {told}", output.status);
    let most = String::from_utf8_lossy(&output.stdout);
    most.trim().parse().expect("a number of KiB")
}

#[test]
fn corpus_every_capture_replays() {
    let files = captures();
    let mut most = (0, String::new());
    for (name, file) in &files {
        most = most.max((replayed([file.as_path()]), name.clone()));
    }
    // Nothing is kept of a file behind its end.
    let all = replayed(files.iter().map(|(_, file)| file.as_path()));
    println!(
        "{} files: {} KiB at most, for {}; one after the other {all} KiB",
        files.len(),
        most.0,
        most.1
    );
    assert!(most.0 <= MOST_KIB, "{most:?}");
    assert!(all <= MOST_KIB, "{all} KiB");
}

/// Connections that never end, each in the middle of a head: more of them than are remembered.
#[test]
fn more_connections_than_are_remembered_need_no_more_memory() {
    let half = format!(
        "GET /half HTTP/1.1\r\n{}",
        "X-Padding: 0123456789\r\n".repeat(32)
    );
    let server: SocketAddr = "10.0.0.2:8080".parse().expect("an address");
    let packets: Vec<_> = (0..40_000_u32)
        .flat_map(|number| {
            let [_, third, second, first] = number.to_be_bytes();
            let address = [10, 1, third, second];
            let client = SocketAddr::new(address.into(), 1_024 + u16::from(first));
            let mut packets = conversation(client, server, &[&half]);
            // Without the FINs.
            packets.truncate(3);
            packets
        })
        .collect();
    let (container, order, link) = (Container::Pcap, Order::Little, Link::Raw);
    let file = capture(container, order, link, 1_700_000_000, &packets);
    let store = Store::new();
    let path = store.scratch().write("long.pcap", file);
    let most = replayed([path.as_path()]);
    println!("{most} KiB");
    assert!(most <= MOST_FULL_KIB, "{most} KiB");
}
