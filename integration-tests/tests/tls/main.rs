//! What programs say to each other inside TLS: it is what the server logged, of the right connection and process, whichever
//! library they use; and no program notices.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    os::unix::fs::FileExt,
    process::{Child, Command},
    time::{Duration, Instant},
};

mod programs;

use headwater_integration_tests::{
    Front, Nginx, Program, REKEY, Scratch, Store, certificate, column, free_port, python, said,
    until,
};

use programs::{
    AIOHTTP, GO_SERVER, NODE, NODE_SERVER, PYTHON, asking_rust, go, go_program, rust, rust_web,
    script, with,
};

/// What was recorded at a port: path and status of all exchanges that ended well, and how often.
fn recorded(store: &Store, port: u16) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for row in store.rows(&["search-exchanges"]) {
        if column(&row, "server").ends_with(&format!(":{port}"))
            && column(&row, "outcome") == "complete"
        {
            *counts
                .entry((column(&row, "path"), column(&row, "status")))
                .or_default() += 1;
        }
    }
    counts
}

fn logged(nginx: &Nginx) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for (_, path, status) in nginx.log() {
        *counts.entry((path, status)).or_default() += 1;
    }
    counts
}

/// `port` is where clients ask, of nginx or of what is in front of it.
fn as_logged(store: &Store, nginx: &Nginx, port: u16) {
    until("exchanges as logged", || {
        let (mut logged, mut seen) = (logged(nginx), recorded(store, port));
        for counts in [&mut logged, &mut seen] {
            // A browser that has its page does not wait for the picture.
            counts
                .retain(|(path, _), _| !path.starts_with("/small/new-") && path != "/favicon.ico");
        }
        if logged == seen {
            return Ok(());
        }
        let lacking: Vec<_> = logged
            .iter()
            .filter(|(request, count)| seen.get(request) != Some(count))
            .take(5)
            .collect();
        Err((logged.len(), seen.len(), format!("{lacking:?}")))
    });
}

#[test]
fn programs_of_every_kind_are_what_nginx_logged() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    ask_with_programs_of_every_kind(&store, &nginx, (nginx.port, "nginx"));
}

/// Nothing that the server's library tells can stand for what a client's does not.
#[test]
fn libraries_of_clients_alone_tell_the_same() {
    let store = Store::new();
    let (nginx, http2_port) = Nginx::start_behind_proxy();
    let front = Front::start(Front::UNREAD, nginx.port, http2_port);
    ask_with_programs_of_every_kind(&store, &nginx, (front.port, Front::UNREAD));
    let told = store.ask(&["status"]).to_string();
    assert!(told.contains("tls_library_not_read"), "{told}");
    assert!(told.contains(Front::UNREAD), "{told}");
}

