//! The clients: where each keeps its servers, what an entry looks like there, and what its user does next.
//!
//! Owns: what their documentation says (Claude Code: code.claude.com/docs/en/mcp; Cursor: cursor.com/docs/mcp; VS Code:
//! code.visualstudio.com/docs, "MCP configuration reference"; Gemini CLI: its docs/tools/mcp-server.md; Codex: its
//! docs/config.md; opencode: opencode.ai/docs/mcp-servers). Opens no file, but looks which of two is there.

use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::{
    entry::{Entry, Field, Server},
    jsonc::Holder,
};

/// For whom the entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// This folder, for all who work in it
    Project,
    /// This user, in every folder
    User,
}

/// A program that starts MCP servers, or asks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// Claude Code
    Claude,
    /// Codex
    Codex,
    /// Cursor
    Cursor,
    /// Gemini CLI
    Gemini,
    /// opencode
    Opencode,
    /// Visual Studio Code
    Vscode,
}

/// How a client writes its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    Json(Holder),
    Toml { key: &'static str },
}

/// Where the client would look: the folders, and the variables that move them.
pub(super) struct Surroundings<'a> {
    pub(super) home: Option<PathBuf>,
    /// The project's folder.
    pub(super) here: PathBuf,
    pub(super) variable: &'a dyn Fn(&str) -> Option<PathBuf>,
}

impl Surroundings<'_> {
    fn home(&self) -> Result<PathBuf, String> {
        self.home.clone().ok_or_else(|| {
            "this user has no home folder: set HOME, or use --scope project".to_owned()
        })
    }
    /// A folder that a variable names, else one in the home folder.
    fn folder(&self, variable: &str, in_home: &str) -> Result<PathBuf, String> {
        match (self.variable)(variable) {
            Some(folder) => Ok(self.here.join(folder)),
            None => Ok(self.home()?.join(in_home)),
        }
    }
    /// The user's configuration folder (XDG Base Directory Specification: a relative one is none).
    fn configuration(&self) -> Result<PathBuf, String> {
        let named = (self.variable)("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
        named.map_or_else(|| Ok(self.home()?.join(".config")), Ok)
    }
}

