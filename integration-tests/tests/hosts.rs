//! Agent hosts that others wrote: `headwater mcp install` writes their configuration, and they find the server connected.
//!
//! In a network namespace of their own, with loopback alone: no model, no account, nothing fetched. Each has a home folder of
//! its own and an environment with nothing else in it, and a minute at most.
//!
//! The deprecated HTTP+SSE is not what `mcp install` writes: there the hosts' own commands do, or their file is written by hand.

#![allow(clippy::expect_used, reason = "tests")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use headwater_integration_tests::{
    Namespace, Program, Scratch, Store, address_of, headwater, node_folder, run, said,
};

const TOKEN: &str = "a-token-of-the-test's-own";

/// A home folder with a project in it, and a namespace to be there alone.
struct Desk {
    home: Scratch,
    alone: Namespace,
    store: Store,
}

impl Desk {
    fn new(word: &str) -> Self {
        let home = Scratch::new();
        std::fs::create_dir(home.file("project")).expect("a project");
        Self {
            home,
            alone: Namespace::new(word),
            store: Store::new(),
        }
    }
    fn project(&self) -> PathBuf {
        self.home.file("project")
    }
    /// A program with nothing of this test's own environment, in the project's folder.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let program = program.to_string_lossy();
        let bounded = [&["--kill-after=5", "60", &program], arguments].concat();
        let mut command = self.alone.command("timeout", &bounded);
        command
            .current_dir(self.project())
            .env_clear()
            .env("HOME", self.home.path())
            .env("HEADWATER_TOKEN", TOKEN)
            // Gemini CLI takes no server of a folder that it was not told to trust.
            .env("GEMINI_CLI_TRUST_WORKSPACE", "true")
            // Node is there, and what starts programs.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }
    fn host(&self, name: &str, arguments: &[&str]) -> String {
        let program = node_folder().join("node_modules/.bin").join(name);
        assert!(
            program.exists(),
            "{} is missing: ./test installs it",
            program.display()
        );
        let output = run(&mut self.command(&program, arguments));
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(output.status.success(), "{name} {arguments:?}: {told}");
        told
    }
    fn install(&self, arguments: &[&str]) -> String {
        let db = self.store.path();
        let db = db.to_string_lossy();
        let all = [&["--db", &db, "mcp", "install"], arguments].concat();
        said(&mut self.command(&headwater(), &all))
    }
    /// A server in the namespace that wants a token, with its address.
    fn serve(&self) -> (Program, String) {
        let token = self.home.write("token", TOKEN);
        let token = token.to_string_lossy();
        let listen = ["serve", "--listen", "127.0.0.1:0", "--legacy-sse"];
        let arguments = [&listen[..], &["--token-file", &token]].concat();
        let program = headwater();
        let mut command = self.alone.command(&program.to_string_lossy(), &arguments);
        let server = Program::start(command.env("HEADWATER_DB", self.store.path()));
        let address = address_of(&server);
        (server, address)
    }
}

/// Where the server that is at `address` serves HTTP+SSE.
fn sse_of(address: &str) -> String {
    let origin = address.strip_suffix("/mcp").expect("an address of MCP");
    format!("{origin}/sse")
}

fn bearer() -> String {
    format!("Authorization: Bearer {TOKEN}")
}

/// What a host says where it is connected to the server `name`, each word in the same line.
fn assert_connected(told: &str, name: &str, word: &str) {
    let is_so = told
        .lines()
        .any(|line| line.contains(name) && line.contains(word));
    assert!(is_so, "{name} is not {word}: {told}");
}

/// Installs over each transport, and has the host say that it is connected. `by_sse` adds the server over HTTP+SSE, whose
/// address it is given.
fn connects(host: &str, word: &str, by_sse: impl Fn(&Desk, &str)) {
    let desk = Desk::new(host);
    let (server, address) = desk.serve();
    let ways: [(&str, &[&str]); 2] = [
        ("by-stdio", &[]),
        (
            "by-http",
            &["--url", &address, "--token-env", "HEADWATER_TOKEN"],
        ),
    ];
    for (name, options) in ways {
        let wanted = [&["--client", host, "--name", name], options].concat();
        assert!(desk.install(&wanted).contains(" was added to "));
        assert!(desk.install(&wanted).contains(" already"));
    }
    by_sse(&desk, &sse_of(&address));
    let told = desk.host(host, &["mcp", "list"]);
    for name in ways.map(|(name, _)| name).into_iter().chain(["by-sse"]) {
        assert_connected(&told, name, word);
    }
    assert!(server.end("INT").0.success());
}

