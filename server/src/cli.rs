//! The command line: what can be said, and where it goes.
//!
//! Owns: the words of `--help`, exit codes, and the collecting of all configuration mistakes before anything starts. Does
//! not do the work of a subcommand: each has a file of its own.

mod arenas;
mod count;
mod doctor;
mod examples;
mod exit;
mod install;
mod output;
mod packets;
mod privilege;
mod record;
mod replay;
mod run;
mod serve;
mod settings;
mod tools;
mod up;

use std::{io::IsTerminal, path::PathBuf};

use clap::{CommandFactory, Parser, Subcommand, builder::TypedValueParser};
use headwater_query::Counted;
use tracing_subscriber::EnvFilter;

pub(crate) use exit::Exit;

const ABOUT: &str = "Ask a Linux machine what its programs said to each other.

eBPF probes read IP, TCP, UDP, DNS and HTTP header bytes where they cross sockets; a recorder writes connections and exchanges to \
SQLite; MCP servers and the subcommands named like their tools answer questions about them. Bodies are not kept, secrets \
become keyed hashes before anything is written.";

const EXAMPLES: &str = "Examples:
  sudo headwater up                         record this machine and serve MCP on 127.0.0.1:7171
  sudo headwater record                     record only
  headwater mcp                             MCP over stdio, for an IDE or an agent
  sudo headwater run -- npm test            what did my command cause on the wire?
  headwater replay capture.pcapng           the same from a capture file, no privileges
  headwater find-errors --since -1h         failures of the last hour, grouped
  headwater search-exchanges --status 5xx   the newest server errors
  headwater doctor                          what this kernel and this user can do

Exit codes: 0 done; 1 failed; 64 wrong usage or configuration; 65 no store of Headwater's, or an
id of nothing in it (dropped, never given out, another store's); 66 no such store or input; 69
something needed is not there, such as a program as new as the store; 73 the store cannot be made
or written; 77 no permission. `run` passes on its command's code (128+n for signal n).";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, about = "Ask a Linux machine what its programs said to each other", long_about = ABOUT, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// The store, to be written and to be read [default: /var/lib/headwater/headwater.db where its folder exists or for root, else ~/.local/share/headwater/headwater.db]
    // An empty HEADWATER_DB, which clients' configurations leave behind, is none.
    #[arg(long, global = true, env = "HEADWATER_DB", value_name = "PATH", value_parser = clap::builder::OsStringValueParser::new().map(PathBuf::from))]
    db: Option<PathBuf>,
    /// Say more on standard error: -v for information, -vv for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Record this machine's traffic into the store (needs root or CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)
    #[command(after_help = examples::RECORD)]
    Record(record::RecordArguments),
    /// Serve MCP over stdio, for an IDE or an agent; needs no privileges
    #[command(after_help = examples::MCP)]
    Mcp {
        #[command(subcommand)]
        command: Option<McpCommand>,
    },
    /// Serve MCP over Streamable HTTP at /mcp, and a page for people at /ui; needs no privileges
    #[command(after_help = examples::SERVE)]
    Serve(serve::ServeArguments),
    /// Record and serve together, as two processes; the server runs as the user who called sudo
    #[command(after_help = examples::UP)]
    Up(up::UpArguments),
    /// Run a command and tell what it and its children caused on the wire
    ///
    /// Under sudo the command runs as the user who called it: with that user's id, group and supplementary groups, and with
    /// HOME, USER, LOGNAME and SHELL set to theirs, as `sudo -u` does. The rest of the environment is as sudo left it.
    /// Its terminal, signals and standard streams are its own; its exit code is passed on, 128+n for signal n.
    #[command(after_help = examples::RUN)]
    Run(run::RunArguments),
    /// Tell the headers of single packets for a while, without payload (needs the privileges of `record`)
    ///
    /// Each packet once where it passes a socket of this machine: as it was sent, before segmentation and
    /// fragmentation, or as it was received, put together; on the loopback device as it was sent. Nothing goes to the store.
    #[command(after_help = examples::PACKETS)]
    Packets(packets::PacketsArguments),
    /// Read capture files (pcap, pcapng) into the store; needs no privileges
    ///
    /// The store is the one that questions are asked of: the system's where its folder exists, which only root writes. To
    /// keep files in a store of your own, name it for both: `headwater --db PATH replay FILE`, then `headwater --db PATH
    /// search-exchanges`; or set HEADWATER_DB. The same file twice adds nothing.
    #[command(after_help = examples::REPLAY)]
    Replay(replay::ReplayArguments),
    /// Tell what this kernel and this user can do, what will be missing and why, and what mends it
    #[command(after_help = examples::DOCTOR)]
    Doctor(doctor::DoctorArguments),
    #[command(flatten)]
    Tool(tools::Tool),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Counts the exchanges that are stored, by unique id (for measurements)
    #[command(hide = true)]
    CountExchanges {
        /// Those of DNS that were answered
        #[arg(long)]
        dns: bool,
    },
    /// Joins a cgroup, becomes a user, and becomes the command: how `run` starts it
    #[command(name = run::TRAMPOLINE, hide = true)]
    Become(run::BecomeArguments),
}

