//! The message of ICMP that explains why an attempt came to nothing: in the recorder's own network namespace and in others,
//! of both versions of IP, as tshark reads it, and the same from a capture file.

#![allow(clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use headwater_integration_tests::{Namespace, Program, Store, column, run, said, sh, until};
use serde_json::Value;

/// A client, and a router that goes on for it: 10.81.0.2 and 10.81.0.1, fd81::2 and fd81::1.
struct Routed {
    client: Namespace,
    router: Namespace,
    device: String,
}

impl Routed {
    fn new() -> Self {
        let [client, router] = ["icmp-c", "icmp-r"].map(Namespace::new);
        let number = std::process::id() % 100_000;
        let device = format!("hwi{number}");
        sh(&format!(
            "ip link add {device} netns {c} type veth peer name hwj{number} netns {r}
             ip -n {c} addr add 10.81.0.2/24 dev {device}; ip -n {c} addr add fd81::2/64 dev {device} nodad
             ip -n {r} addr add 10.81.0.1/24 dev hwj{number}; ip -n {r} addr add fd81::1/64 dev hwj{number} nodad
             ip -n {c} link set {device} up; ip -n {r} link set hwj{number} up
             ip -n {c} route add default via 10.81.0.1; ip -n {c} -6 route add default via fd81::1
             ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
            c = client.name(),
            r = router.name(),
        ));
        Self {
            client,
            router,
            device,
        }
    }

    /// A rule by which the router answers with a message of ICMP.
    fn reject(&self, port: u16, with: &str) {
        reject(&self.router, port, with);
    }

    /// Waits until the recorder listens in the client's namespace, which it does once somebody was met there.
    fn await_listening(&self) {
        until("a raw socket in the client's namespace", || {
            attempt(&self.client, "http://10.81.0.1:9/");
            let sockets = said(
                &mut self
                    .client
                    .command("cat", &["/proc/net/raw", "/proc/net/raw6"]),
            );
            // Two lines are headings.
            if sockets.lines().count() >= 4 {
                Ok(())
            } else {
                Err(sockets)
            }
        });
    }
}

fn reject(router: &Namespace, port: u16, with: &str) {
    let rule = format!("-A FORWARD -p tcp --dport {port} -j REJECT --reject-with {with}");
    sh(&format!(
        "ip netns exec {0} iptables {rule} || ip netns exec {0} iptables-legacy {rule}",
        router.name()
    ));
}

/// Asks for what is not reached.
fn attempt(client: &Namespace, url: &str) {
    let arguments = ["-s", "-g", "-o", "/dev/null", "--max-time", "5", url];
    let output = run(&mut client.command("curl", &arguments));
    assert!(!output.status.success(), "{url}");
}

/// The only failed connection to a server.
fn failed(store: &Store, server: &str) -> Value {
    let id = until(server, || {
        let rows = store.rows(&["find-errors"]);
        let found = rows.iter().find(|row| column(row, "server") == server);
        let example = found.and_then(|row| row["examples"][0].as_str());
        example.map(str::to_owned).ok_or(rows)
    });
    store.ask(&["get-connection", &id, "--detail", "detailed"])
}

/// Both the end as it is explained and a line of the story hold these words, at a time between the SYN and the end.
fn assert_told(connection: &Value, reason: &str, words: &str) {
    assert_eq!(connection["close_reason"], reason, "{connection:#}");
    let explained = connection["close_explained"].as_str().expect("words");
    assert!(explained.contains(words), "{connection:#}");
    let rows = connection["story"]["rows"].as_array().expect("a story");
    let line = rows
        .iter()
        .find(|row| row[2].as_str().is_some_and(|what| what.starts_with(words)));
    let line = line.unwrap_or_else(|| panic!("{words}: {connection:#}"));
    let (after, lasted) = (line[0].as_f64(), connection["duration_ms"].as_f64());
    assert!(after > Some(0.0) && after <= lasted, "{connection:#}");
    assert!(
        line[2]
            .as_str()
            .is_some_and(|what| what.contains("about a packet of the client's")),
        "{connection:#}"
    );
}

