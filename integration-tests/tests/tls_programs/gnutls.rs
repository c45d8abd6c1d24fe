//! GnuTLS with new keys in the middle of a connection.

use std::process::Command;

use headwater_integration_tests::{Nginx, REKEY, Scratch, Store, python};

use crate::openssl::python_program;
use crate::{as_logged, once_read, openssl};

/// Asks over GnuTLS on sockets that take a part of a record at a time, so that most writes have to be called again: in turn with what
/// they were given before, and without anything, which asks for the rest of what the library has kept. Reads are of some hundred bytes.
const BY_PARTS: &str = r#"
import ctypes, os, select, socket, sys, time
count, port, name, go = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
library = ctypes.CDLL("libgnutls.so.30")
AGAIN = -28
for function in ("gnutls_record_send", "gnutls_record_recv"):
    getattr(library, function).restype = ctypes.c_ssize_t
    getattr(library, function).argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
agains = 0
class Connection:
    def __init__(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        credentials, self.session = ctypes.c_void_p(), ctypes.c_void_p()
        library.gnutls_certificate_allocate_credentials(ctypes.byref(credentials))
        library.gnutls_init(ctypes.byref(self.session), 2 | 8)
        library.gnutls_set_default_priority(self.session)
        library.gnutls_credentials_set(self.session, 1, credentials)
        library.gnutls_transport_set_int2(self.session, self.socket.fileno(), self.socket.fileno())
        self.until(lambda first: library.gnutls_handshake(self.session))
    def until(self, call):
        first = True
        while True:
            result = call(first)
            if result != AGAIN:
                assert result >= 0, result
                return result
            first = False
            writes = library.gnutls_record_get_direction(self.session)
            select.select([] if writes else [self.socket], [self.socket] if writes else [], [], 5)
    def send(self, bytes, empty):
        global agains
        while bytes:
            def call(first):
                global agains
                agains += not first
                if first or not empty:
                    return library.gnutls_record_send(self.session, bytes, len(bytes))
                return library.gnutls_record_send(self.session, None, 0)
            bytes = bytes[self.until(call):]
    def receive(self):
        buffer = ctypes.create_string_buffer(700)
        length = self.until(lambda first: library.gnutls_record_recv(self.session, buffer, 700))
        return buffer.raw[:length]
    def ask(self, method, path, length, empty=False):
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()
        self.send(head, empty)
        self.send(bytes(length), empty)
        answer = b""
        while b"\r\n\r\n" not in answer: answer += self.receive()
        head, body = answer.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 2"), head
        expected, got = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]), len(body)
        while got < expected: got += len(self.receive())
while not os.path.exists(go):
    Connection().ask("GET", f"/small/before-{name}", 0)
    time.sleep(0.02)
connection = Connection()
for k in range(count):
    put = k % 2 == 0
    connection.ask("PUT" if put else "GET", f"/{'put' if put else 'large'}/{name}-{k}", (1 << 20) if put else 0, k % 4 == 0)
library.gnutls_bye(connection.session, 1)
assert agains > count, agains
"#;

/// The server's library is not read.
#[test]
fn writes_that_are_called_again_and_reads_of_parts() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let _recorder = store.record(&["--tls-program", &python_program(), "--ring-size", "32MiB"]);
    let go = store.scratch().file("go");
    let mut client = Command::new(python());
    client
        .args(["-c", BY_PARTS, "20", &nginx.port.to_string(), "parts"])
        .arg(&go);
    once_read(&store, &mut client, &go, "=/small/before-parts");
    as_logged(&store, nginx.port, 20, || nginx.access_log());
}

/// The server's library is not read.
#[test]
fn new_keys_in_the_middle_of_a_connection() {
    let (store, nginx, scratch) = (Store::new(), Nginx::start_sized(), Scratch::new());
    let (server, port) = openssl::server(&scratch);
    let _recorder = store.record(&["--tls-program", "gnutls-cli"]);
    let ask = |port: u16, name: &str, [priority, rekey, done]: [&str; 3]| {
        let go = store.scratch().file(name);
        let mut client = Command::new(python());
        client
            .args(["-c", REKEY, priority, rekey, done])
            .args([&port.to_string(), name])
            .arg(&go);
        once_read(&store, &mut client, &go, &format!("=/small/before-{name}"));
    };
    let updated = ["NORMAL", "^rekey^", "Rekey was completed"];
    ask(nginx.port, "updated", updated);
    as_logged(&store, nginx.port, 3, || nginx.access_log());
    let again = [
        "NORMAL:-VERS-TLS1.3",
        "^renegotiate^",
        "ReHandshake was completed",
    ];
    ask(port, "negotiated", again);
    as_logged(&store, port, 3, || openssl::log_of(&server));
}