#[test]
fn claude_code_connects() {
    connects("claude", "✔ Connected", |desk, url| {
        let options = ["--scope", "user", "--transport", "sse", "by-sse", url];
        let header = ["--header", &bearer()];
        desk.host("claude", &[&["mcp", "add"], &options[..], &header].concat());
    });
}

#[test]
fn gemini_cli_connects() {
    connects("gemini", "✓", |desk, url| {
        let options = ["--scope", "user", "--transport", "sse", "by-sse", url];
        let header = ["--header", &bearer()];
        desk.host("gemini", &[&["mcp", "add"], &options[..], &header].concat());
    });
}

#[test]
fn opencode_connects() {
    connects("opencode", "✓", |desk, url| {
        // One kind of entry for all that is remote: it falls back to HTTP+SSE where Streamable HTTP is not answered.
        let wanted = ["--client", "opencode", "--name", "by-sse", "--url", url];
        desk.install(&[&wanted[..], &["--token-env", "HEADWATER_TOKEN"]].concat());
    });
}

#[test]
fn a_project_s_file_is_read_too() {
    let desk = Desk::new("project");
    for client in ["claude", "gemini", "opencode"] {
        desk.install(&["--client", client, "--scope", "project"]);
    }
    // Its user is asked first.
    assert_connected(
        &desk.host("claude", &["mcp", "list"]),
        "headwater",
        "Pending approval",
    );
    assert_connected(&desk.host("gemini", &["mcp", "list"]), "headwater", "✓");
    assert_connected(&desk.host("opencode", &["mcp", "list"]), "headwater", "✓");
}

/// It connects to no server before a model is asked; what it read is what it would start.
#[test]
fn codex_reads_what_was_written() {
    let desk = Desk::new("codex");
    let url = "http://127.0.0.1:7171/mcp";
    desk.install(&["--client", "codex"]);
    let asked = ["--url", url, "--token-env", "HEADWATER_TOKEN"];
    desk.install(&[&["--client", "codex", "--name", "asked"], &asked[..]].concat());
    let listed = desk.host("codex", &["mcp", "list"]);
    let db = desk.store.path();
    assert_connected(&listed, &headwater().to_string_lossy(), "enabled");
    assert_connected(&listed, url, "enabled");
    let started = desk.host("codex", &["mcp", "get", "headwater"]);
    for part in ["transport: stdio", &db.to_string_lossy(), " mcp\n"] {
        assert!(started.contains(part), "{started}");
    }
    let asked = desk.host("codex", &["mcp", "get", "asked"]);
    for part in [
        "streamable_http",
        url,
        "bearer_token_env_var: HEADWATER_TOKEN",
    ] {
        assert!(asked.contains(part), "{asked}");
    }
}

/// What a host's own command wrote is known as the same.
#[test]
fn what_hosts_add_themselves_is_there_already() {
    let desk = Desk::new("added");
    let (program, db) = (headwater(), desk.store.path());
    let (program, db) = (program.to_string_lossy(), db.to_string_lossy());
    let stdio = [&*program, "--db", &db, "mcp"];
    let url = "http://127.0.0.1:7171/mcp";
    let claude = ["mcp", "add", "--scope", "user", "headwater", "--"];
    desk.host("claude", &[&claude[..], &stdio].concat());
    let claude = ["mcp", "add", "--scope", "user", "--transport", "http"];
    desk.host("claude", &[&claude[..], &["asked", url]].concat());
    let gemini = ["mcp", "add", "--scope", "user", "headwater", &program, "--"];
    desk.host("gemini", &[&gemini[..], &stdio[1..]].concat());
    let codex = ["mcp", "add", "headwater", "--"];
    desk.host("codex", &[&codex[..], &stdio].concat());
    desk.host("codex", &["mcp", "add", "asked", "--url", url]);
    for client in ["claude", "gemini", "codex"] {
        let told = desk.install(&["--client", client]);
        assert!(told.contains(" already"), "{told}");
    }
    for client in ["claude", "codex"] {
        let told = desk.install(&["--client", client, "--name", "asked", "--url", url]);
        assert!(told.contains(" already"), "{told}");
    }
}
