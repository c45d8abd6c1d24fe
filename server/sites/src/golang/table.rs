//! Go's table of functions, `.gopclntab` (`runtime/symtab.go`, `debug/gosym`), in its layouts since 1.16.
//!
//! Owns: to find it and to find functions in it by their names, without holding it. Refuses: what is older.

use std::collections::BTreeSet;
use std::io::{Read, Seek};

use object::elf;

use crate::Error;
use crate::image::{Image, Machine};

const MAGIC_1_16: u32 = 0xffff_fffa;
const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;

/// The most functions that are believed; Kubernetes' programs have some 200,000.
const MOST_FUNCTIONS: u64 = 1 << 23;
/// The largest table and the largest section that one is looked for in.
const LARGEST: u64 = 1 << 28;
/// The longest name that is looked for, and what a piece of the names shares with the one before.
const LONGEST_NAME: usize = 256;
/// How much of the table is read at once.
const WINDOW: usize = 1 << 16;
/// How often, for what is in the order of the functions: twice what the largest table needs.
const MOST_WINDOWS: u32 = 1 << 13;
/// How far behind the beginning of the program's code Go's may begin: there is only what a C program starts with.
const BEFORE_GO: u64 = 1 << 16;
/// The most places of a section that a table may begin at and does not.
const MOST_STARTS: usize = 1024;

/// The table.
pub(super) struct Table {
    offset: u64,
    magic: u32,
    functions: u64,
    text: u64,
    names: u64,
    names_end: u64,
    entries: u64,
}

/// A function: where it begins and ends, from [`Table::base`].
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Table {
    /// Finds it: by its section's name, or, where another linker put it among other constants, by how it begins.
    pub(super) fn find<R: Read + Seek>(image: &mut Image<R>) -> Result<Option<Self>, Error> {
        for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
            if let Some(offset) = image.section(name).map(|section| section.offset)
                && let Some(table) = Self::at(image, offset)?
            {
                return Ok(Some(table));
            }
        }
        let mut parts: Vec<(u64, u64)> = [".data.rel.ro", ".rodata"]
            .iter()
            .filter_map(|name| image.section(name))
            .map(|section| (section.offset, section.size))
            .collect();
        if image.section(".text").is_none() {
            // The section headers were taken away.
            parts.extend(
                image
                    .segments
                    .iter()
                    .filter(|segment| segment.kind == elf::PT_LOAD && !segment.executable)
                    .map(|segment| (segment.offset, segment.size)),
            );
        }
        for (offset, size) in parts {
            let size = size.min(LARGEST);
            let mut places = Vec::new();
            image.pieces(offset, size, 8, |place, bytes| {
                let marks = memchr::memmem::find_iter(bytes, b"\xff\xff\xff\x00\x00");
                places.extend(
                    marks
                        .filter_map(|mark| mark.checked_sub(1))
                        .filter(|start| bytes.get(*start..).is_some_and(is_start))
                        .filter_map(|start| u64::try_from(start).ok())
                        .filter_map(|start| offset.checked_add(place)?.checked_add(start)),
                );
                places.len() < MOST_STARTS
            })?;
            for place in places {
                if let Some(table) = Self::at(image, place)? {
                    return Ok(Some(table));
                }
            }
        }
        Ok(None)
    }

    /// The table at `offset` of the file, if there is one.
    fn at<R: Read + Seek>(image: &mut Image<R>, offset: u64) -> Result<Option<Self>, Error> {
        let Some(header) = image.at(offset, 72)? else {
            return Ok(None);
        };
        let word = |index: usize| {
            let start = 8 + index * 8;
            header
                .get(start..start + 8)
                .and_then(|bytes| bytes.try_into().ok())
                .map_or(0, u64::from_le_bytes)
        };
        let Some(magic) = header.first_chunk().filter(|_| is_start(&header)) else {
            return Ok(None);
        };
        let magic = u32::from_le_bytes(*magic);
        // 1.18 put the beginning of the code before the places of the parts.
        let (text, parts) = match magic {
            MAGIC_1_16 => (0, 2),
            _ => (word(2), 3),
        };
        let table = Self {
            offset,
            magic,
            functions: word(0),
            text,
            names: word(parts),
            names_end: word(parts + 1),
            entries: word(parts + 4),
        };
        let sound = table.functions > 0
            && table.functions <= MOST_FUNCTIONS
            && table.names < table.names_end
            && table.names_end <= table.entries
            && table.entries < LARGEST;
        Ok(sound.then_some(table))
    }

    pub(super) fn is_since_1_18(&self) -> bool {
        self.magic != MAGIC_1_16
    }

    /// The functions with these names; nothing where the table has some of them and cannot be gone through.
    pub(super) fn functions<R: Read + Seek>(
        &self,
        image: &mut Image<R>,
        names: &[&str],
    ) -> Result<Option<Vec<Entry>>, Error> {
        let wanted = self.names(image, names)?;
        let mut found = Vec::new();
        if wanted.is_empty() {
            return Ok(Some(found));
        }
        let Some(entries) = self.offset.checked_add(self.entries) else {
            return Ok(None);
        };
        // An entry is where the function begins and where its description is: addresses, then halves of them.
        let (width, in_description) = if self.is_since_1_18() { (4, 4) } else { (8, 8) };
        let mut index = Window::default();
        let mut descriptions = Window::default();
        for number in 0..self.functions {
            let place = entries.saturating_add(number.saturating_mul(width * 2));
            let Some(description) = index.number(image, place.saturating_add(width), width)? else {
                return Ok(None);
            };
            let name = entries
                .saturating_add(description)
                .saturating_add(in_description);
            let Some(name) = descriptions.number(image, name, 4)? else {
                return Ok(None);
            };
            let Some((_, name)) = wanted.iter().find(|(place, _)| *place == name) else {
                continue;
            };
            let start = index.number(image, place, width)?;
            let end = index.number(image, place.saturating_add(width * 2), width)?;
            if let (Some(start), Some(end)) = (start, end) {
                found.push(Entry {
                    name: name.clone(),
                    start,
                    end,
                });
            }
            if found.len() >= names.len() * 4 {
                break;
            }
        }
        Ok(Some(found))
    }

    /// Where the names are among the names.
    fn names<R: Read + Seek>(
        &self,
        image: &mut Image<R>,
        names: &[&str],
    ) -> Result<BTreeSet<(u64, String)>, Error> {
        let mut found = BTreeSet::new();
        let Some(offset) = self.offset.checked_add(self.names) else {
            return Ok(found);
        };
        // Each name with the zeros around it.
        let whole: Vec<(Vec<u8>, &str)> = names
            .iter()
            .map(|name| ([b"\0", name.as_bytes(), b"\0"].concat(), *name))
            .collect();
        let finders: Vec<_> = whole
            .iter()
            .map(|(bytes, name)| (memchr::memmem::Finder::new(bytes), *name))
            .collect();
        image.pieces(
            offset,
            self.names_end - self.names,
            LONGEST_NAME,
            |place, bytes| {
                for (finder, name) in &finders {
                    if let Some(at) = finder.find(bytes)
                        && let Ok(at) = u64::try_from(at + 1)
                    {
                        found.insert((place.saturating_add(at), (*name).to_owned()));
                    }
                }
                true
            },
        )?;
        Ok(found)
    }

    /// What the places of functions are counted from.
    ///
    /// Before 1.18 they are addresses. Then the header told where Go's code begins, and since 1.26 it does not; in a
    /// program that a C linker finished, what C programs start with is before it. So it is the place from which every
    /// function that was found begins as Go's do, if there is exactly one.
    pub(super) fn base<R: Read + Seek>(
        &self,
        image: &mut Image<R>,
        entries: &[Entry],
    ) -> Result<Option<u64>, Error> {
        if !self.is_since_1_18() {
            return Ok(Some(0));
        }
        let text = image
            .segments
            .iter()
            .find(|segment| segment.executable && segment.size > 0)
            .map(|segment| segment.address);
        let section = image.section(".text").map(|section| section.address);
        for base in [Some(self.text).filter(|text| *text > 0), section]
            .into_iter()
            .flatten()
        {
            if begins_there(image, base, entries)? {
                return Ok(Some(base));
            }
        }
        let Some(first) = section.or(text) else {
            return Ok(None);
        };
        let mut only = None;
        for base in (first..first.saturating_add(BEFORE_GO)).step_by(16) {
            if entries.len() > 2 && begins_there(image, base, entries)? {
                if only.is_some() {
                    return Ok(None);
                }
                only = Some(base);
            }
        }
        Ok(only)
    }
}