fn ask_with_programs_of_every_kind(store: &Store, nginx: &Nginx, (port, server): (u16, &str)) {
    let (go, rust) = (go(store.scratch()), rust_web());
    let (rust1, rust2) = (asking_rust(&rust, "1"), asking_rust(&rust, "2"));
    let _recorder = store.record(&[]);
    let at = |path: &str| format!("https://127.0.0.1:{port}{path}");
    for version in ["--http1.1", "--http2"] {
        let name = format!("curl{version}");
        // One connection for three, with a body of a megabyte on its way to the client.
        said(Command::new("curl").args(["-sk", version]).args([
            at(&format!("/small/{name}-1")),
            at(&format!("/large/{name}-2")),
            at(&format!("/small/{name}-3")),
        ]));
    }
    said(
        Command::new("wget")
            .args(["-q", "--no-check-certificate", "-O", "/dev/null"])
            .args([at("/small/wget-1"), at("/large/wget-2")]),
    );
    said(&mut script(
        "sh",
        "-c",
        &format!(
            "printf 'GET /small/gnutls-cli HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | gnutls-cli --insecure -p {port} 127.0.0.1"
        ),
    ));
    said(&mut script(
        "ruby",
        "-e",
        &format!(
            "require 'net/http'; Net::HTTP.start('127.0.0.1', {port}, use_ssl: true, verify_mode: OpenSSL::SSL::VERIFY_NONE) {{ |http| 3.times {{ |i| http.get(\"/small/ruby-#{{i}}\"); http.get(\"/large/ruby-#{{i}}\") }} }}"
        ),
    ));
    said(&mut script(
        "php",
        "-r",
        &format!(
            "$context = stream_context_create(['ssl' => ['verify_peer' => false, 'verify_peer_name' => false]]); file_get_contents('https://127.0.0.1:{port}/small/php', false, $context);
             $handle = curl_init(); curl_setopt_array($handle, [CURLOPT_SSL_VERIFYPEER => 0, CURLOPT_SSL_VERIFYHOST => 0, CURLOPT_RETURNTRANSFER => 1]);
             for ($i = 0; $i < 3; $i++) {{ curl_setopt($handle, CURLOPT_URL, 'https://127.0.0.1:{port}/small/php-curl-' . $i); curl_exec($handle); }}"
        ),
    ));
    said(with(
        &mut script(python(), "-c", PYTHON),
        160,
        port,
        "python",
    ));
    said(&mut script(
        python(),
        "-c",
        &format!(
            "import requests, urllib3; urllib3.disable_warnings(); session = requests.Session()
for i in range(3): assert session.get(f'https://127.0.0.1:{port}/small/requests-{{i}}', verify=False).text == 'hello\\n'"
        ),
    ));
    said(with(
        &mut script("/usr/bin/python3", "-c", AIOHTTP),
        160,
        port,
        "aiohttp",
    ));
    said(with(&mut script("node", "-e", NODE), 160, port, "node"));
    are_known(store, nginx, port, &go, &rust1);
    said(with(&mut Command::new(&go), 160, port, "go1").arg("1"));
    said(with(&mut Command::new(&go), 160, port, "go2").arg("2"));
    said(&mut rust1(160, port, "rust1"));
    said(&mut rust2(160, port, "rust2"));
    browse(store, port);
    as_logged(store, nginx, port);
    check_samples(store, port, server);
}

/// A file that nobody has run before is looked at while it runs: waits until these have been. At `port` nobody else tells what
/// they say.
fn are_known(
    store: &Store,
    nginx: &Nginx,
    port: u16,
    go: &std::path::Path,
    rust: &impl Fn(usize, u16, &str) -> Command,
) {
    for program in ["node", "go", "rust"] {
        until("a known program", || {
            let name = format!("new-{}", nginx.log().len());
            let mut ask = match program {
                "rust" => rust(1, port, &name),
                "node" => script("node", "-e", NODE),
                _ => Command::new(go),
            };
            if program != "rust" {
                with(&mut ask, 1, port, &name).arg("1");
            }
            said(&mut ask);
            store.settle();
            let path = (format!("/small/{name}-0"), "200".to_owned());
            let is_told = recorded(store, port).contains_key(&path);
            is_told.then_some(()).ok_or(path)
        });
    }
}

/// Who says what to whom, and how long it is.
fn check_samples(store: &Store, port: u16, server: &str) {
    for (path, client, version) in [
        ("/small/curl--http1.1-3", "curl", "HTTP/1.1"),
        ("/large/curl--http2-2", "curl", "HTTP/2"),
        ("/large/wget-2", "wget", "HTTP/1.1"),
        ("/small/gnutls-cli", "gnutls-cli", "HTTP/1.1"),
        ("/small/ruby-2", "ruby", "HTTP/1.1"),
        ("/small/php-curl-1", "php", "HTTP/"),
        ("/large/python-5", "python", "HTTP/1.1"),
        ("/small/requests-2", "python", "HTTP/1.1"),
        ("/large/aiohttp-5", "python", "HTTP/1.1"),
        ("/small/node-3", "node", "HTTP/1.1"),
        ("/small/go1-150", "go-client", "HTTP/1.1"),
        ("/large/go2-155", "go-client", "HTTP/2"),
        ("/small/rust1-150", "rust-web", "HTTP/1.1"),
        ("/large/rust2-155", "rust-web", "HTTP/2"),
        ("/small/browser", "chrom", "HTTP/2"),
    ] {
        let exchange = exchange_at(store, port, path);
        let words = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        assert!(
            words(&exchange["client"]["service"]).starts_with(client),
            "{exchange:#}"
        );
        assert!(
            words(&exchange["server"]["service"]).starts_with(server),
            "{exchange:#}"
        );
        assert!(
            words(&exchange["request"]["version"]).starts_with(version),
            "{exchange:#}"
        );
        assert_eq!(
            exchange["client"]["process_evidence"], "socket_lock",
            "{exchange:#}"
        );
        let length = if path.starts_with("/large") {
            1 << 20
        } else {
            6
        };
        assert_eq!(exchange["response"]["body_bytes"], length, "{exchange:#}");
    }
}

