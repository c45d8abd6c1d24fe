//! MCP clients that are not ours: the official Python SDK and the inspector's command line, over stdio, HTTP and the
//! deprecated HTTP+SSE.

#![allow(clippy::expect_used, reason = "tests")]

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use headwater_integration_tests::{
    Nginx, Program, Store, headwater, node_folder, python, said, until,
};
use serde_json::Value;

const SDK: &str = r"
import asyncio, sys
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

async def main():
    over, target = sys.argv[1:3]
    if over == 'sse': target = sse_client(target)
    if over == 'stdio': target = stdio_client(StdioServerParameters(command=target, args=sys.argv[3:]))
    async with Client(target, mode=over == 'http' and 'auto' or 'legacy') as client:
        tools = (await client.list_tools()).tools
        assert all(tool.annotations.read_only_hint == (tool.name != 'mark') and tool.output_schema for tool in tools), tools
        rows = (await client.call_tool('search_exchanges', {})).structured_content['rows']
        assert rows, 'no rows'
        # What a tool is asked for where it does not answer without arguments; every tool that is listed is called.
        exchange = (await client.call_tool('get_exchange', {'id': rows[0][0]})).structured_content
        given = {name: {'id': rows[0][0]} for name in ('get_exchange', 'trace_transaction', 'explain_failure')}
        given |= {'query_sql': {'sql': 'SELECT server, COUNT(*) AS n FROM exchanges GROUP BY 1'}}
        given |= {'get_connection': {'id': exchange['connection']['id']}, 'get_session': {'id': 'of-nobody'}}
        names = {tool.name for tool in tools}
        # SQL is off where several may ask.
        if over != 'stdio': del given['query_sql']
        assert names >= {'status', 'search_exchanges', *given} and ('query_sql' in names) == (over == 'stdio'), names
        for name in names:
            result = await client.call_tool(name, given.get(name, {}))
            assert not result.is_error, (name, result)
            assert result.structured_content['coverage']['as_of'] and result.content[0].text, name
        wrong = await client.call_tool('search_exchanges', {'sinc': '-1h'})
        assert wrong.is_error and 'did you mean since' in wrong.content[0].text, wrong
    print('all tools answered')

asyncio.run(main())
";

/// Waits for the next match while it does not come, gives up, and waits again until it has come.
const WAITING: &str = r"
import asyncio, sys, time, urllib.request
import anyio
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client

async def main():
    url, over, target = sys.argv[1:4]
    if over == 'sse': target = sse_client(target)
    if over == 'stdio': target = stdio_client(StdioServerParameters(command=target, args=sys.argv[4:]))
    async with Client(target, mode=over == 'http' and 'auto' or 'legacy') as client:
        told = anyio.Event()
        async def progress(done, total, message):
            assert total == 25 and done <= total, (done, total)
            told.set()
        async def wait(path):
            return await client.call_tool('search_exchanges', {'path': path, 'wait_s': 25}, progress_callback=progress)
        began = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(wait, '=/never')
            with anyio.fail_after(20):
                await told.wait()
            group.cancel_scope.cancel()
        given_up = time.monotonic() - began
        assert given_up < 20, given_up
        found = None
        told = anyio.Event()
        async with anyio.create_task_group() as group:
            async def find():
                nonlocal found
                found = await wait('=/awaited')
            group.start_soon(find)
            with anyio.fail_after(20):
                await told.wait()
            try:
                await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(url + '/awaited').read())
            except urllib.error.HTTPError:
                pass
        rows = found.structured_content['rows']
        assert len(rows) == 1 and rows[0][5] == '/awaited', rows
    assert time.monotonic() - began < 45
    print('waited')

asyncio.run(main())
";

/// A store with one failed exchange, its recorder, and a server over HTTP with its addresses.
fn recorded() -> (Store, Program, Program, [String; 2]) {
    let (store, nginx) = (Store::new(), Nginx::start(""));
    let recorder = store.record(&[]);
    said(Command::new("curl").args(["-s", &format!("{}/missing/one", nginx.url())]));
    store.exchange("/missing/one");
    let (server, addresses) = served(&store);
    (store, recorder, server, addresses)
}

