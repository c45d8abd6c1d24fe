//! `run -- CMD…`: what CMD and its children cause on the wire.
//!
//! Owns: starting the command as the user who called sudo, in a cgroup of its own where that can be made, with terminal,
//! signals and standard streams untouched; waiting; the summary. A child that leaves the process tree still has the
//! cgroup, or is handed to this process, which asks the kernel to be the one that orphans are given to.

mod cgroup;
mod summary;
mod wait;

use std::{
    ffi::OsString,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use headwater_query::{Recorder, Store, StoreState};
use headwater_redact::{CommandLine, Key, Policy, Redactor};
use tokio_util::sync::CancellationToken;

use super::{
    Exit,
    output::say,
    privilege::{become_user, caller},
    record::{self, RecordArguments},
    settings::session_settings,
};
use crate::{
    clock::{boot_ns, now_ns},
    paths::{key_of, store_of},
    record::Session,
};

pub(super) const TRAMPOLINE: &str = "become-command";

/// The command, and what to do with the summary.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArguments {
    /// Write the summary as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    record: RecordArguments,
    /// The command and its arguments
    #[arg(required = true, last = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What the trampoline is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct BecomeArguments {
    #[arg(long)]
    cgroup: Option<PathBuf>,
    #[arg(long)]
    uid: Option<u32>,
    #[arg(long)]
    gid: Option<u32>,
    #[arg(required = true, last = true)]
    command: Vec<OsString>,
}

/// Joins the cgroup, becomes the user, becomes the command. Returns only when that failed: 127 for a command that is not
/// there, 126 for one that cannot be run, as shells do.
pub(super) fn become_command(arguments: &BecomeArguments) -> Exit {
    if let Some(cgroup) = &arguments.cgroup
        && let Err(error) = std::fs::write(cgroup.join("cgroup.procs"), "0")
    {
        say(&format!(
            "the command could not join its cgroup ({error}); its process tree counts alone"
        ));
    }
    let Some((program, rest)) = arguments.command.split_first() else {
        return Exit::Usage;
    };
    let mut command = Command::new(program);
    command.args(rest);
    if let (Some(uid), Some(gid)) = (arguments.uid, arguments.gid)
        && let Err(error) = become_user(uid, gid, &mut command)
    {
        say(&format!(
            "the command could not be started as the user who called sudo: {error}"
        ));
        return Exit::Permission;
    }
    let error = command.exec();
    say(&format!("{}: {error}", program.to_string_lossy()));
    Exit::Command(if error.kind() == std::io::ErrorKind::NotFound {
        127
    } else {
        126
    })
}

/// Who records while the command runs.
enum Recording {
    /// Somebody else, already.
    Theirs(PathBuf),
    /// This process.
    Ours(Session, PathBuf),
}

impl Recording {
    fn store(&self) -> &Path {
        match self {
            Self::Theirs(store) | Self::Ours(_, store) => store,
        }
    }
}

/// Runs the command and tells what it caused.
pub(super) fn run(db: Option<&Path>, arguments: &RunArguments) -> Exit {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let recording = match runtime.block_on(recording(db, arguments)) {
        Ok(recording) => recording,
        Err(exit) => return exit,
    };
    let group = cgroup::Own::make();
    let (begun_ns, begun_boot_ns) = (now_ns(), boot_ns());
    let status = runtime.block_on(wait::run_to_its_end(
        &arguments.command,
        group.as_ref().map(cgroup::Own::path),
    ));
    let ended_ns = now_ns();
    let exit = match status {
        Ok(code) => Exit::Command(code),
        Err(error) => {
            say(&format!("the command could not be started: {error}"));
            Exit::Command(126)
        }
    };
    let store = recording.store().to_owned();
    if let Recording::Ours(session, _) = recording {
        // Late packets of the command's last connections are a few milliseconds away.
        std::thread::sleep(std::time::Duration::from_millis(50));
        session.stop();
    }
    let about = summary::About {
        begun_ns,
        begun_boot_ns,
        ended_ns,
        command: arguments
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        command_line: redacted(&store, &arguments.command),
        exit_code: if let Exit::Command(code) = exit {
            code
        } else {
            1
        },
        cgroup: group.as_ref().map(|group| group.name().to_owned()),
    };
    runtime.block_on(summary::tell(&store, &about, arguments.json.as_deref()));
    drop(group);
    exit
}