#[test]
fn rustls_at_both_ends() {
    let (store, scratch, nginx) = (Store::new(), Scratch::new(), Nginx::start_sized());
    let (rust, (certificate, key)) = (rust(), certificate(&scratch));
    let server = Program::start(
        Command::new(&rust)
            .args(["server", "127.0.0.1:0"])
            .arg(certificate)
            .arg(key),
    );
    let port = server.await_port();
    let _recorder = store.record(&[]);
    let ask = |port: u16, count: &str, name: &str| {
        said(Command::new(&rust).args(["client", &format!("127.0.0.1:{port}"), count, name]));
    };
    // Its own server answers nothing large, so that fewer than six are asked for.
    ask(port, "5", "rust-rust");
    ask(nginx.port, "40", "rust");
    as_logged(&store, &nginx, nginx.port);
    said(Command::new("curl").args(["-sk", &format!("https://127.0.0.1:{port}/small/curl-rust")]));
    for (path, client, server) in [
        ("/small/rust-rust-4", "rustls_program", "rustls_program"),
        ("/large/rust-25", "rustls_program", "nginx"),
        ("/small/curl-rust", "curl", "rustls_program"),
    ] {
        let exchange = store.exchange(path);
        let service = |end: &str| {
            let name = exchange[end]["service"].as_str();
            name.unwrap_or_default().to_owned()
        };
        assert!(service("client").starts_with(client), "{exchange:#}");
        assert!(service("server").starts_with(server), "{exchange:#}");
        assert_eq!(exchange["outcome"], "complete", "{exchange:#}");
    }
}

/// A browser asks over HTTP/2.
fn browse(store: &Store, port: u16) {
    let profile = store.scratch().file("profile");
    said(
        Command::new("chromium")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
            ])
            .args(["--ignore-certificate-errors", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("https://127.0.0.1:{port}/small/browser")),
    );
}

/// The ended exchange of a path with the server at a port.
fn exchange_at(store: &Store, port: u16, path: &str) -> serde_json::Value {
    let id = until(path, || {
        let rows = store.rows(&["search-exchanges", "--path", &format!("={path}")]);
        let ended = rows.iter().find(|row| {
            column(row, "server").ends_with(&format!(":{port}")) && column(row, "outcome") != "open"
        });
        ended.map(|row| column(row, "id")).ok_or(rows)
    });
    store.ask(&["get-exchange", &id, "--detail", "detailed"])
}

/// Ten thousand, half of them where libraries of both ends are read, half where the clients' alone are.
#[test]
fn each_session_is_bound_to_its_own_connection() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let (behind, http2_port) = Nginx::start_behind_proxy();
    let front = Front::start(Front::UNREAD, behind.port, http2_port);
    let (go, rust) = (go(store.scratch()), rust_web());
    let rust = asking_rust(&rust, "1");
    let _recorder = store.record(&["--ring-size", "32MiB"]);
    are_known(&store, &behind, front.port, &go, &rust);
    let mut clients: Vec<Child> = Vec::new();
    for port in [nginx.port, front.port] {
        for (name, mut command) in [
            ("python", script(python(), "-c", PYTHON)),
            ("aiohttp", script("/usr/bin/python3", "-c", AIOHTTP)),
            ("node", script("node", "-e", NODE)),
            ("go", Command::new(&go)),
        ] {
            with(&mut command, 1_000, port, name);
            if name == "go" {
                command.arg("1");
            }
            clients.push(command.spawn().expect("a client"));
        }
        let mut command = rust(1_000, port, "rust");
        clients.push(command.spawn().expect("a client"));
    }
    for client in &mut clients {
        assert!(client.wait().expect("its end").success());
    }
    store.settle();
    for (truth, port) in [(&nginx, nginx.port), (&behind, front.port)] {
        let mut truth = truth.client_ports();
        truth.retain(|path, _| !path.starts_with("/small/new-"));
        assert_eq!(truth.len(), 5_000);
        let bound = bound(&store, port, &truth);
        let mut missing: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (path, client) in truth.iter().filter(|(path, _)| !bound.contains(*path)) {
            let name = path.trim_end_matches(|letter: char| letter.is_ascii_digit());
            *missing.entry((name, client)).or_default() += 1;
        }
        let right = bound.len();
        println!("{right} of 5000 are bound");
        assert!(
            right >= 4_950,
            "{right} of 5000 are bound, not these, by name and client's port: {missing:?}"
        );
    }
}

