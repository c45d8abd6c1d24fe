//! `replay FILE…`: capture files into the store.
//!
//! Owns: reading the files, and the words about them. That none is told twice is `FileInStore`'s.

mod file_in_store;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use headwater_assembly::{Assembly, Input, Limits, NoIdentities};
use headwater_model::{Coverage, CoverageKind, Event};
use headwater_redact::{Key, Policy, Redactor};
use headwater_store::{Source, StopReason, Writer};
use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};

use file_in_store::{FileInStore, Standing};

use super::{
    Exit,
    output::{counted, say, say_error},
    settings::session_settings,
};
use crate::{
    clock::now_ns,
    paths::advice_on_writing,
    record::open_store,
    replay::{CaptureReader, Frame, Tracker, take_apart, take_datagram},
};

/// Files larger than this get a progress bar.
const LONG: u64 = 8 << 20;
/// Packets of a connection that has ended are counted with it for so long: twice the longest life of a segment, as RFC 9293
/// has it (section 3.4.2).
const LATE_NS: u64 = 240_000_000_000;
/// The progress bar moves every so many packets.
const BAR_PACKETS: u64 = 256;

/// Capture files.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplayArguments {
    /// Capture files: pcap or pcapng with Ethernet, Linux cooked, raw IP or loopback frames
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    headers: super::record::HeaderArguments,
    /// Who may read the store besides its owner
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
}

/// What one file held.
#[derive(Debug, Default, Clone, Copy)]
struct Held {
    packets: u64,
    segments: u64,
    fragments: u64,
    unknown_links: u64,
    exchanges: u64,
    datagrams: u64,
    dns: u64,
}

/// Replays files in the order given.
pub(super) fn replay(db: Option<&Path>, arguments: &ReplayArguments) -> Exit {
    let settings = match session_settings(
        db,
        &super::record::RecordArguments::for_replay(&arguments.headers, arguments.group.as_deref()),
    ) {
        Ok(settings) => settings,
        Err(mistakes) => {
            for mistake in &mistakes {
                say(mistake);
            }
            // With these, what else would be found out later.
            for file in &arguments.files {
                if let Err(error) = std::fs::File::open(file) {
                    say(&format!("{}: {error}", file.display()));
                }
            }
            return Exit::Usage;
        }
    };
    let (mut writer, key) = match open_store(&settings, Source::Replay) {
        Ok(opened) => opened,
        Err(error) => {
            say_error(&error);
            if let Some(words) = advice_on_writing(&settings.store) {
                say(&words);
            }
            return Exit::Store;
        }
    };
    let policy = settings.headers.policy();
    let mut worst = Exit::Done;
    for file in &arguments.files {
        match replay_file(file, &mut writer, &key, &policy) {
            Ok(Some((held, damage))) => report(file, &held, damage),
            Ok(None) => say(&format!(
                "{}: replayed before; nothing added",
                file.display()
            )),
            Err(exit) => worst = exit,
        }
    }
    if let Err(error) = writer.close(now_ns(), StopReason::EndOfInput) {
        say_error(&error);
        return Exit::Store;
    }
    worst
}

fn report(file: &Path, held: &Held, damage: Option<&str>) {
    let mut text = format!(
        "{}: {}, {}, {}",
        file.display(),
        counted(held.packets, "packet"),
        counted(held.segments, "TCP segment"),
        counted(held.exchanges, "exchange")
    );
    if held.datagrams > 0 {
        let _ = write!(
            text,
            ", {}, {}",
            counted(held.datagrams, "UDP datagram"),
            counted(held.dns, "DNS exchange")
        );
    }
    if held.fragments > 0 {
        let _ = write!(text, "; {} IP fragments not put together", held.fragments);
    }
    if held.unknown_links > 0 {
        let _ = write!(
            text,
            "; {} frames of a link type that is not read",
            held.unknown_links
        );
    }
    if let Some(damage) = damage {
        let _ = write!(text, "; {damage}");
    }
    say(&text);
}

