//! Every client over temporary homes: what is written where, and what is refused.

mod kept;

use std::{
    ffi::OsStr,
    os::unix::fs::{MetadataExt, symlink},
    sync::atomic::{AtomicU32, Ordering},
};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use super::*;

/// A home folder and a project's folder, gone with the test.
struct Home(PathBuf);

impl Home {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("headwater-install-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("project")).unwrap();
        Self(path.canonicalize().unwrap())
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
    fn plan_with(
        &self,
        variable: &dyn Fn(&str) -> Option<PathBuf>,
        words: &[&str],
    ) -> Result<Plan, Vec<String>> {
        let around = Surroundings {
            home: Some(self.0.clone()),
            here: self.path("project"),
            variable,
        };
        let arguments = arguments(words);
        Plan::new(Path::new("/opt/bin/headwater"), None, &arguments, &around)
    }
    fn plan(&self, words: &[&str]) -> Plan {
        self.plan_with(&|_| None, words).unwrap()
    }
    fn install(&self, words: &[&str]) -> Result<String, Refusal> {
        self.plan(words).carry_out(arguments(words).force)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: InstallArguments,
}

fn arguments(words: &[&str]) -> InstallArguments {
    let words = std::iter::once("install").chain(words.iter().copied());
    Line::try_parse_from(words).unwrap().arguments
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// A client's file in its user's home, and what is in it when nothing was there before.
const FRESH: [(&str, &str, &str); 6] = [
    (
        "claude",
        ".claude.json",
        r#"{
  "mcpServers": {
    "headwater": {
      "type": "stdio",
      "command": "/opt/bin/headwater",
      "args": ["mcp"]
    }
  }
}
"#,
    ),
    (
        "codex",
        ".codex/config.toml",
        "[mcp_servers.headwater]\ncommand = \"/opt/bin/headwater\"\nargs = [\"mcp\"]\n",
    ),
    (
        "cursor",
        ".cursor/mcp.json",
        r#"{
  "mcpServers": {
    "headwater": {
      "type": "stdio",
      "command": "/opt/bin/headwater",
      "args": ["mcp"]
    }
  }
}
"#,
    ),
    (
        "gemini",
        ".gemini/settings.json",
        r#"{
  "mcpServers": {
    "headwater": {
      "command": "/opt/bin/headwater",
      "args": ["mcp"]
    }
  }
}
"#,
    ),
    (
        "opencode",
        ".config/opencode/opencode.json",
        r#"{
  "mcp": {
    "headwater": {
      "type": "local",
      "command": ["/opt/bin/headwater", "mcp"]
    }
  }
}
"#,
    ),
    (
        "vscode",
        ".config/Code/User/mcp.json",
        r#"{
  "servers": {
    "headwater": {
      "type": "stdio",
      "command": "/opt/bin/headwater",
      "args": ["mcp"]
    }
  }
}
"#,
    ),
];

#[test]
fn every_client_is_in_the_table() {
    let all: Vec<_> = Client::value_variants()
        .iter()
        .map(|client| client.to_possible_value().unwrap().get_name().to_owned())
        .collect();
    assert_eq!(FRESH.map(|(client, ..)| client.to_owned()).to_vec(), all);
}

