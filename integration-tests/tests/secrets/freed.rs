//! What retention drops leaves nothing behind.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, python};

use crate::canary::{CANARY, all_answers, assert_absent, look_into_files};

/// Asks on one connection, again and again, with secrets that are never the same in many headers, until it is ended. At a
/// pace: between two looks of retention there is to be less than what the store may hold.
const FILLING: &str = r"
import socket, sys, threading, time
def fill(name):
    stream = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
    secret, number = sys.argv[2] + name, 0
    while True:
        number += 1
        fields = ''.join(f'X-{place}: {secret}{number}-{place}\r\n' for place in range(90))
        stream.sendall(f'GET /words/{number % 10}/{secret}{number} HTTP/1.1\r\nHost: a\r\n{fields}\r\n'.encode())
        while b'fine' not in stream.recv(65536): pass
        time.sleep(0.01)
for name in 'abc': threading.Thread(target=fill, args=(name,)).start()
";

/// Pages that were freed keep what was on them until they are used again.
#[test]
fn canaries_are_not_on_pages_that_retention_freed() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let recorder = store.record(&["-vv", "--max-size", "16MiB"]);
    let port = nginx.port.to_string();
    let filling = Program::start(Command::new(python()).args(["-c", FILLING, &port, CANARY]));
    until_retention(&store);
    look_into_files(&store, "running");
    // The segment that is left may have begun just now.
    store.await_rows(&["search-exchanges", "--path", "/words/1/"], 3);
    drop(filling);
    assert_absent("the recorder's log", recorder.end("INT").1.as_bytes());
    look_into_files(&store, "stopped");
    let answers = all_answers(
        &store,
        &store.rows(&["search-exchanges", "--path", "/words/1/"])[..3],
    );
    assert!(answers.contains("/words/"), "{answers}");
    assert_absent("an answer", answers.as_bytes());
}

/// Waits until the store has dropped exchanges for its size, which takes some megabytes of them.
fn until_retention(store: &Store) {
    let dropped = || {
        let answer = store.ask(&["search-exchanges", "--path", "=/never", "--since", "-1h"]);
        answer["coverage"].to_string().contains("retention")
    };
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(3);
    while !dropped() {
        assert!(std::time::Instant::now() < deadline, "nothing was dropped");
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
}
