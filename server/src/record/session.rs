//! One life of the recorder: opening the store, attaching the probes, starting both threads, ending them in order.

use std::{
    borrow::Cow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use headwater_assembly::{Assembly, Limits};
use headwater_model::Event;
use headwater_redact::{Key, KeyError, Policy, Redactor};
use headwater_store::{LogMover, OpenError, Options, Source, WriteError, Writer};

use super::{
    accounts::Accounts,
    capabilities,
    committer::{Committer, Threads},
    icmp::IcmpListener,
    identity::ProcIdentities,
    libraries::{Libraries, TlsFilter},
    recorder::{Recorder, Totals},
};
use crate::{
    clock::{Clock, now_ns},
    paths::key_of,
    probes::{ProbeError, ProbeSettings, Probes},
};

/// What the operator chose.
#[derive(Debug, Clone)]
pub(crate) struct SessionSettings {
    pub(crate) store: PathBuf,
    pub(crate) group: Option<u32>,
    pub(crate) max_age: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) probes: ProbeSettings,
    pub(crate) tls: TlsFilter,
    pub(crate) headers: HeaderSettings,
    pub(crate) limits: Limits,
    /// For tests of overload.
    pub(crate) slowness: Option<Duration>,
}

/// Names of headers that the operator gave.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderSettings {
    pub(crate) kept: Vec<String>,
    pub(crate) correlation: Vec<String>,
    pub(crate) session: Vec<String>,
}

impl HeaderSettings {
    pub(crate) fn policy(&self) -> Policy {
        let identifying = self.correlation.iter().chain(&self.session);
        Policy {
            keep_headers: self.kept.clone(),
            identifying_headers: identifying.cloned().collect(),
        }
    }
}

/// Why a recorder could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store's log.
    #[error("the store's log cannot be moved: {0}")]
    Log(WriteError),
    /// The probes.
    #[error(transparent)]
    Probes(#[from] ProbeError),
}

/// A socket is told to be closed within a round trip of the last packet of its connection.
const LAST_WORD_NS: u64 = 1_000_000_000;

/// A recorder at work.
pub(crate) struct Session {
    stop: Arc<AtomicBool>,
    recorder: JoinHandle<Totals>,
    threads: Threads,
    /// What cannot be seen, in words.
    pub(crate) missing: Vec<Cow<'static, str>>,
}

impl Session {
    /// Opens, attaches and starts.
    pub(crate) fn start(settings: &SessionSettings) -> Result<Self, SessionError> {
        let mut probes = attach(&settings.probes)?;
        let (writer, key) = open_store(settings, Source::Live)?;
        let policy = settings.headers.policy();
        let redactor = || Redactor::new(&key, &policy);
        let mut icmp = IcmpListener::start();
        let mut missing = probes.missing.clone();
        let unheard = icmp.news_of_missed().unsupported;
        missing.extend(unheard.into_iter().map(Cow::Owned));
        let mut accounts = Accounts::new(
            redactor(),
            now_ns(),
            filter_in_words(&settings.limits).as_deref(),
        );
        missing.extend(tls_filter_in_words(settings).map(Cow::Owned));
        let mut ready = None;
        let libraries = probes.uprobes.take().and_then(|uprobes| {
            match Libraries::start(uprobes, settings.tls.clone()) {
                Ok(mut libraries) => {
                    ready = Some(libraries.take_ready());
                    Some(libraries)
                }
                Err(error) => {
                    let words = format!("TLS libraries that programs run: {error}");
                    missing.push(words.into());
                    None
                }
            }
        });
        let events = missing
            .iter()
            .map(|words| accounts.unsupported(now_ns(), words))
            .collect();
        let log = LogMover::open(&settings.store).map_err(SessionError::Log)?;
        let (committer, threads) = Committer::start(writer, log);
        let stop = Arc::new(AtomicBool::new(false));
        let limits = Limits {
            linger_ns: if probes.tells_sockets {
                LAST_WORD_NS
            } else {
                0
            },
            ..settings.limits.clone()
        };
        let identities = ProcIdentities::new(redactor(), std::mem::take(&mut probes.forks));
        let recorder = Recorder {
            probes,
            assembly: Assembly::new(limits, redactor(), identities),
            accounts,
            icmp,
            libraries,
            is_stuck: false,
            committer,
            events,
            rows: 0,
            clock: Clock::new(),
            clock_changes: Vec::new(),
            stop: Arc::clone(&stop),
            slowness: settings.slowness,
        };
        let recorder = std::thread::spawn(move || {
            capabilities::keep(capabilities::RECORDER);
            recorder.run()
        });
        if ready.is_some_and(|ready| !Libraries::await_ready(&ready)) {
            missing.push(
                "TLS of all that runs already: looking into its files takes longer than usual"
                    .into(),
            );
        }
        Ok(Self {
            stop,
            recorder,
            threads,
            missing,
        })
    }

