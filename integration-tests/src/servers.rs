//! Real servers on ports of their own.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Program, Scratch, Store, column, said, wait::until};

/// A port that nothing listens on.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

/// A server of one connection: reads a head, then does what the test wants with it. Gives its port, and the thread.
pub fn serve_once(
    act: impl FnOnce(TcpStream) + Send + 'static,
) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        act(stream);
    });
    (port, thread)
}

/// The Python that has `mcp`, `fastmcp` and `requests`.
pub fn python() -> PathBuf {
    let made = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/test-venv/bin/python"
    );
    std::env::var_os("HEADWATER_TEST_PYTHON").map_or_else(|| PathBuf::from(made), PathBuf::from)
}

/// The folder with npm's packages.
pub fn node_folder() -> PathBuf {
    let made = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-node");
    std::env::var_os("HEADWATER_TEST_NODE").map_or_else(|| PathBuf::from(made), PathBuf::from)
}

/// A certificate for `localhost` that nobody knows, and its key.
pub fn certificate(scratch: &Scratch) -> (PathBuf, PathBuf) {
    certificate_of(scratch, "/CN=localhost", "DNS:localhost,IP:127.0.0.1")
}

/// The same for another subject, with these names.
pub fn certificate_of(scratch: &Scratch, subject: &str, names: &str) -> (PathBuf, PathBuf) {
    let (certificate, key) = (scratch.file("certificate.pem"), scratch.file("key.pem"));
    said(
        Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
            ])
            .args(["-subj", subject])
            .args(["-addext", &format!("subjectAltName={names}")])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    (certificate, key)
}

/// nginx with a folder of files, an access log, and what else `locations` says.
#[derive(Debug)]
pub struct Nginx {
    /// Where it listens, on 127.0.0.1 and `[::1]`.
    pub port: u16,
    /// The running server.
    pub program: Program,
    scratch: Scratch,
}

impl Nginx {
    /// Starts it and waits until it accepts.
    pub fn start(locations: &str) -> Self {
        Self::listening(locations, "")
    }
    /// The same over HTTP/2 without TLS, with prior knowledge.
    pub fn start_http2(locations: &str) -> Self {
        Self::listening(locations, "http2")
    }
    /// The same over TLS, HTTP/1 and HTTP/2, with a certificate for `localhost` that nobody knows.
    pub fn start_tls(locations: &str) -> Self {
        Self::listening(locations, "ssl http2")
    }
    fn listening(locations: &str, how: &str) -> Self {
        let port = free_port();
        let listen = format!("listen 127.0.0.1:{port} {how}; listen [::1]:{port} {how};");
        Self::configured(port, &listen, "$remote_port", locations)
    }
    /// Without TLS, HTTP/1 at `port` and HTTP/2 at the other port that is given, for a proxy that tells whose each
    /// connection is by the PROXY protocol. Answers as [`Self::start_sized`] does.
    pub fn start_behind_proxy() -> (Self, u16) {
        let (port, http2_port) = (free_port(), free_port());
        let listen = format!(
            "listen 127.0.0.1:{port} proxy_protocol; listen 127.0.0.1:{http2_port} http2 proxy_protocol;"
        );
        let nginx = Self::configured(port, &listen, "$proxy_protocol_port", SIZED);
        nginx.file("large.bin", vec![b'x'; 1 << 20]);
        (nginx, http2_port)
    }
    /// The same over TLS, behind such a proxy.
    pub fn start_tls_behind_proxy() -> Self {
        let port = free_port();
        let listen = format!("listen 127.0.0.1:{port} ssl http2 proxy_protocol;");
        let nginx = Self::configured(port, &listen, "$proxy_protocol_port", SIZED);
        nginx.file("large.bin", vec![b'x'; 1 << 20]);
        nginx
    }
    fn configured(port: u16, listen: &str, client_port: &str, locations: &str) -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.file("files")).expect("a folder of files");
        let locations = if listen.contains("ssl") {
            let (certificate, key) = certificate(&scratch);
            format!(
                "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.2 TLSv1.3; {locations}",
                certificate.display(),
                key.display()
            )
        } else {
            locations.to_owned()
        };
        let folder = scratch.path().display();
        let configuration = format!(
            "daemon off; worker_processes 2; user root; pid {folder}/pid; error_log {folder}/error.log;
             events {{ worker_connections 512; }}
             http {{
               log_format plain '$request_method $request_uri $status {client_port}'; access_log {folder}/access.log plain;
               client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
               uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; client_max_body_size 64m;
               keepalive_requests 100000;
               server {{ {listen} root {folder}/files; {locations} }}
             }}"
        );
        let configuration = scratch.write("nginx.conf", configuration);
        let path = format!(
            "{}:/usr/sbin:/sbin",
            std::env::var("PATH").unwrap_or_default()
        );
        let mut command = Command::new("nginx");
        command
            .env("PATH", path)
            .arg("-p")
            .arg(scratch.path())
            .arg("-e")
            .arg(scratch.file("error.log"))
            .arg("-c")
            .arg(configuration);
        let program = Program::start(&mut command);
        until("listening nginx", || {
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| (error, program.said()))
        });
        Self {
            port,
            program,
            scratch,
        }
    }
    /// Over TLS, with a small and a large answer for any path, and what is put is taken.
    pub fn start_sized() -> Self {
        let nginx = Self::start_tls(SIZED);
        nginx.file("large.bin", vec![b'x'; 1 << 20]);
        nginx
    }
    /// The start of its addresses.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
    /// The same, where it was started over TLS.
    pub fn url_tls(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
    /// Puts a file into its folder.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        self.scratch.write(&format!("files/{name}"), content);
    }
    /// The folder of the server.
    pub fn folder(&self) -> &Path {
        self.scratch.path()
    }
    /// The port that each request came from, by its path; paths are told once here.
    pub fn client_ports(&self) -> std::collections::BTreeMap<String, String> {
        let words = |line: &str| {
            let mut words = line.split(' ').skip(1);
            let path = words.next()?.to_owned();
            Some((path, words.nth(1)?.to_owned()))
        };
        self.access_log().lines().filter_map(words).collect()
    }
    /// Its access log: method, target, status and the client's port of every request, a line each.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(self.scratch.file("access.log")).unwrap_or_default()
    }
    /// Of that method, path and status.
    pub fn log(&self) -> Vec<(String, String, String)> {
        let words = |line: &str| {
            let mut words = line.split(' ');
            let mut next = || words.next().unwrap_or_default().to_owned();
            let (method, target, status) = (next(), next(), next());
            (
                method,
                target.split('?').next().unwrap_or_default().to_owned(),
                status,
            )
        };
        self.access_log().lines().map(words).collect()
    }
}

