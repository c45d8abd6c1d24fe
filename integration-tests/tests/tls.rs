//! What programs say to each other inside TLS: it is what the server logged, of the right connection and process, whichever
//! library they use; and no program notices.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    process::{Child, Command},
};

use headwater_integration_tests::{
    Front, Nginx, Program, Scratch, Store, certificate, column, free_port, python, said, until,
};

/// Sixteen at a time over `http.client`, which reads and writes by `SSL_read_ex` and `SSL_write_ex`; every answer is
/// looked at.
const PYTHON: &str = r#"
import http.client, ssl, sys, threading
count, port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
context = ssl._create_unverified_context()
wrong = []
def client(thread):
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)
    for k in range(thread, count, 16):
        if k % 50 == 49: connection.close()
        connection.request("GET", ("/large/" if k % 10 == 5 else "/small/") + f"{name}-{k}", headers={"x-marker": f"{name}-{k}"})
        response = connection.getresponse()
        body = response.read()
        if response.status != 200 or len(body) != (1 << 20 if k % 10 == 5 else 6): wrong.append(k)
    connection.close()
threads = [threading.Thread(target=client, args=(i,)) for i in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not wrong, wrong
"#;

/// The same with asyncio, whose TLS has no socket of its own but a buffer in memory.
const AIOHTTP: &str = r#"
import asyncio, aiohttp, ssl, sys
count, port, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
async def main():
    connector = aiohttp.TCPConnector(ssl=ssl._create_unverified_context(), limit=16)
    async with aiohttp.ClientSession(connector=connector) as session:
        numbers = iter(range(count))
        async def client():
            for k in numbers:
                path = ("/large/" if k % 10 == 5 else "/small/") + f"{name}-{k}"
                async with session.get(f"https://127.0.0.1:{port}{path}") as response:
                    body = await response.read()
                    assert response.status == 200 and len(body) == (1 << 20 if k % 10 == 5 else 6), (k, response.status, len(body))
        await asyncio.gather(*[client() for _ in range(16)])
asyncio.run(main())
"#;

/// The same in Node, all on one thread.
const NODE: &str = r"
const https = require('https');
const [count, port, name] = [+process.argv[1], +process.argv[2], process.argv[3]];
const agent = new https.Agent({ keepAlive: true, maxSockets: 16, rejectUnauthorized: false });
let next = 0, done = 0;
function one() {
  if (next >= count) return;
  const k = next++, large = k % 10 == 5;
  https.get({ host: '127.0.0.1', port, path: (large ? '/large/' : '/small/') + name + '-' + k, agent }, response => {
    let length = 0;
    response.on('data', data => length += data.length);
    response.on('end', () => {
      if (response.statusCode != 200 || length != (large ? 1 << 20 : 6)) throw new Error(k + ': ' + length);
      if (++done == count) agent.destroy(); else one();
    });
  });
}
for (let i = 0; i < 16; i++) one();
";

/// The same in Go, over HTTP/1 or HTTP/2.
const GO: &str = r#"
package main
import ("crypto/tls"; "fmt"; "io"; "net/http"; "os"; "strconv"; "sync")
func main() {
  count, _ := strconv.Atoi(os.Args[1])
  port, name, version := os.Args[2], os.Args[3], os.Args[4]
  transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: version == "2", MaxIdleConnsPerHost: 16}
  if version != "2" { transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} }
  client, numbers := &http.Client{Transport: transport}, make(chan int)
  var group sync.WaitGroup
  for i := 0; i < 16; i++ {
    group.Add(1)
    go func() {
      defer group.Done()
      for k := range numbers {
        path, wanted := "/small/", 6
        if k%10 == 5 { path, wanted = "/large/", 1<<20 }
        response, err := client.Get(fmt.Sprintf("https://127.0.0.1:%s%s%s-%d", port, path, name, k))
        if err != nil { panic(err) }
        length, err := io.Copy(io.Discard, response.Body)
        response.Body.Close()
        if err != nil || response.StatusCode != 200 || length != int64(wanted) { panic(fmt.Sprint(k, response.StatusCode, length, err)) }
      }
    }()
  }
  for k := 0; k < count; k++ { numbers <- k }
  close(numbers)
  group.Wait()
}
"#;

/// A program of Go, built without symbols.
fn go(scratch: &Scratch) -> std::path::PathBuf {
    let (source, program) = (scratch.write("client.go", GO), scratch.file("go-client"));
    said(
        Command::new("go")
            .env("GOFLAGS", "-mod=mod")
            .env("GO111MODULE", "off")
            .args(["build", "-ldflags", "-s -w", "-o"])
            .arg(&program)
            .arg(source),
    );
    program
}

/// A program of Rust's, built for release.
fn rust() -> std::path::PathBuf {
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    // Where the tests of `headwater-sites` build it too.
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rustls/release");
    said(
        Command::new(env!("CARGO"))
            .current_dir(workspace)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "0")
            .env_remove("RUSTFLAGS")
            .args(["build", "--release", "--locked", "-p", "headwater-sites"])
            .args(["--example", "rustls_program"]),
    );
    target.join("release/examples/rustls_program")
}

fn script(program: impl AsRef<std::ffi::OsStr>, flag: &str, text: &str) -> Command {
    let mut command = Command::new(program);
    command.args([flag, text]);
    command
}

fn with<'c>(command: &'c mut Command, count: usize, port: u16, name: &str) -> &'c mut Command {
    command.args([&count.to_string(), &port.to_string(), name])
}

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
            counts.retain(|(path, _), _| !path.starts_with("/small/new-"));
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
    let front = Front::start(nginx.port, http2_port);
    ask_with_programs_of_every_kind(&store, &nginx, (front.port, Front::NAME));
    let told = store.ask(&["status"]).to_string();
    assert!(told.contains("tls_library_not_read"), "{told}");
    assert!(told.contains(Front::NAME), "{told}");
}

