//! `packets`: the headers of single packets, for a while, for somebody who looks at one thing closely.
//!
//! Owns: the command's arguments and its loop. Nothing goes to the store: this is for the terminal, or for a file that
//! another tool opens.

mod file;
mod filter;
mod headers;

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::Write,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;
use headwater_redact::{Key, Policy, Redactor};
use headwater_schema::record::{HeadersRecord, direction};
use tokio::signal::unix::{SignalKind, signal};

use self::{
    file::CaptureFile,
    filter::Filter,
    headers::{About, Headers, ProcessName},
};
use super::{
    Exit,
    output::{counted, say, say_error},
    privilege::{grant, missing_capabilities},
    settings::duration,
};
use crate::{
    clock::Clock,
    paths::{key_of, store_of},
    probes::HeaderProbes,
};

/// What is looked at, and for how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct PacketsArguments {
    /// Which packets: tcp, udp, icmp, ip, ip6, port N, host ADDRESS, net ADDRESS/LENGTH, syn, fin, rst, in, out, pid N,
    /// program NAME, joined with and, or, not and parentheses [default: all]
    #[arg(
        long,
        default_value = "",
        hide_default_value = true,
        value_name = "FILTER"
    )]
    filter: String,
    /// For how long
    #[arg(long = "for", default_value = "10s", value_name = "DURATION")]
    for_how_long: String,
    /// Stop after so many packets
    #[arg(long, value_name = "NUMBER")]
    count: Option<String>,
    /// Write the headers, without payload, to a new capture file that Wireshark opens, with processes as comments
    #[arg(long, value_name = "FILE")]
    pcapng: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Longest look: this is not for recording.
const LONGEST: Duration = Duration::from_hours(1);
/// Room between kernel and reader.
const RING_BYTES: u32 = 4 << 20;
/// How long the reader rests when there is nothing.
const REST: Duration = Duration::from_millis(5);
/// Sockets whose process is remembered.
const MAX_SOCKETS: usize = 65_536;

/// What was asked for, checked.
struct Asked {
    filter: Filter,
    time: Duration,
    count: u64,
}

/// Looks and tells, until the time is over, enough was seen, or a signal comes.
pub(super) fn packets(db: Option<&Path>, arguments: &PacketsArguments) -> Exit {
    let asked = match checked(arguments) {
        Ok(asked) => asked,
        Err(mistakes) => {
            for mistake in &mistakes {
                say(mistake);
            }
            return Exit::Usage;
        }
    };
    let missing = missing_capabilities();
    if !missing.is_empty() {
        say(&format!(
            "looking at packets needs {}, which this user does not have. Run it with sudo, or give the program the \
             capabilities: {}",
            missing.join(", "),
            grant()
        ));
        return Exit::Permission;
    }
    let file = match arguments
        .pcapng
        .as_deref()
        .map(CaptureFile::create)
        .transpose()
    {
        Ok(file) => file,
        Err(error) => {
            let path = arguments.pcapng.clone().unwrap_or_default();
            say(&format!("{}: cannot be made: {error}", path.display()));
            return Exit::Store;
        }
    };
    let probes = match HeaderProbes::attach(&asked.filter.implied(), RING_BYTES) {
        Ok(probes) => probes,
        Err(error) => {
            say_error(&error);
            return Exit::Unavailable;
        }
    };
    say(&format!(
        "looking at packets for {} s (probes attached); a process is known from its socket's first packet on",
        asked.time.as_secs()
    ));
    let mut look = Look {
        probes,
        redactor: redactor(db),
        processes: HashMap::new(),
        interfaces: HashMap::new(),
        own_netns: std::fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.ino()),
        clock: Clock::new(),
        file,
        json: arguments.json,
        told: 0,
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return Exit::Failed;
    };
    let result = runtime.block_on(look.until_the_end(&asked));
    look.finish(result)
}

fn checked(arguments: &PacketsArguments) -> Result<Asked, Vec<String>> {
    let mut mistakes = Vec::new();
    let filter = Filter::parse(&arguments.filter)
        .map_err(|mistake| mistakes.push(format!("--filter: {mistake}")));
    let time = duration("--for", &arguments.for_how_long)
        .and_then(|time| {
            if time <= LONGEST {
                Ok(time)
            } else {
                Err(format!(
                    "--for {}: at most 1h; `headwater record` is for longer",
                    arguments.for_how_long
                ))
            }
        })
        .map_err(|mistake| mistakes.push(mistake));
    let count = match arguments.count.as_deref().map(str::parse) {
        None => Ok(u64::MAX),
        Some(Ok(count)) if count > 0 => Ok(count),
        Some(_) => {
            mistakes.push("--count: expected a number of at least 1".to_owned());
            Err(())
        }
    };
    match (filter, time, count) {
        (Ok(filter), Ok(time), Ok(count)) => Ok(Asked {
            filter,
            time,
            count,
        }),
        _ => Err(mistakes),
    }
}