impl Client {
    /// Its name to people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::Codex => "Codex",
            Self::Cursor => "Cursor",
            Self::Gemini => "Gemini CLI",
            Self::Opencode => "opencode",
            Self::Vscode => "VS Code",
        }
    }
    /// Its file.
    ///
    /// # Errors
    /// There is no home folder.
    pub(super) fn file(self, scope: Scope, around: &Surroundings<'_>) -> Result<PathBuf, String> {
        let here = |name: &str| Ok(around.here.join(name));
        match (self, scope) {
            (Self::Claude, Scope::User) => {
                // Where the older of the two is alone there, it is the one that is read.
                let older = around
                    .folder("CLAUDE_CONFIG_DIR", ".claude")?
                    .join(".config.json");
                let file = around.folder("CLAUDE_CONFIG_DIR", "")?.join(".claude.json");
                Ok(if !is_there(&file) && is_there(&older) {
                    older
                } else {
                    file
                })
            }
            (Self::Claude, Scope::Project) => here(".mcp.json"),
            (Self::Codex, Scope::User) => {
                Ok(around.folder("CODEX_HOME", ".codex")?.join("config.toml"))
            }
            (Self::Codex, Scope::Project) => here(".codex/config.toml"),
            (Self::Cursor, Scope::User) => Ok(around.home()?.join(".cursor/mcp.json")),
            (Self::Cursor, Scope::Project) => here(".cursor/mcp.json"),
            (Self::Gemini, Scope::User) => Ok(around
                .folder("GEMINI_CLI_HOME", "")?
                .join(".gemini/settings.json")),
            (Self::Gemini, Scope::Project) => here(".gemini/settings.json"),
            (Self::Opencode, Scope::User) => {
                Ok(of_opencode(&around.configuration()?.join("opencode")))
            }
            (Self::Opencode, Scope::Project) => Ok(of_opencode(&around.here)),
            (Self::Vscode, Scope::User) => Ok(around.configuration()?.join("Code/User/mcp.json")),
            (Self::Vscode, Scope::Project) => here(".vscode/mcp.json"),
        }
    }
    pub(super) fn syntax(self) -> Syntax {
        let json = |key, inner| Syntax::Json(Holder { key, inner });
        match self {
            Self::Codex => Syntax::Toml { key: "mcp_servers" },
            Self::Claude | Self::Cursor | Self::Gemini => json("mcpServers", None),
            // Its second version has the servers one level deeper, and reads the first one's place too.
            Self::Opencode => json("mcp", Some("servers")),
            Self::Vscode => json("servers", None),
        }
    }
    /// The entry, as this client wants it.
    pub(super) fn entry(self, server: &Server) -> Entry {
        let text = |text: &str| Field::Text(text.to_owned());
        let mut fields = Vec::new();
        match server {
            Server::Stdio { program, arguments } if self == Self::Opencode => {
                let command = std::iter::once(program).chain(arguments).cloned();
                fields.push(("type", text("local")));
                fields.push(("command", Field::List(command.collect())));
            }
            Server::Stdio { program, arguments } => {
                if matches!(self, Self::Claude | Self::Cursor | Self::Vscode) {
                    fields.push(("type", text("stdio")));
                }
                fields.push(("command", text(program)));
                fields.push(("args", Field::List(arguments.clone())));
            }
            Server::Http {
                url,
                token_variable,
            } => {
                match self {
                    Self::Claude | Self::Vscode => fields.push(("type", text("http"))),
                    Self::Opencode => fields.push(("type", text("remote"))),
                    Self::Codex | Self::Cursor | Self::Gemini => {}
                }
                let key = if self == Self::Gemini {
                    "httpUrl"
                } else {
                    "url"
                };
                fields.push((key, text(url)));
                if let Some(variable) = token_variable {
                    fields.push(self.token(variable));
                }
            }
        }
        Entry(fields)
    }
    /// How it is told to send a variable's value as bearer token.
    fn token(self, variable: &str) -> (&'static str, Field) {
        let value = match self {
            Self::Codex => return ("bearer_token_env_var", Field::Text(variable.to_owned())),
            Self::Claude | Self::Gemini => format!("Bearer ${{{variable}}}"),
            Self::Cursor | Self::Vscode => format!("Bearer ${{env:{variable}}}"),
            Self::Opencode => format!("Bearer {{env:{variable}}}"),
        };
        ("headers", Field::Pairs(vec![("Authorization", value)]))
    }
    /// Whether it would put something else in the place of a part of `word`. None of them has a way to write it plainly.
    pub(super) fn expands(self, word: &str) -> bool {
        match self {
            Self::Claude | Self::Cursor | Self::Vscode => word.contains("${"),
            Self::Codex => false,
            Self::Gemini => word.contains('$'),
            Self::Opencode => word.contains("{env:") || word.contains("{file:"),
        }
    }
    /// What its user does next.
    pub(super) fn next(self, scope: Scope) -> &'static str {
        let is_project = scope == Scope::Project;
        match self {
            Self::Claude if is_project => "start claude in this folder and approve the server",
            Self::Claude => "start a new session; `claude mcp list` checks the connection",
            Self::Codex if is_project => {
                "start codex in this folder, which it must trust; /mcp shows the server"
            }
            Self::Codex => "start codex anew; /mcp shows the server",
            Self::Cursor => "switch the server on in Cursor's settings, under MCP",
            Self::Gemini if is_project => {
                "start gemini in this folder, which it must trust; /mcp shows the server"
            }
            Self::Gemini => "start gemini anew; /mcp shows the server",
            Self::Opencode => "start opencode anew; `opencode mcp list` checks the connection",
            Self::Vscode => "run \"MCP: List Servers\" in VS Code, start the server and trust it",
        }
    }
}

/// The one of its two names that is there: that with comments is read later, and so wins.
fn of_opencode(folder: &Path) -> PathBuf {
    let with_comments = folder.join("opencode.jsonc");
    if is_there(&with_comments) {
        with_comments
    } else {
        folder.join("opencode.json")
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
