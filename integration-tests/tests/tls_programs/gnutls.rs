//! GnuTLS with new keys in the middle of a connection.

use std::process::Command;

use headwater_integration_tests::{Nginx, REKEY, Scratch, Store, python};

use crate::{as_logged, once_read, openssl};

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
