//! `mcp install`: puts the server into a client's configuration.
//!
//! Owns: what may be said on the command line, as whom the file is touched, and what its user is told. Where clients keep
//! what is `client`'s, how it is written is `jsonc`'s and `toml`'s, and how a file is replaced is `file`'s. Starts no client
//! and asks none: their own commands would have to be there, and each would do it in another way.
//!
//! Nothing is opened before this process is the user whose file it is, without capabilities: neither root nor a program
//! with capabilities of its own (`setcap`) follows a link that the user laid to a file the user may not read.

mod client;
mod entry;
mod file;
mod jsonc;
mod toml;

#[cfg(test)]
mod tests;

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use self::{
    client::{Client, Scope, Surroundings, Syntax},
    entry::{Edit, Entry, Found, Server},
    file::{Current, FileProblem},
};
use super::{
    Exit, doctor,
    output::{answer, say, show},
    privilege::{Caller, become_user, caller, home_of, without_capabilities},
};
use crate::paths::absolute;

/// Longest name: what tools are called in a model's hands begins with it, and they have 64 characters.
const MAX_NAME: usize = 32;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Into which client, and as what.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallArguments {
    /// The client
    #[arg(long, value_enum)]
    client: Client,
    /// For whom: this user in every folder, or this folder
    #[arg(long, value_enum, default_value = "user")]
    scope: Scope,
    /// Name of the entry: letters, digits, - and _
    #[arg(long, default_value = "headwater")]
    name: String,
    /// Have the client ask a running server (`headwater serve`) at this address instead of starting one
    #[arg(long)]
    url: Option<String>,
    /// Environment variable of the client's that holds the server's bearer token
    #[arg(long, value_name = "VARIABLE", requires = "url")]
    token_env: Option<String>,
    /// Replace an entry of that name that differs
    #[arg(long)]
    force: bool,
    /// Write nothing; show what to paste on standard output
    #[arg(long)]
    print: bool,
}

/// Writes the entry, or shows it.
pub(super) fn install(db: Option<&Path>, arguments: &InstallArguments) -> Exit {
    if let Some(caller) = caller() {
        return as_caller(&caller);
    }
    if let Err(error) = without_capabilities() {
        say(&format!("capabilities could not be given up: {error}"));
        return Exit::Failed;
    }
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .map(PathBuf::from)
        .or_else(|| home_of(nix::unistd::geteuid().as_raw()));
    let variable = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let around = Surroundings {
        home,
        here: absolute(Path::new(".")),
        variable: &variable,
    };
    let planned = std::env::current_exe()
        .map_err(|error| vec![format!("this program's own path is not known: {error}")])
        .and_then(|program| Plan::new(&program, db, arguments, &around));
    let plan = match planned {
        Ok(plan) => plan,
        Err(mistakes) => {
            for mistake in &mistakes {
                say(mistake);
            }
            return Exit::Usage;
        }
    };
    if arguments.print {
        say(&format!(
            "for {}, in {}:",
            plan.client.title(),
            plan.file.display()
        ));
        answer(&plan.fragment());
        return Exit::Done;
    }
    match plan.carry_out(arguments.force) {
        Ok(told) => {
            answer(&told);
            if arguments.url.is_none()
                && let Some((found, cure)) = doctor::trouble_with_store(db)
            {
                say(&format!("{found}. {cure}"));
            }
            Exit::Done
        }
        Err(refusal) => {
            say(&refusal.to_string());
            show(&format!(
                "Nothing was written. To paste by hand:\n{}",
                plan.fragment()
            ));
            refusal.exit()
        }
    }
}

