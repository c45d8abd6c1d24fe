//! Clients' libraries that others wrote, over every transport, on one store with a failure: FastMCP, the first TypeScript SDK
//! and its successor in both eras of the protocol. What each does is in `sdks/`.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Program, Store, headwater, node_folder, python, said};

const TOKEN: &str = "a-token-of-the-test's-own";

fn script(name: &str) -> String {
    format!("{}/tests/sdks/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A store with one failed exchange, its recorder, and a server over HTTP that wants a token, with its address.
fn recorded() -> (Store, [Program; 2], String) {
    let (store, nginx) = (Store::new(), Nginx::start(""));
    let recorder = store.record(&[]);
    said(Command::new("curl").args(["-s", &format!("{}/missing/one", nginx.url())]));
    store.exchange("/missing/one");
    let token = store.scratch().write("token", TOKEN);
    let token = token.to_string_lossy();
    let (server, address) = store.serve(&["--legacy-sse", "--token-file", &token]);
    (store, [recorder, server], address)
}

/// A library does its part over each transport.
fn every_transport(library: impl Fn() -> Command, store: &Store, address: &str) {
    let (program, db) = (headwater(), store.path());
    let (program, db) = (program.to_string_lossy(), db.to_string_lossy());
    let origin = address.strip_suffix("/mcp").expect("an address of MCP");
    let sse = format!("{origin}/sse");
    let transports: [&[&str]; 3] = [
        &["http", address, TOKEN],
        &["sse", &sse, TOKEN],
        &["stdio", &program, "--db", &db, "mcp"],
    ];
    for transport in transports {
        let told = said(library().args(transport));
        assert!(told.contains("all was answered"), "{transport:?}: {told}");
    }
}

#[test]
fn every_library() {
    let (store, programs, address) = recorded();
    let fastmcp = || {
        let mut command = Command::new(python());
        command.arg(script("with_fastmcp.py"));
        command
    };
    every_transport(fastmcp, &store, &address);
    for (package, era) in [("sdk", "legacy"), ("client", "legacy"), ("client", "auto")] {
        let typescript = || {
            let mut command = Command::new("node");
            command
                .env("NODE_PATH", node_folder().join("node_modules"))
                .arg(script("with_typescript.cjs"))
                .args([package, era]);
            command
        };
        every_transport(typescript, &store, &address);
    }
    // Nothing that was given up holds them back.
    for program in programs {
        assert!(program.end("INT").0.success());
    }
}
