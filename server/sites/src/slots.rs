//! What a loader puts into the words that a program calls its functions through.
//!
//! Owns: to find that for many words at once, with one pass through the relocations.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek};

use object::elf::{self, Rela64, Sym64};
use object::{LittleEndian, pod};

use crate::Error;
use crate::image::{ENDIAN, Image, Machine};

/// The largest table of relocations that is gone through.
const LARGEST: u64 = 1 << 26;
/// The most words that are looked for.
const MOST: usize = 4096;
/// The longest name of a function that is told.
const LONGEST_NAME: usize = 64;

/// Where a word leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Leads {
    /// To this address of the file, unless another file has the function's name too.
    Here(u64),
    /// To the function with this name, in another file.
    Elsewhere(Vec<u8>),
}

/// A relocation of one of the words.
struct Relocation {
    symbol: u64,
    addend: i64,
    /// The section with the symbols.
    link: u32,
}

/// Where those of `slots` lead of which that is told.
pub(crate) fn resolve<R: Read + Seek>(
    image: &mut Image<R>,
    slots: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Leads>, Error> {
    let mut found = BTreeMap::new();
    if slots.is_empty() {
        return Ok(found);
    }
    let slots: BTreeSet<u64> = slots.iter().copied().take(MOST).collect();
    let relocations = relocations(image, &slots)?;
    for slot in slots {
        let leads = match relocations.get(&slot) {
            Some(relocation) => symbol(image, relocation)?,
            // The linker put it there, or left a relocation that is not looked at.
            None => image
                .loaded(slot, 8)?
                .and_then(|bytes| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)))
                .filter(|address| *address != 0)
                .map(Leads::Here),
        };
        if let Some(leads) = leads {
            found.insert(slot, leads);
        }
    }
    Ok(found)
}

/// The relocations of `slots`.
fn relocations<R: Read + Seek>(
    image: &mut Image<R>,
    slots: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Relocation>, Error> {
    let kinds = match image.machine {
        Machine::X86 => [
            elf::R_X86_64_JUMP_SLOT,
            elf::R_X86_64_GLOB_DAT,
            elf::R_X86_64_RELATIVE,
            elf::R_X86_64_64,
        ],
        Machine::Arm => [
            elf::R_AARCH64_JUMP_SLOT,
            elf::R_AARCH64_GLOB_DAT,
            elf::R_AARCH64_RELATIVE,
            elf::R_AARCH64_ABS64,
        ],
    };
    let step = size_of::<Rela64<LittleEndian>>();
    let mut found = BTreeMap::new();
    for name in [".rela.plt", ".rela.dyn"] {
        let Some((offset, size, link)) = image
            .section(name)
            .map(|section| (section.offset, section.size.min(LARGEST), section.link))
        else {
            continue;
        };
        let mut carry = Vec::new();
        image.pieces(offset, size, 0, |_, bytes| {
            carry.extend_from_slice(bytes);
            let count = carry.len() / step;
            let Ok((table, rest)) = pod::slice_from_bytes::<Rela64<LittleEndian>>(&carry, count)
            else {
                return false;
            };
            for relocation in table {
                let slot = relocation.r_offset.get(ENDIAN);
                if slots.contains(&slot) && kinds.contains(&relocation.r_type(ENDIAN, false)) {
                    found.entry(slot).or_insert(Relocation {
                        symbol: u64::from(relocation.r_sym(ENDIAN, false)),
                        addend: relocation.r_addend.get(ENDIAN),
                        link,
                    });
                }
            }
            carry = rest.to_vec();
            found.len() < slots.len()
        })?;
    }
    Ok(found)
}

/// Where a relocation leads.
fn symbol<R: Read + Seek>(
    image: &mut Image<R>,
    relocation: &Relocation,
) -> Result<Option<Leads>, Error> {
    if relocation.symbol == 0 {
        return Ok(u64::try_from(relocation.addend).ok().map(Leads::Here));
    }
    let section = |link: u32| {
        usize::try_from(link)
            .ok()
            .and_then(|link| image.sections.get(link))
    };
    let Some(symbols) = section(relocation.link) else {
        return Ok(None);
    };
    let (place, strings) = (
        symbols.offset,
        section(symbols.link).map(|names| names.offset),
    );
    let step = u64::try_from(size_of::<Sym64<LittleEndian>>()).unwrap_or(24);
    let Some(place) = relocation
        .symbol
        .checked_mul(step)
        .and_then(|into| place.checked_add(into))
    else {
        return Ok(None);
    };
    let symbols: Vec<Sym64<LittleEndian>> = image.table(place, 1)?.unwrap_or_default();
    let Some(symbol) = symbols.first() else {
        return Ok(None);
    };
    if symbol.st_shndx.get(ENDIAN) != elf::SHN_UNDEF {
        let address = symbol.st_value.get(ENDIAN);
        return Ok(address
            .checked_add_signed(relocation.addend)
            .map(Leads::Here));
    }
    let Some(name) =
        strings.and_then(|strings| strings.checked_add(u64::from(symbol.st_name.get(ENDIAN))))
    else {
        return Ok(None);
    };
    let mut name = image.some(name, LONGEST_NAME)?;
    Ok(memchr::memchr(0, &name).map(|end| {
        name.truncate(end);
        Leads::Elsewhere(name)
    }))
}
