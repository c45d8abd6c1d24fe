//! One life of the recorder: opening the store, attaching the probes, starting both threads, ending them in order.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use headwater_assembly::{Assembly, Limits};
use headwater_model::Event;
use headwater_redact::{Key, KeyError, Policy, Redactor};
use headwater_store::{OpenError, Options, Source, StopReason, Writer};

use super::{
    accounts::Accounts,
    identity::ProcIdentities,
    priority::Priority,
    queue::{Delivery, Outlet, queue},
    reader::{Reader, Totals},
};
use crate::{
    clock::{Clock, now_ns},
    paths::key_of,
    probes::{ProbeError, ProbeSettings, Probes},
};

/// The writer commits at least this often, so that rows are visible within a second.
const COMMIT: Duration = Duration::from_millis(250);
/// Rows in one transaction at most.
const COMMIT_ROWS: usize = 20_000;
/// Between two looks into the queue while there is something in it.
const GATHER: Duration = Duration::from_millis(8);
/// Between two enforcements of the age and size limits.
const RETAIN: Duration = Duration::from_secs(5);

/// What the operator chose.
#[derive(Debug, Clone)]
pub(crate) struct SessionSettings {
    pub(crate) store: PathBuf,
    pub(crate) group: Option<u32>,
    pub(crate) max_age: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) probes: ProbeSettings,
    pub(crate) keep_headers: Vec<String>,
    pub(crate) limits: Limits,
    /// For tests of overload.
    pub(crate) slowness: Option<Duration>,
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
    /// The probes.
    #[error(transparent)]
    Probes(#[from] ProbeError),
}

/// A recorder at work.
pub(crate) struct Session {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<Totals>,
    writer: JoinHandle<()>,
    /// What cannot be seen, in words.
    pub(crate) missing: Vec<&'static str>,
}

impl Session {
    /// Opens, attaches and starts.
    pub(crate) fn start(settings: &SessionSettings) -> Result<Self, SessionError> {
        let probes = Probes::attach(&settings.probes)?;
        let (writer, key) = open_store(settings, Source::Live)?;
        let policy = Policy {
            keep_headers: settings.keep_headers.clone(),
        };
        let redactor = || Redactor::new(&key, &policy);
        let missing = probes.missing.clone();
        let mut accounts = Accounts::new(
            redactor(),
            now_ns(),
            filter_in_words(&settings.limits).as_deref(),
        );
        let (mut inlet, outlet) = queue();
        inlet.send(
            missing
                .iter()
                .map(|words| accounts.unsupported(now_ns(), words)),
        );
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader {
            probes,
            assembly: Assembly::new(
                settings.limits.clone(),
                redactor(),
                ProcIdentities::new(redactor()),
            ),
            accounts,
            inlet,
            clock: Clock::new(),
            stop: Arc::clone(&stop),
            slowness: settings.slowness,
        };
        Ok(Self {
            stop,
            reader: std::thread::spawn(move || reader.run()),
            writer: std::thread::spawn(move || write(writer, &outlet)),
            missing,
        })
    }

    /// Ends both threads; all that was read is committed.
    pub(crate) fn stop(self) -> Option<Totals> {
        self.stop.store(true, Ordering::Relaxed);
        let totals = self.reader.join().ok();
        let written = self.writer.join().is_ok();
        totals.filter(|_| written)
    }

    /// Whether a thread has died, which only a defect can make happen.
    pub(crate) fn is_broken(&self) -> bool {
        self.reader.is_finished() || self.writer.is_finished()
    }
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
        "keep_headers": settings.keep_headers,
        "only_ports": settings.limits.only_ports,
        "except_ports": settings.limits.except_ports,
        "max_age_s": settings.max_age.as_secs(),
        "max_bytes": settings.max_bytes,
    })
    .to_string()
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

fn write(mut writer: Writer, outlet: &Outlet) {
    let mut committed = Instant::now();
    let mut retained = Instant::now();
    let mut rows = 0;
    let mut priority = Priority::nice();
    loop {
        match outlet.receive(COMMIT.saturating_sub(committed.elapsed())) {
            Delivery::Events(events) => {
                let count = events.len();
                if let Some(priority) = &mut priority {
                    priority.is_behind(outlet.is_filling());
                }
                apply(&mut writer, &events);
                outlet.done(count);
                rows += count;
                // Asleep here, not in the queue, so that the reader need not wake anybody for every handful of events.
                std::thread::sleep(GATHER);
            }
            Delivery::Quiet => {}
            Delivery::Over => break,
        }
        if committed.elapsed() >= COMMIT || rows >= COMMIT_ROWS {
            commit(&mut writer);
            committed = Instant::now();
            rows = 0;
        }
        if retained.elapsed() >= RETAIN {
            retained = Instant::now();
            if let Err(error) = writer.retain(now_ns()) {
                tracing::error!(%error, "the limits of the store could not be enforced");
            }
        }
    }
    commit(&mut writer);
    if let Err(error) = writer.close(now_ns(), StopReason::Signal) {
        tracing::error!(%error, "the store could not be closed in order; nothing committed is lost");
    }
}

/// Applies events. What cannot be written is counted by the store and told in coverage; the recorder goes on.
pub(crate) fn apply(writer: &mut Writer, events: &[Event]) {
    if let Err(error) = writer.apply_all(events) {
        tracing::warn!(%error, "events could not be written");
    }
}

fn commit(writer: &mut Writer) {
    if let Err(error) = writer.commit(now_ns()) {
        tracing::error!(%error, "a batch could not be committed");
    }
}