/// Replays one file; `None` when the store has it already.
fn replay_file(
    file: &Path,
    writer: &mut Writer,
    key: &Key,
    policy: &Policy,
) -> Result<Option<(Held, Option<&'static str>)>, Exit> {
    let (digest, size) = hash(file).map_err(|error| {
        say(&format!("{}: {error}", file.display()));
        Exit::NoInput
    })?;
    let mut reader = CaptureReader::open(file).map_err(|error| {
        say_error(&error);
        Exit::NoInput
    })?;
    let store = match FileInStore::begin(writer, &digest).map_err(|error| {
        say_error(&error);
        Exit::Store
    })? {
        Standing::Begun(store) => store,
        Standing::Whole => return Ok(None),
        Standing::InPart => {
            say(&format!(
                "{}: an earlier replay of it did not come to its end, and part of it is in this store; replay it into \
                 another store (--db PATH), or delete this one first",
                file.display()
            ));
            return Err(Exit::Failed);
        }
    };
    let Some(held) = tell(&mut reader, size, store, Redactor::new(key, policy)) else {
        say(&format!(
            "{}: the store could not take all of it; make room, and replay it into another store (--db PATH)",
            file.display()
        ));
        return Err(Exit::Store);
    };
    Ok(Some((held, reader.damage)))
}

/// Tells the store what the packets of a file come to; `None` when it could not take all of it.
fn tell(
    reader: &mut CaptureReader,
    size: u64,
    mut store: FileInStore<'_>,
    redactor: Redactor,
) -> Option<Held> {
    let bar = progress(size);
    let limits = Limits {
        live: false,
        linger_ns: LATE_NS,
        ..Limits::default()
    };
    let mut assembly = Assembly::new(limits, redactor, NoIdentities);
    let mut tracker = Tracker::default();
    let mut held = Held::default();
    let (mut first_ns, mut last_ns) = (u64::MAX, 0);
    reader.packets(|packet, consumed| {
        held.packets += 1;
        if held.packets % BAR_PACKETS == 0 {
            bar.set_position(consumed);
        }
        first_ns = first_ns.min(packet.at_ns);
        last_ns = last_ns.max(packet.at_ns);
        match take_apart(packet.link, packet.at_ns, packet.bytes, packet.length) {
            Frame::Segment(segment) => {
                held.segments += 1;
                tracker.take(packet.at_ns, &segment, &mut assembly);
            }
            Frame::Datagram(datagram) => {
                held.datagrams += 1;
                take_datagram(packet.at_ns, &datagram, &mut assembly);
            }
            Frame::Icmp(message) => assembly.take(&Input::Icmp(message)),
            Frame::Fragment => held.fragments += 1,
            Frame::UnknownLink => held.unknown_links += 1,
            Frame::Other => {}
        }
        store.take(assembly.events());
    });
    tracker.finish(&mut assembly);
    assembly.finish_all(last_ns);
    let tally = assembly.tally();
    held.exchanges = tally.exchanges;
    held.dns = tally.dns;
    store.take(assembly.events());
    let from_ns = first_ns.min(last_ns);
    let unseen = [
        (CoverageKind::JoinedMidstream, tally.midstream),
        (CoverageKind::TlsNotDecoded, tally.tls),
        (CoverageKind::HeaderBlockLost, tally.blocks_lost),
        (CoverageKind::OtherProtocol, tally.other),
        (CoverageKind::DnsNotRead, tally.dns_not_read),
        (CoverageKind::QuicNotDecoded, tally.quic),
        (
            CoverageKind::IcmpNotTied,
            tally.icmp_unknown + tally.icmp_not_believed,
        ),
        (CoverageKind::UdpFlowEvicted, tally.udp_evicted),
        (CoverageKind::Malformed, tally.malformed + held.fragments),
        (CoverageKind::HeadCapped, tally.heads_cut),
        (CoverageKind::ExpansionCapped, tally.expansion_capped),
        (CoverageKind::ConnectionEvicted, tally.evicted),
        (CoverageKind::HeldBytesCapped, tally.held_evicted),
        (
            CoverageKind::HeaderTableCapped,
            tally.table_entries_forgotten,
        ),
        (
            CoverageKind::TableCapped,
            tally.knocks_forgotten
                + tally.flows_forgotten
                + tally.dns_memory_forgotten
                + tracker.forgotten(),
        ),
    ];
    store.take(
        unseen
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| {
                Event::Coverage(Coverage {
                    kind,
                    from_ns,
                    until_ns: last_ns,
                    count,
                    detail: None,
                })
            }),
    );
    bar.finish_and_clear();
    store.finish().then_some(held)
}

fn hash(file: &Path) -> std::io::Result<(String, u64)> {
    let mut hasher = Sha256::new();
    let size = std::io::copy(
        &mut std::fs::File::open(file)?,
        &mut HashWriter(&mut hasher),
    )?;
    let digest = hasher.finalize();
    let mut hash = String::with_capacity(64);
    for byte in digest {
        let _ = write!(hash, "{byte:02x}");
    }
    Ok((hash, size))
}

/// Lets `io::copy` feed a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn progress(size: u64) -> ProgressBar {
    if size < LONG {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(size).with_style(style)
}