    /// Ends all threads; all that was read is committed.
    pub(crate) fn stop(self) -> Option<Totals> {
        self.stop.store(true, Ordering::Relaxed);
        let totals = self.recorder.join().ok();
        let ended_well = self.threads.join();
        totals.filter(|_| ended_well)
    }

    /// Whether a thread has died, which only a defect can make happen.
    pub(crate) fn is_broken(&self) -> bool {
        self.recorder.is_finished() || self.threads.any_ended()
    }
}

/// Attaches the probes from a thread of its own. What it takes to load them, the kernel's types above all, is more than what
/// the recorder holds at rest; glibc hands the memory of a thread that has ended to the next one, the main thread's to nobody.
fn attach(settings: &ProbeSettings) -> Result<Probes, ProbeError> {
    std::thread::scope(|scope| scope.spawn(|| Probes::attach(settings)).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Opens the store for writing, with its key.
pub(crate) fn open_store(
    settings: &SessionSettings,
    source: Source,
) -> Result<(Writer, Key), SessionError> {
    headwater_store::prepare_folder(&settings.store, settings.group)?;
    let key = Key::load_or_create(&key_of(&settings.store))?;
    headwater_store::give_to_group(&key_of(&settings.store), settings.group)?;
    let options = Options {
        max_age: settings.max_age,
        max_bytes: settings.max_bytes,
        group: settings.group,
        source,
        settings_json: settings_json(settings),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        ..Options::new(&settings.store, key.fingerprint())
    };
    Ok((Writer::open(options, now_ns())?, key))
}

fn settings_json(settings: &SessionSettings) -> String {
    serde_json::json!({
        "cap_bytes": settings.probes.cap,
        "ring_bytes": settings.probes.ring_bytes,
        "keep_headers": settings.headers.kept,
        "correlation_headers": settings.headers.correlation,
        "session_headers": settings.headers.session,
        "only_ports": settings.limits.only_ports,
        "except_ports": settings.limits.except_ports,
        "tls": settings.probes.tls,
        "tls_programs": settings.tls.only,
        "max_age_s": settings.max_age.as_secs(),
        "max_bytes": settings.max_bytes,
    })
    .to_string()
}

/// What is not looked at of TLS, since the operator wants it so.
fn tls_filter_in_words(settings: &SessionSettings) -> Option<String> {
    if !settings.probes.tls {
        return Some("what is inside TLS (--no-tls)".to_owned());
    }
    let only = &settings.tls.only;
    (!only.is_empty()).then(|| {
        format!(
            "TLS of programs other than {} (--tls-program)",
            only.join(", ")
        )
    })
}

fn filter_in_words(limits: &Limits) -> Option<String> {
    let list = |ports: &[u16]| {
        ports
            .iter()
            .map(u16::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (limits.only_ports.as_slice(), limits.except_ports.as_slice()) {
        ([], []) => None,
        (only, []) => Some(format!("only server ports {}", list(only))),
        ([], except) => Some(format!("not server ports {}", list(except))),
        (only, except) => Some(format!(
            "only server ports {}, not {}",
            list(only),
            list(except)
        )),
    }
}

/// Applies events. What cannot be written is counted by the store and told in coverage; the recorder goes on.
pub(crate) fn apply(writer: &mut Writer, events: &[Event]) {
    if let Err(error) = writer.apply_all(events) {
        tracing::warn!(%error, "events could not be written");
    }
}
