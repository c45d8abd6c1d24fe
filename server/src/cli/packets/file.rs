//! The packets as a capture file (pcapng, draft-ietf-opsawg-pcapng) that other tools open.
//!
//! Owns: which interface a packet belongs to in the file, and its comment. Blocks are written by the crate that reads them.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use pcap_parser::{
    EnhancedPacketBlock, InterfaceDescriptionBlock, Linktype, OptionCode, PcapNGOption,
    SectionHeaderBlock, ToVec,
};

use super::headers::Headers;
use crate::cli::privilege::caller;

/// Times are in nanoseconds: ten to the minus this.
const RESOLUTION: u8 = 9;
/// epb_flags, an option of a packet.
const FLAGS: OptionCode = OptionCode(2);
/// Longest text of an option: the length is 16 bits wide.
const MAX_TEXT: usize = 1024;

/// A file that is being written.
pub(super) struct CaptureFile {
    out: BufWriter<File>,
    /// By network namespace and name.
    interfaces: HashMap<(u32, String), u32>,
}

impl CaptureFile {
    /// Makes the file, which must not be there; under sudo it is the caller's.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn create(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        if let Some(caller) = caller() {
            std::os::unix::fs::fchown(&file, Some(caller.uid), Some(caller.gid))?;
        }
        let mut this = Self {
            out: BufWriter::new(file),
            interfaces: HashMap::new(),
        };
        this.put(&mut SectionHeaderBlock {
            block_type: 0,
            block_len1: 0,
            bom: 0,
            major_version: 1,
            minor_version: 0,
            // Not known beforehand.
            section_len: -1,
            options: vec![text(
                OptionCode::ShbUserAppl,
                concat!("headwater ", env!("CARGO_PKG_VERSION")),
            )],
            block_len2: 0,
        })?;
        Ok(this)
    }

    /// Adds a packet: its headers' bytes and its whole length.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn add(
        &mut self,
        packet: &Headers,
        bytes: &[u8],
        length: u32,
    ) -> std::io::Result<()> {
        let interface = self.interface(packet)?;
        let comment = packet.process.as_ref().map_or_else(
            || "process not known".to_owned(),
            |process| format!("{}[{}]", process.name, process.pid),
        );
        // Bits 0 and 1 of epb_flags: 1 inbound, 2 outbound.
        let flags = [1 + u8::from(packet.is_sent), 0, 0, 0];
        self.put(&mut EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: interface,
            ts_high: u32::try_from(packet.at_ns >> 32).unwrap_or(0),
            ts_low: u32::try_from(packet.at_ns & u64::from(u32::MAX)).unwrap_or(0),
            caplen: u32::try_from(bytes.len()).unwrap_or(0),
            origlen: length,
            data: bytes,
            options: vec![
                text(OptionCode::Comment, &comment),
                PcapNGOption {
                    code: FLAGS,
                    len: 4,
                    value: Cow::Borrowed(&flags),
                },
            ],
            block_len2: 0,
        })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn finish(mut self) -> std::io::Result<()> {
        self.out.flush()
    }

    /// The number of a packet's interface, which the file is told of first.
    fn interface(&mut self, packet: &Headers) -> std::io::Result<u32> {
        let key = (packet.netns, packet.interface.clone());
        if let Some(number) = self.interfaces.get(&key) {
            return Ok(*number);
        }
        let number = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        let described = format!("network namespace {}", packet.netns);
        self.put(&mut InterfaceDescriptionBlock {
            block_type: 0,
            block_len1: 0,
            linktype: Linktype::RAW,
            reserved: 0,
            snaplen: 0,
            options: vec![
                text(OptionCode::IfName, &packet.interface),
                text(OptionCode::IfDescription, &described),
            ],
            block_len2: 0,
            if_tsresol: RESOLUTION,
            if_tsoffset: 0,
        })?;
        self.interfaces.insert(key, number);
        Ok(number)
    }

    fn put(&mut self, block: &mut impl ToVec) -> std::io::Result<()> {
        let bytes = block.to_vec().map_err(std::io::Error::other)?;
        self.out.write_all(&bytes)
    }
}

/// An option of text.
fn text(code: OptionCode, text: &str) -> PcapNGOption<'_> {
    let text = text.get(..text.len().min(MAX_TEXT)).unwrap_or_default();
    PcapNGOption {
        code,
        len: u16::try_from(text.len()).unwrap_or(0),
        value: Cow::Borrowed(text.as_bytes()),
    }
}