#[test]
fn nothing_there_becomes_the_entry_alone_and_once() {
    for (client, name, expected) in FRESH {
        let home = Home::new();
        let words = ["--client", client];
        let told = home.install(&words).unwrap();
        let path = home.path(name);
        assert!(told.contains(&path.display().to_string()), "{told}");
        assert_eq!(read(&path), expected, "{client}");
        assert_eq!(home.plan(&words).fragment(), expected, "{client}");
        // Nobody else reads a user's own configuration.
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600, "{client}");
        for forced in [&words[..], &["--client", client, "--force"]] {
            let inode = path.metadata().unwrap().ino();
            assert!(home.install(forced).unwrap().contains("already"));
            assert_eq!(path.metadata().unwrap().ino(), inode, "{client}");
        }
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
            .filter(|name| name.contains(".headwater-"))
            .collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn a_project_has_its_own_file() {
    for (client, name) in [
        ("claude", ".mcp.json"),
        ("codex", ".codex/config.toml"),
        ("cursor", ".cursor/mcp.json"),
        ("gemini", ".gemini/settings.json"),
        ("opencode", "opencode.json"),
        ("vscode", ".vscode/mcp.json"),
    ] {
        let home = Home::new();
        home.install(&["--client", client, "--scope", "project"])
            .unwrap();
        assert!(home.path("project").join(name).exists(), "{client}");
        assert_eq!(std::fs::read_dir(&home.0).unwrap().count(), 1, "{client}");
    }
}

#[test]
fn variables_move_files_where_the_client_goes_by_them() {
    let home = Home::new();
    let moved = home.path("moved");
    for (client, variable, name) in [
        ("claude", "CLAUDE_CONFIG_DIR", ".claude.json"),
        ("codex", "CODEX_HOME", "config.toml"),
        ("gemini", "GEMINI_CLI_HOME", ".gemini/settings.json"),
        ("opencode", "XDG_CONFIG_HOME", "opencode/opencode.json"),
        ("vscode", "XDG_CONFIG_HOME", "Code/User/mcp.json"),
    ] {
        let named = |asked: &str| (asked == variable).then(|| moved.clone());
        let plan = home.plan_with(&named, &["--client", client]).unwrap();
        assert_eq!(plan.file, moved.join(name), "{client}");
    }
    let relative = |_: &str| Some(PathBuf::from("here"));
    let plan = home.plan_with(&relative, &["--client", "vscode"]).unwrap();
    assert_eq!(plan.file, home.path(".config/Code/User/mcp.json"));
}

#[test]
fn of_two_files_the_one_that_is_read_is_edited() {
    let home = Home::new();
    let with_comments = home.write(".config/opencode/opencode.jsonc", "{ // mine\n}\n");
    home.write(".config/opencode/opencode.json", "{}");
    assert_eq!(home.plan(&["--client", "opencode"]).file, with_comments);
    let older = home.write(".claude/.config.json", "{}");
    assert_eq!(home.plan(&["--client", "claude"]).file, older);
    let newer = home.write(".claude.json", "{}");
    assert_eq!(home.plan(&["--client", "claude"]).file, newer);
}

#[test]
fn what_differs_is_told_and_replaced_only_by_force() {
    for (client, name, fresh) in FRESH {
        let home = Home::new();
        let before = fresh.replace("/opt/bin/headwater", "/elsewhere/headwater");
        let path = home.write(name, &before);
        let words = ["--client", client];
        let refusal = home.install(&words).unwrap_err();
        let words_of_it = refusal.to_string();
        assert!(
            words_of_it.contains("/elsewhere/headwater") && words_of_it.contains("--force"),
            "{words_of_it}"
        );
        assert_eq!(refusal.exit(), Exit::Data);
        assert_eq!(read(&path), before, "{client}");
        // Another name is no matter of that entry's.
        home.install(&["--client", client, "--name", "other"])
            .unwrap();
        assert!(read(&path).contains("/elsewhere/headwater"));
        let told = home.install(&["--client", client, "--force"]).unwrap();
        assert!(told.contains("/elsewhere/headwater"), "{told}");
        let after = read(&path);
        assert!(
            !after.contains("/elsewhere/") && after.contains("other"),
            "{after}"
        );
        assert!(home.install(&words).unwrap().contains("already"));
    }
}

#[test]
fn what_says_the_same_is_the_same() {
    let home = Home::new();
    let text = json!({"mcpServers": {"headwater": {"env": {}, "type": "stdio", "args": ["mcp"], "command": "/opt/bin/headwater"}}});
    let path = home.write(".claude.json", &text.to_string());
    let words = ["--client", "claude"];
    assert!(home.install(&words).unwrap().contains("already"));
    assert_eq!(read(&path), text.to_string());
    // An environment of its own makes a difference, and its values are nobody's business.
    let text = text
        .to_string()
        .replace("{}", r#"{"HEADWATER_DB": "/secret.db"}"#);
    home.write(".claude.json", &text);
    let told = home.install(&words).unwrap_err().to_string();
    assert!(
        told.contains("HEADWATER_DB") && !told.contains("/secret.db"),
        "{told}"
    );
    let text = json!({"mcpServers": {"headwater": {
        "args": ["mcp-remote", "--header", "Authorization: Bearer s3cret"], "url": "https://me:s3cret@tools.example:8443/mcp?key=s3cret",
        "headers": {"X-Key": ["s3cret"]}, "\u{1b}]0;s\u{7}": 1, "x": {"y": {"z": "s3cret"}}
    }}});
    home.write(".claude.json", &text.to_string());
    let told = home.install(&words).unwrap_err().to_string();
    assert!(
        told.contains("https://tools.example:8443") && !told.contains("s3cret"),
        "{told}"
    );
    assert!(!told.contains(['\u{1b}', '\u{7}']), "{told:?}");
}

#[test]
fn a_line_with_a_mistake_is_named_and_not_shown() {
    let home = Home::new();
    let text = "a = 1\n[x]\nAPI_KEY = \"sk-s3cret\u{1b}]0;s\u{7}\n";
    let path = home.write(".codex/config.toml", text);
    let told = home
        .install(&["--client", "codex"])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("line 3: ") && !told.contains("s3cret"),
        "{told}"
    );
    assert!(!told.contains(['\u{1b}', '\u{7}']), "{told:?}");
    assert_eq!(read(&path), text);
}

#[test]
fn a_link_is_followed_and_stays_a_link() {
    let home = Home::new();
    let target = home.write("dotfiles/claude.json", "{}");
    let link = home.path(".claude.json");
    symlink("dotfiles/claude.json", &link).unwrap();
    home.install(&["--client", "claude"]).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert!(!target.symlink_metadata().unwrap().is_symlink());
    assert!(read(&target).contains("headwater"));
    // A folder may be one too, with nothing in it yet.
    std::fs::create_dir(home.path("dotfiles/cursor")).unwrap();
    symlink("dotfiles/cursor", home.path(".cursor")).unwrap();
    home.install(&["--client", "cursor"]).unwrap();
    assert!(home.path("dotfiles/cursor/mcp.json").exists());
    // One that leads nowhere may be a slip: nothing is made at its end.
    symlink("not/there.json", home.path("project/.mcp.json")).unwrap();
    let refusal = home.install(&["--client", "claude", "--scope", "project"]);
    assert!(refusal.unwrap_err().to_string().contains("is a link"));
}

#[test]
fn what_is_no_plain_file_is_not_opened() {
    let home = Home::new();
    let pipe = home.path(".claude.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::fs::create_dir_all(home.path(".cursor/mcp.json")).unwrap();
    std::fs::create_dir_all(home.path(".gemini")).unwrap();
    std::fs::write(home.path(".gemini/settings.json"), b"{}\xff").unwrap();
    for client in ["claude", "cursor", "gemini"] {
        let refusal = home.install(&["--client", client]).unwrap_err();
        assert!(refusal.to_string().contains("no plain file"), "{refusal}");
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_left_alone() {
    let home = Home::new();
    let path = home.write(".claude.json", "{}");
    let current = Current::read(&path).unwrap();
    std::fs::write(&path, "{\"written\": 1}").unwrap();
    let problem = current.replace("{\"lost\": 1}", Scope::User).unwrap_err();
    assert!(problem.to_string().contains("call again"), "{problem}");
    assert_eq!(read(&path), "{\"written\": 1}");
    assert_eq!(std::fs::read_dir(&home.0).unwrap().count(), 2);
}

#[test]
fn a_running_server_is_asked_at_its_address_with_a_token_from_the_environment() {
    let url = "http://127.0.0.1:7171/mcp";
    let home = Home::new();
    for (client, expected) in [
        (
            "claude",
            json!({"type": "http", "url": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}),
        ),
        (
            "codex",
            json!({"url": url, "bearer_token_env_var": "TOKEN"}),
        ),
        (
            "cursor",
            json!({"url": url, "headers": {"Authorization": "Bearer ${env:TOKEN}"}}),
        ),
        (
            "gemini",
            json!({"httpUrl": url, "headers": {"Authorization": "Bearer ${TOKEN}"}}),
        ),
        (
            "opencode",
            json!({"type": "remote", "url": url, "headers": {"Authorization": "Bearer {env:TOKEN}"}}),
        ),
        (
            "vscode",
            json!({"type": "http", "url": url, "headers": {"Authorization": "Bearer ${env:TOKEN}"}}),
        ),
    ] {
        let words = ["--client", client, "--url", url, "--token-env", "TOKEN"];
        let told: Value = home.plan(&words).entry.value();
        assert_eq!(told, expected, "{client}");
        let mut without = expected;
        without
            .as_object_mut()
            .unwrap()
            .retain(|name, _| name != "headers" && name != "bearer_token_env_var");
        assert_eq!(home.plan(&words[..4]).entry.value(), without, "{client}");
    }
}

#[test]
fn a_named_store_is_absolute_and_goes_along() {
    let home = Home::new();
    let around = Surroundings {
        home: Some(home.0.clone()),
        here: home.path("project"),
        variable: &|_| None,
    };
    let here = std::env::current_dir().unwrap();
    let plan = |db: &str, program: &str, client: &str| {
        Plan::new(
            Path::new(program),
            Some(Path::new(db)),
            &arguments(&["--client", client]),
            &around,
        )
    };
    let entry = plan("x.db", "/h", "gemini").unwrap().entry;
    assert_eq!(
        entry.value()["args"],
        json!(["--db", here.join("x.db"), "mcp"])
    );
    assert_eq!(
        plan("", "/h", "gemini").unwrap().entry.value()["args"],
        json!(["mcp"])
    );
    // What a client would put something else in the place of is refused.
    for (db, program, client) in [
        ("/a/$b.db", "/h", "gemini"),
        ("/a.db", "/${b}/h", "claude"),
        ("/a.db", "/${b}/h", "cursor"),
        ("/a.db", "/${b}/h", "vscode"),
        ("/{env:A}.db", "/h", "opencode"),
    ] {
        let mistakes = plan(db, program, client).unwrap_err();
        assert!(mistakes[0].contains("in the place of"), "{mistakes:?}");
    }
    assert!(plan("/a/$b.db", "/h", "claude").is_ok());
    let not_utf8 = <OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"/\xff");
    let mistakes = Plan::new(
        Path::new(not_utf8),
        None,
        &arguments(&["--client", "codex"]),
        &around,
    );
    assert!(mistakes.unwrap_err()[0].contains("UTF-8"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let home = Home::new();
    let none = |_: &str| None;
    for (name, url, variable) in [
        ("a b", "127.0.0.1:7171/mcp", "a-b"),
        ("", "http://127.0.0.1:7171", "1a"),
        ("__proto__", "http://me:secret@a/mcp", ""),
        ("\u{e9}", "ftp://a/mcp", "$A"),
        ("a.b", "http:///mcp", "A B"),
        ("a123456789b123456789c123456789d12", "http://a/m cp", "A\"B"),
    ] {
        let words = [
            "--client",
            "claude",
            "--name",
            name,
            "--url",
            url,
            "--token-env",
            variable,
        ];
        let mistakes = home.plan_with(&none, &words).unwrap_err();
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
    let line = ["install", "--client", "claude", "--token-env", "A"];
    assert!(Line::try_parse_from(line).is_err());
}