fn ask_with_programs_of_every_kind(store: &Store, nginx: &Nginx, (port, server): (u16, &str)) {
    let go = go(store.scratch());
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
    said(with(
        &mut script("/usr/bin/python3", "-c", AIOHTTP),
        160,
        port,
        "aiohttp",
    ));
    said(with(&mut script("node", "-e", NODE), 160, port, "node"));
    // A file that nobody has run before is looked at while it runs.
    until("a known program", || {
        let name = format!("new-{}", nginx.log().len());
        said(with(&mut Command::new(&go), 1, port, &name).arg("1"));
        store.settle();
        let path = (format!("/small/{name}-0"), "200".to_owned());
        recorded(store, port)
            .contains_key(&path)
            .then_some(())
            .ok_or(path)
    });
    said(with(&mut Command::new(&go), 160, port, "go1").arg("1"));
    said(with(&mut Command::new(&go), 160, port, "go2").arg("2"));
    browse(store, port);
    as_logged(store, nginx, port);
    for (path, client, version) in [
        ("/small/curl--http1.1-3", "curl", "HTTP/1.1"),
        ("/large/curl--http2-2", "curl", "HTTP/2"),
        ("/large/wget-2", "wget", "HTTP/1.1"),
        ("/small/gnutls-cli", "gnutls-cli", "HTTP/1.1"),
        ("/small/ruby-2", "ruby", "HTTP/1.1"),
        ("/small/php-curl-1", "php", "HTTP/"),
        ("/large/python-5", "python", "HTTP/1.1"),
        ("/large/aiohttp-5", "python", "HTTP/1.1"),
        ("/small/node-3", "node", "HTTP/1.1"),
        ("/small/go1-150", "go-client", "HTTP/1.1"),
        ("/large/go2-155", "go-client", "HTTP/2"),
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

/// A browser asks over HTTP/2, and for the page's picture too.
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
    let front = Front::start(behind.port, http2_port);
    let go = go(store.scratch());
    let _recorder = store.record(&["--ring-size", "32MiB"]);
    let mut clients: Vec<Child> = Vec::new();
    for port in [nginx.port, front.port] {
        for (name, mut command) in [
            ("python", script(python(), "-c", PYTHON)),
            ("aiohttp", script("/usr/bin/python3", "-c", AIOHTTP)),
            ("node", script("node", "-e", NODE)),
            ("go", Command::new(&go)),
        ] {
            with(&mut command, 1_250, port, name);
            if name == "go" {
                command.arg("1");
            }
            clients.push(command.spawn().expect("a client"));
        }
    }
    for client in &mut clients {
        assert!(client.wait().expect("its end").success());
    }
    store.settle();
    for (truth, port) in [(&nginx, nginx.port), (&behind, front.port)] {
        let truth = truth.client_ports();
        assert_eq!(truth.len(), 5_000);
        let sql = format!(
            "SELECT e.path, c.client_port FROM exchanges e JOIN connections c ON c.id = e.connection_id \
             WHERE e.outcome = 'complete' AND c.server_port = {port} ORDER BY e.id"
        );
        let mut bound = std::collections::BTreeSet::new();
        for row in store.sql(&sql) {
            let (path, port) = (row[0].as_str().expect("a path"), row[1].to_string());
            assert_eq!(
                truth.get(path),
                Some(&port),
                "{path} is bound to another connection"
            );
            assert!(bound.insert(path.to_owned()), "{path} is told twice");
        }
        let right = bound.len();
        assert!(right >= 4_950, "{right} of 5000 are bound");
    }
}

#[test]
fn a_recorder_that_is_killed_and_comes_again_harms_nobody() {
    const KILLS: usize = 6;
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let start = |name: &str, mut command: Command| {
        let command = with(&mut command, 1_000, nginx.port, name);
        (name.to_owned(), command.spawn().expect("a client"))
    };
    let client = |name: &str| match name {
        "python" => start(name, script(python(), "-c", PYTHON)),
        _ => start(name, script("node", "-e", NODE)),
    };
    let mut clients = [client("python"), client("node")];
    let (mut kills, mut runs) = (0, 0);
    let mut recorder = Some(store.record(&[]));
    // Each client looks at all of its answers, and there is one at any time of a recorder's life and end.
    while kills < KILLS || runs < 10 {
        for (name, running) in &mut clients {
            if let Some(status) = running.try_wait().expect("a client") {
                assert!(
                    status.success(),
                    "{name} after {kills} recorders were killed"
                );
                runs += 1;
                (*name, *running) = client(name);
            }
        }
        if kills < KILLS
            && let Some(running) = recorder.take()
        {
            running.end("KILL");
            kills += 1;
            recorder = Some(store.record(&[]));
        }
    }
    for (name, mut running) in clients {
        assert!(running.wait().expect("its end").success(), "{name}");
    }
    assert!(nginx.log().len() >= 10_000);
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
    let (store, nginx, scratch) = (Store::new(), Nginx::start_sized(), Scratch::new());
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
            .arg(format!("https://127.0.0.1:{}/small/{name}-[1-200]", nginx.port))
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
    let logged = logged(&nginx);
    assert_eq!(logged.values().sum::<usize>(), 400);
    assert_eq!(recorded(&store, nginx.port), logged);
    let coverage = store.ask(&["status"])["coverage"].to_string();
    // Where each call is told twice, every second one has no end.
    assert!(!coverage.contains("plaintext_unread"), "{coverage}");
    recorder.end("INT");
}
