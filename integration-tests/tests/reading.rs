//! Reading without privileges: another user of the store's group, and the official MCP client.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's way of failing is to panic")]

use std::process::Command;

use headwater_integration_tests::{Nginx, Place, Recorder, curl, program};

/// `nobody`, with a group that owns nothing else.
const UID: &str = "65534";
const GID: &str = "64999";

fn as_nobody(place: &Place, gid: &str) -> std::process::Output {
    // The folder of the test itself is the test's; the store's own folder is what is looked at.
    Command::new("setpriv")
        .args(["--reuid", UID, "--regid", gid, "--clear-groups"])
        .arg(reachable_program())
        .arg("--db")
        .arg(place.store())
        .args(["search-exchanges", "--json"])
        .output()
        .expect("setpriv")
}

/// A copy of the program where another user may run it.
fn reachable_program() -> std::path::PathBuf {
    let copy = std::env::temp_dir().join(format!("headwater-test-{}", std::process::id()));
    if !copy.exists() {
        std::fs::copy(program(), &copy).unwrap();
    }
    copy
}

#[test]
fn another_user_of_the_group_reads_in_every_state() {
    use std::os::unix::fs::PermissionsExt;
    let (place, nginx) = (Place::default(), Nginx::start());
    std::fs::set_permissions(place.file(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let check = |state: &str| {
        let output = as_nobody(&place, GID);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{state}: {told}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("/ok/seen"), "{state}");
    };
    let recorder = Recorder::start(&place, &["--group", GID]);
    curl(&["-o", "/dev/null", &nginx.url("/ok/seen")]);
    assert_eq!(place.await_rows(1, &[]).len(), 1);
    check("running");
    recorder.stop();
    check("stopped");
    let recorder = Recorder::start(&place, &["--group", GID]);
    check("running again");
    recorder.kill();
    check("killed");
    let other = as_nobody(&place, "64998");
    assert!(!other.status.success(), "a user of another group reads nothing");
    let _ = std::fs::remove_file(reachable_program());
}

const CLIENT: &str = r"
import asyncio, sys
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

async def main():
    target = sys.argv[2] if sys.argv[1] == 'http' else stdio_client(StdioServerParameters(command=sys.argv[2], args=sys.argv[3:]))
    async with Client(target, mode=sys.argv[1] == 'http' and 'auto' or 'legacy') as client:
        names = sorted(tool.name for tool in (await client.list_tools()).tools)
        assert names == ['find_errors', 'get_exchange', 'list_services', 'search_exchanges', 'status'], names
        rows = (await client.call_tool('search_exchanges', {})).structured_content['rows']
        assert rows, 'no rows'
        for name, arguments in [('status', {}), ('list_services', {}), ('find_errors', {}), ('get_exchange', {'id': rows[0][0]})]:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, (name, result)
            assert result.structured_content['coverage']['as_of'] and result.content[0].text, name
        wrong = await client.call_tool('search_exchanges', {'sinc': '-1h'})
        assert wrong.is_error and 'did you mean since' in wrong.content[0].text, wrong
    print('all tools answered')

asyncio.run(main())
";

#[test]
fn the_official_python_client_calls_every_tool() {
    let python = std::env::var("HEADWATER_TEST_PYTHON").expect("HEADWATER_TEST_PYTHON names a Python with requests and mcp: ./test makes one");
    let (place, nginx) = (Place::default(), Nginx::start());
    let recorder = Recorder::start(&place, &[]);
    curl(&["-o", "/dev/null", &nginx.url("/missing/one")]);
    assert_eq!(place.await_rows(1, &[]).len(), 1);
    let ask = |arguments: &[&str]| {
        let output = Command::new(&python).args(["-c", CLIENT]).args(arguments).output().expect("python");
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && told.contains("all tools answered"), "{arguments:?}: {told}");
    };
    let store = place.store();
    ask(&["stdio", program().to_str().unwrap(), "--db", store.to_str().unwrap(), "mcp"]);
    let port = headwater_integration_tests::free_port();
    let mut server = place.headwater(&["serve", "--listen", &format!("127.0.0.1:{port}")]).spawn().unwrap();
    let deadline = std::time::Instant::now() + headwater_integration_tests::PATIENCE;
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(std::time::Instant::now() < deadline, "the server does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    ask(&["http", &format!("http://127.0.0.1:{port}/mcp")]);
    headwater_integration_tests::signal(server.id(), "INT");
    assert!(server.wait().unwrap().success());
    recorder.stop();
}
