//! What was in a file and stays as it was written, and files that are left alone.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{super::*, Home, read};

/// A file with other servers and settings, comments where the format has them, and all lines that must stay as they are.
const OTHERS: [(&str, &str, &str, &str); 4] = [
    (
        "vscode",
        ".config/Code/User/mcp.json",
        "// Mine.\r\n{\r\n\t\"servers\": {\r\n\t\t/* the first */ \"one\": { \"url\": \"http://a/b\" }, // kept\r\n\t},\r\n\t\"inputs\": [1e3, 2] // and this\r\n}\r\n// The end.",
        "// Mine.\r\n{\r\n\t\"servers\": {\r\n\t\t/* the first */ \"one\": { \"url\": \"http://a/b\" }, // kept\r\n\t\t\"headwater\": {\r\n\t\t\t\"type\": \"stdio\",\r\n\t\t\t\"command\": \"/opt/bin/headwater\",\r\n\t\t\t\"args\": [\"mcp\"],\r\n\t\t},\r\n\t},\r\n\t\"inputs\": [1e3, 2] // and this\r\n}\r\n// The end.",
    ),
    (
        "claude",
        ".claude.json",
        "{\n  \"numStartups\": 12345678901234567890123,\n  \"tip\": \"\\u00e9\\/ \u{fc}\",\n  \"mcpServers\": {\n    \"one\": {}\n  }\n}",
        "{\n  \"numStartups\": 12345678901234567890123,\n  \"tip\": \"\\u00e9\\/ \u{fc}\",\n  \"mcpServers\": {\n    \"one\": {},\n    \"headwater\": {\n      \"type\": \"stdio\",\n      \"command\": \"/opt/bin/headwater\",\n      \"args\": [\"mcp\"]\n    }\n  }\n}",
    ),
    (
        "opencode",
        ".config/opencode/opencode.json",
        "\u{feff}{\n    \"mcp\": {\n        // Of the second version.\n        \"servers\": {}\n    }\n}\n",
        "\u{feff}{\n    \"mcp\": {\n        // Of the second version.\n        \"servers\": {\n            \"headwater\": {\n                \"type\": \"local\",\n                \"command\": [\"/opt/bin/headwater\", \"mcp\"]\n            }\n        }\n    }\n}\n",
    ),
    (
        "codex",
        ".codex/config.toml",
        "# Mine.\nmodel = 'x' # kept\n\n[mcp_servers.one] # the first\ncommand = \"\"\"a\"\"\"\n\n# About trust.\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n# The end.\n",
        "# Mine.\nmodel = 'x' # kept\n\n[mcp_servers.one] # the first\ncommand = \"\"\"a\"\"\"\n\n[mcp_servers.headwater]\ncommand = \"/opt/bin/headwater\"\nargs = [\"mcp\"]\n\n# About trust.\n[projects.\"/a\"]\ntrust_level = \"trusted\"\n# The end.\n",
    ),
];

#[test]
fn all_else_stays_as_it_was_written() {
    for (client, name, before, after) in OTHERS {
        let home = Home::new();
        let path = home.write(name, before);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        home.install(&["--client", client]).unwrap();
        assert_eq!(read(&path), after, "{client}");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640, "{client}");
        assert!(
            home.install(&["--client", client])
                .unwrap()
                .contains("already")
        );
        assert_eq!(read(&path), after, "{client}");
    }
}

#[test]
fn a_forced_entry_leaves_what_stands_around_it() {
    let home = Home::new();
    let text = "# About it.\n[mcp_servers.headwater]\nurl = \"http://a/b\"\n\n[mcp_servers.headwater.tools.x]\ny = 1\n\n[last]\na = 1\n";
    let path = home.write(".codex/config.toml", text);
    home.install(&["--client", "codex", "--force"]).unwrap();
    assert_eq!(
        read(&path),
        "# About it.\n[mcp_servers.headwater]\ncommand = \"/opt/bin/headwater\"\nargs = [\"mcp\"]\n\n[last]\na = 1\n"
    );
    let text = "{\n  \"servers\": {\n    // About it.\n    \"headwater\": 1, // and this\n    \"b\": 2\n  }\n}\n";
    let path = home.write(".config/Code/User/mcp.json", text);
    home.install(&["--client", "vscode", "--force"]).unwrap();
    let after = read(&path);
    for part in [
        "    // About it.\n    \"headwater\": {",
        "}, // and this\n    \"b\": 2\n",
    ] {
        assert!(after.contains(part), "{after}");
    }
}

