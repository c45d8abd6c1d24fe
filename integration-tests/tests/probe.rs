//! A probe of MCP servers that others wrote (amagi-mcp-probe) calls every tool over stdio and Streamable HTTP: schemas are valid,
//! structured answers match them, nothing but the protocol is on standard output, nothing is slow or ends the server.

#![allow(clippy::expect_used, reason = "tests")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Store, headwater, python, said};
use serde_json::{Value, json};

/// What each tool is asked: a tool that is missing here has arguments made up by the probe, which most refuse.
fn questions(exchange: &str, connection: &str) -> Value {
    json!({
        "compare": [{}, { "since": "-5m" }],
        "explain_failure": { "id": exchange },
        "find_errors": [{}, { "detail": "detailed" }],
        "get_connection": [{ "id": connection }, { "id": connection, "detail": "detailed" }],
        "get_exchange": [
            { "id": exchange },
            { "id": exchange, "detail": "detailed" },
            { "id": exchange, "header": "host" },
        ],
        "get_session": { "id": exchange },
        "list_services": [{}, { "detail": "detailed" }],
        "mark": [{ "name": "probed" }, {}],
        "query_sql": { "sql": "SELECT count(*) FROM exchanges" },
        "search_exchanges": [{}, { "detail": "detailed" }, { "protocol": "dns" }, { "protocol": "udp" }],
        "status": {},
        "trace_transaction": [{ "id": exchange }, { "id": exchange, "detail": "detailed" }],
    })
}

#[test]
fn every_tool_answers_as_it_declares() {
    let (store, nginx) = (Store::new(), Nginx::start(""));
    let recorder = store.record(&[]);
    said(Command::new("curl").args([
        "-s",
        "-H",
        "Authorization: Bearer 5f1c0a9b7d3e42886e21",
        &format!("{}/missing/one", nginx.url()),
    ]));
    let exchange = store.exchange("/missing/one");
    let text = |pointer: &str| {
        let found = exchange.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {exchange}"))
    };
    let asked = questions(text("/id"), text("/connection/id"));
    let asked = store.scratch().write("asked.json", asked.to_string());
    let (server, address) = store.serve(&["--allow-sql"]);
    let (program, db) = (headwater(), store.path());
    let (program, db) = (program.to_string_lossy(), db.to_string_lossy());
    let probe = python().with_file_name("amagi-mcp-probe");
    let transports: [&[&str]; 2] = [&["--url", &address], &["--", &program, "--db", &db, "mcp"]];
    for transport in transports {
        let mut command = Command::new(&probe);
        command.args(["--strict", "--timeout", "20", "--args"]);
        let told = said(command.arg(&asked).args(transport));
        // None was left out.
        assert!(told.contains("12 tools: 12 passed."), "{told}");
    }
    assert!(server.end("INT").0.success());
    assert!(recorder.end("INT").0.success());
}