/// A recorder that runs already, else one of our own.
async fn recording(db: Option<&Path>, arguments: &RunArguments) -> Result<Recording, Exit> {
    let mistakes = mistakes(db, arguments);
    if !mistakes.is_empty() {
        for mistake in &mistakes {
            say(mistake);
        }
        return Err(Exit::Usage);
    }
    let theirs = store_of(db);
    let answer = Store::new(&theirs)
        .status(&CancellationToken::new())
        .await
        .ok();
    if let Some(answer) = &answer
        && answer.recorder == Recorder::Running
        && answer.value.state == StoreState::Readable
    {
        let unheeded = arguments.record.named();
        if !unheeded.is_empty() {
            say(&format!(
                "a recorder is running already, and records by its own settings: {} changed nothing",
                unheeded.join(", ")
            ));
        }
        return Ok(Recording::Theirs(theirs));
    }
    if !super::privilege::missing_capabilities().is_empty() {
        say(&format!(
            "no recorder is running that this user may read from, at {}: start one with `sudo headwater record`, or run this with sudo",
            theirs.display()
        ));
        // A recorder may well write to it: why this user cannot see that, and what mends it.
        if let Some(cure) = answer
            .filter(|answer| {
                !matches!(
                    answer.value.state,
                    StoreState::Missing | StoreState::Readable
                )
            })
            .and_then(|answer| answer.value.cure)
        {
            say(&cure);
        }
    }
    let settings = record::checked(db, &arguments.record)?;
    let session = Session::start(&settings).map_err(|error| {
        super::output::say_error(&error);
        Exit::Unavailable
    })?;
    Ok(Recording::Ours(session, settings.store))
}

/// All that is wrong with the options, whoever records: what a running recorder does not heed is a mistake all the same, and
/// a summary that cannot be written is not to be found out when the command has ended.
fn mistakes(db: Option<&Path>, arguments: &RunArguments) -> Vec<String> {
    let mut mistakes = session_settings(db, &arguments.record)
        .err()
        .unwrap_or_default();
    if let Some(path) = &arguments.json
        && let Err(error) = summary::may_write(path)
    {
        mistakes.push(format!("--json {}: {error}", path.display()));
    }
    mistakes
}

/// The command as the store would tell it: its hashes are the store's own, so that one finds the other. None where the
/// key cannot be read, since nothing else may stand in its place.
fn redacted(store: &Path, command: &[OsString]) -> Option<CommandLine> {
    let key = Key::load(&key_of(store))
        .inspect_err(|error| tracing::info!(%error, "the command line is left out of the summary"))
        .ok()?;
    let words: Vec<_> = command.iter().map(|word| word.as_bytes()).collect();
    Some(Redactor::new(&key, &Policy::default()).command_line(&words.join(&0)))
}

/// The arguments of the trampoline for the user on whose behalf the command runs.
fn identity_arguments() -> Vec<String> {
    caller().map_or_else(Vec::new, |caller| {
        vec![
            "--uid".to_owned(),
            caller.uid.to_string(),
            "--gid".to_owned(),
            caller.gid.to_string(),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_command_line_are_hashed() {
        let folder = std::env::temp_dir().join(format!("headwater-run-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = folder.join("headwater.db");
        let command: Vec<OsString> = [
            "curl",
            "-u",
            "me:hunter2",
            "http://h/p?token=hunter2&page=2",
        ]
        .map(OsString::from)
        .into();
        assert!(
            redacted(&store, &command).is_none(),
            "without a key nothing is told"
        );
        Key::load_or_create(&key_of(&store)).unwrap();
        let line = redacted(&store, &command).unwrap();
        assert!(
            line.as_str().starts_with("curl -u ") && line.as_str().contains("page=2"),
            "{}",
            line.as_str()
        );
        assert!(!line.as_str().contains("hunter2"), "{}", line.as_str());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
