//! Starting the command and waiting for it, with signals passed on.

use std::{ffi::OsString, os::unix::process::ExitStatusExt, path::Path};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
    unistd::{Pid, getpgrp, tcgetpgrp},
};
use tokio::{
    process::Command,
    signal::unix::{SignalKind, signal},
};

/// Runs the command; gives its exit code, or 128 + n when signal n ended it.
pub(super) async fn run_to_its_end(
    command: &[OsString],
    cgroup: Option<&Path>,
) -> std::io::Result<u8> {
    // Orphans of the command become children of this process, so that they still count as its tree.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    let mut start = Command::new(std::env::current_exe()?);
    start.arg(super::TRAMPOLINE);
    if let Some(cgroup) = cgroup {
        start.arg("--cgroup").arg(cgroup);
    }
    start
        .args(super::identity_arguments())
        .arg("--")
        .args(command);
    // The terminal gives SIGINT and SIGQUIT to the whole foreground group, the command included: then they are only kept
    // from ending this process before it has told what happened. All others were meant for the command.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut user1 = signal(SignalKind::user_defined1())?;
    let mut user2 = signal(SignalKind::user_defined2())?;
    let mut ended = signal(SignalKind::child())?;
    let mut child = start.spawn()?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .map(Pid::from_raw);
    let pass = |which: Signal| {
        if let Some(pid) = pid {
            let _ = kill(pid, which);
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => return status.map(code_of),
            _ = interrupt.recv() => if !is_in_foreground() { pass(Signal::SIGINT) },
            _ = quit.recv() => if !is_in_foreground() { pass(Signal::SIGQUIT) },
            _ = terminate.recv() => pass(Signal::SIGTERM),
            _ = hangup.recv() => pass(Signal::SIGHUP),
            _ = user1.recv() => pass(Signal::SIGUSR1),
            _ = user2.recv() => pass(Signal::SIGUSR2),
            _ = ended.recv() => reap_orphans(pid),
        }
    }
}

/// Orphans that were given to this process stay zombies until it asks for how they ended. The command's own end is left to
/// who waits for it.
fn reap_orphans(command: Option<Pid>) {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    while let Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..)) = waitid(Id::All, look)
    {
        if Some(pid) == command {
            return;
        }
        let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
    }
}

/// Whether what is typed at the terminal reaches this process and the command. Where standard input comes from says
/// nothing about that: it may be a file at a terminal, or a terminal in the background.
fn is_in_foreground() -> bool {
    std::fs::File::open("/dev/tty")
        .ok()
        .and_then(|terminal| tcgetpgrp(terminal).ok())
        .is_some_and(|group| group == getpgrp())
}

fn code_of(status: std::process::ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code & 0xff).unwrap_or(1)
}
