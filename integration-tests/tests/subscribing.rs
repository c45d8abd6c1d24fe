//! Completion, and subscriptions to the failures, by clients that others wrote: the official Python client and both TypeScript SDKs,
//! in both eras of the protocol, over each transport, while a real recorder records a real failure. What each does is in `sdks/`.

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, headwater, node_folder, python, said};

/// A store with one failed exchange, its recorder, and a server over HTTP with its address.
fn recorded(nginx: &Nginx) -> (Store, [Program; 2], String) {
    let store = Store::new();
    let recorder = store.record(&[]);
    said(Command::new("curl").args(["-s", &format!("{}/missing/one", nginx.url())]));
    store.exchange("/missing/one");
    let (server, address) = store.serve(&["--legacy-sse"]);
    (store, [recorder, server], address)
}

fn script(name: &str) -> String {
    format!("{}/tests/sdks/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Whether it was told over each of the transports.
fn over(transports: &[&[&str]], client: impl Fn() -> Command) {
    for transport in transports {
        let told = said(client().args(*transport));
        assert!(told.contains("completed and told"), "{transport:?}: {told}");
    }
}

#[test]
fn every_client_is_told_of_a_failure() {
    let nginx = Nginx::start("");
    let (store, programs, http) = recorded(&nginx);
    let (program, db) = (headwater(), store.path());
    let (program, db) = (program.to_string_lossy(), db.to_string_lossy());
    let sse = http.replace("/mcp", "/sse");
    let stdio: &[&str] = &["stdio", &program, "--db", &db, "mcp"];
    let (http, sse): (&[&str], &[&str]) = (&["http", &http], &["sse", &sse]);
    for era in ["legacy", "auto"] {
        let transports: &[&[&str]] = if era == "legacy" {
            &[stdio, http, sse]
        } else {
            &[stdio, http]
        };
        over(transports, || {
            let mut command = Command::new(python());
            command.args([&script("subscribing.py"), &nginx.url(), era]);
            command
        });
    }
    for (package, era) in [("sdk", "legacy"), ("client", "legacy"), ("client", "auto")] {
        over(&[stdio, http], || {
            let mut command = Command::new("node");
            command
                .env("NODE_PATH", node_folder().join("node_modules"))
                .args([&script("subscribing.cjs"), &nginx.url(), package, era]);
            command
        });
    }
    // Nothing that listened holds them back.
    for program in programs {
        assert!(program.end("INT").0.success());
    }
}