#[test]
fn a_file_that_is_not_understood_is_left_alone() {
    let inline = "mcp_servers = 1\n";
    for (client, name, text) in [
        ("claude", ".claude.json", "{ \"mcpServers\": {"),
        ("claude", ".claude.json", "[]"),
        ("claude", ".claude.json", "{ \"mcpServers\": [] }"),
        ("claude", ".claude.json", "{ 'mcpServers': {} }"),
        ("claude", ".claude.json", "{ \"a\": {} \"b\": {} }"),
        (
            "claude",
            ".claude.json",
            "{ \"mcpServers\": {}, \"mcpServers\": {} }",
        ),
        (
            "claude",
            ".claude.json",
            "{ \"mcpServers\": {}, \"mcpServers\": [] }",
        ),
        ("codex", ".codex/config.toml", "[mcp_servers\n"),
        ("codex", ".codex/config.toml", "a = 1\na = 2\n"),
        ("codex", ".codex/config.toml", inline),
        ("codex", ".codex/config.toml", "a = 1\r\nb = 2\n"),
    ] {
        let home = Home::new();
        let path = home.write(name, text);
        for words in [&["--client", client][..], &["--client", client, "--force"]] {
            let refusal = home.install(words).unwrap_err();
            assert!(matches!(refusal, Refusal::Malformed { .. }), "{refusal}");
            assert_eq!(refusal.exit(), Exit::Data);
            assert!(refusal.to_string().contains(name), "{refusal}");
        }
        assert_eq!(read(&path), text);
    }
}

#[test]
fn tables_of_toml_may_be_written_in_line() {
    let home = Home::new();
    let path = home.write(
        ".codex/config.toml",
        "mcp_servers = { one = { command = \"a\" } } # kept\n",
    );
    home.install(&["--client", "codex"]).unwrap();
    let after = read(&path);
    assert!(
        after.starts_with("mcp_servers = { one = { command = \"a\" } , headwater = {"),
        "{after}"
    );
    assert!(after.ends_with("# kept\n"), "{after}");
    assert!(
        home.install(&["--client", "codex"])
            .unwrap()
            .contains("already")
    );
    let path = home.write(".codex/config.toml", "mcp_servers.one.command = \"a\"\n");
    home.install(&["--client", "codex"]).unwrap();
    let after = read(&path);
    assert!(
        after.starts_with("mcp_servers.one.command = \"a\"\n"),
        "{after}"
    );
    assert!(
        home.install(&["--client", "codex"])
            .unwrap()
            .contains("already"),
        "{after}"
    );
}

#[test]
fn comments_stay_wherever_they_stand() {
    let words = ["--client", "vscode"];
    for text in [
        "",
        "  \n",
        "// a\n",
        "/* a */",
        "{}",
        "{ /* a */ }",
        "{\n  // a\n}",
        "// a\n{ // b\n} // c\n// d",
        "{\"servers\":{}}",
        "{\"servers\":{/* a */}}",
        "{\"servers\": /* a */ { // b\n } /* c */ }",
        "{\"servers\":{\"a\":{}/* a */}/* b */}",
        "{\"servers\":{\"a\":{} // a\n}, // b\n}",
        "{\"servers\":{\"a\":{}, // a\n}, // b\n}",
        "{\n  \"servers\": {\n    \"a\": {} // a\n    // b\n  } // c\n}\n",
        "{\n  \"servers\": {\n    \"a\": {}, /* a */ // b\n\n    // c\n  }\n}\n",
        "{\"other\": 1 // a\n}",
        "{\"other\": [1, /* a */ 2] /* b */}",
        "{\"servers\": {\"headwater\": /* a */ 1 /* b */, // c\n \"b\": 2 }}",
    ] {
        let home = Home::new();
        let path = home.write(".config/Code/User/mcp.json", text);
        home.install(&["--client", "vscode", "--force"]).unwrap();
        let after = read(&path);
        let mut rest = &after[..];
        for comment in [
            "// a", "/* a */", "// b", "/* b */", "// c", "/* c */", "// d",
        ] {
            if text.contains(comment) {
                let Some(at) = rest.find(comment) else {
                    panic!("{comment} of {text:?} is not in {after:?}");
                };
                rest = &rest[at..];
            }
        }
        assert!(
            home.install(&words).unwrap().contains("already"),
            "{after:?}"
        );
    }
}

#[test]
fn toml_keeps_its_ends_of_lines() {
    let home = Home::new();
    for (before, after) in [
        ("a = 1", "a = 1\n\n[mcp_servers.headwater]\n"),
        (
            "a = 1\r\n# b\r\n[c]\r\nd = 1\r\n",
            "a = 1\r\n# b\r\n[c]\r\nd = 1\r\n\r\n[mcp_servers.headwater]\r\n",
        ),
        (
            "\u{feff}a = 1\n",
            "\u{feff}a = 1\n\n[mcp_servers.headwater]\n",
        ),
        (
            "[mcp_servers]\none.command = 'a'\n[c]\n",
            "[mcp_servers]\none.command = 'a'\n\n[mcp_servers.headwater]\n",
        ),
    ] {
        let path = home.write(".codex/config.toml", before);
        home.install(&["--client", "codex"]).unwrap();
        let text = read(&path);
        assert!(text.starts_with(after), "{text:?}");
        assert!(
            home.install(&["--client", "codex"])
                .unwrap()
                .contains("already")
        );
    }
}
