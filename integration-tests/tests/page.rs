//! The page for people, in a browser: headless Chromium, driven by `page/check.py`, on what a recorder saw. Its screenshots are in
//! `target/page`.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use headwater_integration_tests::{
    Nginx, Store, free_port, node_server, python, python_server, said, until,
};

const TOKEN: &str = "a-token-of-the-test's-own";

/// What would run if it were ever taken for more than text. The first byte tells them from the paths of others.
const HOSTILE: [&str; 4] = [
    "/h\"><img/src=x/onerror=alert(1)>",
    "/h</script><script>alert(2)</script>",
    "/hjavascript:alert(3)",
    "/h\u{202e}\u{200b}txet",
];

fn asked(program: &Path, url: &str, more: &[&str]) {
    said(
        Command::new(program)
            .args(["-s", "-o", "/dev/null"])
            .args(more)
            .arg(url),
    );
}

#[test]
fn the_page_in_a_browser() {
    let store = Store::new();
    let nothing = free_port();
    let (_node, behind) = node_server(&format!(
        "(request, response) => {{
            if (request.url !== '/api/fail') return setTimeout(() => response.end('ok'), 3);
            const asked = require('http').get({{ port: {nothing}, host: '127.0.0.1', path: '/stock' }});
            asked.on('error', () => {{ response.statusCode = 502; response.end('no stock'); }});
        }}"
    ));
    let nginx = Nginx::start(&format!(
        "location /api/ {{ proxy_pass http://127.0.0.1:{behind}; }}"
    ));
    let empty = store.scratch().path().join("empty");
    std::fs::create_dir(&empty).expect("a folder");
    let (_files, port) = python_server(&empty);
    // Others on this machine fail too, meanwhile: nothing of theirs is here.
    let ports = [nothing, behind, nginx.port, port].map(|port| format!("--only-port={port}"));
    let recorder = store.record(&ports.each_ref().map(String::as_str));
    let curl = Path::new("curl");
    for number in 0..6 {
        let id = format!("x-request-id: req-5e1f0a9b77c24d3{number}");
        asked(curl, &format!("{}/api/fail", nginx.url()), &["-H", &id]);
        asked(curl, &format!("{}/api/well", nginx.url()), &[]);
    }
    for path in HOSTILE {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        )
        .expect("sent");
        stream.read_to_end(&mut Vec::new()).expect("an answer");
    }
    // A program with such a name.
    let named = store.scratch().path().join("<img src=x onerror=alert(6)>");
    let real = said(Command::new("sh").args(["-c", "command -v curl"]));
    said(Command::new("cp").arg(real.trim()).arg(&named));
    asked(&named, &format!("{}/api/well", nginx.url()), &[]);
    store.settle();
    let slot = || {
        let as_of = store.ask(&["status"])["coverage"]["as_of"].clone();
        as_of.as_str().expect("as_of").split_at(18).0.to_owned()
    };
    let last = slot();
    // Windows begin with a slot of ten seconds: the mark is in one that holds nothing.
    until("the next slot", || match slot() {
        now if now > last => Ok(()),
        now => Err(now),
    });
    said(&mut store.command(&["mark", "after-all"]));

    let (open, address) = store.serve(&[]);
    open.await_line("/ui");
    let token = store.scratch().write("token", TOKEN);
    let (_locked, guarded) = store.serve(&["--token-file", &token.to_string_lossy()]);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page");
    let shots = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/page");
    let told = said(
        Command::new(python())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg(format!("{folder}/check.py"))
            .args([&address, &guarded, TOKEN, shots]),
    );
    assert!(told.contains("all was seen"), "{told}");
    drop(recorder);
}
