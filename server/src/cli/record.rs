//! `record`: the privileged recorder.

use std::path::Path;

use clap::{Args, FromArgMatches};
use rustix::thread::CapabilitySet;
use tokio::signal::unix::{SignalKind, signal};

use super::{
    Exit,
    output::{say, say_error},
    privilege::{grant, missing_capabilities},
    settings::session_settings,
};
use crate::{
    paths::advice_on_writing,
    record::{Session, SessionError, SessionSettings, capabilities},
};

/// What is recorded, and how much of it is kept. Values are text so that all mistakes can be told at once.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecordArguments {
    /// Bytes copied of each turn of talk: heads longer than this are cut. 8 KiB is what common servers accept as one
    /// header line, so that nearly every head is whole; more costs copying wherever bodies follow heads
    #[arg(long, default_value = "8KiB", value_name = "SIZE")]
    pub(super) cap: String,
    /// Size of the ring buffer between kernel and recorder, a power of two
    #[arg(long, default_value = "8MiB", value_name = "SIZE")]
    pub(super) ring_size: String,
    /// Exchanges older than this are dropped
    #[arg(long, default_value = "7d", value_name = "DURATION")]
    pub(super) max_age: String,
    /// The oldest exchanges are dropped when the store grows beyond this
    #[arg(long, default_value = "1GiB", value_name = "SIZE")]
    pub(super) max_size: String,
    /// Who may read the store besides its owner [default: under sudo the caller's group, else `headwater` where it exists]
    #[arg(long, value_name = "GROUP")]
    pub(super) group: Option<String>,
    #[command(flatten)]
    pub(super) headers: HeaderArguments,
    /// Record only connections whose server has this port (repeatable)
    #[arg(long, value_name = "PORT")]
    pub(super) only_port: Vec<String>,
    /// Do not record connections whose server has this port (repeatable)
    #[arg(long, value_name = "PORT")]
    pub(super) except_port: Vec<String>,
    /// Do not look at what TLS libraries encrypt and decrypt
    #[arg(long)]
    pub(super) no_tls: bool,
    /// Of TLS look only at what processes of this executable (its file's name) encrypt and decrypt (repeatable)
    #[arg(long, value_name = "NAME", conflicts_with = "no_tls")]
    pub(super) tls_program: Vec<String>,
    /// Behave as on a kernel without type information (for tests)
    #[arg(long, hide = true)]
    pub(super) without_btf: bool,
    /// Rest so many milliseconds between drains (for tests of overload)
    #[arg(long, hide = true, default_value_t = 0)]
    pub(super) slow_reader_ms: u64,
}

/// What is said of single headers.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct HeaderArguments {
    /// Keep values of this header readable (repeatable); all values that are not known to be harmless are hashed
    #[arg(long = "keep-header", value_name = "NAME")]
    pub(super) keep: Vec<String>,
    /// This header carries an id from hop to hop (repeatable), as X-Request-Id and the like do, which need not be named: that
    /// two requests have the same value in it, of four bytes or more, is strong evidence
    #[arg(long = "correlation-header", value_name = "NAME")]
    pub(super) correlation: Vec<String>,
    /// This header names a session (repeatable), besides session cookies, bearer tokens, API keys and Mcp-Session-Id
    #[arg(long = "session-header", value_name = "NAME")]
    pub(super) session: Vec<String>,
}

/// Records until SIGINT or SIGTERM.
pub(super) fn record(db: Option<&Path>, arguments: &RecordArguments) -> Exit {
    let settings = match checked(db, arguments) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let session = match start(&settings) {
        Ok(session) => session,
        Err(exit) => return exit,
    };
    // This thread waits for signals from here on.
    capabilities::keep(CapabilitySet::empty());
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let broken = runtime.block_on(until_told_to_stop(&session));
    stop(session, broken)
}

/// The settings, after every mistake and everything missing was said.
pub(super) fn checked(
    db: Option<&Path>,
    arguments: &RecordArguments,
) -> Result<SessionSettings, Exit> {
    let settings = session_settings(db, arguments).map_err(|mistakes| {
        for mistake in &mistakes {
            say(mistake);
        }
        Exit::Usage
    });
    let missing = missing_capabilities();
    if !missing.is_empty() {
        say(&format!(
            "recording needs {}, which this user does not have. Run it with sudo, or give the program the capabilities: \
             {}",
            missing.join(", "),
            grant()
        ));
        return Err(settings.err().unwrap_or(Exit::Permission));
    }
    settings
}

