//! OpenSSL of several versions by all of its calls, and with new keys in the middle of a connection.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Scratch, Store, certificate, python};

use crate::{BEFORE, as_logged, once_read};

/// Requests over OpenSSL's own calls, of the version that the first argument names. The others: port, what is
/// in all paths, and a file: until that is there, what the library does is not yet looked at.
const OPENSSL: &str = r#"
import ctypes, glob, os, select, socket, sys, sysconfig, threading, time
from ctypes import byref, c_char_p, c_int, c_long, c_size_t, c_uint64, c_void_p
version, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def load(library):
    if version == "system": return ctypes.CDLL(library + ".so.3", mode=ctypes.RTLD_GLOBAL)
    # What these packages bring for themselves.
    package = {"1.1": "psycopg2_binary", "3.5": "psycopg_binary"}[version]
    found = glob.glob(f"{sysconfig.get_path('purelib')}/{package}.libs/{library}-*")
    assert len(found) == 1, f"{library} of {package}: {found}; ./test installs it"
    return ctypes.CDLL(found[0], mode=ctypes.RTLD_GLOBAL)
crypto, ssl = load("libcrypto"), load("libssl")
crypto.OpenSSL_version.restype = c_char_p
for function, result, arguments in [
    ("TLS_client_method", c_void_p, []), ("SSL_CTX_new", c_void_p, [c_void_p]), ("SSL_CTX_ctrl", c_long, [c_void_p, c_int, c_long, c_void_p]),
    ("SSL_new", c_void_p, [c_void_p]), ("SSL_set_fd", c_int, [c_void_p, c_int]), ("SSL_connect", c_int, [c_void_p]),
    ("SSL_write", c_int, [c_void_p, c_void_p, c_int]), ("SSL_read", c_int, [c_void_p, c_void_p, c_int]),
    ("SSL_write_ex", c_int, [c_void_p, c_void_p, c_size_t, c_void_p]), ("SSL_read_ex", c_int, [c_void_p, c_void_p, c_size_t, c_void_p]),
    ("SSL_get_error", c_int, [c_void_p, c_int]), ("SSL_shutdown", c_int, [c_void_p]), ("SSL_free", None, [c_void_p]),
    ("SSL_key_update", c_int, [c_void_p, c_int]), ("SSL_renegotiate", c_int, [c_void_p]), ("SSL_do_handshake", c_int, [c_void_p]),
    ("SSL_set_connect_state", None, [c_void_p]), ("SSL_get_state", c_int, [c_void_p]), ("SSL_peek", c_int, [c_void_p, c_void_p, c_int]),
    ("BIO_f_ssl", c_void_p, []), ("SSL_get_key_update_type", c_int, [c_void_p]), ("SSL_ctrl", c_long, [c_void_p, c_int, c_long, c_void_p]),
    ("SSL_CTX_set_cipher_list", c_int, [c_void_p, c_char_p]), ("SSL_CTX_set_options", c_uint64, [c_void_p, c_uint64]),
]:
    getattr(ssl, function).restype, getattr(ssl, function).argtypes = result, arguments