/// Paths of the exchanges with the server at a port: each is recorded once, and of the connection that `truth` tells.
fn bound(store: &Store, port: u16, truth: &BTreeMap<String, String>) -> BTreeSet<String> {
    let sql = format!(
        "SELECT e.path, c.client_port, count(*) FROM exchanges e JOIN connections c ON c.id = e.connection_id \
         WHERE e.outcome = 'complete' AND c.server_port = {port} AND e.path NOT LIKE '/small/new-%' \
         GROUP BY e.path, c.client_port ORDER BY e.path"
    );
    let mut bound = BTreeSet::new();
    for row in store.sql(&sql) {
        let (path, port) = (row[0].as_str().expect("a path"), row[1].to_string());
        assert_eq!(
            truth.get(path),
            Some(&port),
            "{path} is bound to another connection"
        );
        assert_eq!(row[2], 1, "{path} is told more than once");
        bound.insert(path.to_owned());
    }
    bound
}

/// Nothing that a client's library tells can stand for what the server's does not.
#[test]
fn libraries_of_servers_alone_tell_what_they_logged() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let (certificate, key) = certificate(&scratch);
    let client = go(&scratch);
    let servers = [
        ("node", script("node", "-e", NODE_SERVER)),
        (
            "go-server",
            Command::new(go_program(&scratch, "go-server", GO_SERVER)),
        ),
        ("rust-web", {
            let mut rust = Command::new(rust_web());
            rust.arg("server");
            rust
        }),
    ]
    .map(|(name, mut command)| {
        let log = scratch.file(&format!("{name}.log"));
        let server = Program::start(command.args([&certificate, &key, &log]));
        (name, server.await_port(), log, server)
    });
    let narrowed: Vec<&str> = servers
        .iter()
        .flat_map(|(name, ..)| ["--tls-program", name])
        .collect();
    let _recorder = store.record(&narrowed);
    for (name, port, ..) in &servers {
        let client = client.as_os_str();
        for (by, mut command) in [
            ("python", script(python(), "-c", PYTHON)),
            ("go1", Command::new(client)),
            ("go2", Command::new(client)),
        ] {
            with(&mut command, 160, *port, &format!("{name}-{by}"));
            if let Some(version) = by.strip_prefix("go") {
                command.arg(version);
            }
            said(&mut command);
        }
    }
    // New keys in the middle of a connection.
    let go = scratch.write("go", "");
    for (name, port, ..) in &servers {
        said(
            Command::new(python())
                .args(["-c", REKEY, "NORMAL", "^rekey^", "Rekey was completed"])
                .args([&port.to_string(), &format!("{name}-rekey")])
                .arg(&go),
        );
    }
    for (name, port, log, _) in &servers {
        let log = std::fs::read_to_string(log).expect("its log");
        let truth: BTreeMap<String, String> = log
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(path, port)| (path.to_owned(), port.to_owned()))
            .collect();
        assert_eq!(truth.len(), 483, "{name}");
        until(name, || match bound(&store, *port, &truth).len() {
            483 => Ok(()),
            fewer => Err(fewer),
        });
        for (by, version) in [("python", "HTTP/1.1"), ("go2", "HTTP/2")] {
            let exchange = store.exchange(&format!("/large/{name}-{by}-5"));
            let server = exchange["server"]["service"].as_str().unwrap_or_default();
            assert!(server.starts_with(name), "{exchange:#}");
            assert_eq!(exchange["request"]["version"], version, "{exchange:#}");
            // With what its chunks have around them.
            let length = exchange["response"]["body_bytes"].as_u64();
            assert!(
                length.is_some_and(|length| (1 << 20..1 << 21).contains(&length)),
                "{exchange:#}"
            );
        }
    }
}

