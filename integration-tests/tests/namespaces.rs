//! Network namespaces: equal addresses never mix, a pair of interfaces is one connection with two ends, and so is one
//! with an address translation between.

#![allow(clippy::expect_used, reason = "tests")]

use headwater_integration_tests::{Namespace, Program, Store, joined, sh, until};
use serde_json::Value;

fn pids(exchange: &Value) -> [Option<u64>; 2] {
    ["client", "server"].map(|end| exchange[end]["pid"].as_u64())
}

fn two_local_ends(
    exchange: &Value,
    server: &Program,
    client_in: &Namespace,
    server_in: &Namespace,
) {
    assert_eq!(
        pids(exchange)[1],
        Some(u64::from(server.pid())),
        "{exchange:#}"
    );
    assert!(
        exchange["client"]["executable"]
            .as_str()
            .is_some_and(|path| path.ends_with("/curl")),
        "{exchange:#}"
    );
    for (end, namespace) in [("client", client_in), ("server", server_in)] {
        assert_eq!(exchange[end]["on_this_machine"], true, "{exchange:#}");
        assert_eq!(exchange[end]["netns"], namespace.number(), "{exchange:#}");
    }
}

#[test]
fn equal_addresses_never_mix() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [red, blue] = ["red", "blue"].map(Namespace::new);
    let servers = [&red, &blue].map(|namespace| namespace.serve("127.0.0.1", "8080"));
    for round in 0..5 {
        red.ask(&format!("http://127.0.0.1:8080/red/{round}"));
        blue.ask(&format!("http://127.0.0.1:8080/blue/{round}"));
    }
    // The same client port in both, at the same time.
    let ask = |namespace: &Namespace, path: &str| {
        Program::start(&mut namespace.command(
            "curl",
            &[
                "-s",
                "--local-port",
                "45454",
                &format!("http://127.0.0.1:8080/{path}/same"),
            ],
        ))
    };
    for client in [ask(&red, "red"), ask(&blue, "blue")] {
        assert!(client.wait().0.success());
    }
    for (word, namespace, server) in [("red", &red, &servers[0]), ("blue", &blue, &servers[1])] {
        for path in ["0", "1", "2", "3", "4", "same"] {
            let path = format!("/{word}/{path}");
            two_local_ends(&store.exchange(&path), server, namespace, namespace);
            assert_eq!(
                store
                    .rows(&["search-exchanges", "--path", &format!("={path}")])
                    .len(),
                1,
                "{path}"
            );
        }
    }
}

#[test]
fn a_pair_of_interfaces_is_one_connection() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [one, two] = ["one", "two"].map(Namespace::new);
    joined(&one, &two);
    let server = two.serve("10.77.0.2", "8080");
    one.ask("http://10.77.0.2:8080/across");
    two_local_ends(&store.exchange("/across"), &server, &one, &two);
    assert_eq!(
        store
            .rows(&["search-exchanges", "--path", "=/across"])
            .len(),
        1
    );
}

/// Packets with several frames each: what the second end shows of them is what the first one has shown.
#[test]
fn many_streams_between_two_namespaces() {
    const REQUESTS: usize = 2000;
    let store = Store::new();
    let recorder = store.record(&[]);
    let [one, two] = ["h2-a", "h2-b"].map(Namespace::new);
    joined(&one, &two);
    let folder = store.scratch().path().display().to_string();
    let configuration = store.scratch().write(
        "nginx.conf",
        format!(
            "daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{ }}
             http {{ access_log off; keepalive_requests 100000; server {{ listen 10.77.0.2:8080 http2;
               location / {{ return 200 'hello across\n'; }} }} }}"
        ),
    );
    let configuration = configuration.display().to_string();
    let error_log = format!("{folder}/error.log");
    let _server =
        Program::start(&mut two.command("nginx", &["-e", &error_log, "-c", &configuration]));
    until("nginx that answers", || {
        let ready = [
            "-s",
            "--http2-prior-knowledge",
            "http://10.77.0.2:8080/ready",
        ];
        let asked = one.command("curl", &ready).output().expect("curl");
        if asked.status.success() {
            Ok(())
        } else {
            Err(asked)
        }
    });
    let load = Program::start(&mut one.command(
        "h2load",
        &[
            "-n",
            &REQUESTS.to_string(),
            "-c",
            "4",
            "-m",
            "16",
            "http://10.77.0.2:8080/many",
        ],
    ));
    let (status, told) = load.wait();
    assert!(status.success(), "{told}");
    recorder.end("INT");
    let sql = "SELECT outcome, status, response_bytes, COUNT(*) FROM exchanges WHERE path = '/many' GROUP BY 1, 2, 3";
    let all = [
        Value::from("complete"),
        Value::from(200),
        Value::from(13),
        Value::from(REQUESTS),
    ];
    assert_eq!(store.sql(sql), [all]);
}

#[test]
fn a_published_port_is_one_connection() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let [one, two] = ["nat-a", "nat-b"].map(Namespace::new);
    joined(&one, &two);
    // The client asks for 10.77.0.99:80; its own namespace makes that 10.77.0.2:8080.
    let rule =
        "-t nat -A OUTPUT -d 10.77.0.99 -p tcp --dport 80 -j DNAT --to-destination 10.77.0.2:8080";
    sh(&format!(
        "ip netns exec {0} iptables {rule} || ip netns exec {0} iptables-legacy {rule}",
        one.name()
    ));
    let server = two.serve("10.77.0.2", "8080");
    one.ask("http://10.77.0.99:80/published");
    let exchange = until("both ends", || {
        let exchange = store.exchange("/published");
        if pids(&exchange).iter().all(Option::is_some) {
            Ok(exchange)
        } else {
            Err(exchange)
        }
    });
    two_local_ends(&exchange, &server, &one, &two);
    assert_eq!(
        store
            .rows(&["search-exchanges", "--path", "=/published"])
            .len(),
        1
    );
}