/// What `mcp` does besides serving.
#[derive(Debug, Subcommand)]
enum McpCommand {
    /// Write the entry that makes a client start `headwater mcp` into its configuration
    ///
    /// All else in the client's file stays as it is, comments too. An entry of the same name that differs is told and left
    /// alone without --force. Under sudo this is done as the user who called it, in that user's home folder.
    #[command(after_help = examples::INSTALL)]
    Install(install::InstallArguments),
}

impl Command {
    /// Whether it meets the kernel as anybody may.
    fn only_reads(&self) -> bool {
        matches!(
            self,
            Self::Mcp { command: None }
                | Self::Serve(_)
                | Self::Replay(_)
                | Self::Tool(_)
                | Self::CountExchanges { .. }
                | Self::Completions { .. }
        )
    }
}

/// Parses the command line and does what it says.
pub(crate) fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, all else is wrong usage; clap knows which stream each belongs to.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    start_log(cli.verbose);
    if cli.command.only_reads()
        && let Err(error) = privilege::give_up_capabilities()
    {
        output::say(&format!("capabilities could not be given up: {error}"));
        return Exit::Failed;
    }
    match cli.command {
        Command::Record(arguments) => {
            arenas::ask_for_one();
            record::record(cli.db.as_deref(), &arguments)
        }
        Command::Mcp { command: None } => serve::stdio(cli.db.as_deref()),
        Command::Mcp {
            command: Some(McpCommand::Install(arguments)),
        } => install::install(cli.db.as_deref(), &arguments),
        Command::Serve(arguments) => serve::http(cli.db.as_deref(), &arguments),
        Command::Up(arguments) => {
            arenas::ask_for_one();
            up::up(cli.db.as_deref(), &arguments)
        }
        Command::Run(arguments) => run::run(cli.db.as_deref(), &arguments),
        Command::Packets(arguments) => packets::packets(cli.db.as_deref(), &arguments),
        Command::Replay(arguments) => replay::replay(cli.db.as_deref(), &arguments),
        Command::Doctor(arguments) => doctor::doctor(cli.db.as_deref(), &arguments),
        Command::Tool(tool) => tools::answer(cli.db.as_deref(), tool),
        Command::CountExchanges { dns } => {
            let counted = if dns {
                Counted::AnsweredDns
            } else {
                Counted::Exchanges
            };
            count::count(cli.db.as_deref(), counted)
        }
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(shell, &mut command, "headwater", &mut std::io::stdout());
            Exit::Done
        }
        Command::Become(arguments) => run::become_command(&arguments),
    }
}

/// The log goes to standard error: standard output belongs to answers and to the stdio transport.
fn start_log(verbose: u8) {
    let named = std::env::var("HEADWATER_LOG").ok();
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(log_filter(verbose, named.as_deref()))
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}

/// What is logged. Libraries speak up only when something is wrong, and rmcp does so whatever the filter named: it logs
/// whole requests for debugging, and a request may hold in the plain a secret that somebody looks for.
fn log_filter(verbose: u8, named: Option<&str>) -> EnvFilter {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let with = |words: &str| EnvFilter::try_new(format!("{words},rmcp=warn"));
    named
        .and_then(|words| with(words).ok())
        .or_else(|| with(&format!("warn,headwater={level}")).ok())
        .unwrap_or_else(|| EnvFilter::new("warn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_verbosity_makes_rmcp_tell_requests() {
        for (verbose, named) in [
            (0, None),
            (2, None),
            (9, None),
            (0, Some("debug")),
            (0, Some("rmcp=trace")),
            (2, Some("=no=filter=")),
        ] {
            let filter = log_filter(verbose, named).to_string();
            let rmcp: Vec<_> = filter
                .split(',')
                .filter(|directive| directive.starts_with("rmcp"))
                .collect();
            assert_eq!(rmcp, ["rmcp=warn"], "{verbose} {named:?}: {filter}");
        }
        assert!(log_filter(2, None).to_string().contains("headwater=debug"));
    }
}