#[test]
fn a_recorder_that_is_killed_and_comes_again_harms_nobody() {
    const KILLS: usize = 12;
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let go = go(store.scratch());
    let start = |name: &str| {
        let mut command = match name {
            "python" => script(python(), "-c", PYTHON),
            "node" => script("node", "-e", NODE),
            _ => Command::new(&go),
        };
        with(&mut command, 1_000, nginx.port, name);
        if name == "go" {
            command.arg("2");
        }
        command.spawn().expect("a client")
    };
    let mut clients = ["python", "node", "go"].map(|name| (name, start(name)));
    let (mut kills, mut runs) = (0, 0);
    let begin = || Program::start(&mut store.command(&["record"]));
    // From before it has attached to well after: it takes about a second.
    let life = || Duration::from_millis(RandomState::new().hash_one(0) % 2_500);
    let mut recorder = Some((begin(), Instant::now() + life()));
    // Each client looks at all of its answers, and there is one at any time of a recorder's life and end.
    while kills < KILLS || runs < 10 {
        for (name, running) in &mut clients {
            if let Some(status) = running.try_wait().expect("a client") {
                assert!(
                    status.success(),
                    "{name} after {kills} recorders were killed"
                );
                runs += 1;
                *running = start(name);
            }
        }
        if let Some((running, _)) = recorder.take_if(|(_, end)| Instant::now() >= *end) {
            running.end("KILL");
            kills += 1;
            recorder = (kills < KILLS).then(|| (begin(), Instant::now() + life()));
        }
        std::thread::yield_now();
    }
    for (name, mut running) in clients {
        assert!(running.wait().expect("its end").success(), "{name}");
    }
    assert!(nginx.log().len() >= 10_000);
}

/// How many bytes of the code of OpenSSL's library a process has that are not those of its file.
fn changed_code(pid: u32) -> usize {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("mappings");
    let map = maps
        .lines()
        .find(|line| line.contains(" r-xp ") && line.contains("/libssl.so.3"))
        .expect("the library");
    let words: Vec<&str> = map.split_whitespace().collect();
    let number = |word: &str| u64::from_str_radix(word, 16).expect("a number");
    let (from, to) = words[0].split_once('-').expect("a range");
    let (from, to, offset) = (number(from), number(to), number(words[2]));
    let read = |path: &str, at: u64| {
        let mut bytes = vec![0; usize::try_from(to - from).expect("a length")];
        let file = std::fs::File::open(path).expect("a file");
        // The last page is not full.
        let mut read = 0;
        while let Ok(more @ 1..) = file.read_at(&mut bytes[read..], at + read as u64) {
            read += more;
        }
        bytes.truncate(read);
        bytes
    };
    let memory = read(&format!("/proc/{pid}/mem"), from);
    let file = read(words[5], offset);
    assert!(!file.is_empty());
    file.iter()
        .zip(&memory)
        .filter(|(file, memory)| file != memory)
        .count()
}

/// Breakpoints are in the memory of each process that runs a library, and none when the recorder is gone, however it went.
#[test]
fn a_program_is_as_it_was_when_the_recorder_is_gone() {
    let store = Store::new();
    let wait = "import signal, ssl; print('ready', flush=True); signal.pause()";
    let program = Program::start(Command::new(python()).args(["-c", wait]));
    program.await_line("ready");
    let is = |what: &str, wanted: fn(usize) -> bool| {
        until(what, || {
            let changed = changed_code(program.pid());
            if wanted(changed) {
                Ok(())
            } else {
                Err(changed)
            }
        });
    };
    is("code as it is", |changed| changed == 0);
    for signal in ["KILL", "INT"] {
        let recorder = store.record(&[]);
        is("breakpoints", |changed| changed > 10);
        recorder.end(signal);
        is("code as it was", |changed| changed == 0);
    }
    program.end("TERM");
}

