//! Whose bytes they were: process, executable and thread of both ends, over IPv4 and IPv6, also for sockets older than the recorder.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Command,
};

use headwater_integration_tests::{Nginx, Program, Store, node_server, python, python_server, run};
use serde_json::Value;

/// A client that asks once and then prints its process id.
fn asking(address: &str) -> u64 {
    let script = "import os, sys, urllib.request; urllib.request.urlopen(sys.argv[1]).read(); print(os.getpid())";
    let output = run(Command::new(python()).args(["-c", script, address]));
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("a process id")
}

fn executable(pid: u64) -> String {
    std::fs::read_link(format!("/proc/{pid}/exe"))
        .expect("an executable")
        .to_string_lossy()
        .into_owned()
}

fn good(evidence: &Value) -> bool {
    matches!(
        evidence.as_str(),
        Some("socket_lock" | "syscall" | "connect" | "accept")
    )
}

#[test]
fn both_ends_have_their_process_and_thread() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let (server, port) = node_server("(request, response) => response.end('fine')");
    let client = asking(&format!("http://127.0.0.1:{port}/owned"));
    let exchange = store.exchange("/owned");
    assert_eq!(
        (
            exchange["client"]["pid"].as_u64(),
            exchange["server"]["pid"].as_u64()
        ),
        (Some(client), Some(u64::from(server.pid()))),
        "{exchange:#}"
    );
    assert!(
        exchange["client"]["executable"]
            .as_str()
            .is_some_and(|path| path.contains("python")),
        "{exchange:#}"
    );
    assert_eq!(
        exchange["server"]["executable"],
        executable(u64::from(server.pid())),
        "{exchange:#}"
    );
    assert!(
        exchange["server"]["command_line"]
            .as_str()
            .is_some_and(|line| line.contains("createServer")),
        "{exchange:#}"
    );
    // Both programs speak HTTP on their first thread, whose id is the process's.
    for (message, pid) in [("request", client), ("response", u64::from(server.pid()))] {
        assert_eq!(exchange[message]["thread_id"], pid, "{exchange:#}");
        assert!(good(&exchange[message]["thread_evidence"]), "{exchange:#}");
    }
    for end in ["client", "server"] {
        assert_eq!(exchange[end]["on_this_machine"], true, "{exchange:#}");
        assert!(good(&exchange[end]["process_evidence"]), "{exchange:#}");
    }
}

#[test]
fn a_thread_that_speaks_is_named() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let folder = store.scratch().path().to_owned();
    let (_server, port) = python_server(&folder);
    let script = "import sys, threading, urllib.request
def ask():
    urllib.request.urlopen(sys.argv[1]).read(); print(threading.get_native_id())
thread = threading.Thread(target=ask); thread.start(); thread.join()";
    let output = run(Command::new(python()).args([
        "-c",
        script,
        &format!("http://127.0.0.1:{port}/?from=thread"),
    ]));
    let thread: u64 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("a thread id");
    let exchange = store.exchange("/");
    assert_eq!(exchange["request"]["thread_id"], thread, "{exchange:#}");
    assert_ne!(exchange["client"]["pid"], thread, "{exchange:#}");
}

/// A process is called by the file that runs, however it was begun and whether it is still there when it is looked at.
#[test]
fn a_program_has_one_name_however_it_was_begun() {
    let store = Store::new();
    let nginx = Nginx::start("location / { return 200 fine; }");
    let _recorder = store.record(&[]);
    let real = std::fs::canonicalize("/usr/bin/python3").expect("python3");
    let real = real.to_string_lossy().into_owned();
    let link = store.scratch().file("a-link");
    std::os::unix::fs::symlink(&real, &link).expect("a link");
    // No more than the kernel's socket calls, so that the process is gone before anybody can look.
    let ask = |path: &str| {
        format!(
            "s = socket.create_connection(('127.0.0.1', {})); s.send(b'GET {path} HTTP/1.0\\r\\n\\r\\n')",
            nginx.port
        )
    };
    let script = store.scratch().write(
        "a-script",
        format!(
            "#!{real}\nimport os, socket\n{}; os._exit(0)\n",
            ask("/script")
        ),
    );
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, open).expect("an executable script");
    let code = |body: &str| format!("import os, socket\n{body}; os._exit(0)");
    let forked = code(&format!(
        "if os.fork() == 0: {}; os._exit(0)\nos.wait()",
        ask("/forked")
    ));
    // Its file is named by a link of /proc, as container engines and browsers do.
    let again = code(&format!(
        "os.execv('/proc/self/exe', ['worker', '-c', {:?}])",
        code(&ask("/again"))
    ));
    run(&mut Command::new(&script));
    run(Command::new(&link).args(["-c", &code(&ask("/link"))]));
    run(Command::new(&real).args(["-c", &forked]));
    run(Command::new(&real).args(["-c", &again]));
    let name = real.rsplit('/').next().expect("a name");
    for path in ["/script", "/link", "/forked", "/again"] {
        let exchange = store.exchange(path);
        assert_eq!(exchange["client"]["service"], name, "{exchange:#}");
    }
}

#[test]
fn addresses_of_version_six() {
    let (store, nginx) = (
        Store::new(),
        Nginx::start("location / { return 200 fine; }"),
    );
    let _recorder = store.record(&[]);
    let client = asking(&format!("http://[::1]:{}/six", nginx.port));
    let exchange = store.exchange("/six");
    assert_eq!(exchange["client"]["pid"], client, "{exchange:#}");
    assert_eq!(
        exchange["server"]["address"],
        format!("[::1]:{}", nginx.port),
        "{exchange:#}"
    );
    assert_eq!(
        exchange["server"]["executable"],
        executable(u64::from(nginx.program.pid())),
        "{exchange:#}"
    );
    assert_eq!(
        exchange["server"]["service"],
        format!("nginx:{}", nginx.port),
        "{exchange:#}"
    );
}

#[test]
fn sockets_older_than_the_recorder_have_owners_too() {
    let store = Store::new();
    let (server, port) = node_server("(request, response) => response.end('fine')");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let mut ask = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("written");
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).expect("an answer");
        assert!(length > 0);
    };
    ask("/before");
    let _recorder = store.record(&[]);
    ask("/after");
    ask("/later");
    drop(stream);
    let exchange = store.exchange("/later");
    assert_eq!(exchange["outcome"], "complete", "{exchange:#}");
    assert_eq!(
        exchange["connection"]["joined_midstream"], true,
        "{exchange:#}"
    );
    assert_eq!(exchange["server"]["pid"], server.pid(), "{exchange:#}");
    assert_eq!(
        exchange["client"]["pid"],
        std::process::id(),
        "{exchange:#}"
    );
}

#[test]
fn a_connection_is_told_once_with_both_ends() {
    let store = Store::new();
    let _recorder = store.record(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let client =
        Program::start(Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/mine")]));
    let (mut stream, _) = listener.accept().expect("a client");
    let mut head = [0; 1024];
    assert!(stream.read(&mut head).expect("a head") > 0);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
        .expect("an answer");
    let curl = client.pid();
    assert!(client.wait().0.success());
    let exchange = store.exchange("/mine");
    assert_eq!(
        (&exchange["client"]["pid"], &exchange["server"]["pid"]),
        (&Value::from(curl), &Value::from(std::process::id())),
        "{exchange:#}"
    );
    let rows = store.rows(&["search-exchanges", "--path", "=/mine"]);
    assert_eq!(rows.len(), 1, "one connection is told once: {rows:?}");
}