/// Whether a table may begin so: one of the layouts, two zeros, how far instructions are apart, and the size of an address.
fn is_start(bytes: &[u8]) -> bool {
    let Some((magic, [0, 0, 1 | 4, 8, ..])) = bytes.split_first_chunk() else {
        return false;
    };
    [MAGIC_1_16, MAGIC_1_18, MAGIC_1_20].contains(&u32::from_le_bytes(*magic))
}

/// Whether each of the functions begins as Go's do that need room on the stack: with a look at how much there is.
fn begins_there<R: Read + Seek>(
    image: &mut Image<R>,
    base: u64,
    entries: &[Entry],
) -> Result<bool, Error> {
    for entry in entries {
        let Some((offset, _)) = base
            .checked_add(entry.start)
            .and_then(|address| image.code(address))
        else {
            return Ok(false);
        };
        let bytes = image.at(offset, 16)?.unwrap_or_default();
        let begins = match image.machine {
            Machine::X86 => {
                // cmp 0x10(%r14), %rsp; lea -N(%rsp), %r12; mov %rsp, %r12
                [
                    [0x49, 0x3b, 0x66, 0x10].as_slice(),
                    &[0x4c, 0x8d, 0x64, 0x24],
                    &[0x4c, 0x8d, 0xa4, 0x24],
                    &[0x49, 0x89, 0xe4],
                ]
                .iter()
                .any(|start| bytes.starts_with(start))
            }
            // ldr x16, [x28, #16]
            Machine::Arm => bytes.starts_with(&[0x90, 0x0b, 0x40, 0xf9]),
        };
        if !begins {
            return Ok(false);
        }
    }
    Ok(!entries.is_empty())
}

/// A part of the file, moved along what is read.
#[derive(Default)]
struct Window {
    start: u64,
    bytes: Vec<u8>,
    moves: u32,
}

impl Window {
    /// The number of `width` bytes, 4 or 8, at `offset`.
    fn number<R: Read + Seek>(
        &mut self,
        image: &mut Image<R>,
        offset: u64,
        width: u64,
    ) -> Result<Option<u64>, Error> {
        let width = if width == 4 { 4 } else { 8 };
        if let Some(number) = self.held(offset, width) {
            return Ok(Some(number));
        }
        if self.moves >= MOST_WINDOWS {
            return Ok(None);
        }
        self.moves += 1;
        self.start = offset;
        self.bytes = image.some(offset, WINDOW)?;
        Ok(self.held(offset, width))
    }

    fn held(&self, offset: u64, width: usize) -> Option<u64> {
        let start = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let bytes = self.bytes.get(start..)?;
        if width == 4 {
            bytes
                .first_chunk()
                .map(|bytes| u64::from(u32::from_le_bytes(*bytes)))
        } else {
            bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
        }
    }
}
