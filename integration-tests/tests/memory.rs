//! The recorder holds 64 MiB resident when every one of its tables is full.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Program, Store, python};

/// Most of what may be resident at any time, in KiB.
const MOST_KIB: u64 = 64 << 10;

/// Fills what the recorder keeps for what is still open, and what it keeps of names: connections whose heads do not end, HTTP/2
/// connections with full header tables and open streams, requests that wait for their responses, questions of DNS that
/// nobody answers, and paths, hosts, header names and processes that are all different. All is held until the end.
const WORKLOAD: &str = r"
import os, random, resource, socket, struct, time
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
# Both ends are here.
most = min(hard - 256, 16000) // 2
chance = random.Random(7)
def word(length): return ''.join(chance.choices('abcdefghijklmnopqrstuvwxyz', k=length))

def frame(kind, flags, stream, payload):
    return struct.pack('>I', len(payload))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + payload
def inserted(name, value):
    text = lambda words: bytes([len(words)]) + words.encode()
    return b'\x40' + text(name) + text(value)
def http2():
    told = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(4, 0, 0, b'')
    # GET, http, a path, an authority, and fields that fill the table of 4 KiB: 40 of them, 32 bytes each beside their text.
    fields = b''.join(inserted('x-' + word(18), word(60)) for _ in range(40))
    for stream in range(1, 9, 2):
        block = b'\x82\x86' + inserted(':path', '/h2/' + word(20)) + inserted(':authority', word(12))
        told += frame(1, 4 | 1, stream, block + (fields if stream == 1 else b''))
    return told
def half(): return ('GET /half/' + word(12) + ' HTTP/1.1\r\nHost: ' + word(12) + '\r\n' + ''.join('X-%s: %s\r\n' % (word(8), word(60)) for _ in range(60))).encode()
def waiting(): return ('POST /waits/' + word(12) + ' HTTP/1.1\r\nHost: ' + word(12) + '\r\nContent-Length: 5\r\n' + ''.join('X-%s: %s\r\n' % (word(8), word(60)) for _ in range(20)) + '\r\n12345').encode()


def listener():
    server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(64)
    return server
def connected(server):
    client = socket.create_connection(server.getsockname())
    return client, server.accept()[0]

polite = listener()
for _ in range(500):
    if os.fork() == 0:
        socket.create_connection(polite.getsockname()).send(b'GET /process HTTP/1.1\r\nHost: a\r\n\r\n')
        os._exit(0)
    polite.accept(); os.wait()
client, server = connected(polite)
for _ in range(6000):
    client.send(('GET /%s/%s HTTP/1.1\r\nHost: %s.test\r\nX-%s: 1\r\n\r\n' % (word(8), word(8), word(10), word(8))).encode())
    server.recv(65536)
    server.send(('HTTP/1.1 200 OK\r\nX-%s: %s\r\nContent-Length: 2\r\n\r\nok' % (word(6), word(30))).encode())
    client.recv(65536)
print('answered', flush=True)
questions, nobody = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
nobody.bind(('127.0.0.1', 0))
for number in range(6000):
    name = b''.join(bytes([len(part)]) + part.encode() for part in (word(20), word(10), 'test')) + b'\0'
    questions.sendto(struct.pack('>6H', number, 256, 1, 0, 0, 0) + name + b'\0\1\0\1', nobody.getsockname())
silent, held = listener(), []
for kind, count in ((half, most // 2), (waiting, most // 4), (http2, most // 4)):
    for _ in range(count):
        held.append(connected(silent))
        held[-1][0].send(kind())
    print('held', kind.__name__, flush=True)
print('all is held', flush=True)
time.sleep(600)
";

/// A figure of a process in KiB.
fn figure(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().nth(1));
    number.and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn full_tables_stay_within_64_mib() {
    let store = Store::new();
    let recorder = store.record(&[]);
    let workload = Program::start(Command::new(python()).args(["-c", WORKLOAD]));
    for stage in ["answered", "held half", "all is held"] {
        workload.await_line(stage);
    }
    store.settle();
    let most = figure(recorder.pid(), "VmHWM");
    let [anonymous, file] = ["RssAnon", "RssFile"].map(|name| figure(recorder.pid(), name));
    eprintln!("now {anonymous} KiB of its own, {file} KiB of files");
    assert!(most <= MOST_KIB, "{most} KiB: {}", workload.said());
    // It was no idle recorder that needed so little: what did not fit was given up and counted.
    let coverage = store.ask(&["status"])["coverage"].to_string();
    assert!(coverage.contains("held_bytes_capped"), "{coverage}");
    eprintln!("{most} KiB at most; {coverage}");
    workload.end("KILL");
    let (status, told) = recorder.end("INT");
    assert!(status.success(), "{told}");
}