/// Calls this program again as the user who called sudo, who is asked for all else.
fn as_caller(caller: &Caller) -> Exit {
    let Ok(program) = std::env::current_exe() else {
        say("this program's own path is not known; call it without sudo");
        return Exit::Failed;
    };
    let mut command = Command::new(&program);
    // Root's own home is nobody else's, where the system does not know the user's.
    command.args(std::env::args_os().skip(1)).env_remove("HOME");
    if let Err(error) = become_user(caller.uid, caller.gid, &mut command) {
        say(&format!(
            "could not become the user who called sudo ({error}); call it without sudo"
        ));
        return Exit::Permission;
    }
    let error = command.exec();
    say(&format!(
        "the user who called sudo cannot start {}: {error}; install it where they can, such as /usr/local/bin",
        program.display()
    ));
    Exit::Permission
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{name} in {} is something else already: {there}; replace it with --force, or use another --name", .file.display())]
    Differs {
        file: PathBuf,
        name: String,
        there: String,
    },
    #[error(transparent)]
    File(#[from] FileProblem),
    #[error("{} is not as {client} writes it: {wrong}", .file.display())]
    Malformed {
        file: PathBuf,
        client: &'static str,
        wrong: String,
    },
}

impl Refusal {
    fn exit(&self) -> Exit {
        match self {
            Self::Differs { .. } | Self::Malformed { .. } => Exit::Data,
            Self::File(problem) if problem.is_of_permission() => Exit::Permission,
            Self::File(_) => Exit::Failed,
        }
    }
}

/// What goes where.
#[derive(Debug)]
struct Plan {
    client: Client,
    scope: Scope,
    file: PathBuf,
    name: String,
    entry: Entry,
}

impl Plan {
    /// By the command line.
    ///
    /// # Errors
    /// All that is wrong with it.
    fn new(
        program: &Path,
        db: Option<&Path>,
        arguments: &InstallArguments,
        around: &Surroundings<'_>,
    ) -> Result<Self, Vec<String>> {
        let (client, mut mistakes) = (arguments.client, Vec::new());
        mistakes.extend(wrong_name(&arguments.name));
        mistakes.extend(arguments.url.as_deref().and_then(wrong_url));
        mistakes.extend(arguments.token_env.as_deref().and_then(wrong_variable));
        let server = server(program, db, arguments, &mut mistakes);
        let expanded = server.words().find(|word| client.expands(word));
        mistakes.extend(expanded.map(|word| {
            format!(
                "{} would put something else in the place of a part of {word:?}; use another path or address",
                client.title()
            )
        }));
        match client.file(arguments.scope, around) {
            Ok(file) if mistakes.is_empty() => Ok(Self {
                client,
                scope: arguments.scope,
                file,
                name: arguments.name.clone(),
                entry: client.entry(&server),
            }),
            other => {
                mistakes.extend(other.err());
                Err(mistakes)
            }
        }
    }
    /// What a person pastes.
    fn fragment(&self) -> String {
        match self.client.syntax() {
            Syntax::Json(holder) => jsonc::fragment(holder, &self.name, &self.entry),
            Syntax::Toml { key } => toml::fragment(key, &self.name, &self.entry),
        }
    }
    /// Writes it where that changes anything, and tells what was done.
    fn carry_out(&self, force: bool) -> Result<String, Refusal> {
        let current = Current::read(&self.file)?;
        let edit = self.edit(current.text())?;
        let there = match edit.found {
            Found::Same => {
                return Ok(format!(
                    "{} is in {} already, as wanted; nothing was changed",
                    self.name,
                    current.path().display()
                ));
            }
            Found::Other(there) if !force => {
                return Err(Refusal::Differs {
                    file: current.path().to_owned(),
                    name: self.name.clone(),
                    there,
                });
            }
            Found::Other(there) => Some(there),
            Found::Nothing => None,
        };
        current.replace(&edit.text, self.scope)?;
        let did = there.map_or_else(
            || "was added to".to_owned(),
            |there| format!("replaced {there} in"),
        );
        Ok(format!(
            "{} {did} {}\nnext: {}",
            self.name,
            current.path().display(),
            self.client.next(self.scope)
        ))
    }
    fn edit(&self, text: &str) -> Result<Edit, Refusal> {
        // A mark that editors of another system put first says nothing, and stays.
        let (mark, text) = text
            .strip_prefix(BYTE_ORDER_MARK)
            .map_or((None, text), |rest| (Some(BYTE_ORDER_MARK), rest));
        let edited = match self.client.syntax() {
            Syntax::Json(holder) => jsonc::edit(text, holder, &self.name, &self.entry),
            Syntax::Toml { key } => toml::edit(text, key, &self.name, &self.entry),
        };
        let marked = |edit: Edit| Edit {
            text: mark.into_iter().chain(edit.text.chars()).collect(),
            ..edit
        };
        edited.map(marked).map_err(|wrong| Refusal::Malformed {
            file: self.file.clone(),
            client: self.client.title(),
            wrong,
        })
    }
}

fn server(
    program: &Path,
    db: Option<&Path>,
    arguments: &InstallArguments,
    mistakes: &mut Vec<String>,
) -> Server {
    if let Some(url) = &arguments.url {
        return Server::Http {
            url: url.clone(),
            token_variable: arguments.token_env.clone(),
        };
    }
    let mut text = |path: &Path| {
        let text = path.to_str();
        if text.is_none() {
            mistakes.push(format!(
                "{} is not UTF-8, which all clients' files are; use another path",
                path.display()
            ));
        }
        text.unwrap_or_default().to_owned()
    };
    let mut words = Vec::new();
    if let Some(db) = db.filter(|path| !path.as_os_str().is_empty()) {
        words.extend(["--db".to_owned(), text(&absolute(db))]);
    }
    words.push("mcp".to_owned());
    Server::Stdio {
        program: text(program),
        arguments: words,
    }
}

fn wrong_name(name: &str) -> Option<String> {
    let is_good = name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (!is_good).then(|| {
        format!(
            "--name {name:?}: expected at most {MAX_NAME} letters, digits, - and _, the first a letter or digit"
        )
    })
}

fn wrong_url(url: &str) -> Option<String> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    let is_good = rest
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(host, path)| {
            let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
            !host.is_empty() && !host.contains('@') && !path.is_empty() && url.bytes().all(is_plain)
        });
    (!is_good).then(|| {
        format!("--url {url:?}: expected the endpoint's address, such as http://127.0.0.1:7171/mcp")
    })
}

fn wrong_variable(name: &str) -> Option<String> {
    let is_good = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (!is_good).then(|| {
        format!("--token-env {name:?}: expected the name of a variable, such as HEADWATER_TOKEN, not the token")
    })
}
