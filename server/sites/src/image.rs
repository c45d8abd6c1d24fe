//! An ELF file of 64 bits and little endian, read in pieces.
//!
//! Owns: the headers, where an address is in the file, and reads whose length the caller bounds.

mod dynamic;
mod unwind;

use std::io::{self, Read, Seek, SeekFrom};

use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::pod::{self, Pod};

use crate::Error;

pub(crate) use unwind::{Extent, Extents};

/// The endianness of each file that is looked into.
pub(crate) const ENDIAN: LittleEndian = LittleEndian;

/// More sections than any linker makes without being asked for one a function.
const MOST_SECTIONS: u64 = 0x1_0000;
/// A linker makes about a dozen.
const MOST_SEGMENTS: usize = 256;
/// The names of sections.
const LONGEST_NAMES: usize = 1 << 20;
/// How much is read at once of what is gone through from end to end.
const PIECE: usize = 1 << 18;

/// The processor that a file is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Machine {
    /// `x86_64`.
    X86,
    /// `aarch64`.
    Arm,
}

/// A part of the file that is loaded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) executable: bool,
    pub(crate) offset: u64,
    pub(crate) address: u64,
    pub(crate) size: u64,
}

/// A section of the file.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) address: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) link: u32,
}

/// The headers of an ELF file, and the file.
pub(crate) struct Image<R> {
    file: R,
    length: u64,
    pub(crate) machine: Machine,
    pub(crate) segments: Vec<Segment>,
    pub(crate) sections: Vec<Section>,
}

/// Whether this is an ELF file of any kind.
pub(crate) fn is_elf(file: impl Read + Seek) -> Result<bool, Error> {
    let start = Image::bare(file)?.at(0, elf::ELFMAG.len())?;
    Ok(start.is_some_and(|start| start == elf::ELFMAG))
}

