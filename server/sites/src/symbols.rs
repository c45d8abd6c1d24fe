//! Symbols by their names.
//!
//! Owns: to find a few symbols in tables of any size without holding the tables. First the names are looked for in the
//! strings, then the symbols that have them in the table; both are gone through in pieces.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use object::elf::{self, Sym64};
use object::{LittleEndian, pod};

use crate::Error;
use crate::image::{ENDIAN, Image};

/// The largest table or strings that are gone through.
const LARGEST: u64 = 1 << 28;
/// The longest name that is found.
const LONGEST_NAME: usize = 1024;
/// The most names and the most symbols that are kept.
const MOST: usize = 4096;

/// A function, or what else has a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) address: u64,
    /// Zero when unknown.
    pub(crate) size: u64,
    pub(crate) function: bool,
    /// Whether it is in this file, and not in one that it is linked with.
    pub(crate) defined: bool,
}

/// Which names are looked for.
pub(crate) struct Wanted<'a> {
    /// These.
    pub(crate) names: &'a [&'a str],
    /// And whatever this says yes to.
    pub(crate) other: Option<fn(&[u8]) -> bool>,
}

/// The symbols with the wanted names: those for other files to link with, and where the file defines none of them, its own.
pub(crate) fn find<R: Read + Seek>(
    image: &mut Image<R>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Symbol>, Error> {
    let mut found = find_in(image, elf::SHT_DYNSYM, wanted)?;
    if !found.iter().any(|symbol| symbol.defined) {
        found.extend(find_in(image, elf::SHT_SYMTAB, wanted)?);
    }
    Ok(found)
}

/// The symbols with the wanted names in the table of this kind.
pub(crate) fn find_in<R: Read + Seek>(
    image: &mut Image<R>,
    kind: u32,
    wanted: &Wanted<'_>,
) -> Result<Vec<Symbol>, Error> {
    let Some(table) = image.sections.iter().find(|section| section.kind == kind) else {
        return Ok(Vec::new());
    };
    let (offset, size) = (table.offset, table.size.min(LARGEST));
    let strings = usize::try_from(table.link)
        .ok()
        .and_then(|link| image.sections.get(link))
        .ok_or(Error::Damaged("a symbol table has no names"))?;
    let (strings, length) = (strings.offset, strings.size.min(LARGEST));
    let names = find_names(image, strings, length, wanted)?;
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let step = size_of::<Sym64<LittleEndian>>();
    let mut found = Vec::new();
    // Pieces are no multiple of a symbol's size, so each begins again at the last whole one.
    let mut carry = Vec::new();
    image.pieces(offset, size, 0, |_, bytes| {
        carry.extend_from_slice(bytes);
        let count = carry.len() / step;
        let Ok((table, rest)) = pod::slice_from_bytes::<Sym64<LittleEndian>>(&carry, count) else {
            return false;
        };
        for symbol in table {
            let Some(name) = names.get(&symbol.st_name.get(ENDIAN)) else {
                continue;
            };
            if found.len() < MOST {
                found.push(Symbol {
                    name: name.clone(),
                    address: symbol.st_value.get(ENDIAN),
                    size: symbol.st_size.get(ENDIAN),
                    defined: symbol.st_shndx.get(ENDIAN) != elf::SHN_UNDEF,
                    function: symbol.st_info & 0xf == elf::STT_FUNC,
                });
            }
        }
        carry = rest.to_vec();
        true
    })?;
    Ok(found)
}

/// The wanted names by their places in the strings. A name may be the end of another.
fn find_names<R: Read + Seek>(
    image: &mut Image<R>,
    offset: u64,
    size: u64,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<u32, String>, Error> {
    // By their last letters, since most strings end with another.
    let mut by_end: BTreeMap<u8, Vec<&str>> = BTreeMap::new();
    for name in wanted.names {
        if let Some(last) = name.as_bytes().last() {
            by_end.entry(*last).or_default().push(name);
        }
    }
    let mut ends: Vec<Vec<&str>> = vec![Vec::new(); 256];
    for (end, names) in by_end {
        if let Some(place) = ends.get_mut(usize::from(end)) {
            *place = names;
        }
    }
    let mut found = BTreeMap::new();
    // With the zero before a name.
    image.pieces(offset, size, LONGEST_NAME + 1, |place, bytes| {
        let mut keep = |start: usize, name: &[u8]| {
            let start = u64::try_from(start)
                .ok()
                .and_then(|at| place.checked_add(at));
            if let Some(start) = start.and_then(|start| u32::try_from(start).ok())
                && found.len() < MOST
            {
                found.insert(start, String::from_utf8_lossy(name).into_owned());
            }
        };
        let mut start = 0;
        for end in memchr::memchr_iter(0, bytes) {
            let text = bytes.get(start..end).unwrap_or_default();
            if let Some(last) = text.last() {
                for name in ends.get(usize::from(*last)).into_iter().flatten() {
                    if text.ends_with(name.as_bytes()) {
                        keep(end - name.len(), name.as_bytes());
                    }
                }
                // The first of a piece may have its beginning in the one before.
                if (start > 0 || place == 0)
                    && text.len() <= LONGEST_NAME
                    && wanted.other.is_some_and(|other| other(text))
                {
                    keep(start, text);
                }
            }
            start = end + 1;
        }
        true
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::fuzzing::{file, symbols};

    #[test]
    fn a_name_without_end_is_not_kept() {
        let longest = "x".repeat(LONGEST_NAME);
        let longer = "x".repeat(LONGEST_NAME + 1);
        let functions = [(longest.as_str(), 0, 1), (longer.as_str(), 1, 1)];
        let bytes = file(&[0x90; 16], &symbols(&functions, elf::SHT_DYNSYM), &[]);
        let mut image = Image::read(Cursor::new(bytes)).unwrap().unwrap();
        let wanted = Wanted {
            names: &[],
            other: Some(|name| name.starts_with(b"x")),
        };
        let found = find(&mut image, &wanted).unwrap();
        let names: Vec<_> = found.into_iter().map(|symbol| symbol.name).collect();
        assert_eq!(names, [longest]);
    }
}
