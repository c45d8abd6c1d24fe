//! GnuTLS with new keys in the middle of a connection.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Scratch, Store, certificate, python};

use crate::{as_logged, once_read, openssl};

/// Three requests over one connection of `gnutls-cli`, with new keys between them. The last argument is a file: until that is there, its
/// library is not yet looked at.
const REKEY: &str = r#"
import os, subprocess, sys, time
priority, rekey, done, port, name, go = sys.argv[1:]
command = ["gnutls-cli", "--insecure", "--inline-commands", "--priority", priority, "--port", port, "127.0.0.1"]
client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
def say(text):
    client.stdin.write(text.encode())
    client.stdin.flush()
def ask(name):
    say(f"GET /small/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    heard = ""
    while "hello" not in heard:
        line = client.stdout.readline()
        assert line, heard
        heard += line.decode()
    return heard
while not os.path.exists(go):
    ask(f"before-{name}")
    time.sleep(0.02)
for number in range(3):
    if number > 0: say(rekey + "\n")
    heard = ask(f"{name}-{number}")
    assert number == 0 or done in heard, heard
client.stdin.close()
client.wait()
"#;

/// The server's library is not read.
#[test]
fn new_keys_in_the_middle_of_a_connection() {
    let (store, nginx, scratch) = (Store::new(), Nginx::start_sized(), Scratch::new());
    let (certificate, key) = certificate(&scratch);
    let server = Program::start(
        Command::new(python())
            .args(["-c", openssl::SERVER])
            .arg(certificate)
            .arg(key),
    );
    let port = server.await_port();
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
