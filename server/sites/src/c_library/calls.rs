//! Which functions of a library only hand on to each other.
//!
//! Owns: to see direct calls and jumps, those through the procedure linkage table too.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use iced_x86::{Code, Instruction, Register};
use object::LittleEndian;
use object::elf::{self, Rela64, Sym64};

use super::Role;
use super::places::Function;
use crate::Error;
use crate::arm;
use crate::image::{ENDIAN, Image, Machine};
use crate::x86;

/// The most entries of a procedure linkage table; Chromium has 2,000.
const MOST_ENTRIES: u64 = 1 << 15;
/// The longest entry, with a mark for indirect jumps before the jump.
const LONGEST_ENTRY: usize = 16;

/// For each function, whether another tells what it would tell: its bytes pass through another that it calls.
pub(super) fn duplicates<R: Read + Seek>(
    image: &mut Image<R>,
    known: &[(Role, Function)],
) -> Result<Vec<bool>, Error> {
    let mut slots = None;
    let mut told = vec![false; known.len()];
    for (index, (role, function)) in known.iter().enumerate() {
        let Role::Bytes { write, .. } = *role else {
            continue;
        };
        for &address in &function.targets {
            let goes_to = |address: u64| {
                known.iter().enumerate().any(|(other, (role, function))| {
                    other != index
                        && function.address == address
                        && matches!(role, Role::Bytes { write: same, .. } if *same == write)
                        && !told.get(other).copied().unwrap_or(false)
                })
            };
            let reached = if goes_to(address) {
                true
            } else if let Some(slot) = slot(image, address)? {
                if slots.is_none() {
                    slots = Some(read_slots(image)?);
                }
                slots
                    .as_ref()
                    .and_then(|slots| slots.get(&slot))
                    .is_some_and(|address| goes_to(*address))
            } else {
                false
            };
            if reached {
                if let Some(told) = told.get_mut(index) {
                    *told = true;
                }
                break;
            }
        }
    }
    Ok(told)
}

/// The slot that the entry of a procedure linkage table at `address` jumps through.
fn slot<R: Read + Seek>(image: &mut Image<R>, address: u64) -> Result<Option<u64>, Error> {
    let Some((offset, _)) = image.code(address) else {
        return Ok(None);
    };
    let Some(bytes) = image.at(offset, LONGEST_ENTRY)? else {
        return Ok(None);
    };
    if image.machine == Machine::Arm {
        return Ok(arm::slot(&bytes, address));
    }
    let code = x86::decode(&bytes, address);
    let jump = code.iter().find(|instruction| !x86::is_mark(instruction));
    Ok(jump
        .filter(|jump| jump.code() == Code::Jmp_rm64 && jump.memory_base() == Register::RIP)
        .map(Instruction::ip_rel_memory_address))
}

/// The functions of this file that the slots of its procedure linkage table lead to, unless another file has the name
/// too.
fn read_slots<R: Read + Seek>(image: &mut Image<R>) -> Result<BTreeMap<u64, u64>, Error> {
    let mut slots = BTreeMap::new();
    let Some((offset, size, link)) = image
        .section(".rela.plt")
        .map(|section| (section.offset, section.size, section.link))
    else {
        return Ok(slots);
    };
    let Some(symbols) = usize::try_from(link)
        .ok()
        .and_then(|link| image.sections.get(link))
        .map(|section| section.offset)
    else {
        return Ok(slots);
    };
    let count = usize::try_from(MOST_ENTRIES.min(size / 24)).unwrap_or(0);
    let entries: Vec<Rela64<LittleEndian>> = image.table(offset, count)?.unwrap_or_default();
    for entry in entries {
        let index = u64::from(entry.r_sym(ENDIAN, false));
        let place = index
            .checked_mul(24)
            .and_then(|place| symbols.checked_add(place));
        let Some(place) = place else { continue };
        let symbol: Vec<Sym64<LittleEndian>> = image.table(place, 1)?.unwrap_or_default();
        if let Some(symbol) = symbol.first()
            && symbol.st_shndx.get(ENDIAN) != elf::SHN_UNDEF
        {
            slots.insert(entry.r_offset.get(ENDIAN), symbol.st_value.get(ENDIAN));
        }
    }
    Ok(slots)
}