/// Sender, type and code of each error of ICMP in a file.
fn by_tshark(file: &Path) -> Vec<[String; 3]> {
    let mut command = Command::new("tshark");
    command.args(["-T", "fields", "-E", "separator=|", "-E", "occurrence=f"]);
    command.args([
        "-Y",
        "icmp",
        "-e",
        "ip.src",
        "-e",
        "icmp.type",
        "-e",
        "icmp.code",
        "-r",
    ]);
    let output = run(command.arg(file));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .map(|line| {
            let mut words = line.split('|').map(str::to_owned);
            [(); 3].map(|()| words.next().unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_router_is_named_with_what_it_said() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let routed = Routed::new();
    for (port, with) in [
        (8081, "icmp-admin-prohibited"),
        (8082, "icmp-host-prohibited"),
        (8083, "icmp-port-unreachable"),
    ] {
        routed.reject(port, with);
    }
    routed.await_listening();
    let file = store.scratch().file("attempts.pcap");
    let name = file.to_string_lossy().into_owned();
    let filter = "not host 10.81.0.1 or icmp";
    let capture = Program::start(&mut routed.client.command(
        "tcpdump",
        &[
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-i",
            &routed.device,
            "-w",
            &name,
            filter,
        ],
    ));
    capture.await_line("listening on");
    let expected = [
        (
            "10.91.0.1:8081",
            "unreachable",
            "communication administratively prohibited",
        ),
        (
            "10.91.0.1:8082",
            "unreachable",
            "communication with destination host administratively prohibited",
        ),
        ("10.91.0.1:8083", "refused", "port unreachable"),
        ("10.92.0.1:80", "unreachable", "network unreachable"),
    ];
    // The last one has no rule, and no route.
    sh(&format!(
        "ip -n {} route add 10.91.0.0/24 dev lo",
        routed.router.name()
    ));
    for (server, ..) in expected {
        attempt(&routed.client, &format!("http://{server}/"));
    }
    until("the last message in the file", || {
        let found = by_tshark(&file);
        if found.len() >= expected.len() {
            Ok(())
        } else {
            Err(found)
        }
    });
    capture.end("INT");
    let replayed = Store::new();
    said(&mut replayed.command(&["replay", &name]));
    for ((server, reason, words), [from, kind, code]) in expected.into_iter().zip(by_tshark(&file))
    {
        let words = format!(
            "ICMP from {from}: destination unreachable, {words} (type {kind}, code {code})"
        );
        assert_eq!(from, "10.81.0.1");
        for store in [&store, &replayed] {
            assert_told(&failed(store, server), reason, &words);
        }
    }
}

#[test]
fn messages_of_ipv6_are_told() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let routed = Routed::new();
    sh(&format!(
        "ip -n {} -6 route add prohibit fd99::/64",
        routed.router.name()
    ));
    routed.await_listening();
    for (address, words) in [
        (
            "fd99::1",
            "communication with destination administratively prohibited (type 1, code 1)",
        ),
        ("fd98::1", "no route to destination (type 1, code 0)"),
    ] {
        attempt(&routed.client, &format!("http://[{address}]:80/"));
        let connection = failed(&store, &format!("[{address}]:80"));
        let words = format!("ICMPv6 from fd81::1: destination unreachable, {words}");
        assert_told(&connection, "unreachable", &words);
    }
}

#[test]
fn a_narrow_link_tells_its_mtu() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let routed = Routed::new();
    let server = Namespace::new("icmp-s");
    let number = std::process::id() % 100_000;
    sh(&format!(
        "ip link add hwk{number} netns {r} type veth peer name hwl{number} netns {s}
         ip -n {r} addr add 10.82.0.1/24 dev hwk{number}; ip -n {r} link set hwk{number} mtu 1400 up
         ip -n {s} addr add 10.82.0.2/24 dev hwl{number}; ip -n {s} link set hwl{number} up
         ip -n {s} route add default via 10.82.0.1",
        r = routed.router.name(),
        s = server.name(),
    ));
    routed.await_listening();
    let _server = server.serve("10.82.0.2", "8080");
    let body = store.scratch().write("body", vec![b'x'; 300_000]);
    let body = format!("@{}", body.display());
    // Python's server refuses the method without reading the body.
    run(&mut routed.client.command(
        "curl",
        &[
            "-s",
            "--max-time",
            "5",
            "--data-binary",
            &body,
            "http://10.82.0.2:8080/narrow",
        ],
    ));
    let exchange = store.exchange("/narrow");
    let id = exchange["connection"]["id"].as_str().expect("an id");
    let words = "ICMP from 10.81.0.1: destination unreachable, fragmentation needed and don't fragment set, MTU 1400 (type 3, code 4)";
    until(words, || {
        let connection = store.ask(&["get-connection", id, "--detail", "detailed"]);
        if connection["story"].to_string().contains(words) {
            Ok(())
        } else {
            Err(connection)
        }
    });
}

#[test]
fn the_recorders_own_namespace_is_listened_in_from_the_start() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let router = Namespace::new("icmp-own");
    let number = std::process::id() % 100_000;
    // The device in the own namespace goes with the other one.
    sh(&format!(
        "ip link add hwm{number} type veth peer name hwn{number} netns {r}
         ip addr add 10.83.0.2/24 dev hwm{number}; ip link set hwm{number} up
         ip -n {r} addr add 10.83.0.1/24 dev hwn{number}; ip -n {r} link set hwn{number} up
         ip route add 10.84.0.0/24 via 10.83.0.1
         ip netns exec {r} sysctl -qw net.ipv4.ip_forward=1",
        r = router.name(),
    ));
    let output = run(Command::new("curl").args(["-s", "--max-time", "5", "http://10.84.0.1:80/"]));
    assert!(!output.status.success());
    let words =
        "ICMP from 10.83.0.1: destination unreachable, network unreachable (type 3, code 0)";
    assert_told(&failed(&store, "10.84.0.1:80"), "unreachable", words);
}

/// A recorder of root's without a capability.
fn record_without(store: &Store, capability: &str) -> Program {
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", capability])
        .arg(headwater_integration_tests::headwater())
        .args(["record", "--db"])
        .arg(store.path());
    Program::start(&mut command)
}

#[test]
fn what_cannot_be_listened_to_is_said() {
    let store = Store::new();
    let recorder = record_without(&store, "-net_raw");
    recorder.await_line(
        "ICMP errors about connections: no raw socket may be opened without CAP_NET_RAW",
    );
    recorder.await_line("(probes attached)");
    recorder.end("INT");

    let store = Store::new();
    let recorder = record_without(&store, "-sys_admin");
    recorder.await_line("(probes attached)");
    let client = Namespace::new("icmp-x");
    until("what is not seen", || {
        attempt(&client, "http://127.0.0.1:9/");
        let told = store.ask(&["find-errors"])["coverage"].to_string();
        if told.contains(
            "ICMP errors in other network namespaces: they cannot be entered without CAP_SYS_ADMIN",
        ) {
            Ok(())
        } else {
            Err(told)
        }
    });
}
