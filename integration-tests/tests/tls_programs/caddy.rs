//! Caddy: Go's TLS at both of its sides, between clients and nginx.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, free_port, said};

use crate::as_logged;

/// A proxy in Go between curl and nginx.
#[test]
fn a_proxy_in_go() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let (folder, port) = (store.scratch().path().display(), free_port());
    let upstream = |version: &str| {
        format!(
            "handle_path /by-{version}/* {{\n reverse_proxy https://127.0.0.1:{} {{\n transport http {{\n tls_insecure_skip_verify\n versions {version}\n }}\n }}\n }}\n",
            nginx.port
        )
    };
    let configuration = store.scratch().write(
        "Caddyfile",
        format!(
            "{{\n admin off\n auto_https disable_redirects\n skip_install_trust\n storage file_system {folder}/caddy\n servers {{\n protocols h1 h2\n }}\n }}
             https://localhost:{port} {{\n bind 127.0.0.1\n tls internal\n log {{\n output file {folder}/caddy.log\n }}\n {}{} }}\n",
            upstream("1.1"),
            upstream("2")
        ),
    );
    let caddy = Program::start(
        Command::new("caddy")
            .env("HOME", store.scratch().path())
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(configuration),
    );
    caddy.await_line("certificate obtained successfully");
    let body = store.scratch().write("body", vec![b'x'; 1 << 20]);
    let _recorder = store.record(&["--ring-size", "32MiB"]);
    let at = |paths: &str| format!("https://localhost:{port}/by-{{1.1,2}}/{paths}");
    let resolve = format!("localhost:{port}:127.0.0.1");
    let asking = |version: &str| {
        let mut command = Command::new("curl");
        command.args(["-sk", version, "-o", "/dev/null", "--resolve", &resolve]);
        command
    };
    for version in ["--http1.1", "--http2"] {
        let name = &version[2..];
        said(
            asking(version)
                .arg("-T")
                .arg(&body)
                .arg(at(&format!("put/{name}-[1-5]")))
                .args(["--next", "-sk", version, "-o", "/dev/null"])
                .arg(at(&format!("small/{name}-after-put"))),
        );
    }
    said(
        asking("--http1.1")
            .args(["--parallel", "--parallel-max", "8"])
            .arg(at("{small,large}/many-1-[1-10]")),
    );
    // curl resets a stream of HTTP/2 when it has all that the Content-Length says; this one waits for its end.
    let list: Vec<_> = (0..40)
        .map(|number| {
            let (version, what) = (["1.1", "2"][number % 2], ["small", "large"][number / 2 % 2]);
            format!("https://localhost:{port}/by-{version}/{what}/many-2-{number}")
        })
        .collect();
    let list = store.scratch().write("list", list.join("\n") + "\n");
    said(
        Command::new("h2load")
            .args(["-n", "40", "-c", "4", "-m", "5", "-t", "1"])
            .arg(format!("--connect-to=127.0.0.1:{port}"))
            .arg("-i")
            .arg(list),
    );
    let log = || {
        let text = std::fs::read_to_string(store.scratch().file("caddy.log")).unwrap_or_default();
        text.lines().fold(String::new(), |log, line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            let word = |name: &str| line["request"][name].as_str().unwrap_or_default();
            format!(
                "{log}{} {} {} {}\n",
                word("method"),
                word("uri"),
                line["status"],
                word("remote_port")
            )
        })
    };
    as_logged(&store, port, 104, log);
    as_logged(&store, nginx.port, 104, || nginx.access_log());
    let sql = format!(
        "SELECT c.server_port, e.client, e.server, COUNT(*) FROM exchanges e JOIN connections c ON c.id = e.connection_id
         WHERE c.server_port IN ({port}, {}) GROUP BY 1, 2, 3",
        nginx.port
    );
    let told = store.ask(&["query-sql", &sql, "--since", "-1h"]);
    let (at_caddy, at_nginx) = (format!("caddy:{port}"), format!("nginx:{}", nginx.port));
    let rows = [
        (port, "curl", &at_caddy, 64),
        (port, "h2load", &at_caddy, 40),
        (nginx.port, "caddy", &at_nginx, 104),
    ];
    let mut rows = rows.map(|row| serde_json::json!(row)).to_vec();
    rows.sort_by_key(|row| row[0].as_u64());
    assert_eq!(told["rows"], serde_json::json!(rows));
}
