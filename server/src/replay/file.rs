//! The containers: pcap and pcapng, read block by block by the crate that knows them.

use std::{fs::File, path::Path};

use pcap_parser::{
    Block, LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapNGReader, create_reader,
    traits::{PcapNGPacketBlock as _, PcapReaderIterator},
};

/// Bytes held while reading; a block larger than this cannot be read.
const BUFFER: usize = 1 << 20;

/// Why a capture file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaptureError {
    /// It cannot be opened.
    #[error("{path}: cannot be opened")]
    Open {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is neither pcap nor pcapng.
    #[error(
        "{path}: neither pcap nor pcapng (expected one of the magic numbers a1b2c3d4, a1b23c4d, 0a0d0d0a)"
    )]
    Format {
        /// Which.
        path: String,
    },
}

/// A packet as the file holds it.
pub(crate) struct Captured<'a> {
    pub(crate) at_ns: u64,
    pub(crate) link: Linktype,
    /// Bytes on the wire.
    pub(crate) length: u32,
    pub(crate) bytes: &'a [u8],
}

/// Reads one file.
pub(crate) struct CaptureReader {
    reader: Box<dyn PcapReaderIterator>,
    path: String,
    legacy: Option<(Linktype, bool)>,
    interfaces: Vec<Interface>,
    /// Bytes of the file consumed so far.
    pub(crate) consumed: u64,
    /// Set when the file ends in the middle of a block or is damaged.
    pub(crate) damage: Option<&'static str>,
}

struct Interface {
    link: Linktype,
    units_per_second: u64,
    offset_s: i64,
}

impl CaptureReader {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|source| CaptureError::Open {
            path: name.clone(),
            source,
        })?;
        let reader =
            create_reader(BUFFER, file).map_err(|_| CaptureError::Format { path: name.clone() })?;
        Ok(Self {
            reader,
            path: name,
            legacy: None,
            interfaces: Vec::new(),
            consumed: 0,
            damage: None,
        })
    }

    /// Gives every packet to `each`, in the order of the file.
    pub(crate) fn packets(&mut self, mut each: impl FnMut(&Captured<'_>, u64)) {
        let mut stuck = 0;
        loop {
            match self.reader.next() {
                Ok((size, block)) => {
                    stuck = 0;
                    if let Some(packet) = read_block(&block, &mut self.legacy, &mut self.interfaces)
                    {
                        each(&packet, self.consumed);
                    }
                    self.consumed += size as u64;
                    self.reader.consume(size);
                }
                Err(PcapError::Eof) => return,
                Err(PcapError::Incomplete(_)) if stuck < 2 => {
                    stuck += 1;
                    if self.reader.refill().is_err() {
                        return self.damaged("it cannot be read on");
                    }
                }
                Err(PcapError::Incomplete(_) | PcapError::UnexpectedEof) => {
                    return self.damaged("it ends in the middle of a packet");
                }
                Err(_) => return self.damaged("it is damaged from here on"),
            }
        }
    }

    fn damaged(&mut self, what: &'static str) {
        tracing::warn!(path = %self.path, at = self.consumed, what, "the capture file was read up to the damage");
        self.damage = Some(what);
    }
}

fn read_block<'a>(
    block: &'a PcapBlockOwned<'a>,
    legacy: &mut Option<(Linktype, bool)>,
    interfaces: &mut Vec<Interface>,
) -> Option<Captured<'a>> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            *legacy = Some((header.network, header.is_nanosecond_precision()));
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let (link, nanoseconds) = (*legacy)?;
            let fraction = u64::from(packet.ts_usec) * if nanoseconds { 1 } else { 1000 };
            Some(Captured {
                at_ns: u64::from(packet.ts_sec) * 1_000_000_000 + fraction,
                link,
                length: packet.origlen,
                bytes: packet
                    .data
                    .get(..usize::try_from(packet.caplen).ok()?)
                    .unwrap_or(packet.data),
            })
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
            interfaces.push(Interface {
                link: interface.linktype,
                units_per_second: interface.ts_resolution().unwrap_or(1_000_000),
                offset_s: interface.ts_offset(),
            });
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = interfaces.get(usize::try_from(packet.if_id).ok()?)?;
            let units = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let ns =
                u128::from(units) * 1_000_000_000 / u128::from(interface.units_per_second.max(1));
            let at_ns = i128::try_from(ns).ok()? + i128::from(interface.offset_s) * 1_000_000_000;
            Some(Captured {
                at_ns: u64::try_from(at_ns).unwrap_or(0),
                link: interface.link,
                length: packet.origlen,
                bytes: packet.packet_data(),
            })
        }
        PcapBlockOwned::NG(Block::SimplePacket(packet)) => {
            let interface = interfaces.first()?;
            Some(Captured {
                at_ns: 0,
                link: interface.link,
                length: packet.origlen,
                bytes: packet.packet_data(),
            })
        }
        PcapBlockOwned::NG(_) => None,
    }
}

/// Names the two readers, so that a build without one of the formats fails here.
const _: fn() = || {
    let _ = size_of::<LegacyPcapReader<File>>() + size_of::<PcapNGReader<File>>();
};