/// A server over HTTP, with its addresses for Streamable HTTP and for HTTP+SSE.
fn served(store: &Store) -> (Program, [String; 2]) {
    let (server, http) = store.serve(&["--legacy-sse"]);
    let sse = http.replace("/mcp", "/sse");
    server.await_line(&format!("deprecated HTTP+SSE transport too, at {sse}"));
    (server, [http, sse])
}

#[test]
fn the_official_python_client_calls_every_tool() {
    let (store, recorder, server, [http, sse]) = recorded();
    let (program, db) = (headwater(), store.path());
    let mut stdio = Command::new(python());
    stdio
        .args(["-c", SDK, "stdio"])
        .arg(program)
        .arg("--db")
        .arg(db)
        .arg("mcp");
    assert!(said(&mut stdio).contains("all tools answered"));
    for (over, address) in [("http", http), ("sse", sse)] {
        let told = said(Command::new(python()).args(["-c", SDK, over, &address]));
        assert!(told.contains("all tools answered"), "{over}: {told}");
    }
    assert!(server.end("INT").0.success());
    assert!(recorder.end("INT").0.success());
}

#[test]
fn the_official_python_client_waits_sees_progress_and_gives_up() {
    let (store, nginx) = (Store::new(), Nginx::start(""));
    let recorder = store.record(&[]);
    let url = nginx.url();
    let mut stdio = Command::new(python());
    stdio
        .args(["-c", WAITING, &url, "stdio"])
        .arg(headwater())
        .arg("--db")
        .arg(store.path())
        .arg("mcp");
    assert!(said(&mut stdio).contains("waited"));
    assert!(recorder.end("INT").0.success());

    for (over, which) in [("http", 0), ("sse", 1)] {
        let (store, nginx) = (Store::new(), Nginx::start(""));
        let recorder = store.record(&[]);
        let (server, addresses) = served(&store);
        let mut waiting = Command::new(python());
        waiting.args(["-c", WAITING, &nginx.url(), over, &addresses[which]]);
        assert!(said(&mut waiting).contains("waited"));
        // Nothing of what was given up holds the server back.
        assert!(server.end("INT").0.success());
        assert!(recorder.end("INT").0.success());
    }
}

#[test]
fn the_server_of_up_does_not_outlive_it() {
    let store = Store::new();
    let up = Program::start(&mut store.command(&["up", "--listen", "127.0.0.1:0"]));
    up.await_line("serving MCP at ");
    let children = format!("/proc/{0}/task/{0}/children", up.pid());
    let children = std::fs::read_to_string(children).expect("children");
    let servers: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
    assert_eq!(servers.len(), 1, "{children}");
    up.signal("KILL");
    until("end of the server", || {
        // An orphan that nobody has reaped has no command line any more.
        match std::fs::read(format!("/proc/{}/cmdline", servers[0])) {
            Ok(words) if !words.is_empty() => Err(words),
            _ => Ok(()),
        }
    });
}

/// The inspector's command line.
fn inspector(arguments: &[&str]) -> Command {
    let installed = || node_folder().join("node_modules/.bin/mcp-inspector");
    let inspector =
        std::env::var_os("HEADWATER_TEST_INSPECTOR").map_or_else(installed, PathBuf::from);
    let mut command = Command::new(inspector);
    command.arg("--cli").args(arguments);
    command
}