impl<R: Read + Seek> Image<R> {
    /// A file whose headers are not looked at.
    pub(crate) fn bare(mut file: R) -> Result<Self, Error> {
        let length = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            length,
            machine: Machine::X86,
            segments: Vec::new(),
            sections: Vec::new(),
        })
    }

    /// Reads the headers; nothing when this is no ELF file of a known machine with 64 bits.
    pub(crate) fn read(file: R) -> Result<Option<Self>, Error> {
        let header = size_of::<FileHeader64<LittleEndian>>();
        let mut image = Self::bare(file)?;
        let Some(bytes) = image.at(0, header)? else {
            return Ok(None);
        };
        let Ok((header, _)) = pod::from_bytes::<FileHeader64<LittleEndian>>(&bytes) else {
            return Ok(None);
        };
        if header.e_ident.magic != elf::ELFMAG
            || header.e_ident.class != elf::ELFCLASS64
            || header.e_ident.data != elf::ELFDATA2LSB
        {
            return Ok(None);
        }
        image.machine = match header.e_machine.get(ENDIAN) {
            elf::EM_X86_64 => Machine::X86,
            elf::EM_AARCH64 => Machine::Arm,
            _ => return Ok(None),
        };
        image.read_segments(header)?;
        image.read_sections(header)?;
        if image.sections.is_empty() {
            image.sections = dynamic::sections(&mut image)?;
        }
        Ok(Some(image))
    }

    fn read_segments(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), Error> {
        let count = usize::from(header.e_phnum.get(ENDIAN)).min(MOST_SEGMENTS);
        let table: Vec<ProgramHeader64<LittleEndian>> = self
            .table(header.e_phoff.get(ENDIAN), count)?
            .ok_or(Error::Damaged("the program headers are not in the file"))?;
        self.segments = table
            .iter()
            .map(|header| Segment {
                kind: header.p_type.get(ENDIAN),
                executable: header.p_flags.get(ENDIAN) & elf::PF_X != 0,
                offset: header.p_offset.get(ENDIAN),
                address: header.p_vaddr.get(ENDIAN),
                size: header.p_filesz.get(ENDIAN),
            })
            .collect();
        Ok(())
    }

    fn read_sections(&mut self, header: &FileHeader64<LittleEndian>) -> Result<(), Error> {
        const MISSING: Error = Error::Damaged("the section headers are not in the file");
        let place = header.e_shoff.get(ENDIAN);
        if place == 0 {
            return Ok(());
        }
        let mut count = u64::from(header.e_shnum.get(ENDIAN));
        let mut names = u32::from(header.e_shstrndx.get(ENDIAN));
        // What does not fit into the header is in the first section.
        let first: Vec<SectionHeader64<LittleEndian>> = self.table(place, 1)?.ok_or(MISSING)?;
        if let Some(first) = first.first() {
            if count == 0 {
                count = first.sh_size.get(ENDIAN);
            }
            if names == u32::from(elf::SHN_XINDEX) {
                names = first.sh_link.get(ENDIAN);
            }
        }
        if count > MOST_SECTIONS {
            return Err(Error::Damaged("there are too many sections"));
        }
        let count = usize::try_from(count).unwrap_or(0);
        let table: Vec<SectionHeader64<LittleEndian>> = self.table(place, count)?.ok_or(MISSING)?;
        let names = match usize::try_from(names)
            .ok()
            .and_then(|index| table.get(index))
        {
            Some(names) => {
                let length = usize::try_from(names.sh_size.get(ENDIAN))
                    .unwrap_or(LONGEST_NAMES)
                    .min(LONGEST_NAMES);
                self.at(names.sh_offset.get(ENDIAN), length)?
                    .unwrap_or_default()
            }
            None => Vec::new(),
        };
        self.sections = table
            .iter()
            .map(|header| Section {
                name: text_at(&names, header.sh_name.get(ENDIAN)),
                kind: header.sh_type.get(ENDIAN),
                address: header.sh_addr.get(ENDIAN),
                offset: header.sh_offset.get(ENDIAN),
                size: header.sh_size.get(ENDIAN),
                link: header.sh_link.get(ENDIAN),
            })
            .collect();
        Ok(())
    }

    /// The `length` bytes at `offset` of the file; nothing when the file ends before. The caller bounds `length`.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| offset.checked_add(length));
        if end.is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut bytes = vec![0; length];
        self.file.seek(SeekFrom::Start(offset))?;
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            // It was made shorter meanwhile.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Up to `length` bytes at `offset` of the file: fewer where it ends.
    pub(crate) fn some(&mut self, offset: u64, length: usize) -> Result<Vec<u8>, Error> {
        let left = usize::try_from(self.length.saturating_sub(offset)).unwrap_or(length);
        Ok(self.at(offset, length.min(left))?.unwrap_or_default())
    }

    /// The `length` bytes that are loaded at `address`, as they are in the file. The caller bounds `length`.
    pub(crate) fn loaded(&mut self, address: u64, length: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.place(address, false) {
            Some((offset, _)) => self.at(offset, length),
            None => Ok(None),
        }
    }

    /// The `count` structures at `offset` of the file; nothing when the file ends before. The caller bounds `count`.
    pub(crate) fn table<T: Pod>(
        &mut self,
        offset: u64,
        count: usize,
    ) -> Result<Option<Vec<T>>, Error> {
        let Some(bytes) = count
            .checked_mul(size_of::<T>())
            .map(|length| self.at(offset, length))
            .transpose()?
            .flatten()
        else {
            return Ok(None);
        };
        Ok(pod::slice_from_bytes::<T>(&bytes, count)
            .ok()
            .map(|(table, _)| table.to_vec()))
    }

    /// Goes through the `size` bytes at `offset` in pieces, of which each has `overlap` bytes of the one before: `take` is
    /// given where a piece begins, counted from `offset`, and says whether to go on. What the file does not have is not
    /// gone through.
    pub(crate) fn pieces(
        &mut self,
        offset: u64,
        size: u64,
        overlap: usize,
        mut take: impl FnMut(u64, &[u8]) -> bool,
    ) -> Result<(), Error> {
        let size = size.min(self.length.saturating_sub(offset));
        let mut done = 0;
        while done < size {
            let length = usize::try_from(size - done).unwrap_or(PIECE).min(PIECE);
            let Some(bytes) = self.at(offset.saturating_add(done), length)? else {
                return Ok(());
            };
            if !take(done, &bytes) || length < PIECE {
                return Ok(());
            }
            let step = PIECE.saturating_sub(overlap).max(1);
            done = done.saturating_add(u64::try_from(step).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// Where the instruction at `address` is in the file, and how many bytes follow in its segment.
    pub(crate) fn code(&self, address: u64) -> Option<(u64, u64)> {
        self.place(address, true)
    }

    fn place(&self, address: u64, executable: bool) -> Option<(u64, u64)> {
        self.segments
            .iter()
            .filter(|segment| segment.kind == elf::PT_LOAD && (segment.executable || !executable))
            .find_map(|segment| {
                let into = address.checked_sub(segment.address)?;
                let left = segment.size.checked_sub(into).filter(|left| *left > 0)?;
                let offset = segment.offset.checked_add(into)?;
                (offset < self.length).then_some((offset, left))
            })
    }

    /// The first section of this name.
    pub(crate) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

/// The text that ends with a zero at `place`.
fn text_at(names: &[u8], place: u32) -> String {
    let rest = usize::try_from(place)
        .ok()
        .and_then(|place| names.get(place..))
        .unwrap_or_default();
    let end = memchr::memchr(0, rest).unwrap_or(0).min(64);
    String::from_utf8_lossy(rest.get(..end).unwrap_or_default()).into_owned()
}