/// Starts a session and says that it did, and what it cannot see.
pub(super) fn start(settings: &SessionSettings) -> Result<Session, Exit> {
    let session = Session::start(settings).map_err(|error| {
        say_error(&error);
        if !matches!(error, SessionError::Probes(_))
            && let Some(words) = advice_on_writing(&settings.store)
        {
            say(&words);
        }
        match error {
            SessionError::Probes(_) => Exit::Unavailable,
            SessionError::Store(_) | SessionError::Key(_) | SessionError::Log(_) => Exit::Store,
        }
    })?;
    say(&format!(
        "recording into {} (probes attached)",
        settings.store.display()
    ));
    say(&format!(
        "cannot see: {}QUIC and other protocols (their connections and flows are recorded), messages of WebSocket (they are counted), Unix sockets",
        if settings.probes.tls {
            "TLS of libraries that are not read (`headwater status` names them), what is inside "
        } else {
            "what is inside "
        }
    ));
    for words in &session.missing {
        say(&format!("cannot see: {words}"));
    }
    Ok(session)
}

/// Waits for SIGINT or SIGTERM. Says whether the session broke instead.
pub(super) async fn until_told_to_stop(session: &Session) -> bool {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return true;
    };
    let mut pulse = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = interrupt.recv() => return false,
            _ = terminate.recv() => return false,
            _ = pulse.tick() => if session.is_broken() { return true },
        }
    }
}

/// Ends a session and says how it went.
pub(super) fn stop(session: Session, broken: bool) -> Exit {
    let totals = session.stop();
    match totals {
        Some(totals) if !broken => {
            say(&format!(
                "stopped: {} records fired, {} delivered, {} lost",
                totals.fired, totals.delivered, totals.lost
            ));
            Exit::Done
        }
        _ => {
            say("the recorder broke; what was committed is safe. Its log above has the reason");
            Exit::Failed
        }
    }
}

impl RecordArguments {
    /// Options that are not as they are by default: what a recorder that runs already does not heed.
    pub(super) fn named(&self) -> Vec<&'static str> {
        let Some(default) = Self::default_ones() else {
            return Vec::new();
        };
        [
            ("--cap", self.cap != default.cap),
            ("--ring-size", self.ring_size != default.ring_size),
            ("--max-age", self.max_age != default.max_age),
            ("--max-size", self.max_size != default.max_size),
            ("--group", self.group != default.group),
            ("--keep-header", self.headers.keep != default.headers.keep),
            (
                "--correlation-header",
                self.headers.correlation != default.headers.correlation,
            ),
            (
                "--session-header",
                self.headers.session != default.headers.session,
            ),
            ("--only-port", self.only_port != default.only_port),
            ("--except-port", self.except_port != default.except_port),
        ]
        .into_iter()
        .filter_map(|(option, differs)| differs.then_some(option))
        .collect()
    }

    /// What an empty command line comes to.
    fn default_ones() -> Option<Self> {
        let command = Self::augment_args(clap::Command::new("record"));
        let matches = command.try_get_matches_from(["record"]).ok()?;
        Self::from_arg_matches(&matches).ok()
    }

    /// The defaults, for a replay: nothing is probed.
    pub(super) fn for_replay(headers: &HeaderArguments, group: Option<&str>) -> Self {
        Self {
            cap: "8KiB".to_owned(),
            ring_size: "8MiB".to_owned(),
            // A capture may be old: its age is no reason to drop it again at once.
            max_age: "5200w".to_owned(),
            max_size: "64GiB".to_owned(),
            group: group.map(str::to_owned),
            headers: headers.clone(),
            only_port: Vec::new(),
            except_port: Vec::new(),
            no_tls: false,
            tls_program: Vec::new(),
            without_btf: false,
            slow_reader_ms: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_differ_from_the_default_are_named() {
        let mut arguments = RecordArguments::default_ones().unwrap();
        assert!(arguments.named().is_empty());
        arguments.cap = "4KiB".to_owned();
        arguments.only_port = vec!["80".to_owned()];
        assert_eq!(arguments.named(), ["--cap", "--only-port"]);
    }
}