/// Asks one of these servers over `gnutls-cli`, in Python: see its own words.
pub const REKEY: &str = include_str!("rekey.py");

/// A small and a large answer for any path, and what is put is taken.
const SIZED: &str =
    "location /small/ { return 200 'hello\n'; } location /large/ { try_files /large.bin =404; }
     location /put/ { dav_methods PUT; create_full_put_path on; }";

/// A program that takes TLS off in front of a server, by OpenSSL that is linked into it, stripped.
#[derive(Debug)]
pub struct Front {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    _program: Program,
    _scratch: Scratch,
}

impl Front {
    /// The file's name of one that is read: its errors tell its functions.
    pub const STRIPPED: &'static str = "stripped-front";
    /// That of one that is not: what tells where its functions begin was taken out too.
    pub const UNREAD: &'static str = "unread-front";

    /// Starts the one with the file's name `name`, before what listens at these ports ([`Nginx::start_behind_proxy`]).
    pub fn start(name: &str, http1_port: u16, http2_port: u16) -> Self {
        let scratch = Scratch::new();
        let (source, program) = (
            scratch.write("front.c", include_str!("front.c")),
            scratch.file(name),
        );
        said(
            Command::new("cc")
                .args(["-O1", "-s", "-o"])
                .args([&program, &source])
                .args(["-l:libssl.a", "-l:libcrypto.a", "-ldl", "-lpthread"]),
        );
        if name == Self::UNREAD {
            let tables = [
                "--remove-section=.eh_frame",
                "--remove-section=.eh_frame_hdr",
            ];
            said(Command::new("objcopy").args(tables).arg(&program));
        }
        let (certificate, key) = certificate(&scratch);
        let ports = [http1_port, http2_port].map(|port| port.to_string());
        let program = Program::start(Command::new(program).args([certificate, key]).args(ports));
        Self {
            port: program.await_port(),
            _program: program,
            _scratch: scratch,
        }
    }
}

impl Front {
    /// Asks over TLS, for `/small/` and this name, until a recorder that runs tells another such exchange: it reads the library then. Of a
    /// client whose library is read too it tells nothing.
    pub fn await_known(&self, store: &Store, name: &str) {
        let (end, path) = (format!(":{}", self.port), format!("=/small/{name}"));
        let told = || {
            let rows = store.rows(&["search-exchanges", "--path", &path]);
            let here = |row: &&_| column(row, "server").ends_with(&end);
            rows.iter().filter(here).count()
        };
        let before = told();
        until("known library", || {
            let url = format!("https://127.0.0.1:{}/small/{name}", self.port);
            said(Command::new("curl").args(["-skf", &url]));
            if told() > before { Ok(()) } else { Err(before) }
        });
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers follow the master's end only when the master is asked.
        self.program.signal("TERM");
        until("end of nginx", || {
            if self.scratch.file("pid").exists() {
                Err("still there")
            } else {
                Ok(())
            }
        });
    }
}

/// Python's `http.server` over a folder; gives the port.
pub fn python_server(folder: &Path) -> (Program, u16) {
    let mut command = Command::new(python());
    command
        .args([
            "-u",
            "-m",
            "http.server",
            "0",
            "--bind",
            "127.0.0.1",
            "--protocol",
            "HTTP/1.1",
            "--directory",
        ])
        .arg(folder);
    let program = Program::start(&mut command);
    let line = program.await_line("Serving HTTP on");
    (program, number_after(&line, "port "))
}

/// Node's `http` with a handler in JavaScript, `(request, response) => …`; gives the port.
pub fn node_server(handler: &str) -> (Program, u16) {
    let script = format!(
        "const server = require('http').createServer({handler});
         server.listen(0, '127.0.0.1', () => console.log('listening on port ' + server.address().port))"
    );
    let program = Program::start(Command::new("node").arg("-e").arg(script));
    let port = program.await_port();
    (program, port)
}

impl Program {
    /// Waits until it says `listening on port`, and which.
    pub fn await_port(&self) -> u16 {
        number_after(&self.await_line("listening on port "), "port ")
    }
}

fn number_after(line: &str, word: &str) -> u16 {
    let digits: String = line
        .split(word)
        .nth(1)
        .unwrap_or_default()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits
        .parse()
        .unwrap_or_else(|_| panic!("no port in {line:?}"))
}
