//! Traffic under load keeps its bytes: bodies small and large, with a length and chunked, up and down, while the recorder is
//! attached, killed and attached again.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use headwater_integration_tests::{Namespace, Nginx, Program, Store, column, python, sh, until};

/// Several clients, each with a connection that it keeps and, for every fifth request, one of its own. They put bodies with a
/// length and in chunks, get them back with nginx's sendfile on and off, and compare digests, until a file tells them to stop;
/// then they say what they asked and when it began and ended.
const CLIENTS: &str = r"
import hashlib, http.client, json, os, random, sys, threading, time
host, port, stop, told = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
SIZES = [0, 1, 900, 20_000, 8 << 20]
# nginx's SSI keeps to itself the beginning of a command that a file ends with.
source = random.Random(3).randbytes((8 << 20) + 99).replace(b'<', b'>')
asked, rounds, failed = [], [], []
def pieces(body):
    for at in range(0, len(body), 70_001):
        yield body[at:at + 70_001]
def ask(connection, method, path, **body):
    began = time.time_ns()
    connection.request(method, path, **body)
    response = connection.getresponse()
    bytes = response.read()
    asked.append([method, path, response.status, began, time.time_ns()])
    return response.status, bytes
def work(name):
    kept, number = http.client.HTTPConnection(host, port), 0
    while not os.path.exists(stop):
        number += 1
        size = SIZES[number % len(SIZES)]
        body = source[number % 99:number % 99 + size]
        connection = http.client.HTTPConnection(host, port) if number % 5 == 0 else kept
        path = f'/{name}/{number}'
        how = {'body': pieces(body), 'encode_chunked': True, 'headers': {'Transfer-Encoding': 'chunked'}} if number // 5 % 2 else {'body': body}
        status, _ = ask(connection, 'PUT', '/put' + path, **how)
        assert status == 201, (path, status)
        for way in ('/sendfile', '/copied', '/chunked'):
            status, got = ask(connection, 'GET', way + path)
            assert status == 200, (way, path, status)
            assert hashlib.sha256(got).digest() == hashlib.sha256(body).digest(), (way, path, len(got), size)
        status, _ = ask(connection, 'DELETE', '/put' + path)
        assert status == 204, (path, status)
        rounds.append(path)
        if number % 5 == 0:
            connection.close()
            print('rounds', len(rounds), flush=True)
def guarded(name):
    try: work(name)
    except BaseException as error:
        failed.append(repr(error)); raise
threads = [threading.Thread(target=guarded, args=(name,)) for name in ('red', 'green', 'blue')]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
json.dump(asked, open(told, 'w'))
print('failed', failed) if failed else print('all bytes are right')
";

fn now_ns() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a time");
    u64::try_from(now.as_nanos()).expect("this century")
}

/// Waits for so many rounds of all clients more.
fn rounds(clients: &Program, more: usize) {
    let count = || {
        let said = clients.said();
        let last = said
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("rounds "));
        last.and_then(|count| count.parse::<usize>().ok())
            .unwrap_or(0)
    };
    let before = count();
    until("rounds of the clients", || {
        let now = count();
        if now >= before + more {
            Ok(())
        } else {
            Err(clients.said())
        }
    });
}

/// Method, path, status, beginning and end of what the clients asked.
type Asked = (String, String, u16, u64, u64);

/// All that began and ended in a time when a recorder was attached is stored, and nothing twice.
fn check_rows(store: &Store, asked: &[Asked], (from_ns, until_ns): (u64, u64)) {
    let mut expected = BTreeSet::new();
    for (method, path, status, began, ended) in asked {
        if *began >= from_ns && *ended <= until_ns {
            expected.insert((method.clone(), path.clone(), status.to_string()));
        }
    }
    assert!(expected.len() >= 20, "{} requests", expected.len());
    let rows = store.rows(&["search-exchanges", "--detail", "detailed"]);
    let (complete, others): (Vec<_>, Vec<_>) = rows
        .iter()
        .partition(|row| column(row, "outcome") == "complete");
    let stored = complete.iter().map(|row| {
        let [method, path, status] = ["method", "path", "status"].map(|name| column(row, name));
        (method, path, status)
    });
    let once: BTreeSet<_> = stored.collect();
    assert_eq!(once.len(), complete.len(), "an exchange is stored once");
    let missing: Vec<_> = expected.difference(&once).collect();
    assert!(
        missing.is_empty(),
        "{missing:?} of {}; not complete: {others:#?}",
        expected.len()
    );
}

fn nginx(listen: &str) -> Nginx {
    Nginx::start(&format!(
        "{listen}
         location /put/ {{ alias files/stored/; dav_methods PUT DELETE; create_full_put_path on; }}
         location /sendfile/ {{ alias files/stored/; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; }}
         location /copied/ {{ alias files/stored/; sendfile off; }}
         location /chunked/ {{ alias files/stored/; sendfile on; ssi on; ssi_types *; }}"
    ))
}

/// The whole of it: `client` runs the clients.
fn check(nginx: &Nginx, mut clients: Command, host: &str, port: u16) {
    let store = Store::new();
    let [stop, told] = ["stop", "asked.json"].map(|name| store.scratch().file(name));
    clients.args(["-c", CLIENTS, host, &port.to_string()]);
    let clients = Program::start(clients.arg(&stop).arg(&told));
    rounds(&clients, 1);
    let recorder = store.record(&[]);
    let first_ns = now_ns();
    rounds(&clients, 10);
    let settled_ns = now_ns();
    store.settle();
    recorder.end("KILL");
    rounds(&clients, 5);
    let recorder = store.record(&[]);
    let again_ns = now_ns();
    rounds(&clients, 10);
    std::fs::write(&stop, "").expect("a word to stop");
    let (_, said) = clients.wait();
    assert!(said.contains("all bytes are right"), "{said}");
    let ended_ns = now_ns();
    store.settle();
    let asked = std::fs::read(&told).expect("what was asked");
    let asked: Vec<Asked> = serde_json::from_slice(&asked).expect("a list");
    check_rows(&store, &asked, (first_ns, settled_ns));
    check_rows(&store, &asked, (again_ns, ended_ns));
    let (status, told) = recorder.end("INT");
    assert!(status.success() && told.contains(" 0 lost"), "{told}");
    assert_eq!(nginx.log().len(), asked.len(), "what nginx served");
}

#[test]
fn bytes_over_loopback_are_unchanged() {
    let nginx = nginx("");
    check(&nginx, Command::new(python()), "127.0.0.1", nginx.port);
}

/// Across a pair of interfaces, where each packet is a segment of its own.
#[test]
fn bytes_in_single_segments_are_unchanged() {
    let client = Namespace::new("single");
    let (name, number) = (client.name(), std::process::id() % 100_000);
    sh(&format!(
        "ip link add hwa{number} gso_max_segs 1 type veth peer name hwb{number} gso_max_segs 1
         ip link set hwb{number} netns {name}
         ip addr add 10.78.0.1/24 dev hwa{number}; ip link set hwa{number} up
         ip -n {name} addr add 10.78.0.2/24 dev hwb{number}; ip -n {name} link set hwb{number} up"
    ));
    let nginx = nginx("listen 10.78.0.1:8078;");
    let python = python();
    check(
        &nginx,
        client.command(&python.to_string_lossy(), &[]),
        "10.78.0.1",
        8078,
    );
}
