//! A program whose TLS is not read.

use std::process::Command;

use headwater_integration_tests::{Nginx, Store, said, until};

/// Java, whose TLS is in no library: it is named, and its connection is there.
#[test]
fn java_is_named() {
    let (store, nginx) = (Store::new(), Nginx::start_sized());
    let _recorder = store.record(&[]);
    // A program that comes with it, and speaks TLS.
    let told = said(
        Command::new("java")
            .args([
                "-m",
                "java.base/sun.security.tools.keytool.Main",
                "-printcert",
                "-sslserver",
            ])
            .arg(format!("127.0.0.1:{}", nginx.port)),
    );
    assert!(told.contains("CN=localhost"), "{told}");
    let machine = said(Command::new("sh").args([
        "-ec",
        r#"machine=$(dirname "$(readlink -f "$(command -v java)")")/../lib/server/libjvm.so; readlink -f "$machine"; readelf -n "$machine" | grep -o 'Build ID: .*'"#,
    ]));
    let mut words: Vec<_> = machine
        .lines()
        .map(|line| line.trim_start_matches("Build ID: "))
        .collect();
    words.extend(["tls_library_not_read", "Java JSSE", "(java (pid "]);
    until("Java's name in coverage", || {
        let coverage = store.ask(&["status"])["coverage"].to_string();
        if words.iter().all(|word| coverage.contains(word)) {
            Ok(())
        } else {
            Err((coverage, words.clone()))
        }
    });
    let sql = format!(
        "SELECT client, server, tls_version FROM connections WHERE server_port = {} AND protocol = 'tls'",
        nginx.port
    );
    let server = format!("nginx:{}", nginx.port);
    let rows = serde_json::json!([["java", server, "TLS 1.3"]]);
    until("connection of Java's", || {
        let told = store.ask(&["query-sql", &sql, "--since", "-1h"]);
        if told["rows"] == rows {
            Ok(())
        } else {
            Err(told)
        }
    });
}
