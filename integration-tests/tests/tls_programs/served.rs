//! What nginx can be told to do with TLS besides.

use std::process::Command;

use headwater_integration_tests::{Nginx, Store, said};

use crate::as_logged;

/// A server that is to send its files with sendfile. Without TLS in the kernel (`ssl_conf_command Options KTLS` asks for it) nginx
/// reads them and gives them to OpenSSL, a part at a time.
#[test]
fn files_that_are_sent_with_sendfile() {
    let store = Store::new();
    let nginx = Nginx::start_tls(
        "sendfile on; sendfile_max_chunk 512k;
         location /small/ { try_files /small.txt =404; } location /large/ { try_files /large.bin =404; }",
    );
    nginx.file("small.txt", "hello\n");
    nginx.file("large.bin", vec![b'x'; 1 << 20]);
    let _recorder = store.record(&[]);
    for (version, name) in [("--http1.1", "one"), ("--http2", "other")] {
        let at = |what: &str| format!("{}/{what}/{name}-[1-3]", nginx.url_tls());
        said(
            Command::new("curl")
                .args(["-sk", version, "-o", "/dev/null", &at("small")])
                .args(["-o", "/dev/null", &at("large")])
                .args(["-o", "/dev/null", &at("small/again")]),
        );
    }
    as_logged(&store, nginx.port, 2 * 9, || nginx.access_log());
}

/// Uploads by clients that close as soon as they are answered: what was written last is known only by the last words of both
/// ends' sessions, of which the server's comes before its FIN.
#[test]
fn the_last_body_of_a_connection_is_counted() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let body = store.scratch().write("body", vec![b'x'; 1 << 20]);
    let _recorder = store.record(&[]);
    for number in 0..10 {
        for version in ["--http1.1", "--http2"] {
            said(
                Command::new("curl")
                    .args(["-sk", version, "-o", "/dev/null", "-T"])
                    .arg(&body)
                    .arg(format!("{}/put/curl{version}-{number}", nginx.url_tls())),
            );
        }
    }
    as_logged(&store, nginx.port, 20, || nginx.access_log());
}

/// Heads that are compressed well, many at once: what they may take in the store goes by what has passed, which packets of TLS
/// do not tell at once.
#[test]
fn many_well_compressed_heads_are_all_kept() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let recorder = store.record(&["--ring-size", "32MiB"]);
    said(
        Command::new("h2load")
            .args(["-n", "20000", "-c", "4", "-m", "4"])
            .arg(format!("{}/small/same", nginx.url_tls())),
    );
    store.settle();
    recorder.end("INT");
    let counted = said(&mut store.command(&["count-exchanges"]));
    let status = store.ask(&["status"])["coverage"].to_string();
    assert!(!status.contains("expansion_capped"), "{status}");
    // That which `settle` sends is one too.
    let count: usize = counted.trim().parse().expect("a number");
    assert!(count >= 20_000, "{count}: {status}");
}

/// A request that comes with the first words of a handshake.
#[test]
fn early_data() {
    let store = Store::new();
    let nginx = Nginx::start_tls("ssl_early_data on; location /small/ { return 200 'hello\n'; }");
    let session = store.scratch().file("session");
    let _recorder = store.record(&[]);
    let client = |request: &str, option: &str| {
        let text = format!("GET /small/{request} HTTP/1.1\r\nHost: localhost\r\n");
        let early = (store.scratch()).write(request, format!("{text}\r\n"));
        let last = (store.scratch()).write(
            "last",
            format!("{text}Connection: close\r\n\r\n").replace(request, &format!("{request}-last")),
        );
        let input = std::fs::File::open(last).expect("a file");
        let mut command = Command::new("openssl");
        command.args(["s_client", "-tls1_3", "-ign_eof", "-connect"]);
        command.arg(format!("127.0.0.1:{}", nginx.port));
        command.arg(option).arg(&session);
        if option == "-sess_in" {
            command.arg("-early_data").arg(early);
        }
        said(command.stdin(input))
    };
    client("late", "-sess_out");
    let told = client("early", "-sess_in");
    assert!(told.contains("Early data was accepted"), "{told}");
    as_logged(&store, nginx.port, 3, || nginx.access_log());
}