LARGE = 1 << 20
class Connection:
    def __init__(self, tls, ex=False, modes=None, ciphers=None):
        # With modes the socket does not block, and calls take less than they are given.
        self.ex, self.tls, self.rest = ex, tls, b""
        self.sizes = [1, 7, 200, 16384, 70000]
        context = ssl.SSL_CTX_new(ssl.TLS_client_method())
        ssl.SSL_CTX_ctrl(context, 124, {"1.2": 0x0303, "1.3": 0x0304}[tls], None)
        if ciphers:
            assert ssl.SSL_CTX_set_cipher_list(context, ciphers) == 1
            ssl.SSL_CTX_set_options(context, 1 << 19)  # SSL_OP_NO_ENCRYPT_THEN_MAC
        self.socket = socket.create_connection(("127.0.0.1", port))
        if modes is not None:
            ssl.SSL_CTX_ctrl(context, 33, modes, None)
            self.socket.setblocking(False)
        self.session = ssl.SSL_new(context)
        ssl.SSL_set_fd(self.session, self.socket.fileno())
        self.begin()
    def begin(self): self.call(ssl.SSL_connect)
    def call(self, function, *arguments):
        while (result := function(self.session, *arguments)) <= 0:
            error = ssl.SSL_get_error(self.session, result)
            if error == 2: select.select([self.socket], [], [])
            elif error == 3: select.select([], [self.socket], [])
            else: raise AssertionError(f"{function.__name__} gave {result}, error {error}")
        return result
    def write(self, data):
        buffer, at, count = ctypes.create_string_buffer(data, len(data)), 0, c_size_t()
        while at < len(data):
            place, left = ctypes.addressof(buffer) + at, len(data) - at
            if self.ex:
                self.call(ssl.SSL_write_ex, place, left, byref(count))
                at += count.value
            else: at += self.call(ssl.SSL_write, place, left)
    def read(self):
        size, count = self.sizes[0], c_size_t()
        self.sizes = self.sizes[1:] + self.sizes[:1]
        buffer = ctypes.create_string_buffer(size)
        if self.ex: self.call(ssl.SSL_read_ex, buffer, size, byref(count))
        else: count.value = self.call(ssl.SSL_read, buffer, size)
        return buffer.raw[:count.value]
    def ask(self, method, path, body=b"", between=lambda: None):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        for part in (head[:9], head[9:]): self.write(part)
        if body:
            self.write(body[:len(body) // 2])
            between()
            self.write(body[len(body) // 2:])
        got = self.rest
        while b"\r\n\r\n" not in got: got += self.read()
        head, got = got.split(b"\r\n\r\n", 1)
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(got) < length: got += self.read()
        assert length == (LARGE if "/large/" in path else 0 if method == "PUT" else 6), (path, head)
        self.rest = got[length:]
    def close(self):
        ssl.SSL_shutdown(self.session)
        ssl.SSL_free(self.session)
        self.socket.close()
while not os.path.exists(sys.argv[4]):
    connection = Connection("1.2")
    connection.ask("GET", f"/small/before-{name}")
    connection.close()
    time.sleep(0.02)
wrong = []
def at_once(clients):
    def guarded(number, client):
        try: client(number)
        except BaseException as error: wrong.append(repr(error))
    threads = [threading.Thread(target=guarded, args=each) for each in enumerate(clients)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not wrong, wrong
    print(crypto.OpenSSL_version(0).decode())
"#;

/// Both pairs of calls, sockets that block and that do not, TLS 1.2 and 1.3: twelve connections at a time; requests and answers small and
/// large, read and written in pieces. The last argument may name ciphers of TLS 1.2, for six connections.
const MIX: &str = r#"
ciphers = sys.argv[5].encode()
def client(tls, ex, modes):
    def run(number):
        connection = Connection(tls, ex, modes, ciphers)
        for k in range(4):
            connection.ask("PUT", f"/put/{name}-{number}-{k}", bytes(LARGE))
            connection.ask("GET", f"/large/{name}-{number}-{k}")
            connection.ask("GET", f"/small/{name}-{number}-{k}")
        connection.close()
    return run
# SSL_MODE_ENABLE_PARTIAL_WRITE, or the same bytes again until they are taken.
at_once([client(tls, ex, modes) for tls in ("1.2", "1.3")[:1 if ciphers else 2] for ex in (False, True) for modes in (None, 0, 1)])
"#;

/// A cipher of which many records are encrypted at once, where the processor can, of writes of 64 KiB and more.
const MANY_RECORDS: &str = "AES128-SHA";

/// Eight connections at a time: a handshake within the first write, or within a read; bytes that are looked at before they are taken;
/// and a session as a filter of `BIO`, which goes past the calls that have names.
const WAYS: &str = r#"
for function, result, arguments in [
    ("BIO_new", c_void_p, [c_void_p]), ("BIO_ctrl", c_long, [c_void_p, c_int, c_long, c_void_p]), ("BIO_free", c_int, [c_void_p]),
    ("BIO_read", c_int, [c_void_p, c_void_p, c_int]), ("BIO_write", c_int, [c_void_p, c_void_p, c_int]),
]:
    getattr(crypto, function).restype, getattr(crypto, function).argtypes = result, arguments
class Otherwise(Connection):
    def __init__(self, tls, way):
        self.way = way
        super().__init__(tls, modes=0 if way == "read" else None)
    def begin(self):
        ssl.SSL_set_connect_state(self.session)
        if self.way == "bio":
            self.bio = crypto.BIO_new(ssl.BIO_f_ssl())
            assert crypto.BIO_ctrl(self.bio, 109, 0, self.session) == 1  # BIO_C_SET_SSL
        while self.way == "read" and ssl.SSL_get_state(self.session) != 1:  # TLS_ST_OK
            room = ctypes.create_string_buffer(1)
            result = ssl.SSL_read(self.session, room, 1)
            assert result < 0
            if ssl.SSL_get_error(self.session, result) == 2: select.select([self.socket], [], [], 0.01)
            else: select.select([], [self.socket], [])
    def write(self, data):
        if self.way != "bio": return super().write(data)
        buffer, at = ctypes.create_string_buffer(data, len(data)), 0
        while at < len(data):
            taken = crypto.BIO_write(self.bio, ctypes.addressof(buffer) + at, len(data) - at)
            assert taken > 0
            at += taken
    def read(self):
        buffer = ctypes.create_string_buffer(1000)
        if self.way == "peek": self.call(ssl.SSL_peek, buffer, 100)
        if self.way != "bio": return super().read()
        taken = crypto.BIO_read(self.bio, buffer, 1000)
        assert taken > 0
        return buffer.raw[:taken]
def client(tls, way):
    def run(number):
        connection = Otherwise(tls, way)
        for k in range(2):
            connection.ask("PUT", f"/put/{name}-{number}-{k}", bytes(LARGE))
            connection.ask("GET", f"/large/{name}-{number}-{k}")
            connection.ask("GET", f"/small/{name}-{number}-{k}")
        if way == "bio": crypto.BIO_free(connection.bio)
        connection.close()
    return run
at_once([client(tls, way) for tls in ("1.2", "1.3") for way in ("write", "read", "peek", "bio")])
"#;

/// Eight connections at a time that get new keys between requests, and in TLS 1.3 in the middle of one too; the last argument is
/// the version of TLS.
const REKEY: &str = r#"
tls = sys.argv[5]
def rekey(connection, k):
    if tls == "1.3":
        # Of this side, or of the other one as well.
        assert ssl.SSL_key_update(connection.session, k % 2) == 1
    else:
        assert ssl.SSL_renegotiate(connection.session) == 1
        connection.call(ssl.SSL_do_handshake)
def run(number):
    connection = Connection(tls, number % 2 == 1)
    for k in range(3):
        connection.ask("PUT", f"/put/{name}-{number}-{k}", bytes(LARGE), lambda: rekey(connection, k) if tls == "1.3" else None)
        rekey(connection, k)
        connection.ask("GET", f"/large/{name}-{number}-{k}")
        rekey(connection, k + 1)
        connection.ask("GET", f"/small/{name}-{number}-{k}")
    # None is waiting to be sent, and so often there was a new handshake.
    assert ssl.SSL_get_key_update_type(connection.session) == -1 if tls == "1.3" else ssl.SSL_ctrl(connection.session, 10, 0, None) == 6
    connection.close()
at_once([run] * 8)
"#;

/// A server that lets its clients negotiate again, which nginx does not. Logs as nginx does here, to standard output.
const SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    def do_GET(self):
        self.answer(200, bytes(1 << 20) if "/large/" in self.path else b"hello\n")
    def do_PUT(self):
        length = int(self.headers["content-length"])
        assert len(self.rfile.read(length)) == length
        self.answer(201, b"")
    def answer(self, status, body):
        # Before the client has the answer.
        sys.stdout.write(f"{self.command} {self.path} {status} {self.client_address[1]}\n")
        sys.stdout.flush()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:3])
context.options |= 1 << 8  # SSL_OP_ALLOW_CLIENT_RENEGOTIATION
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64
server = Server(("127.0.0.1", 0), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
sys.stderr.write(f"listening on port {server.server_address[1]}\n")
sys.stderr.flush()
server.serve_forever()
"#;

/// Starts that server; gives its port.
pub(crate) fn server(scratch: &Scratch) -> (Program, u16) {
    let (certificate, key) = certificate(scratch);
    let server = Program::start(
        Command::new(python())
            .args(["-c", SERVER])
            .arg(certificate)
            .arg(key),
    );
    let port = server.await_port();
    (server, port)
}

/// What that server logged.
pub(crate) fn log_of(server: &Program) -> String {
    let said = server.said();
    let requests = said.lines().filter(|line| line.contains(" /"));
    requests.fold(String::new(), |log, line| log + line + "\n")
}

/// The name of the file that Python runs from, by which `--tls-program` knows it.
pub(crate) fn python_program() -> String {
    let file = std::fs::canonicalize(python()).expect("Python; ./test installs it");
    let name = file.file_name().expect("a name");
    name.to_string_lossy().into_owned()
}

/// Runs a client over one version of OpenSSL, once that is read. Gives what the library says of its version.
fn openssl(store: &Store, version: &str, work: (&str, &str), port: u16, name: &str) -> String {
    let (work, argument) = work;
    let script = format!("{OPENSSL}{work}");
    let go = store.scratch().file(&format!("go-{name}"));
    once_read(
        store,
        Command::new(python())
            .args(["-c", &script, version])
            .args([&port.to_string(), name])
            .arg(&go)
            .arg(argument),
        &go,
        &format!("=/small/{BEFORE}{name}"),
    )
}

/// nginx's TLS is not looked at: all is from what the client gave to its library and got from it.
#[test]
fn openssl_of_three_ages_by_all_of_its_calls() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let _recorder = store.record(&["--tls-program", &python_program(), "--ring-size", "32MiB"]);
    let mut count = 0;
    for (version, is) in [
        ("1.1", "OpenSSL 1.1.1"),
        ("system", "OpenSSL 3.0."),
        ("3.5", "OpenSSL 3.5."),
    ] {
        for (ciphers, connections, name) in [("", 12, "mix"), (MANY_RECORDS, 6, "many")] {
            let name = format!("{name}-{version}");
            let told = openssl(&store, version, (MIX, ciphers), nginx.port, &name);
            assert!(told.starts_with(is), "{told}");
            count += connections * 4 * 3;
            as_logged(&store, nginx.port, count, || nginx.access_log());
        }
    }
}

#[test]
fn handshakes_within_calls_looks_and_filters() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let _recorder = store.record(&["--tls-program", &python_program(), "--ring-size", "32MiB"]);
    for (runs, version) in [(1, "1.1"), (2, "system"), (3, "3.5")] {
        let name = format!("ways-{version}");
        openssl(&store, version, (WAYS, ""), nginx.port, &name);
        as_logged(&store, nginx.port, runs * 8 * 2 * 3, || nginx.access_log());
    }
}

/// Keys of TLS 1.3 that are updated, and TLS 1.2 that is negotiated again: what comes before and after is one connection's.
#[test]
fn new_keys_in_the_middle_of_a_connection() {
    let (store, nginx, scratch) = (Store::new(), Nginx::start_sized(), Scratch::new());
    let (server, port) = server(&scratch);
    let _recorder = store.record(&["--ring-size", "32MiB"]);
    for (runs, version) in [(1, "system"), (2, "3.5"), (3, "1.1")] {
        let name = format!("updated-{version}");
        openssl(&store, version, (REKEY, "1.3"), nginx.port, &name);
        as_logged(&store, nginx.port, runs * 8 * 3 * 3, || nginx.access_log());
        let name = format!("negotiated-{version}");
        openssl(&store, version, (REKEY, "1.2"), port, &name);
        as_logged(&store, port, runs * 8 * 3 * 3, || log_of(&server));
    }
}