#[test]
fn a_program_whose_library_is_not_read_is_named() {
    let (store, scratch) = (Store::new(), Scratch::new());
    // NSS by its exported function; who maps it is this test's own program.
    let source = scratch.write(
        "nss.c",
        "void SSL_ImportFD(void) {} void PR_Read(void) {} void PR_Write(void) {}",
    );
    let library = scratch.file("libnss-like.so");
    said(
        Command::new("cc")
            .args([
                "-shared",
                "-fPIC",
                "-Wl,--build-id=0x0123456789abcdef0123456789abcdef01234567",
                "-o",
            ])
            .arg(&library)
            .arg(source),
    );
    let recorder = store.record(&[]);
    let load = format!(
        "import ctypes; ctypes.CDLL({:?})",
        library.display().to_string()
    );
    // A short life is told as well: what was met last is stored at the end.
    said(&mut script(python(), "-c", &load));
    recorder.end("INT");
    let told = store.ask(&["status"]).to_string();
    for words in [
        "tls_library_not_read",
        "NSS",
        "libnss-like.so",
        "0123456789abcdef01234567",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

#[test]
fn tls_of_other_programs_is_left_alone() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let (certificate, key) = certificate(&scratch);
    let port = free_port();
    let server = format!(
        "const fs = require('fs');
         require('https').createServer({{ key: fs.readFileSync('{}'), cert: fs.readFileSync('{}') }}, (request, response) => response.end('hello'))
           .listen({port}, '127.0.0.1', () => console.log('listening'))",
        key.display(),
        certificate.display()
    );
    let server = Program::start(&mut script("node", "-e", &server));
    server.await_line("listening");
    let _recorder = store.record(&["--tls-program", "wget"]);
    let at = |path: &str| format!("https://127.0.0.1:{port}{path}");
    // Neither curl nor Node is asked for.
    said(Command::new("curl").args(["-sk", &at("/by-curl")]));
    said(Command::new("wget").args([
        "-q",
        "--no-check-certificate",
        "-O",
        "/dev/null",
        &at("/by-wget"),
    ]));
    store.exchange("/by-wget");
    store.settle();
    let rows = store.rows(&["search-exchanges"]);
    assert!(
        rows.iter().all(|row| column(row, "path") != "/by-curl"),
        "{rows:#?}"
    );
}

/// A folder that holds curl with all its libraries, as an image of containers does, and curl's path in it.
fn image(scratch: &Scratch) -> (std::path::PathBuf, String) {
    let image = scratch.file("image");
    let mut copy = script(
        "sh",
        "-ec",
        r#"curl=$(readlink -f "$(command -v curl)")
        for file in "$curl" $(ldd "$curl" | grep -o '/[^ ]*'); do
            mkdir -p "$IMAGE$(dirname "$file")" && cp -L "$file" "$IMAGE$file"
        done
        echo "$curl""#,
    );
    let said = said(copy.env("IMAGE", &image));
    (image, said.trim().to_owned())
}

/// Two containers of one image, each with an overlayfs of its own: probes stand once in the one file that both run, and the
/// file systems can be unmounted when they end.
#[test]
fn containers_of_one_image_are_each_seen_once() {
    let (store, scratch) = (Store::new(), Scratch::new());
    let (nginx, http2_port) = Nginx::start_behind_proxy();
    let front = Front::start(Front::UNREAD, nginx.port, http2_port);
    let (image, curl) = image(&scratch);
    let recorder = store.record(&[]);
    let containers = ["one", "other"].map(|name| {
        let folder = scratch.file(name);
        Program::start(
            script(
                "unshare",
                "--mount",
                "sh",
            )
            .args(["-ec", r#"mkdir -p "$FOLDER/upper" "$FOLDER/work" "$FOLDER/root"
                mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$FOLDER/upper,workdir=$FOLDER/work" "$FOLDER/root"
                chroot "$FOLDER/root" "$0" -sk --fail-early -o /out --rate 100/s "$1"
                echo asked
                for try in 1 2 3 4 5 6 7 8 9 10; do umount "$FOLDER/root" && echo unmounted && break || sleep 0.2; done"#])
            .arg(&curl)
            .arg(format!("https://127.0.0.1:{}/small/{name}-[1-200]", front.port))
            .env("FOLDER", folder)
            .env("IMAGE", &image),
        )
    });
    for container in &containers {
        container.await_line("unmounted");
    }
    for container in containers {
        let (status, told) = container.wait();
        assert!(status.success(), "{told}");
    }
    store.settle();
    let truth = nginx.client_ports();
    assert_eq!(truth.len(), 400);
    let bound = bound(&store, front.port, &truth);
    // The first came while a file was looked at that nobody had run before.
    let is_late = |path: &&String| {
        let number = path
            .rsplit('-')
            .next()
            .and_then(|number| number.parse().ok());
        number.is_some_and(|number: u32| number > 50)
    };
    let missing: Vec<_> = truth
        .keys()
        .filter(is_late)
        .filter(|path| !bound.contains(*path))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    let coverage = store.ask(&["status"])["coverage"].to_string();
    // Where each call is told twice, every second one has no end.
    assert!(!coverage.contains("plaintext_unread"), "{coverage}");
    recorder.end("INT");
}