#[test]
fn the_inspector_lists_and_calls_over_every_transport() {
    let (store, _recorder, _server, [http, sse]) = recorded();
    let (program, db) = (headwater(), store.path());
    let stdio = [
        &*program.to_string_lossy(),
        "--db",
        &*db.to_string_lossy(),
        "mcp",
    ]
    .map(str::to_owned);
    let stdio: Vec<&str> = stdio.iter().map(String::as_str).collect();
    let http = [&*http, "--transport", "http"];
    let sse = [&*sse, "--transport", "sse"];
    for target in [&stdio[..], &http, &sse] {
        let list = [target, &["--method", "tools/list", "--strict"]].concat();
        let listed = said(&mut inspector(&list));
        let many = [
            "--load",
            "--load-requests",
            "100",
            "--load-concurrency",
            "8",
        ];
        let call = ["--method", "tools/call", "--tool-name", "list_services"];
        let loaded = said(&mut inspector(&[target, &call, &many].concat()));
        let loaded: Value = serde_json::from_str(&loaded).expect("a report");
        let counts = ["ok", "toolErrors", "errors"].map(|name| loaded[name].as_u64());
        assert_eq!(counts, [Some(100), Some(0), Some(0)], "{loaded}");
        let prompts = [target, &["--method", "prompts/list"]].concat();
        assert!(said(&mut inspector(&prompts)).contains("first_look"));
        let get = [
            "--method",
            "prompts/get",
            "--prompt-name",
            "investigate_error",
        ];
        let get = [
            target,
            &get,
            &["--prompt-args", "symptom=GET /missing/one 404"],
        ]
        .concat();
        let prompt = said(&mut inspector(&get));
        assert!(prompt.contains("`GET /missing/one 404`"), "{prompt}");
        let call = |tool: &str, given: &[&str]| {
            let given = given.iter().flat_map(|argument| ["--tool-arg", argument]);
            let mut all = [target, &["--method", "tools/call", "--tool-name", tool]].concat();
            all.extend(given);
            said(&mut inspector(&all))
        };
        let found = call("search_exchanges", &["status=4xx"]);
        let id = format!("id={}", id_in(&found, "x_"));
        let told = call("get_exchange", &[&*id]);
        let connection = format!("id={}", id_in(&told, "c_"));
        let expected = BTreeMap::from([
            ("status", (vec![], "recorder")),
            ("list_services", (vec![], "nginx")),
            ("search_exchanges", (vec!["status=4xx"], "/missing/one")),
            ("get_exchange", (vec![&*id], "/missing/one")),
            ("get_connection", (vec![&*connection], "story")),
            ("get_session", (vec!["id=of-nobody"], "nothing matched")),
            ("explain_failure", (vec![&*id], "status 404")),
            ("trace_transaction", (vec![&*id], "/missing/one")),
            ("find_errors", (vec![], "status 404")),
        ]);
        let listed: Value = serde_json::from_str(&listed).expect("a list of tools");
        let tools = listed["tools"].as_array().expect("tools");
        let names: Vec<_> = tools
            .iter()
            .filter_map(|tool| tool["name"].as_str())
            .collect();
        assert!(
            expected.keys().all(|tool| names.contains(tool)),
            "{names:?}"
        );
        for protocol in ["protocol=dns", "protocol=udp"] {
            assert!(call("search_exchanges", &[protocol]).contains("coverage"));
        }
        let templates = [target, &["--method", "resources/templates/list"]].concat();
        assert!(said(&mut inspector(&templates)).contains("headwater://exchange/{id}"));
        let resources = [target, &["--method", "resources/list"]].concat();
        let resources = said(&mut inspector(&resources));
        let read = |uri: &str| {
            let read = ["--method", "resources/read", "--uri", uri];
            said(&mut inspector(&[target, &read].concat()))
        };
        assert!(read("headwater://coverage").contains("recorder"));
        let exchange = format!("headwater://exchange/{}", id_in(&found, "x_"));
        assert!(read(&exchange).contains("/missing/one"));
        // The views are where somebody can ask them.
        let has_sql = names.contains(&"query_sql");
        assert_eq!(resources.contains("headwater://schema"), has_sql);
        if has_sql {
            assert!(read("headwater://schema").contains("## exchanges"));
        }
        // Every tool that is listed is called, one that came later without arguments.
        for tool in names {
            let (given, part) = expected.get(tool).cloned().unwrap_or((vec![], "coverage"));
            let called = call(tool, &given);
            assert!(called.contains(part), "{tool}: {called}");
            assert!(!called.contains("\"isError\": true"), "{tool}: {called}");
        }
    }
}

/// The first id of a kind in an answer.
fn id_in<'a>(answer: &'a str, prefix: &str) -> &'a str {
    answer
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .find(|word| word.starts_with(prefix))
        .unwrap_or_else(|| panic!("no id in {answer}"))
}