/// With the store's key where it can be read, so that hashes are the same as there; else with one that nobody has.
fn redactor(db: Option<&Path>) -> Redactor {
    let key = Key::load(&key_of(&store_of(db))).or_else(|_| Key::random());
    let key = key.unwrap_or_else(|error| {
        tracing::warn!(%error, "names that look like secrets are hashed without a key");
        Key::from_bytes([0; 32])
    });
    Redactor::new(&key, &Policy::default())
}

/// A look under way.
struct Look {
    probes: HeaderProbes,
    redactor: Redactor,
    /// By cookie.
    processes: HashMap<u64, ProcessName>,
    /// By network namespace and index.
    interfaces: HashMap<(u32, u32), String>,
    own_netns: u64,
    clock: Clock,
    file: Option<CaptureFile>,
    json: bool,
    told: u64,
}

impl Look {
    async fn until_the_end(&mut self, asked: &Asked) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let end = Instant::now() + asked.time;
        loop {
            let over = Instant::now() >= end;
            self.drain(asked)?;
            if over || self.told >= asked.count {
                return Ok(());
            }
            tokio::select! {
                _ = interrupt.recv() => return self.drain(asked),
                _ = terminate.recv() => return self.drain(asked),
                () = tokio::time::sleep(REST) => {}
            }
        }
    }

    /// Tells what is ready.
    fn drain(&mut self, asked: &Asked) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        while self.told < asked.count {
            let Some(record) = self.probes.next().map(|record| record.to_vec()) else {
                break;
            };
            let Some((packet, bytes, length)) = self.read(&record) else {
                continue;
            };
            if !asked.filter.takes(&packet) {
                continue;
            }
            self.told += 1;
            if let Some(file) = &mut self.file {
                file.add(&packet, bytes, length)?;
            }
            if self.json {
                writeln!(out, "{}", packet.json())?;
            } else {
                writeln!(out, "{}", packet.line())?;
            }
        }
        out.flush()
    }

    /// A record's packet, its bytes, and its whole length.
    fn read<'r>(&mut self, record: &'r [u8]) -> Option<(Headers, &'r [u8], u32)> {
        let head = HeadersRecord::decode(record)?;
        let until = HeadersRecord::SIZE.checked_add(usize::try_from(head.captured).ok()?)?;
        let bytes = record.get(HeadersRecord::SIZE..until)?;
        let about = About {
            at_ns: head
                .header
                .at_ns
                .saturating_add(self.clock.offset_ns(head.header.at_ns)),
            is_sent: head.direction == u32::from(direction::EGRESS),
            interface: self.interface(head.netns, head.ifindex),
            netns: head.netns,
            length: head.packet_length,
            process: self.process(&head),
        };
        let packet = Headers::read(bytes, about)?;
        Some((packet, bytes, head.packet_length))
    }

    /// The process of a packet's socket: known from what it sent.
    fn process(&mut self, head: &HeadersRecord) -> Option<ProcessName> {
        let cookie = head.header.cookie;
        if head.tgid == 0 {
            return self.processes.get(&cookie).cloned();
        }
        let known = self.processes.get(&cookie);
        if let Some(known) = known.filter(|known| known.pid == head.tgid) {
            return Some(known.clone());
        }
        if self.processes.len() >= MAX_SOCKETS {
            self.processes.clear();
        }
        let end = head.comm.iter().position(|byte| *byte == 0);
        let name = head.comm.get(..end.unwrap_or(head.comm.len()))?;
        let process = ProcessName {
            pid: head.tgid,
            name: self.redactor.phrase(name).as_str().to_owned(),
        };
        self.processes.insert(cookie, process.clone());
        Some(process)
    }

    /// Name of an interface; of one in another network namespace its number.
    fn interface(&mut self, netns: u32, index: u32) -> String {
        let is_own = netns == 0 || u64::from(netns) == self.own_netns;
        let name = self.interfaces.entry((netns, index)).or_insert_with(|| {
            let name = nix::net::if_::if_indextoname(index)
                .ok()
                .filter(|_| is_own)
                .and_then(|name| name.into_string().ok());
            name.unwrap_or_else(|| {
                // LOOPBACK_IFINDEX of include/net/flow.h, in every namespace.
                if index == 1 {
                    "lo".to_owned()
                } else {
                    format!("if{index}")
                }
            })
        });
        name.clone()
    }

    /// Says how it went.
    fn finish(self, result: std::io::Result<()>) -> Exit {
        let (lost, not_read) = self.probes.not_told();
        let told = self.told;
        let written = self.file.map_or(Ok(()), CaptureFile::finish);
        let mut words = format!("{} told", counted(told, "packet"));
        if lost > 0 {
            let _ = write!(words, "; {lost} lost for want of room: narrow the filter");
        }
        if not_read > 0 {
            let _ = write!(words, "; {not_read} with headers that are not read");
        }
        say(&words);
        match result.and(written) {
            Ok(()) => Exit::Done,
            // A reader that has gone away (`| head`) is no error.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Exit::Done,
            Err(error) => {
                say_error(&error);
                Exit::Store
            }
        }
    }
}
