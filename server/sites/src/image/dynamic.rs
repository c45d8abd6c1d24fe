//! The tables that a loader uses, for files whose section headers were taken away: nobody needs those to run a program.

use std::io::{Read, Seek};

use object::LittleEndian;
use object::elf::{self, Dyn64};

use super::{ENDIAN, Image, Section};
use crate::Error;

/// The most entries of the table; linkers make some thirty.
const MOST: u64 = 1024;

/// Sections with the dynamic symbols, their names and the relocations.
pub(super) fn sections<R: Read + Seek>(image: &mut Image<R>) -> Result<Vec<Section>, Error> {
    let Some((offset, size)) = image
        .segments
        .iter()
        .find(|segment| segment.kind == elf::PT_DYNAMIC)
        .map(|segment| (segment.offset, segment.size))
    else {
        return Ok(Vec::new());
    };
    let step = u64::try_from(size_of::<Dyn64<LittleEndian>>()).unwrap_or(16);
    let count = usize::try_from((size / step).min(MOST)).unwrap_or(0);
    let entries: Vec<Dyn64<LittleEndian>> = image.table(offset, count)?.unwrap_or_default();
    let value = |tag: i64| {
        entries
            .iter()
            .take_while(|entry| entry.d_tag.get(ENDIAN) != elf::DT_NULL)
            .find(|entry| entry.d_tag.get(ENDIAN) == tag)
            .map(|entry| entry.d_val.get(ENDIAN))
    };
    let (Some(symbols), Some(names)) = (value(elf::DT_SYMTAB), value(elf::DT_STRTAB)) else {
        return Ok(Vec::new());
    };
    let mut sections = Vec::new();
    let mut add = |name: &str, kind: u32, address: u64, size: u64, link: u32| {
        if let Some((offset, left)) = image.place(address, false) {
            sections.push(Section {
                name: name.to_owned(),
                kind,
                address,
                offset,
                size: size.min(left),
                link,
            });
        }
    };
    // How many symbols there are is not told; linkers put their names right behind them.
    let length = names.saturating_sub(symbols);
    add(".dynsym", elf::SHT_DYNSYM, symbols, length, 1);
    add(
        ".dynstr",
        elf::SHT_STRTAB,
        names,
        value(elf::DT_STRSZ).unwrap_or_default(),
        0,
    );
    for (name, place, size) in [
        (".rela.plt", elf::DT_JMPREL, elf::DT_PLTRELSZ),
        (".rela.dyn", elf::DT_RELA, elf::DT_RELASZ),
    ] {
        if let (Some(place), Some(size)) = (value(place), value(size)) {
            add(name, elf::SHT_RELA, place, size, 0);
        }
    }
    // They refer to each other by their places.
    if sections.first().is_none_or(|first| first.name != ".dynsym") || sections.len() < 2 {
        return Ok(Vec::new());
    }
    Ok(sections)
}
